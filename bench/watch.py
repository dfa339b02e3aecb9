"""A run with a watched worker: how long dots wait, how soon the first mail leaves, where CPU goes."""

import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.corridor import Run, run
from bench.figures import percentile
from bench.plant import Plant, crew
from bench.sinks import Server
from bench.watched_worker import SAMPLE, WATCH

_LAUNCHER = (sys.executable, "-m", "bench.watched_worker")


@dataclass(kw_only=True)
class Seen:
    """What was seen. Waits in seconds from a dot's record to its reply's; CPU seconds by stage and place."""

    run: Run
    waits: list[float] = field(default_factory=list)
    stages: dict[str, float] = field(default_factory=dict)
    places: dict[str, float] = field(default_factory=dict)

    def wait_ms(self, share: float) -> float | None:
        found = percentile(self.waits, share)
        return None if found is None else found * 1000


def watched_run(
    plant: Plant, sink: Server, *, connections: int, own_sink: bool = False, sample: bool = False
) -> Seen:
    """One corridor run with a watched send worker."""
    with _folder() as folder:
        extra = {WATCH: str(folder)} | ({SAMPLE: "yes"} if sample else {})
        with crew(plant, sink.url, connections=connections, extra=extra, launcher=_LAUNCHER) as running:
            seen = Seen(run=run(plant, running, sink, own_sink=own_sink))
        _read(folder, seen)
    return seen


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="mailer-bench-watch-") as name:
        yield Path(name)


def _read(folder: Path, seen: Seen) -> None:
    stages: defaultdict[str, float] = defaultdict(float)
    places: defaultdict[str, float] = defaultdict(float)
    for file in folder.glob("watched-*.json"):
        found = json.loads(file.read_text())
        seen.waits += found["waits"]
        for name, seconds in found["stages"].items():
            stages[name] += seconds
        for name, seconds in found["places"].items():
            places[name] += seconds
    seen.stages, seen.places = dict(stages), dict(places)
