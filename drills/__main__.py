"""`make drill`: play the faults, each with several seeds, and print what came of them.

    make drill                                      the whole table, five seeds each
    make drill ARGS=quick                           one seed each, a few hundred mails, under three minutes
    make drill ARGS='--only "kill after-dot" --seed 3'
    make drill ARGS='--seeds 20 --readers 5000'

Ends with 1 when anything was lost, repeated or failed.
"""

import argparse
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from drills import table
from drills.auditor import Audit
from drills.compose import ROOT
from drills.faults import Fault, NotHere
from drills.faults import table as all_faults
from drills.run import Allowed, Run
from drills.site import READER, Site
from drills.table import Result

PAGE = ROOT / "docs" / "certainty.md"
QUICK_READERS, FULL_READERS = 200, 1_000


@dataclass(frozen=True, kw_only=True)
class Job:
    """One run to be played."""

    fault: Fault
    seed: int
    chunking: bool


def play(site: Site, job: Job, *, readers: int, quick: bool) -> Result:
    """One run from its start to the auditor's word."""
    fault = job.fault
    with Run(site, fault.name, job.seed, readers=readers, chunking=job.chunking, quick=quick) as run:
        allowed, problems = Allowed(), []
        try:
            allowed = fault.play(run)
            run.finish()
        except NotHere as lack:
            return Result(fault=fault.name, seed=job.seed, chunking=job.chunking, skipped=str(lack))
        except (AssertionError, TimeoutError) as problem:
            problems.append(str(problem))
        except Exception as problem:
            traceback.print_exc()
            problems.append(f"{type(problem).__name__}")
        result = _audited(run, job, allowed, problems)
    if not result.failed:
        run.forget()
    return result


def _audited(run: Run, job: Job, allowed: Allowed, problems: list[str]) -> Result:
    problems = [*problems, *run.ended_by_themselves()]
    run.stop_everything()  # nothing may go on while the rows are read
    run.site.mend()
    found = Audit(run.house, run.sink.log).findings()
    problems = [*problems, *found.broken]
    if READER in run.logs().lower():
        problems.append("I7 an address or a name in a log")
    if len(found.in_doubt) > allowed.doubt:
        problems.append(f"{len(found.in_doubt)} in doubt where {allowed.doubt} is the most")
    if allowed.from_journal and found.in_doubt != run.journals.unanswered():
        problems.append(
            f"in doubt: {len(found.in_doubt)}; dots without a reply in the journals: "
            f"{len(run.journals.unanswered())}; in both: {len(found.in_doubt & run.journals.unanswered())}"
        )
    if found.failed != allowed.failed:
        problems.append(f"{found.failed} failed where the sink refused {allowed.failed}")
    return Result(
        fault=job.fault.name,
        seed=job.seed,
        chunking=job.chunking,
        enqueued=found.enqueued,
        lost=found.lost,
        repeated=found.repeated,
        in_doubt=len(found.in_doubt),
        recovery=run.recovery or 0.0,
        problems=tuple(problems),
    )


def jobs(chosen: argparse.Namespace) -> list[Job]:
    """What is to be played. Odd seeds go over DATA and even ones over BDAT unless one is asked for."""
    faults = [one for one in all_faults() if one.name == chosen.only]
    faults = faults or [one for one in all_faults() if one.name.startswith(chosen.only or "")]
    if not faults:
        names = "\n".join(one.name for one in all_faults())
        sys.exit(f'There is no fault "{chosen.only}". There are:\n{names}')
    if chosen.quick and not chosen.only:
        faults = [one for one in faults if not one.slow]
    found = []
    for place, fault in enumerate(faults):
        if chosen.seed is not None:
            seeds = [chosen.seed]
        elif chosen.quick:
            seeds = [1, 2] if fault.both else [1 + place % 2]
        else:
            seeds = list(range(1, chosen.seeds + 1))
        for seed in seeds:
            chunking = seed % 2 == 0 if chosen.chunking is None else chosen.chunking
            found.append(Job(fault=fault, seed=seed, chunking=chunking))
    return found


def play_all(folder: Path, todo: Sequence[Job], *, readers: int, quick: bool, sites: int) -> list[Result]:
    """Play on several sites at once; the results come in the order of the table."""
    free: SimpleQueue[Site] = SimpleQueue()
    made = [Site(folder / f"site{number}") for number in range(sites)]
    for site in made:
        site.prepare(readers)  # one after another: Alembic knows only one migration at a time
        free.put(site)
    told = threading.Lock()

    def one(job: Job) -> Result:
        site = free.get()
        began = time.monotonic()
        try:
            result = play(site, job, readers=readers, quick=quick)
        except Exception as problem:
            traceback.print_exc()
            problems = (f"the drill itself broke: {type(problem).__name__}",)
            result = Result(fault=job.fault.name, seed=job.seed, chunking=job.chunking, problems=problems)
        finally:
            free.put(site)
        with told:
            _tell(result, time.monotonic() - began)
        return result

    pool = ThreadPoolExecutor(sites)
    try:
        return list(pool.map(one, todo))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for site in made:
            site.close()


def _tell(result: Result, seconds: float) -> None:
    mark = "skipped" if result.skipped else "FAILED" if result.failed else "ok"
    mode = "BDAT" if result.chunking else "DATA"
    words = f"{mark:7} {result.fault}, seed {result.seed}, {mode}, {seconds:.1f} s"
    print(words, file=sys.stderr, flush=True)
    for line in table.why_failed(result):
        print(f"        {line}", file=sys.stderr, flush=True)


def arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make drill", description=__doc__.partition("\n")[0])
    parser.add_argument("quick", nargs="?", choices=["quick"], help="one seed each, few mails")
    parser.add_argument("--only", help="the name of one fault, or the beginning of several")
    parser.add_argument("--seed", type=int, help="this seed alone")
    parser.add_argument("--seeds", type=int, default=5, help="how many seeds for each fault")
    parser.add_argument("--readers", type=int, help="mails per run")
    parser.add_argument("--sites", type=int, default=2, help="runs at a time")
    parser.add_argument("--keep", type=Path, help="keep the folders of failed runs here")
    parser.add_argument("--bdat", dest="chunking", action="store_true", default=None)
    parser.add_argument("--data", dest="chunking", action="store_false")
    return parser.parse_args(words)


def main() -> None:
    chosen = arguments(sys.argv[1:])
    readers = chosen.readers or (QUICK_READERS if chosen.quick else FULL_READERS)
    todo = jobs(chosen)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that no server is left behind
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="mailer-drill-"))
    folder.chmod(0o755)  # PostgreSQL may run as a user of its own
    try:
        sites = min(chosen.sites, len(todo))
        results = play_all(folder, todo, readers=readers, quick=bool(chosen.quick), sites=sites)
        if chosen.keep and any(one.failed for one in results):
            shutil.copytree(folder, chosen.keep, ignore=shutil.ignore_patterns("postgresql", "sink.control"))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    printed = table.rows(results)
    print(table.as_text(printed))
    for failed in (one for one in results if one.failed):  # once more, where nobody has to look for it
        print("\n".join(table.why_failed(failed)))
    if not chosen.only and not chosen.quick and PAGE.exists():
        minutes = (time.monotonic() - began) / 60
        table.write(
            PAGE, printed, f"{len(results)} runs of {readers:,} mails each, in {minutes:.0f} minutes."
        )
    print(table.last_line(results))
    sys.exit(any(one.failed for one in results))


if __name__ == "__main__":
    main()
