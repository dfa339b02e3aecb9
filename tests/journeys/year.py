"""A year of the house under a clock that a test turns: the beat's doors, a real worker, a real SMTP server.

`Year.until` visits every instant at which something may fall due, and the second before it, so that what
leaves early leaves at the wrong time in the ledger. What was accepted is read back from the server.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mailer.db import digests as owed
from mailer.db.mailings import WAITING, Delivery, Mailing
from mailer.db.programme import Symposium
from mailer.messages.catalogues import same_time
from mailer.messages.tokens import message_id
from mailer.messages.when import local
from mailer.messages.words import city_words
from mailer.services.house import House
from mailer.services.programme import digests, places, reminders
from mailer.services.sending.texts import choose_language
from mailer.vocabulary import MailingKind
from tests.services.conftest import Hands
from tests.smtp_server import MailServer, Taken

NEW_YORK = "America/New_York"
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class Sent:
    """One mail that was accepted, as the ledger tells it.

    `at` is the moment on the simulated clock, `there` the same on the reader's; `number` is its mailing's.
    """

    at: datetime
    there: datetime
    name: str
    kind: MailingKind
    mailing: str
    number: int
    subject: str
    their_time: str
    starts_at: datetime | None

    def __str__(self) -> str:
        moment = f"{local(self.at, NEW_YORK):%Y-%m-%d %H:%M:%S}"
        told = f"\n{'':32}{self.their_time}" if self.their_time else ""
        return f"{moment}  {self.there:%a %H:%M}  {self.name:<7} {self.kind.value:<26} {self.subject}{told}"


class Year:
    """The house and its clock. `sent` is everything that was accepted so far, in order."""

    def __init__(self, house: House, server: MailServer, now: datetime) -> None:
        self.house, self.server = house, server
        self.hands = Hands(house, server.url, now)
        self.sent: list[Sent] = []
        self._people: dict[str, tuple[str, str, str | None]] = {}  # address -> name, language, zone

    @property
    def now(self) -> datetime:
        return self.hands.now

    def close(self) -> None:
        self.hands.close()

    def tick(self) -> None:
        """What the beat and the workers do at this moment, until nothing more is due."""
        with self.house.database.write() as session:
            reminders.plan_all(session, self.house, self.now)
        places.move_up_everywhere(self.house, self.now)
        digests.plan_all(self.house, self.now)
        before = len(self.server.mails)
        while self.hands.work():
            pass
        new = self.server.mails[before:]
        if new:
            with self.house.database.read() as session:
                told = self._read(session, new)
                self.sent += sorted(told, key=lambda one: (one.kind, one.name, one.number))

    def until(self, moment: datetime) -> None:
        """Turn the clock to the moment, stopping wherever something may fall due."""
        self.tick()
        while (nearest := self._next()) is not None and nearest < moment:
            for instant in (nearest - SECOND, nearest):
                if instant > self.now:
                    self.hands.now = instant
                    self.tick()
        self.hands.now = max(moment, self.now)
        self.tick()

    def _next(self) -> datetime | None:
        later = self.now
        with self.house.database.read() as session:
            found = [
                session.scalar(select(func.min(Mailing.due_at)).where(Mailing.due_at > later)),
                session.scalar(select(func.min(Mailing.opens_at)).where(Mailing.opens_at > later)),
                session.scalar(
                    select(func.min(Delivery.due_at)).where(
                        Delivery.due_at > later, Delivery.state.in_(WAITING)
                    )
                ),
            ]
            if owed.waiting(session):  # a digest leaves at a full hour of some zone
                found.append((later + HOUR).replace(minute=0, second=0, microsecond=0))
        return min((one for one in found if one is not None), default=None)

    def know(self, address: str, name: str, language: str, zone: str | None) -> None:
        """Tell the ledger how to call a person, and in which words their own time would stand."""
        self._people[address] = (name, language, zone)

    def _read(self, session: Session, mails: list[Taken]) -> Iterator[Sent]:
        mailings = {one.id: one for one in session.scalars(select(Mailing))}
        by_id = {
            message_id(
                self.house.message_keys,
                mailings[one.mailing_id].message_key,
                one.id,
                self.house.sending_domain,
            ): mailings[one.mailing_id]
            for one in session.scalars(select(Delivery))
        }
        for mail in mails:
            message, mailing = mail.message, by_id[str(mail.message["Message-ID"])]
            name, language, zone = self._people[mail.recipient]
            symposium = session.get(Symposium, mailing.symposium_id) if mailing.symposium_id else None
            text = message.get_body(("plain",))
            assert text is not None
            yield Sent(
                at=self.now,
                there=local(self.now, zone or "UTC"),
                name=name,
                kind=mailing.kind,
                mailing=mailing.key,
                number=mailing.id,
                subject=str(message["Subject"]),
                their_time=_their_time(text.get_content(), choose_language([language]), zone),
                starts_at=symposium.starts_at if symposium else None,
            )


def _their_time(text: str, language: str, zone: str | None) -> str:
    city = city_words(zone or "UTC", language)
    for line in reversed(text.splitlines()):  # a notice of a move says the earlier time before it
        if re.match(rf"{re.escape(city)}\s?[:՝：]", line) or line == same_time(language):
            return line
    return ""


def at(text: str) -> datetime:
    """A moment in UTC, written as 2024-02-23T17:00."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
