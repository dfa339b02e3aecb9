"""The parts of the corridor's model that live and die: sending processes and their letters on the wire.

Claim, compose, journal, slices and settle are the real ones; only the wire is simulated. A process
does one step at a time and may be gone between any two. Nothing here decides what is right; that is
in model_truth.
"""

import os
import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Protocol

from mailer.db import outbox
from mailer.messages.form import Form
from mailer.services.house import House
from mailer.services.sending.claim import Slice, claim
from mailer.services.sending.compose import Composer, Mail
from mailer.services.sending.dispatch import LEASE_MARGIN
from mailer.services.sending.halt import halted_mailings
from mailer.services.sending.settle import settle
from mailer.services.sending.slices import Slices
from mailer.services.sending.sweep import journal_folder
from mailer.smtp.journal import Journal
from mailer.smtp.letter import Lease, Letter
from mailer.smtp.outcome import Outcome, Phase, Reason, unanswered
from mailer.smtp.waiting import STOPPED, TOO_LATE
from tests.services.model_server import ACCEPTS, BEFORE_DOT, REPLY_TO_DOT, SILENT, Fate

MESSAGE_ID = re.compile(rb"^Message-ID: *(\S+)", re.MULTILINE | re.IGNORECASE)


class Witness(Protocol):
    """Who hears what really happened, the moment it happens."""

    now: datetime
    boottime: float

    def claimed(self, worker: str, slice_: Slice) -> None: ...
    def composed(self, letter: Letter, message_id: bytes) -> None: ...
    def recorded(self, worker: str, number: int, fence: int, reply: Outcome | None) -> None: ...
    def accepted(self, number: int, fence: int) -> None: ...


class Stage(Enum):
    """How far a letter is on the wire."""

    WAITING = 0
    COMPOSED = 1
    RECORDED = 2  # its dot is in the journal
    DOTTED = 3  # its dot is written
    HEARD = 4  # the reply is read, and not yet in the journal


@dataclass
class Flight:
    """One letter in the engine."""

    mail: Mail
    stage: Stage = Stage.WAITING
    letter: Letter | None = None
    fate: Fate = Fate.TAKEN


class Trouble(Enum):
    """What befalls a transaction."""

    NONE = "none"
    DIES = "the process is gone before the commit"
    FAILS = "the database refuses it, and the process lives"
    UNSURE = "it is committed, and the connection is lost before the process hears of it"


class Died(Exception):
    """The process is gone in the middle of a transaction."""


class Failed(Exception):
    """The database would not commit."""


def _befall(trouble: Trouble) -> None:
    if trouble is Trouble.DIES:
        raise Died
    if trouble is Trouble.FAILS:
        raise Failed


@dataclass
class Process:
    """One sending worker. What it knows beside its journal is gone with it."""

    house: House
    witness: Witness
    name: str
    slice_size: int
    forms: OrderedDict[tuple[object, ...], Form]  # compiled once for all
    journal: Journal = field(init=False)
    flights: list[Flight] = field(default_factory=list)
    slices: Slices = field(default_factory=Slices)
    _claimed: tuple[int, Lease, Sequence[Mail]] | None = None  # committed, and not yet fed
    _written: Sequence[int] | None = None  # outcomes in the database, and not yet struck from the journal
    _finished: frozenset[int] = frozenset()  # claims to close

    def __post_init__(self) -> None:
        self.journal = Journal.open(journal_folder(self.house), self.name)
        self.composer = Composer(self.house, lambda: self.witness.boottime, self.forms)

    @property
    def owes(self) -> bool:
        """True when there is a step that must come next at the desk."""
        return bool(self._claimed or self._written is not None or self._finished)

    @property
    def idle(self) -> bool:
        """True when it holds nothing and owes nothing."""
        return not (self.owes or self.flights or self.slices.unwritten or self.slices.on_their_way)

    def step(self, fates: Sequence[Fate], *, wide: bool) -> bool:
        """The next step of an honest worker; False when there is nothing for it."""
        if self.desk():
            return True
        if self.flights and not (self.slices.unwritten and not wide):
            choose = min if wide else max
            flight = choose(self.flights, key=lambda each: each.stage.value)
            self.wire(flight, fates[flight.mail.id % len(fates)], together=wide)
        elif self.slices.unwritten:
            self.settle(100)
        else:
            self.claim()
            return self._claimed is not None
        return True

    # --- the thread that knows the database

    def desk(self) -> bool:
        """The step that must come next on this thread; False when it is free."""
        if self._claimed is not None:
            self._feed(*self._claimed)
            self._claimed = None
        elif self._written is not None:
            self.journal.settled(self._written)
            self._finished |= self.slices.written(self.slices.known()[: len(self._written)])
            self._written = None
        elif self._finished:
            with self.house.database.write() as session:
                outbox.release(session, self._finished, self.witness.now)
            self.slices.forget(self._finished)
            self._finished = frozenset()
        else:
            return False
        return True

    def at_desk(self, do: Callable[[], None]) -> None:
        """Do this as soon as the thread is free."""
        while self.desk():
            pass
        do()

    def claim(self, trouble: Trouble = Trouble.NONE) -> None:
        lease = Lease(self._end_of_lease())
        with self.house.database.write() as session:
            slice_ = claim(
                session,
                self.house,
                worker=self.name,
                now=self.witness.now,
                limit=self.slice_size,
                busy=self.slices.busy,
            )
            mails = list(self.composer.mails(session, slice_, lease=lease, now=self.witness.now))
            _befall(trouble)
        if slice_.held:
            self.witness.claimed(self.name, slice_)
            self._claimed = (slice_.fence, lease, mails) if trouble is Trouble.NONE else None

    def _feed(self, fence: int, lease: Lease, mails: Sequence[Mail]) -> None:
        # The engine's stream takes no letter whose id it has already.
        assert not {flight.mail.id for flight in self.flights} & {mail.id for mail in mails}
        self.slices.add(fence, lease, mails)
        self.flights += [Flight(mail) for mail in mails]

    def settle(self, count: int, trouble: Trouble = Trouble.NONE) -> None:
        """Write the first outcomes that are known."""
        group = self.slices.known()[:count]
        if not group:
            return
        with self.house.database.write() as session:
            settle(session, group, self.witness.now)
            _befall(trouble)
        if trouble is Trouble.NONE:
            self._written = [result.id for result in group]

    def renew(self) -> None:
        if not self.slices.fences:
            return
        until = self._end_of_lease()
        ends = self.witness.now + timedelta(seconds=self.house.settings.lease_seconds)
        with self.house.database.write() as session:
            kept = outbox.renew(session, self.slices.fences, ends)
        self._withdraw(self.slices.prolong(kept, until))

    def look_for_halt(self) -> None:
        """Take back what staff have stopped."""
        if self.slices.mailings:
            with self.house.database.read() as session:
                halt = halted_mailings(session, self.slices.mailings)
            self._withdraw(self.slices.hold_back(lambda mail: halt.stops(mail.candidate.mailing_id)))

    def stop(self) -> None:
        """SIGTERM: everything without a dot comes back."""
        self._withdraw(self.slices.hold_back(lambda mail: True))

    def _end_of_lease(self) -> float:
        return self.witness.boottime + self.house.settings.lease_seconds - LEASE_MARGIN

    # --- the engine's thread

    def wire(self, flight: Flight, fate: Fate, *, together: bool = False) -> None:
        """One step of one letter; nothing when it has its outcome already."""
        if not any(each is flight for each in self.flights):
            return
        if flight.stage is Stage.WAITING:
            self._compose(flight, fate)
        elif flight.stage is Stage.COMPOSED:
            self._record(flight, together=together)
        elif flight.stage is Stage.RECORDED:
            self._dot(flight, fate)
        elif flight.stage is Stage.DOTTED:
            self._hear(flight)
        else:
            self._record_replies([flight])

    def _compose(self, flight: Flight, fate: Fate) -> None:
        made = flight.mail.compose()
        if isinstance(made, Outcome):
            self._tell(flight, made)
            return
        found = MESSAGE_ID.search(made.data)
        assert found is not None
        self.witness.composed(made, found[1])
        flight.letter, flight.stage = made, Stage.COMPOSED
        if fate in BEFORE_DOT:
            self._tell(flight, BEFORE_DOT[fate])
            if fate is Fate.RELAY:
                self._withdraw([each.mail.id for each in self.flights], BEFORE_DOT[fate])

    def _record(self, flight: Flight, *, together: bool) -> None:
        held_back = self._held_back(flight)
        if held_back is not None:
            self._tell(flight, held_back)
            return
        heard = [each for each in self.flights if each.stage is Stage.HEARD] if together else []
        self._record_replies(heard, dot=flight)
        flight.stage = Stage.RECORDED

    def _dot(self, flight: Flight, fate: Fate) -> None:
        """Look at the clock, then write: the process may have been stopped for hours just before."""
        held_back = self._held_back(flight)
        if held_back is not None:
            self.journal.replied(flight.mail.id, flight.mail.fence, held_back)
            self.witness.recorded(self.name, flight.mail.id, flight.mail.fence, held_back)
            self._tell(flight, held_back)
            return
        flight.stage, flight.fate = Stage.DOTTED, Fate.TAKEN if fate in BEFORE_DOT else fate
        if flight.fate in ACCEPTS:
            self.witness.accepted(flight.mail.id, flight.mail.fence)

    def _hear(self, flight: Flight) -> None:
        if flight.fate in SILENT:
            self._tell(flight, unanswered(Phase.DOT, Reason.LOST))
        else:
            flight.stage = Stage.HEARD

    def _record_replies(self, heard: Sequence[Flight], dot: Flight | None = None) -> None:
        replies = [(each.mail.id, each.mail.fence, REPLY_TO_DOT[each.fate]) for each in heard]
        dots = [(dot.mail.id, dot.mail.fence)] if dot else []
        self.journal.record_group(replies, dots)
        for number, fence, reply in replies:
            self.witness.recorded(self.name, number, fence, reply)
        for number, fence in dots:
            self.witness.recorded(self.name, number, fence, None)
        for each in heard:
            self._tell(each, REPLY_TO_DOT[each.fate])

    def _held_back(self, flight: Flight) -> Outcome | None:
        letter, clock = flight.letter, self.witness.boottime
        assert letter is not None
        if letter.lease is not None and clock > letter.lease.until:
            return STOPPED
        return TOO_LATE if letter.not_after is not None and clock > letter.not_after else None

    def _withdraw(self, ids: Sequence[int], outcome: Outcome = STOPPED) -> None:
        for flight in list(self.flights):
            if flight.mail.id in ids and flight.stage in (Stage.WAITING, Stage.COMPOSED):
                self._tell(flight, outcome)

    def _tell(self, flight: Flight, outcome: Outcome) -> None:
        self.flights.remove(flight)
        self.slices.learn([(flight.mail.id, outcome)])

    # --- the end

    def die(self, torn: int = 0) -> None:
        """The process is gone: its journal stays, perhaps with a half-written record, its lock is free."""
        if torn:
            os.write(self.journal._descriptor, b"\1" * torn)
        os.close(self.journal._descriptor)
        self.journal._descriptor = -1

    def close(self) -> None:
        """An orderly end."""
        assert self.idle
        self.journal.close()
        assert not self.journal.path.exists()
