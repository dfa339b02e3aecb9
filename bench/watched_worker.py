"""A send worker that is watched from inside: how long a dot waits for its reply, and where its CPU goes.

    BENCH_WATCH=folder [BENCH_SAMPLE=yes] python -m bench.watched_worker worker --queues send

It is the `mailer` command with two thin layers around it: one notes the time of every record
that the journal takes, the other looks at the stacks of all threads some hundred times a
second and weighs each by the CPU time its thread has used since. Never used for a rate.
"""

import json
import os
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from bench.stages import stage_of
from mailer.smtp.journal import Journal
from workers.entry import main

WATCH, SAMPLE = "BENCH_WATCH", "BENCH_SAMPLE"
SAMPLE_SECONDS = 0.003
SWITCH_SECONDS = 0.000005  # how soon a busy thread lets the sampler in: within a call, not at its end
_DEEPEST = 60


class Waits:
    """Seconds between the record of a dot and the record of its reply."""

    def __init__(self) -> None:
        self._dots: dict[int, float] = {}
        self.seconds: list[float] = []
        self.begun = threading.Event()  # the first dot: what came before it was the start

    def watch(self, record_group: Callable[..., Any]) -> Callable[..., Any]:
        """A `record_group` that notes the time as well."""

        def watched(journal: Journal, replies: Any, dots: Any, *rest: Any) -> Any:
            now = time.monotonic()
            for reply in replies:
                started = self._dots.pop(reply[0], None)
                if started is not None:
                    self.seconds.append(now - started)
            result = record_group(journal, replies, dots, *rest)
            written = time.monotonic()
            self.begun.set()
            for dot in dots:
                self._dots[dot[0]] = written
            return result

        return watched


class Sampler(threading.Thread):
    """Looks at every thread's stack; a look is worth the CPU time that the thread used since the last."""

    def __init__(self, begun: threading.Event) -> None:
        super().__init__(name="sampler", daemon=True)
        self._begun = begun
        self.by_stage: defaultdict[str, float] = defaultdict(float)
        self.by_place: defaultdict[str, float] = defaultdict(float)
        self._used: dict[int, float] = {}

    def run(self) -> None:
        self._begun.wait()
        sys.setswitchinterval(SWITCH_SECONDS)
        while True:
            time.sleep(SAMPLE_SECONDS)
            frames = sys._current_frames()
            for thread in threading.enumerate():
                frame = frames.get(thread.ident or 0)
                if frame is not None and thread is not self:
                    self._add(thread, frame)

    def _add(self, thread: threading.Thread, frame: FrameType) -> None:
        assert thread.ident is not None
        try:
            now = time.clock_gettime(time.pthread_getcpuclockid(thread.ident))
        except OSError:  # it ended while we looked
            return
        used = now - self._used.get(thread.ident, now)
        self._used[thread.ident] = now
        if used > 0:
            files = _places(frame)
            stage, place = stage_of(files, thread.name)
            self.by_stage[stage] += used
            self.by_place[f"{stage}: {place}"] += used


def _places(frame: FrameType | None) -> list[tuple[str, str]]:
    """File and function of each frame, innermost first."""
    found: list[tuple[str, str]] = []
    while frame is not None and len(found) < _DEEPEST:
        found.append((frame.f_code.co_filename, frame.f_code.co_name))
        frame = frame.f_back
    return found


def watched() -> None:
    """Run the command; leave what was seen in the folder when it ends."""
    folder = Path(os.environ[WATCH])
    waits = Waits()
    sampler = Sampler(waits.begun) if os.environ.get(SAMPLE) else None
    Journal.record_group = waits.watch(Journal.record_group)  # type: ignore[method-assign]
    if sampler is not None:
        sampler.start()
    try:
        main()
    finally:
        seen = {
            "waits": waits.seconds,
            "stages": dict(sampler.by_stage) if sampler else {},
            "places": dict(sampler.by_place) if sampler else {},
        }
        (folder / f"watched-{os.getpid()}.json").write_text(json.dumps(seen))


if __name__ == "__main__":
    watched()
