"""A symposium with its staff, so that tests about reminders and notices are short sentences."""

from datetime import date, datetime

from sqlalchemy import select

from mailer.db.mailings import Delivery, Mailing
from mailer.db.programme import Symposium
from mailer.services.house import House
from mailer.services.programme import recordings, reminders, rules, symposia
from mailer.services.programme.register import Attendee, register
from mailer.services.programme.rules import Owner
from mailer.services.programme.symposia import Edit
from mailer.vocabulary import MailingKind
from tests.recordings import RecordingServer
from tests.services.conftest import Hands, noon
from tests.smtp_server import MailServer


class Desk:
    """A symposium with its staff, for short sentences in tests."""

    def __init__(self, house: House, hands: Hands, server: MailServer, symposium: int) -> None:
        self.house, self.hands, self.server, self.symposium = house, hands, server, symposium
        with house.database.write() as session:
            reminders.plan_all(session, house, hands.now)

    def join(self, address: str = "anahit@example.org", zone: str | None = None) -> int:
        with self.house.database.write() as session:
            found = session.get_one(Symposium, self.symposium)
            attendee = Attendee(address=address, zone=zone)
            return register(session, self.house, found, attendee, self.hands.now).id

    def edit(self, **values: object) -> str | None:
        """The notice's key, or None."""
        with self.house.database.write() as session:
            found = session.get_one(Symposium, self.symposium)
            new = Edit(**values)  # type: ignore[arg-type]
            notice = symposia.edit(session, self.house, found, new, actor="test", now=self.hands.now)
            return notice.key if notice else None

    def move(self, day: date, hour: int = 12) -> str | None:
        return self.edit(moment=noon(day, hour))

    def rule(self, words: str, **how: bool) -> tuple[str, ...]:
        with self.house.database.write() as session:
            whose = Owner(symposium=session.get_one(Symposium, self.symposium))
            return rules.add(session, self.house, whose, words, actor="test", now=self.hands.now, **how).notes

    def plan(self) -> int:
        """What the minute's sweep plans."""
        with self.house.database.write() as session:
            return reminders.plan_all(session, self.house, self.hands.now)

    def limit(self, capacity: int) -> None:
        with self.house.database.write() as session:
            session.get_one(Symposium, self.symposium).capacity = capacity

    def recording_answers(self, server: RecordingServer) -> int:
        """Ask for the recordings that are due, of this server."""
        return recordings.ask_due(self.house, self.hands.now, limits=server.limits, resolve=server.resolve)

    def at(self, moment: datetime) -> list[str]:
        """Turn the clock there, work, and tell the subjects of what left, by recipient."""
        self.hands.now = moment
        self.server.mails.clear()
        self.hands.work()
        subjects = [f"{mail.recipient.split('@')[0]} {mail.message['Subject']}" for mail in self.server.mails]
        return sorted(subject.partition(":")[0] for subject in subjects)

    def reasons(self, kind: MailingKind = MailingKind.REMINDER) -> list[str]:
        """Why rows of these mailings were left out, in the order of their mailings."""
        with self.house.database.read() as session:
            rows = session.execute(
                select(Delivery.reason)
                .join(Mailing, Mailing.id == Delivery.mailing_id)
                .where(Mailing.kind == kind, Delivery.reason.is_not(None))
                .order_by(Mailing.due_at)
            )
            return [str(reason) for (reason,) in rows]

    def keys(self) -> list[str]:
        with self.house.database.read() as session:
            found = session.scalars(select(Mailing.key).where(Mailing.kind == MailingKind.REMINDER))
            return sorted(key.split(":", 3)[3] for key in found)
