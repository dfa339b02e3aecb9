"""The demo's story: what the organisation's staff do in the weeks before a symposium, step by step.

Every step calls the services that staff's commands call, waits until the house has
sent what it owes, and may be taken again without effect.
"""

import io
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from importlib import resources

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mailer import wake
from mailer.db.mailings import OPEN, WAITING, Campaign, Delivery, Mailing
from mailer.db.people import Subscriber
from mailer.db.programme import Statement, Symposium
from mailer.ingest.content import read_content
from mailer.ingest.people import Person, Reject, read_people, write_rejects
from mailer.ingest.sample import sample_people
from mailer.ingest.source import load
from mailer.messages.when import zone_named
from mailer.services.audience.importing import import_people
from mailer.services.desk import campaigns
from mailer.services.desk.trial import send_test
from mailer.services.house import House
from mailer.services.programme import statements, symposia
from mailer.services.programme.dates import Moment, moment_of
from mailer.services.programme.ingesting import known_programme, review, store
from mailer.services.programme.register import Attendee, register
from mailer.services.sending.outlook import outlooks, rules_for
from mailer.vocabulary import CampaignState, MailingKind, MailingState, Precision, SymposiumState
from mailer.wake import Task
from workers.clock import Clock

PEOPLE = 1_000
BAD_ROWS = 30
ATTENDEES = 40
PATIENCE = 120.0  # seconds until a step that does not come to rest is given up
LEAD = timedelta(days=21)  # the story begins three weeks before the first symposium
ACTOR = "demo"
TOPICS = frozenset({"statements", "symposia"})

CAMPAIGN = "year-of-prevention"
SUBJECT = "A word to you, ((first_name)), about our symposia"
BODY = """Dear ((first_name)),

this year our Friday symposia speak about **prevention**: how to see a genocide coming, and what each of
us can do about it.

- Every symposium begins at noon in New York.
- Each is online, free, and open to everyone.
- You choose which ones you want to be reminded of.

> To look away is a choice. So is to look.

Thank you for reading what we write. If it is too much, the link below is all it takes to leave.
"""

Tell = Callable[[str], None]


A_WHILE = timedelta(hours=2)  # whose turns lie so near to each other are reminded together


class StoryFailed(Exception):
    """A step did not come to its end; the message says which and what to look at."""


@dataclass
class Story:
    """One telling of the story in a running house."""

    house: House
    clock: Clock
    page: str | None
    tell: Tell
    statements: int = 0
    symposia: int = 0
    subscribers: int = 0
    symposium: int = 0

    def chapters(self) -> Sequence[tuple[str, Callable[[], None]]]:
        """The steps in their order, each with its title."""
        return (
            ("Read the page", self.read),
            ("Import subscribers", self.import_people),
            ("Publish the statement", self.publish),
            ("Register attendees", self.register),
            ("A week and a day before: remind", self.remind),
            ("Move the symposium by an hour", self.move),
            ("Send a campaign", self.campaign),
        )

    def read(self) -> None:
        """Ingest the page, confirm what was inferred, and announce the symposia."""
        where = self.page or str(resources.files("mailer.ingest").joinpath("sample_page.txt"))
        loaded = load(where, sys.stdin.buffer)
        draft = read_content(
            loaded.content,
            fetched_on=self.clock().date(),
            source=loaded.origin,
            zone=self.house.settings.zone,
        )
        self._begin_before(min((one.day for one in draft.symposia if one.day), default=None))
        with self.house.database.write() as session:
            found = review(draft, known_programme(session), today=self.clock().date())
            store(session, found, actor=ACTOR, now=self.clock())
        self.statements, self.symposia = len(draft.statements), len(draft.symposia)
        self.tell(f"{self.statements} statement and {self.symposia} symposia, stored as drafts")
        with self.house.database.write() as session:
            for one in session.scalars(
                select(Symposium).where(Symposium.state == SymposiumState.DRAFT)
            ).all():
                self._announce(session, one)

    def _begin_before(self, first: date | None) -> None:
        with self.house.database.read() as session:
            latest = session.scalar(select(func.max(Mailing.created_at)))
        begin = datetime(first.year, first.month, first.day, 15, tzinfo=UTC) - LEAD if first else self.clock()
        self.clock.travel_to(max(begin, latest) if latest else begin)
        self.tell(f"the demo's clock is set to {self.clock():%A, %B %-d, %Y}")

    def _announce(self, session: Session, symposium: Symposium) -> None:
        for question in symposium.questions:
            self.tell(f"staff confirm: {question}")
        if symposium.questions:
            symposia.confirm(session, symposium, actor=ACTOR, now=self.clock())
        symposia.announce_symposium(session, self.house, symposium, actor=ACTOR, now=self.clock())

    def import_people(self) -> None:
        """Import the sample people; the bad rows are told by line and reason."""
        result = import_people(
            self.house,
            self._rows(BAD_ROWS),
            consent="sample people of the demo",
            actor=ACTOR,
            now=self.clock(),
        )
        with self.house.database.read() as session:
            self.subscribers = session.scalar(select(func.count()).select_from(Subscriber)) or 0
        self.tell(
            f"{result.added:,} added, {result.known:,} known already, {len(result.rejects)} rows rejected:"
        )
        for reject in result.rejects[:3]:
            self.tell(f"  line {reject.line}: {reject.sentence}")
        file = self.house.settings.data / "rejects.csv"
        with file.open("wb") as stream:
            write_rejects(stream, result.rejects)
        self.tell(f"  all of them are in {file}, to be mended and imported again")

    def _rows(self, bad: int) -> Sequence[Person | Reject]:
        stream = io.BytesIO(sample_people(PEOPLE, bad))
        return list(read_people(stream, known_topics=TOPICS, default_language="en"))

    def publish(self) -> None:
        """Publish the statement; its alert goes to every confirmed subscriber."""
        with self.house.database.write() as session:
            found = session.scalars(select(Statement).order_by(Statement.id)).first()
            if found is None:
                raise StoryFailed("The page held no statement to publish. Give one with PAGE=path.")
            statements.publish(session, self.house, found, actor=ACTOR, now=self.clock())
        self.come_to_rest()

    def register(self) -> None:
        """Register attendees for the first symposium that is ahead; each gets an invitation."""
        people = [one for one in self._rows(0) if isinstance(one, Person)][:: PEOPLE // ATTENDEES]
        with self.house.database.write() as session:
            symposium = self._first_ahead(session)
            self.symposium = symposium.id
            for one in people:
                attendee = Attendee(
                    address=one.address, name=one.name, languages=tuple(one.languages), zone=one.zone
                )
                register(session, self.house, symposium, attendee, self.clock())
            title = symposium.title
        self.tell(f"{len(people)} attendees of “{title}”")
        self.come_to_rest()

    def _first_ahead(self, session: Session) -> Symposium:
        found = session.scalars(
            select(Symposium)
            .where(
                Symposium.state == SymposiumState.ANNOUNCED,
                Symposium.precision == Precision.DATETIME,
                Symposium.starts_at > self.clock(),
            )
            .order_by(Symposium.starts_at)
        ).first()
        if found is None:
            raise StoryFailed("The page held no symposium with a day and an hour. Give one with PAGE=path.")
        return found

    def remind(self) -> None:
        """Take the clock through the week before the first symposium, to each reader's own turn."""
        with self.house.database.read() as session:
            symposium = session.get_one(Symposium, self.symposium)
            rules = [rule.id for rule in rules_for(session, symposium) if rule.days]
            if not outlooks(symposium, rules_for(session, symposium)):
                raise StoryFailed("The symposium has no hour, so nothing can be reminded of.")
        self.tell(
            "where it is night, reminders wait for the morning, so the demo's clock goes from turn to turn:"
        )
        while (turn := self._next_turn(rules)) is not None:
            self.clock.travel_to(max(turn + A_WHILE, self.clock()))
            self.tell(f"{self.clock():%A, %B %-d, %Y, %H:%M} UTC")
            wake.hint(Task.SEND_DUE)
            self.come_to_rest()

    def _next_turn(self, rules: Sequence[int]) -> datetime | None:
        """When the next reader is reminded by these rules: where it is night, in the morning."""
        waiting = (
            select(func.min(Delivery.due_at, type_=Delivery.due_at.type))
            .join(Mailing, Mailing.id == Delivery.mailing_id)
            .where(
                Mailing.symposium_id == self.symposium,
                Mailing.rule_id.in_(rules),
                Delivery.state.in_(WAITING),
            )
        )
        with self.house.database.read() as session:
            return session.scalar(waiting)

    def move(self) -> None:
        """Move the symposium to an hour after its first date; told once, however often this is done."""
        with self.house.database.write() as session:
            symposium = session.get_one(Symposium, self.symposium)
            first = symposium.dates[0]
            if first.starts_at is None or first.zone is None:
                raise StoryFailed("The symposium has no hour, so it cannot move by one.")
            local = first.starts_at.astimezone(zone_named(first.zone)) + timedelta(hours=1)
            later = Moment(
                precision=Precision.DATETIME, day=local.date(), wall_time=local.time(), zone=first.zone
            )
            if moment_of(symposium) != later:
                symposia.move(session, self.house, symposium, later, actor=ACTOR, now=self.clock())
        pause = timedelta(minutes=self.house.settings.notice_pause)  # what staff save meanwhile is told once
        self.clock.travel_to(self.clock() + pause)
        wake.hint(Task.SWEEP)
        self.come_to_rest()

    def campaign(self) -> None:
        """Draft a campaign, look at it, test it, send it."""
        now = self.clock()
        with self.house.database.write() as session:
            known = session.scalars(select(Campaign.state).where(Campaign.key == CAMPAIGN)).first()
            if known is not CampaignState.SENT:
                campaigns.draft(
                    session,
                    key=CAMPAIGN,
                    subject=SUBJECT,
                    body=BODY,
                    topic="symposia",
                    language="en",
                    now=now,
                )
        with self.house.database.read() as session:
            found = campaigns.find(session, CAMPAIGN)
            contact = self.house.settings.contact_address
            if known is not CampaignState.SENT:
                seen = campaigns.proof(
                    session, self.house, found, language="en", address=contact, name="Anahit", now=now
                )
                self.tell(f"previewed as one reader would get it: {len(seen):,} octets")
                trial = send_test(session, self.house, found, address=contact, language="en", now=now)
                self.tell(f"test mail to the contact address: {'taken' if trial.sent else trial.why}")
        with self.house.database.write() as session:
            campaigns.send(session, self.house, campaigns.find(session, CAMPAIGN), actor=ACTOR, now=now)
        self.come_to_rest()

    def come_to_rest(self) -> None:
        """Wait until nothing that is due is open any more, telling how far it is."""
        started, told = time.monotonic(), 0
        while time.monotonic() - started < PATIENCE:
            with self.house.database.read() as session:
                mails, unclosed = _due(session, self.clock()), _unclosed(session, self.clock())
            if mails + unclosed == 0:
                return
            if mails not in (0, told):
                self.tell(f"{mails:,} to go")
                told = mails
            time.sleep(0.25)
        raise StoryFailed(f"{told:,} mails did not leave within {PATIENCE:.0f} s. Look at the log above.")


def _due(session: Session, now: datetime) -> int:
    """Deliveries that are due and open."""
    due = select(func.count()).where(Delivery.state.in_(OPEN), Delivery.due_at <= now)
    return session.scalar(due) or 0


def _unclosed(session: Session, now: datetime) -> int:
    """Mailings that are due and not expanded or closed yet."""
    unclosed = select(func.count()).where(
        Mailing.state.in_({MailingState.EXPANDING, MailingState.SENDING}),
        Mailing.due_at <= now,
        Mailing.kind != MailingKind.REMINDER,
    )
    return session.scalar(unclosed) or 0
