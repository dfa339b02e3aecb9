"""`make bench`: the whole programme; with ARGS=quick a small one, with ARGS=profile where the CPU goes.

The last line of standard output is JSON. The whole programme and the profile also write
their tables into docs/performance.md; the small one does with `--write`.
"""

import argparse
import json
import os
import sys
from datetime import UTC, datetime

from bench import document, report
from bench.conditions import conditions
from bench.corridor import RunFailed
from bench.database import NotInstalled, postgresql, redis_server
from bench.plan import CONNECTIONS, FULL, QUICK, carry_out
from bench.plant import plant
from bench.sinks import install_postfix, smtp_sink
from bench.watch import watched_run

PROFILED = 20_000


def main() -> int:
    """Run what was asked for; 1 when a figure could not be made."""
    parser = argparse.ArgumentParser(prog="make bench ARGS=...", description=__doc__)
    parser.add_argument("what", nargs="?", choices=("full", "quick", "profile"), default="full")
    parser.add_argument(
        "--write", action="store_true", help="write docs/performance.md after a quick run too"
    )
    chosen = parser.parse_args()
    try:
        install_postfix()
        if chosen.what == "profile":
            _profile()
        else:
            _measure(quick=chosen.what == "quick", write=chosen.write or chosen.what == "full")
    except (NotInstalled, RunFailed) as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


def _measure(*, quick: bool, write: bool) -> None:
    load_before = os.getloadavg()[0]
    with postgresql() as database, redis_server() as redis:
        found = conditions(database, redis, load_before)
        results = carry_out(QUICK if quick else FULL, database, redis)
    figures = report.summary(results)
    kind = "ARGS=quick" if quick else "whole programme"
    made = f"Made by `make bench` ({kind}) on {datetime.now(UTC):%-d %B %Y}."
    text = f"{made}\n\n{report.tables(results, found)}"
    print(text)
    profile = report.profile(results.sampled) if results.sampled else None
    if profile:
        print(f"\n{profile}")
    if write:
        document.write("bench", f"{text}\n\n```json\n{json.dumps(figures)}\n```")
        if profile:
            document.write("profile", profile)
    print(json.dumps(figures))


def _profile() -> None:
    with (
        postgresql() as database,
        redis_server() as redis,
        plant(database, redis, PROFILED) as house,
        smtp_sink() as sink,
    ):
        seen = watched_run(house, sink, connections=CONNECTIONS, sample=True)
    text = report.profile(seen)
    print(text)
    document.write("profile", text)
    print(
        json.dumps(
            {stage: round(seconds * 1e6 / seen.run.mails, 1) for stage, seconds in seen.stages.items()}
        )
    )


if __name__ == "__main__":
    sys.exit(main())
