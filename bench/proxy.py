"""A byte proxy that adds distance: every chunk arrives so many seconds later, in order, at full width.

    python -m bench.proxy PORT TO SECONDS

Built on select(), whose timeout knows microseconds; epoll and uvloop round to whole
milliseconds, which at 2.5 ms would measure the clock and not the engine.
"""

import asyncio
import ctypes
import selectors
import sys
from collections import deque
from typing import cast

_SET_TIMER_SLACK = 29  # PR_SET_TIMERSLACK, in nanoseconds
_HIGH = 1 << 26  # octets under way in one direction from which it stops reading: a guard, not a limit


class End(asyncio.Protocol):
    """One end of a connection through the proxy: what it receives goes to `other`, later."""

    def __init__(self, delay: float) -> None:
        self._delay = delay
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._held = 0
        self.other: End | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        due = self._loop.time() + self._delay
        self._waiting.append((due, data))
        self._held += len(data)
        if self._held > _HIGH and self.transport is not None:
            self.transport.pause_reading()
        self._loop.call_at(due, self._pass_on)

    def _pass_on(self) -> None:
        """Everything that is due, in the order in which it came."""
        now, due = self._loop.time(), list[bytes]()
        while self._waiting and self._waiting[0][0] <= now:
            due.append(self._waiting.popleft()[1])
        if not due:
            return
        octets = b"".join(due)
        self._held -= len(octets)
        if self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()
        if self.other is not None and self.other.transport is not None:
            self.other.transport.write(octets)

    def connection_lost(self, _error: Exception | None) -> None:
        # The end of a connection travels as long as its bytes.
        self._loop.call_later(self._delay * 1.01, self._hang_up)

    def _hang_up(self) -> None:
        self._pass_on()
        if self.other is not None and self.other.transport is not None:
            self.other.transport.close()


class Door(End):
    """The end that a client came to; it opens the other one."""

    def __init__(self, delay: float, to: int) -> None:
        super().__init__(delay)
        self._to = to
        self._opening: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        # What the client says meanwhile waits in the socket: the bytes' delay begins when they are read.
        cast(asyncio.Transport, transport).pause_reading()
        self._opening = self._loop.create_task(self._open())

    async def _open(self) -> None:
        far = End(self._delay)
        far.other = self
        self.other = far
        try:
            await self._loop.create_connection(lambda: far, "127.0.0.1", self._to)
        except OSError:
            if self.transport is not None:
                self.transport.abort()
            return
        if self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()


async def serve(port: int, to: int, delay: float) -> None:
    """Listen on loopback until the process ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Door(delay, to), "127.0.0.1", port, backlog=200)
    await server.serve_forever()


def precise_loop() -> asyncio.AbstractEventLoop:
    """A loop whose timers are good for fractions of a millisecond."""
    return asyncio.SelectorEventLoop(selectors.SelectSelector())


def ask_for_sharp_timers() -> None:
    """Linux wakes a process up to 50 microseconds late, to save power; ask it not to."""
    ctypes.CDLL(None).prctl(_SET_TIMER_SLACK, 1, 0, 0, 0)


if __name__ == "__main__":
    ask_for_sharp_timers()
    with asyncio.Runner(loop_factory=precise_loop) as runner:
        runner.run(serve(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
