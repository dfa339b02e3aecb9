"""A stream of letters into the engine and of outcomes out of it, between two threads.

Letters may be fed while others are in flight. Each gets exactly one outcome.
Nothing here waits for a server: the caller only ever waits for outcomes, as
long as it says.
"""

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from queue import Empty, SimpleQueue
from typing import NamedTuple, Protocol

from mailer.smtp.outcome import Outcome
from mailer.smtp.waiting import STOPPED, Item

_GROUP = 64  # outcomes handed to the caller's thread at once,
_GROUP_WAIT = 0.005  # or after these seconds

Known = list[tuple[int, Outcome]]


class Carrier(Protocol):
    """What carries the letters of a stream; lives on the engine's thread."""

    def attach(self, stream: "Stream") -> None:
        """Tell outcomes to this stream from now on."""

    def put(self, items: Collection[Item], *, first: bool = False) -> None:
        """Carry these letters, with `first` before those that wait already."""

    def release(self, ids: Collection[int] | None) -> list[Item]:
        """Hand back the letters without a dot, all or those with these ids."""

    def warm(self, domains: Collection[str]) -> None:
        """Open connections ahead of letters that will come soon; not a word of an envelope is said on them.

        `domains` are those of recipients, for a carrier that goes to their servers itself.
        """

    def resting(self) -> Mapping[str, Outcome]:
        """What is left alone for now, by its name, and why. May be asked from any thread."""

    async def close(self) -> None:
        """Say goodbye on every connection."""


class _Stop:
    """A place in the inbox: what was fed before it is stopped, what comes after it is not."""


class _Fed(NamedTuple):
    """Letters in the inbox."""

    items: list[Item]
    first: bool


class Stream:
    """The caller's face of the engine; `feed`, `stop` and `withdraw` return at once, from any thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, carrier: Carrier) -> None:
        self._loop = loop
        self._carrier = carrier
        self._lock = threading.Lock()
        self._open: set[int] = set()  # fed, and their outcome was not handed out
        self._kept: Known = []  # outcomes that came while the stream was being closed
        self._closed = False
        self._inbox: deque[_Fed | frozenset[int] | _Stop] = deque()
        self._stop_asked: _Stop | None = None
        self.stopping = False
        """True from a stop until what was fed before it has come back."""
        self._results: SimpleQueue[Known] = SimpleQueue()
        # Of the loop's thread alone:
        self._known: Known = []
        self._hand_over_planned = False

    @property
    def in_flight(self) -> int:
        """How many were fed whose outcome has not been handed out."""
        return len(self._open)

    def feed(self, items: Iterable[Item], *, first: bool = False) -> None:
        """Send these, too, with `first` before what has no connection yet.

        Raises ValueError when one is in flight already, RuntimeError when closed.
        """
        fed = list(items)
        ids = {item.id for item in fed}
        with self._lock:
            if self._closed:
                raise RuntimeError("the stream is closed: open a new one to send again")
            if len(ids) != len(fed) or not self._open.isdisjoint(ids):
                raise ValueError("two letters have the same id: their outcomes could not be told apart")
            self._open |= ids
            self._inbox.append(_Fed(fed, first))
        self._call(self._look_into_inbox)

    def outcomes(self, timeout: float) -> Known:
        """The (id, outcome) pairs known by now; waits up to `timeout` seconds for the first, [] then."""
        with self._lock:
            known, self._kept = self._kept, []
        if known:
            return known
        with contextlib.suppress(Empty):
            known = self._next(timeout)
            while True:
                known += self._next(0)
        return known

    def withdraw(self, ids: Collection[int]) -> None:
        """Those of these that have no dot come back deferred (`stopped`); the others are left alone."""
        self._inbox.append(frozenset(ids))
        self._call(self._look_into_inbox)

    def stop(self) -> None:
        """Every letter without a dot comes back deferred (`stopped`). May be called by a signal handler."""
        asked = _Stop()
        self._stop_asked, self.stopping = asked, True  # at once: no dot slips out while the loop is busy
        self._inbox.append(asked)
        self._call(self._look_into_inbox)

    def close(self) -> None:
        """Stop, and wait for open dots within their limit. `outcomes` still gives what came."""
        with self._lock:
            self._closed = True
        self.stop()
        while self._open:
            with contextlib.suppress(Empty):
                known = self._next(0.1)
                with self._lock:
                    self._kept += known

    def _next(self, timeout: float) -> Known:
        known = self._results.get(timeout=timeout) if timeout > 0 else self._results.get_nowait()
        with self._lock:
            self._open.difference_update([number for number, _ in known])
        return known

    def _call(self, what: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the engine is closed: nothing is in flight
            self._loop.call_soon_threadsafe(what)

    # --- on the loop's thread

    def tell(self, letter_id: int, outcome: Outcome) -> None:
        """Outcomes cross to the caller's thread in groups: to wake it for each costs more than sending."""
        self._known.append((letter_id, outcome))
        if len(self._known) >= _GROUP:
            self._hand_over()
        elif not self._hand_over_planned:
            self._hand_over_planned = True
            self._loop.call_later(_GROUP_WAIT, self._hand_over_planned_group)

    def _look_into_inbox(self) -> None:
        while self._inbox:
            found = self._inbox.popleft()
            if isinstance(found, _Stop):
                self._give_up(self._carrier.release(None))
                if self._stop_asked is found:
                    self._stop_asked, self.stopping = None, False
            elif isinstance(found, frozenset):
                self._give_up(self._carrier.release(found))
            else:
                self._carrier.put(found.items, first=found.first)

    def _give_up(self, items: Iterable[Item]) -> None:
        for item in items:
            self.tell(item.id, STOPPED)
        self._hand_over()

    def _hand_over_planned_group(self) -> None:
        self._hand_over_planned = False
        self._hand_over()

    def _hand_over(self) -> None:
        if self._known:
            known, self._known = self._known, []
            self._results.put(known)
