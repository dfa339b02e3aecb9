"""What must be true in the corridor's model: a second book, kept from what really happened.

It sees every commit and every acceptance, and never asks the journal or the services what they
think. Every check that fails raises AssertionError with the delivery's own history.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.db.audience import books
from mailer.db.mailings import MOVES, REACHED, WAITING, Attempt, Claim, Delivery, Mailing
from mailer.db.session import Database
from mailer.services.sending.claim import Slice
from mailer.services.sending.settle import STATE_OF
from mailer.services.sending.sweep import LATE_AFTER, LOST_AFTER
from mailer.smtp.letter import Letter
from mailer.smtp.outcome import Outcome, Verdict
from mailer.vocabulary import DeliveryState, DoubtPolicy, MailingState, SkipReason

_D = DeliveryState
WITH_REASON = frozenset({_D.FAILED, _D.SKIPPED, _D.CANCELLED, _D.EXPIRED, _D.IN_DOUBT})


class Journal(Enum):
    """What is left of a worker's journal."""

    HELD = "its owner lives"
    WHOLE = "its owner is dead, and every record is there"
    HURT = "records may be missing"
    UNREADABLE = "its first block is lost"
    GONE = "its machine is lost, or a sweep has read and removed it"


class Row(NamedTuple):
    """One delivery as it stands."""

    id: int
    mailing_id: int
    person: int | None
    state: DeliveryState
    reason: str | None
    fence: int | None
    attempts: int
    due_at: datetime
    not_after: datetime
    settled_at: datetime | None


@dataclass
class Truth:
    """The second book."""

    database: Database
    began: datetime
    now: datetime = field(init=False)
    boottime: float = 1_000.0
    rows: dict[int, Row] = field(default_factory=dict)
    policy: dict[int, DoubtPolicy] = field(default_factory=dict)
    mailing: dict[int, MailingState] = field(default_factory=dict)
    journals: dict[str, Journal] = field(default_factory=dict)
    gone: set[int] = field(default_factory=set)  # people who left or were erased
    history: defaultdict[int, list[str]] = field(default_factory=lambda: defaultdict(list))
    holder: dict[int, str] = field(default_factory=dict)  # who made a claim
    dots: set[tuple[int, int]] = field(default_factory=set)  # (id, fence) in a journal
    replies: dict[tuple[int, int], Outcome] = field(default_factory=dict)
    taken: set[tuple[int, int]] = field(default_factory=set)  # accepted by the server
    message_ids: dict[int, bytes] = field(default_factory=dict)
    clock_stepped: bool = False
    stopped: bool = False  # staff have stopped everything

    @property
    def clock_may_step(self) -> bool:
        """True where `now` is this machine's wall clock, so that no lease of a living worker ends by it."""
        return self.database.engine.dialect.name == "sqlite"

    def step_the_clock(self, by: timedelta) -> None:
        """Somebody sets this machine's wall clock; the time since its start goes on as before."""
        self.now += by
        self.clock_stepped = True

    @property
    def doubtful(self) -> list[Row]:
        return [row for row in self.rows.values() if row.state is _D.IN_DOUBT]

    def __post_init__(self) -> None:
        self.now = self.began

    # --- what happened

    def claimed(self, worker: str, slice_: Slice) -> None:
        assert not self.stopped
        self.holder[slice_.fence] = worker
        for candidate in slice_.held:
            row = self.rows[candidate.id]
            assert (row.state, row.fence) == (_D.CLAIMED, slice_.fence), self._told(row.id)
            assert row.person is not None, self._told(row.id)
            assert row.person not in self.gone, self._told(row.id)
            assert self.mailing[row.mailing_id] in (MailingState.SENDING, MailingState.SCHEDULED)
            assert self.now < row.not_after, self._told(row.id)

    def composed(self, letter: Letter, message_id: bytes) -> None:
        assert self.message_ids.setdefault(letter.id, message_id) == message_id

    def recorded(self, worker: str, number: int, fence: int, reply: Outcome | None) -> None:
        assert self.holder[fence] == worker
        if reply is None:
            self.dots.add((number, fence))
        else:
            self.replies[number, fence] = reply

    def accepted(self, number: int, fence: int) -> None:
        """The server took it: no second time without doubt between, for `hold` not without a person."""
        self.history[number].append(f"taken {fence}")
        row, told = self.rows[number], self._told(number)
        assert (row.state, row.fence) == (_D.CLAIMED, fence), told
        assert (number, fence) in self.dots, told
        assert self.now <= row.not_after or self.clock_stepped, told
        assert (number, fence) not in self.taken, told
        self.taken.add((number, fence))
        times = [place for place, word in enumerate(self.history[number]) if word.startswith("taken")]
        if len(times) > 1:
            between = self.history[number][times[-2] : times[-1]]
            assert _D.IN_DOUBT.value in between, told
            assert self.policy[row.mailing_id] is DoubtPolicy.RETRY or "released" in between, told

    def released(self, numbers: Iterable[int]) -> None:
        """A person sends these once more."""
        for number in numbers:
            self.history[number].append("released")

    # --- what is in the database

    def look(self) -> None:
        """Compare with the last look; called after every commit."""
        with self.database.read() as session:
            found = {row.id: row for row in _rows(session)}
            self.mailing = dict(session.execute(select(Mailing.id, Mailing.state)).all())
            if self.rows and found != self.rows:
                self._compare(found)
                self._balance(session, found)
        self.rows = found

    def _compare(self, found: dict[int, Row]) -> None:
        assert found.keys() == self.rows.keys()
        for number, row in found.items():
            before = self.rows[number]
            told = self._told(number)
            assert row.attempts >= 0, told
            if row.state is before.state:
                same = (row.fence, row.settled_at, row.reason) == (
                    before.fence,
                    before.settled_at,
                    before.reason,
                )
                assert same, told
                continue
            self.history[number].append(row.state.value)
            assert row.state in MOVES[before.state], self._told(number)
            assert row.state is _D.CLAIMED or row.fence == before.fence, told
            if row.state is _D.SENT:
                assert (number, row.fence) in self.taken, told
            if row.state in WITH_REASON:
                assert row.reason, told
                assert row.settled_at is not None, told
            self._check_reason(row)

    def _check_reason(self, row: Row) -> None:
        told = self._told(row.id)
        if row.state is _D.EXPIRED:
            assert self.now >= row.not_after, told
        elif row.state is _D.CANCELLED:
            assert self.mailing[row.mailing_id] is MailingState.CANCELLED, told
        elif row.state is _D.SKIPPED:
            left = SkipReason.ERASED if row.person is None else SkipReason.UNSUBSCRIBED
            assert row.reason == left.value, told
            assert row.person is None or row.person in self.gone, told

    def _balance(self, session: Session, found: dict[int, Row]) -> None:
        doubted = set(
            session.scalars(select(Attempt.delivery_id).where(Attempt.verdict == Verdict.IN_DOUBT.value))
        )
        changed = {row.mailing_id for row in found.values() if row != self.rows[row.id]}
        for mailing_id in changed:
            account = books(session, mailing_id)
            mine = [row for row in found.values() if row.mailing_id == mailing_id]
            assert account.balanced
            assert account.audience == len(mine)
            assert account.sent == sum(row.state in REACHED for row in mine)
            assert account.in_doubt == sum(row.state is _D.IN_DOUBT for row in mine)
        assert doubted >= {row.id for row in found.values() if row.state is _D.IN_DOUBT}

    # --- what a sweep must make of what nobody holds

    def before_sweep(self) -> dict[int, frozenset[DeliveryState]]:
        """For each claimed delivery the states in which a sweep now may leave it."""
        with self.database.read() as session:
            until = dict(session.execute(select(Claim.id, Claim.leased_until)).all())
        expected = {}
        for row in self.rows.values():
            if row.state is _D.CLAIMED and row.fence is not None:
                lapsed = self.now - until[row.fence]
                journal = self.journals[self.holder[row.fence]]
                states = (
                    self._decided(row.id, row.fence, journal)
                    if self._orphaned(journal, lapsed)
                    else {_D.CLAIMED}
                )
                stopped = self.mailing[row.mailing_id] is MailingState.CANCELLED
                if stopped and _D.DEFERRED in states:
                    states = states - {_D.DEFERRED} | {_D.CANCELLED}
                expected[row.id] = frozenset(states)
            elif row.state is _D.IN_DOUBT and row.fence is not None:
                reply = self.replies.get((row.id, row.fence))
                if reply and self.journals[self.holder[row.fence]] is Journal.WHOLE:
                    expected[row.id] = frozenset({STATE_OF[reply.verdict]} - {_D.DEFERRED} or {_D.IN_DOUBT})
        return expected

    def _orphaned(self, journal: Journal, lapsed: timedelta) -> bool:
        if journal in (Journal.WHOLE, Journal.HURT):
            return True
        if journal is Journal.HELD and self.clock_may_step:
            return False
        return lapsed > (LOST_AFTER if journal is Journal.GONE else LATE_AFTER)

    def _decided(self, number: int, fence: int, journal: Journal) -> set[DeliveryState]:
        reply = self.replies.get((number, fence))
        answered = {STATE_OF[reply.verdict]} if reply else set()
        if journal in (Journal.GONE, Journal.UNREADABLE):
            return {_D.IN_DOUBT}
        if journal is Journal.HURT:
            return answered | {_D.IN_DOUBT}
        return answered or ({_D.IN_DOUBT} if (number, fence) in self.dots else {_D.DEFERRED})

    def after_sweep(self, expected: dict[int, frozenset[DeliveryState]]) -> None:
        for number, states in expected.items():
            assert self.rows[number].state in states, f"{self._told(number)}, expected {states}"
        read = {name for name, journal in self.journals.items() if journal in (Journal.WHOLE, Journal.HURT)}
        self.journals |= dict.fromkeys(read, Journal.GONE)

    # --- at the end

    def nothing_is_lost(self) -> None:
        """Every delivery ends accepted and sent, or with its reason, or in doubt that waits for a person."""
        for row in self.rows.values():
            told = self._told(row.id)
            assert row.state not in WAITING | {_D.CLAIMED}, told
            if row.state is _D.IN_DOUBT and self.policy[row.mailing_id] is DoubtPolicy.RETRY:
                over = self.now >= row.not_after
                assert over or self.mailing[row.mailing_id] is MailingState.CANCELLED, told
        assert set(self.mailing.values()) <= {MailingState.DONE, MailingState.CANCELLED}
        with self.database.read() as session:
            assert session.scalars(select(Claim.id).where(Claim.released_at.is_(None))).all() == []

    def next_moment(self) -> datetime | None:
        """When the next thing happens by itself; None when all is over."""
        moments = [max(row.due_at, self.began) for row in self.rows.values() if row.state in WAITING]
        moments += [
            row.due_at
            for row in self.rows.values()
            if row.state is _D.IN_DOUBT
            and self.policy[row.mailing_id] is DoubtPolicy.RETRY
            and self.mailing[row.mailing_id] is not MailingState.CANCELLED
            and row.not_after > max(row.due_at, self.now)
        ]
        if any(row.state is _D.CLAIMED for row in self.rows.values()):
            moments.append(self.now + timedelta(minutes=5))
        return min(moments, default=None)

    def _told(self, number: int) -> str:
        row = self.rows[number]
        history = ", ".join(self.history[number])
        return f"delivery {number}: {history}; {row}, mailing {self.mailing[row.mailing_id]}, now {self.now}"


def _rows(session: Session) -> Iterable[Row]:
    table = Delivery.__table__.c
    columns = (
        table.id,
        table.mailing_id,
        table.subscriber_id,
        table.state,
        table.reason,
        table.fence,
        table.attempts,
        table.due_at,
        table.not_after,
        table.settled_at,
    )
    return (Row._make(row) for row in session.execute(select(*columns).order_by(table.id)))
