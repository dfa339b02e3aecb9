"""Slices: what one worker holds at this moment, under which leases, and what it has learnt of it.

Kept in memory only. Whatever is not written when the process dies stands in the journal.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from mailer.services.sending.compose import Mail
from mailer.services.sending.settle import Result
from mailer.smtp.letter import Lease
from mailer.smtp.outcome import Outcome


@dataclass
class _Slice:
    lease: Lease
    open: int  # deliveries of it that are not written yet


@dataclass
class Slices:
    """The deliveries this worker holds, until their outcomes are written."""

    _mails: dict[int, Mail] = field(default_factory=dict)  # offered, and no outcome known
    _slices: dict[int, _Slice] = field(default_factory=dict)  # by fence
    _known: list[Result] = field(default_factory=list)  # outcomes that are not written yet

    @property
    def on_their_way(self) -> int:
        """How many deliveries have no outcome yet."""
        return len(self._mails)

    @property
    def fences(self) -> Collection[int]:
        return self._slices.keys()

    @property
    def busy(self) -> frozenset[int]:
        """Deliveries in hand: offered, or with an outcome that is not written yet."""
        return frozenset(self._mails).union(result.id for result in self._known)

    @property
    def unwritten(self) -> int:
        return len(self._known)

    @property
    def mailings(self) -> frozenset[int]:
        """The mailings that deliveries on their way belong to."""
        return frozenset(mail.candidate.mailing_id for mail in self._mails.values())

    def add(self, fence: int, lease: Lease, mails: Iterable[Mail]) -> None:
        """A slice was claimed."""
        before = len(self._mails)
        self._mails.update((mail.id, mail) for mail in mails)
        self._slices[fence] = _Slice(lease, len(self._mails) - before)

    def learn(self, outcomes: Iterable[tuple[int, Outcome]]) -> list[tuple[Mail, Outcome]]:
        """Outcomes came; they are kept until they are written."""
        learnt = [(self._mails.pop(number), outcome) for number, outcome in outcomes]
        self._known.extend(_result(mail, outcome) for mail, outcome in learnt)
        return learnt

    def known(self) -> list[Result]:
        """The outcomes that wait to be written, oldest first."""
        return list(self._known)

    def written(self, results: Collection[Result]) -> frozenset[int]:
        """The first of them are in the database; returns the fences under which nothing is open any more."""
        del self._known[: len(results)]
        for result in results:
            slice_ = self._slices.get(result.fence)
            if slice_ is not None:
                slice_.open -= 1
        # Also those whose release failed the last time.
        return frozenset(fence for fence, slice_ in self._slices.items() if slice_.open == 0)

    def forget(self, fences: Iterable[int]) -> None:
        """These claims are closed."""
        for fence in fences:
            self._slices.pop(fence, None)

    def prolong(self, kept: Collection[int], until: float) -> list[int]:
        """Leases were renewed until then (engine's clock), but for those that passed on.

        Returns the deliveries on their way under a lost lease; no dot of theirs leaves any more.
        """
        lost = set()
        for fence, slice_ in self._slices.items():
            if fence in kept:
                slice_.lease.until = until
            else:
                slice_.lease.until = 0.0
                lost.add(fence)
        return self.hold_back(lambda mail: mail.fence in lost) if lost else []

    def hold_back(self, wanted: Callable[[Mail], bool]) -> list[int]:
        """Compose no more of the deliveries for which it holds; their ids, for the engine to withdraw."""
        found = [mail for mail in self._mails.values() if wanted(mail)]
        for mail in found:
            mail.held_back = True
        return [mail.id for mail in found]


def _result(mail: Mail, outcome: Outcome) -> Result:
    candidate = mail.candidate
    return Result(
        mail.id,
        mail.fence,
        candidate.lane_id,
        candidate.attempts,
        candidate.not_after,
        candidate.registration_id,
        mail.told,
        outcome,
    )
