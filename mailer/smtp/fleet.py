"""The relays letters go to, and which letter goes to which.

Letters are spread by the relays' weights over those that do not rest. A relay
that refuses rests, and what waits for it goes to another in the same breath;
when none is left it comes back deferred. A letter whose final dot was written
never moves. Lives on the engine's thread.
"""

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from mailer.smtp.outcome import HOST_PAUSE, Fault, Outcome, Reason, Verdict, decided_here
from mailer.smtp.pool import Pool
from mailer.smtp.stream import Stream
from mailer.smtp.waiting import Item, Waiting

_NO_RELAY = decided_here(Verdict.DEFERRED, Fault.RELAY, Reason.CONNECT, text="every relay rests for now")


class _Berth:
    """One pool's place in the fleet."""

    def __init__(self, pool: Pool, weight: int) -> None:
        self.pool = pool
        self.weight = weight
        self.share = 0.0  # of letters it is owed, from one spreading to the next
        self.refusal: Outcome | None = None
        self.rests_until = float("-inf")  # of time.monotonic()

    def rest(self, refusal: Outcome) -> None:
        self.refusal = refusal
        self.rests_until = time.monotonic() + (refusal.retry_after or HOST_PAUSE)

    @property
    def rests(self) -> bool:
        return time.monotonic() < self.rests_until


class Fleet:
    """Several pools, or one, behind one stream."""

    def __init__(self, pools: Sequence[tuple[Pool, int]]) -> None:
        """Pools, each with its weight."""
        self._berths = [_Berth(pool, weight) for pool, weight in pools]
        self._stream: Stream | None = None

    def attach(self, stream: Stream) -> None:
        self._stream = stream
        for berth in self._berths:
            self._open(berth, stream)

    def _open(self, berth: _Berth, stream: Stream) -> None:
        waiting = Waiting(
            stream,
            refused=lambda outcome: self._refused(berth, outcome),
            elsewhere=lambda: any(not other.rests for other in self._berths if other is not berth),
        )
        berth.pool.serve(waiting)

    def put(self, items: Collection[Item], *, first: bool = False) -> None:
        awake = [berth for berth in self._berths if not berth.rests]
        if not awake and len(self._berths) == 1:
            awake = self._berths  # the only relay is tried whenever somebody has letters for it
        if awake:
            self._spread(list(items), awake, first=first)
        else:
            self._tell(items, self._why_all_rest())

    def release(self, ids: Collection[int] | None) -> list[Item]:
        return [item for berth in self._berths for item in berth.pool.waiting.release(ids)]

    def warm(self, domains: Collection[str]) -> None:
        """Open what the relays allow; whatever the recipients, they leave by these."""
        for berth in self._berths:
            if not berth.rests:
                berth.pool.warm()

    def resting(self) -> Mapping[str, Outcome]:
        """The relays that are left alone for now, and why. May be asked from any thread."""
        return {
            berth.pool.name: berth.refusal
            for berth in self._berths
            if berth.rests and berth.refusal is not None
        }

    async def close(self) -> None:
        """Say goodbye on every connection."""
        await asyncio.gather(*(berth.pool.close() for berth in self._berths))

    def _spread(self, items: list[Item], awake: Sequence[_Berth], *, first: bool = False) -> None:
        """A share by weight for each; what a share is short of a whole letter is owed the next time."""
        total = sum(berth.weight for berth in awake)
        start = 0
        for berth in awake:
            berth.share += len(items) * berth.weight / total
        for berth in sorted(awake, key=lambda berth: -berth.share):
            count = len(items) - start if berth is awake[-1] and len(awake) == 1 else round(berth.share)
            count = max(0, min(count, len(items) - start))
            berth.share -= count
            self._hand(items[start : start + count], berth, first=first)
            start += count
        if start < len(items):  # what rounding left over
            berth = max(awake, key=lambda berth: berth.share)
            berth.share -= len(items) - start
            self._hand(items[start:], berth, first=first)

    def _hand(self, items: list[Item], berth: _Berth, *, first: bool) -> None:
        if items:
            berth.pool.waiting.put(items, first=first)
            berth.pool.wake()

    def _refused(self, berth: _Berth, refusal: Outcome) -> None:
        if refusal.reason is Reason.JOURNAL:  # no relay's fault: nothing may leave by any of them
            self._tell(self.release(None), refusal)
            return
        berth.rest(refusal)
        left = berth.pool.waiting.release()
        awake = [other for other in self._berths if other is not berth and not other.rests]
        if awake:
            self._spread(left, awake)
        else:
            self._tell(left, refusal)

    def _why_all_rest(self) -> Outcome:
        """The refusal of the relay that is tried again first, with the wait that is left of it."""
        first = min(self._berths, key=lambda berth: berth.rests_until)
        wait = max(1.0, first.rests_until - time.monotonic())
        return replace(first.refusal or _NO_RELAY, retry_after=wait)

    def _tell(self, items: Collection[Item], outcome: Outcome) -> None:
        if self._stream is not None:
            for item in items:
                self._stream.tell(item.id, outcome)
