"""What is measured, in which order and how often: the whole programme of a run, and its results.

Floors and corridors take turns on one sink. A figure that was measured several times
is the median. Progress is told on standard error as it goes.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from bench import roundtrip, signature
from bench.corridor import Run, run
from bench.database import PostgreSQL, Redis
from bench.embargo import Opening, opening
from bench.figures import median, ratio
from bench.floor import Floor, floor
from bench.plant import Plant, crew, plant
from bench.programme import PEOPLE, Planning, measure
from bench.roundtrip import RoundTrip
from bench.signature import SignatureCost
from bench.sinks import Server, fast_sink, smtp_sink
from bench.watch import Seen, watched_run

CONNECTIONS = 4  # of a send worker, and of smtp-source
LAG_RUNS = 2
MILLION = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Programme:
    """The sizes of one kind of run. The first size is the small one, `headline` the one that is quoted."""

    sizes: tuple[int, ...]
    headline: int
    rounds: int  # corridor runs at each size below a million, each between two floors
    floor_mails: int
    letters: tuple[int, int, int]  # over a distance: lock-step, DATA, BDAT
    armed: int  # the size at which embargoes are measured
    openings: int  # and how many of them
    symposia: bool  # whether a thousand symposia are planned, which takes minutes


QUICK = Programme(
    sizes=(10_000, 20_000),
    headline=20_000,
    rounds=1,
    floor_mails=10_000,
    letters=(600, 4_000, 10_000),
    armed=10_000,
    openings=1,
    symposia=False,
)
FULL = Programme(
    sizes=(10_000, 100_000, 1_000_000),
    headline=100_000,
    rounds=3,
    floor_mails=60_000,
    letters=(3_000, 20_000, 60_000),
    armed=100_000,
    openings=3,
    symposia=True,
)


@dataclass(kw_only=True)
class Size:
    """What was measured with so many recipients, on Postfix's sink."""

    people: int
    fill_seconds: float
    runs: list[Run] = field(default_factory=list)
    floors: list[Floor] = field(default_factory=list)

    @property
    def rate(self) -> float | None:
        return median(one.rate for one in self.runs)

    @property
    def floor(self) -> float | None:
        return median(one.rate for one in self.floors)

    @property
    def typical(self) -> Run:
        """The run whose rate is the median, for the figures that belong together."""
        return sorted(self.runs, key=lambda one: one.rate)[len(self.runs) // 2]


@dataclass(kw_only=True)
class Results:
    """Everything a programme found."""

    programme: Programme
    sizes: list[Size] = field(default_factory=list)
    letter_octets: float = 0.0
    first: list[Run] = field(default_factory=list)  # at the small size, on our own sink
    one_worker: list[Run] = field(default_factory=list)  # on our own sink, which offers CHUNKING
    own_floors: list[Floor] = field(default_factory=list)  # smtp-source into the same
    two_workers: list[Run] = field(default_factory=list)
    signed: list[Run] = field(default_factory=list)
    signature: SignatureCost | None = None
    distances: list[RoundTrip] = field(default_factory=list)
    openings: list[Opening] = field(default_factory=list)
    seen: Seen | None = None
    sampled: Seen | None = None
    planning: Planning | None = None

    def size(self, people: int) -> Size | None:
        return next((one for one in self.sizes if one.people == people), None)

    @property
    def headline(self) -> Size:
        return next(one for one in self.sizes if one.people == self.programme.headline)

    @property
    def scale_ratio(self) -> float | None:
        million = self.size(MILLION)
        return ratio(million.rate, self.sizes[0].rate) if million else None

    @property
    def signed_allowed(self) -> float | None:
        """The rate that the signatures' own cost leaves of the plain rate at the same size."""
        plain = self.headline.rate
        return self.signature.allowed(plain) if self.signature and plain else None


def carry_out(programme: Programme, postgresql: PostgreSQL, redis: Redis) -> Results:
    """Measure everything of the programme."""
    results = Results(programme=programme)
    for people in programme.sizes:
        with _told(f"a house with {people:,} subscribers"), plant(postgresql, redis, people) as house:
            if people == programme.sizes[0]:
                _first(results, house)
            results.sizes.append(_corridors(programme, house, round(results.letter_octets)))
            if people == programme.sizes[0]:
                _watched(results, house)
            if people == programme.armed:
                _openings(programme, results, house)
            if people == programme.headline:
                _workers(programme, results, house)
                _signed(results, house)
    with _told("round trips of 5 ms"):
        lock_step, data, bdat = programme.letters
        results.distances.append(roundtrip.lock_step(lock_step))
        results.distances.append(roundtrip.data(data))
        results.distances.append(roundtrip.bdat(bdat))
    if programme.symposia:
        with _told("a thousand symposia"), plant(postgresql, redis, PEOPLE) as house:
            results.planning = measure(house.house)
    return results


def _corridors(programme: Programme, house: Plant, octets: int) -> Size:
    size = Size(people=house.people, fill_seconds=house.fill_seconds)
    rounds = programme.rounds if house.people < MILLION else 1
    with smtp_sink() as sink, crew(house, sink.url, connections=CONNECTIONS) as running:
        size.floors.append(_floor(programme, sink, octets))
        for _ in range(rounds):
            size.runs.append(_shown(run(house, running, sink)))
            size.floors.append(_floor(programme, sink, octets))
    return size


def _floor(programme: Programme, sink: Server, octets: int) -> Floor:
    found = floor(sink, mails=programme.floor_mails, size=octets, connections=CONNECTIONS)
    _tell(f"  floor {found.rate:,.0f}/s")
    return found


def _shown(done: Run) -> Run:
    _tell(
        f"  corridor {done.rate:,.0f}/s, CPU a mail: ours {done.cpu_ours:.0f}, "
        f"PostgreSQL {done.cpu_postgresql:.0f}, sink {done.cpu_sink:.0f} microseconds"
    )
    return done


def _first(results: Results, house: Plant) -> None:
    """On our own sink, which tells how large a mail is and when the first one came."""
    with fast_sink() as sink, crew(house, sink.url, connections=CONNECTIONS) as running:
        for _ in range(LAG_RUNS):
            results.first.append(_shown(run(house, running, sink, own_sink=True)))
    arrived = results.first[-1].arrived
    assert arrived is not None
    results.letter_octets = arrived.octets / arrived.mails
    _tell(f"  a mail has {results.letter_octets:,.0f} octets")


def _watched(results: Results, house: Plant) -> None:
    with smtp_sink() as sink:
        results.seen = watched_run(house, sink, connections=CONNECTIONS)
        results.sampled = watched_run(house, sink, connections=CONNECTIONS, sample=True)
    _tell(f"  dot to reply: median {results.seen.wait_ms(50) or 0:.2f} ms")


def _openings(programme: Programme, results: Results, house: Plant) -> None:
    """Embargoes with so many people armed, on our sink: it knows when the first envelope came."""
    with fast_sink() as sink, crew(house, sink.url, connections=CONNECTIONS) as running:
        for _ in range(programme.openings):
            found = opening(house, running, sink)
            results.openings.append(found)
            _tell(
                f"  embargo of {found.mails:,}: first envelope after {found.first_envelope * 1000:.1f} ms, "
                f"first mail after {found.first_mail * 1000:.1f} ms, early {found.early}"
            )


def _workers(programme: Programme, results: Results, house: Plant) -> None:
    octets = round(results.letter_octets)
    with fast_sink() as sink:
        results.own_floors.append(_floor(programme, sink, octets))
        for senders, runs in ((1, results.one_worker), (2, results.two_workers)):
            with crew(house, sink.url, connections=CONNECTIONS, senders=senders) as running:
                _tell(f"  {senders} send worker(s), our sink")
                runs.append(_shown(run(house, running, sink, own_sink=True)))
            results.own_floors.append(_floor(programme, sink, octets))


def _signed(results: Results, house: Plant) -> None:
    key = signature.write_key(house.folder / "dkim.pem")
    results.signature = signature.cost(key)
    extra = {"MAILER_DKIM_KEY_FILE": str(key), "MAILER_DKIM_SELECTOR": signature.SELECTOR}
    with smtp_sink() as sink, crew(house, sink.url, connections=CONNECTIONS, extra=extra) as running:
        _tell(f"  signed; one signature takes {results.signature.alone * 1e6:.0f} microseconds")
        results.signed.append(_shown(run(house, running, sink)))


@contextmanager
def _told(what: str) -> Iterator[None]:
    started = time.monotonic()
    _tell(what)
    yield
    _tell(f"  {time.monotonic() - started:.0f} s in all")


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
