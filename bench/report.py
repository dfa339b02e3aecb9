"""The results as a person and as a program read them: Markdown tables, and one line of JSON. Pure."""

from collections.abc import Iterable, Sequence

from bench.conditions import Conditions
from bench.corridor import Run
from bench.embargo import Opening
from bench.figures import median, ratio, rounded, shown, table
from bench.floor import Floor
from bench.plan import CONNECTIONS, MILLION, Results, Size
from bench.roundtrip import ONE_WAY, RoundTrip
from bench.stages import STAGES
from bench.watch import Seen

PLACES = 15  # rows of the table of places

_CORRIDOR = (
    "corridor", "mails/s", "floor/s", "ratio", "ours µs", "send worker µs", "PostgreSQL µs", "Redis µs",
    "sink µs", "RSS MB", "peak MB", "expand s", "start lag ms", "others",
)  # fmt: skip


Figures = dict[str, float | int | None]


def summary(results: Results) -> Figures:
    """The figures by name: rates in mails a second, CPU in microseconds a mail, memory in MB."""
    found = _of_the_corridor(results) | _of_the_rest(results)
    return {name: rounded(value) for name, value in found.items()}


def _of_the_corridor(results: Results) -> Figures:
    head, small, large = results.headline, results.sizes[0], results.sizes[-1]
    run, million = head.typical, results.size(MILLION)
    return {
        "rate": head.rate,
        "floor": head.floor,
        "ratio": ratio(head.rate, head.floor),
        "cpu_us": median(one.cpu_ours for one in results.one_worker),  # where the server offers CHUNKING
        "cpu_data_us": run.cpu_ours,  # where it does not, as in the rows of the corridor above
        "cpu_sender_us": run.cpu_sender,
        "cpu_postgresql_us": run.cpu_postgresql,
        "cpu_redis_us": run.cpu_redis,
        "cpu_sink_us": run.cpu_sink,
        "cpu_source_us": median(one.cpu_source for one in head.floors),
        "rss_mb": max(one.memory.peak for size in results.sizes for one in size.runs),
        "rss_small_mb": small.typical.memory.rss,
        "rss_large_mb": large.typical.memory.rss,
        "expand_1m_s": million.typical.expand_seconds if million else None,
        "expand_s": run.expand_seconds,
        "scale_ratio": results.scale_ratio,
        "others": max(one.others for size in results.sizes for one in size.runs),
        "recipients": head.people,
        "letter_octets": round(results.letter_octets),
        "connections": CONNECTIONS,
    }


def _of_the_rest(results: Results) -> Figures:
    lock_step, data, bdat = results.distances
    one, two, signed = (
        median(run.rate for run in runs) for runs in (results.one_worker, results.two_workers, results.signed)
    )
    floor = median(one.rate for one in results.own_floors)
    seen, planning = results.seen, results.planning
    return {
        "reminder_sweep_ms": planning.sweep_ms if planning else None,
        "replan_ms": planning.replan_ms if planning else None,
        "rtt_ms": bdat.rtt * 1000,
        "rtt5_lock_step": lock_step.rate,
        "rtt5_data": data.rate,
        "rtt5_bdat": bdat.rate if bdat.by_bdat else None,
        "own_sink_rate": one,
        "own_sink_floor": floor,
        "own_sink_ratio": ratio(one, floor),
        "two_workers_rate": two,
        "two_workers_ratio": ratio(two, one),
        "dkim_rate": signed,
        "dkim_allowed_ratio": ratio(signed, results.signed_allowed),
        "signature_us": results.signature.alone * 1e6 if results.signature else None,
        "start_lag_ms": _lag(results.first),
        **embargo_figures(results.openings),
        "p50_ms": seen.wait_ms(50) if seen else None,
        "p99_ms": seen.wait_ms(99) if seen else None,
    }


def tables(results: Results, conditions: Conditions) -> str:
    """All tables, as they stand in docs/performance.md."""
    parts = [
        "\n".join(f"- {line}" for line in _conditions(results, conditions)),
        _corridor_table(results),
        _notes(results),
        _distance_table(results.distances),
        _other_table(results),
    ]
    return "\n\n".join(part for part in parts if part)


def profile(seen: Seen) -> str:
    """Where the send worker's CPU goes: by stage, and the places that cost the most."""
    total = sum(seen.stages.values()) or 1.0
    each = seen.run.cpu_sender
    stages = sorted(STAGES, key=lambda stage: -seen.stages.get(stage, 0.0))
    by_stage = table(
        ("stage", "µs a mail", "share"),
        [(stage, *_shares(seen.stages.get(stage, 0.0) / total, each)) for stage in stages],
    )
    dearest = sorted(seen.places.items(), key=lambda item: -item[1])[:PLACES]
    by_place = table(
        ("stage: place", "µs a mail", "share"),
        [(f"`{place}`", *_shares(seconds / total, each)) for place, seconds in dearest],
    )
    return f"{by_stage}\n\n{by_place}"


def _shares(share: float, each: float) -> tuple[str, str]:
    return f"{share * each:.1f}", f"{share:.0%}"


def _conditions(results: Results, conditions: Conditions) -> list[str]:
    return [
        *conditions.lines(),
        f"{CONNECTIONS} connections to the sink, for a send worker and for `smtp-source`; a mail "
        f"(text and HTML, personalised) has {results.letter_octets:,.0f} octets, as have those of the floor",
        "everything else as the program's own defaults have it",
    ]


def _corridor_table(results: Results) -> str:
    rows = [_size_row(size) for size in results.sizes]
    rows += _group_row("one worker, our sink", results.one_worker, results.own_floors)
    rows += _group_row("two workers, our sink", results.two_workers)
    rows += _group_row("signed (RSA-2048)", results.signed)
    return table(_CORRIDOR, rows)


def _size_row(size: Size) -> Sequence[str]:
    rates = (shown(size.rate), shown(size.floor), shown(ratio(size.rate, size.floor)))
    return (f"{size.people:,} recipients", *rates, *_costs(size.typical))


def _group_row(name: str, runs: Sequence[Run], floors: Sequence[Floor] = ()) -> Iterable[Sequence[str]]:
    if runs:
        rate, floor = median(one.rate for one in runs), median(one.rate for one in floors)
        yield (name, shown(rate), shown(floor), shown(ratio(rate, floor)), *_costs(runs[-1]))


def _costs(run: Run) -> Sequence[str]:
    cpu = (run.cpu_ours, run.cpu_sender, run.cpu_postgresql, run.cpu_redis, run.cpu_sink)
    lag = None if run.start_lag is None else run.start_lag * 1000
    figures = (*cpu, run.memory.rss, run.memory.peak, run.expand_seconds, lag)
    return (*(shown(one) for one in figures), f"{run.others:.0%}")


def _notes(results: Results) -> str:
    fills = ", ".join(f"{size.people:,} in {size.fill_seconds:.0f} s" for size in results.sizes)
    floors = [one for size in results.sizes for one in size.floors]
    return (
        f"The floor itself costs {shown(median(one.cpu_source for one in floors))} µs in `smtp-source` and "
        f"{shown(median(one.cpu_sink for one in floors))} µs in the sink a mail. Its runs were between "
        f"{shown(min(one.rate for one in floors))} and {shown(max(one.rate for one in floors))} a second. "
        f"People were made and sealed: {fills}."
    )


def _distance_table(distances: Sequence[RoundTrip]) -> str:
    head = (
        f"{ONE_WAY * 2000:.0f} ms there and back, 10 connections",
        "letters/s",
        "measured ms",
        "engine µs",
    )
    return table(
        head, [(_offer(one), shown(one.rate), f"{one.rtt * 1000:.2f}", shown(one.cpu)) for one in distances]
    )


def _offer(one: RoundTrip) -> str:
    unused = " (no BDAT was used)" if "CHUNKING" in one.offered and not one.by_bdat else ""
    return f"the server offers {one.offered}{unused}"


def _other_table(results: Results) -> str:
    figures = summary(results)
    signed = results.signature
    rows = [
        ("publishing to the first mail at the sink, ms", figures["start_lag_ms"]),
        (
            "end of an embargo to its first envelope at the sink, at the latest, ms",
            figures.get("embargo_envelope_ms"),
        ),
        (
            "end of an embargo to its first mail at the sink, at the latest, ms",
            figures.get("embargo_first_ms"),
        ),
        ("envelopes and mails before the end of their embargo", figures.get("embargo_early")),
        ("recipients armed for each of those embargoes", figures.get("embargo_armed")),
        ("dot to reply, median, ms", figures["p50_ms"]),
        ("dot to reply, 99th percentile, ms", figures["p99_ms"]),
        ("expanding a million recipients, s", figures["expand_1m_s"]),
        ("rate at a million by the rate at the smallest size", figures["scale_ratio"]),
        ("rate of two workers by the rate of one, our sink", figures["two_workers_ratio"]),
        ("sweep over a thousand symposia and a million waiting reminders, ms", figures["reminder_sweep_ms"]),
        ("moving one of them: 200 attendees, five rules, the notice, ms", figures["replan_ms"]),
        ("one RSA-2048 signature, µs, one core", figures["signature_us"]),
        (
            "one RSA-2048 signature, µs, by the clock with all cores",
            signed.all_cores * 1e6 if signed else None,
        ),
        ("rate that the signatures allow", results.signed_allowed),
        ("signed rate by the allowed one", figures["dkim_allowed_ratio"]),
    ]
    return table(("also", "figure"), [(name, shown(value)) for name, value in rows])


def embargo_figures(openings: Sequence[Opening]) -> Figures:
    """The latest of all openings, not the median: each embargo has one end."""
    if not openings:
        return {}
    return {
        "embargo_first_ms": max(one.first_mail for one in openings) * 1000,
        "embargo_envelope_ms": max(one.first_envelope for one in openings) * 1000,
        "embargo_envelope_earliest_ms": min(one.first_envelope for one in openings) * 1000,
        "embargo_early": sum(one.early for one in openings),
        "embargo_armed": openings[0].mails,
        "embargo_openings": len(openings),
    }


def _lag(runs: Iterable[Run]) -> float | None:
    lag = median(one.start_lag for one in runs if one.start_lag is not None)
    return None if lag is None else lag * 1000
