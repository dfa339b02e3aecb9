"""What a drill prints: a row per fault, the last line for programs, and the table in docs/certainty.md."""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

COLUMNS = ("fault", "runs", "enqueued", "lost", "repeated", "in doubt", "worst recovery")
BEGIN, END = "<!-- made by make drill -->", "<!-- end -->"


@dataclass(frozen=True, kw_only=True)
class Result:
    """One run. `problems` are sentences; a run with any has failed. `skipped` says what the machine lacks."""

    fault: str
    seed: int
    chunking: bool
    enqueued: int = 0
    lost: int = 0
    repeated: int = 0
    in_doubt: int = 0
    recovery: float = 0.0
    problems: tuple[str, ...] = ()
    skipped: str = ""

    @property
    def failed(self) -> bool:
        return bool(self.problems or self.lost or self.repeated)

    @property
    def again(self) -> str:
        """The command that plays this run once more."""
        mode = "bdat" if self.chunking else "data"
        return f"make drill ARGS='--only \"{self.fault}\" --seed {self.seed} --{mode}'"


def why_failed(result: Result) -> list[str]:
    """What was wrong with a run, and how to play it again; empty for one that went well."""
    if not result.failed:
        return []
    counts = f"{result.fault}, seed {result.seed}: lost {result.lost}, repeated {result.repeated}"
    return [counts, *result.problems, f"again: {result.again}"]


def rows(results: Iterable[Result]) -> list[tuple[str, ...]]:
    """One row per fault, in the order of the results."""
    by_fault: defaultdict[str, list[Result]] = defaultdict(list)
    for result in results:
        by_fault[result.fault].append(result)
    return [_row(name, runs) for name, runs in by_fault.items()]


def _row(name: str, results: Sequence[Result]) -> tuple[str, ...]:
    played = [one for one in results if not one.skipped]
    if not played:
        return (name, "0", "-", "-", "-", "-", results[0].skipped)
    return (
        name,
        str(len(played)),
        f"{sum(one.enqueued for one in played):,}",
        str(sum(one.lost for one in played)),
        str(sum(one.repeated for one in played)),
        str(sum(one.in_doubt for one in played)),
        f"{max(one.recovery for one in played):.1f} s",
    )


def as_text(table: Sequence[tuple[str, ...]]) -> str:
    """The rows in columns, for a terminal."""
    lines = [COLUMNS, *table]
    widths = [max(len(line[place]) for line in lines) for place in range(len(COLUMNS))]
    return "\n".join(
        "  ".join(cell.ljust(width) if place == 0 else cell.rjust(width)
                  for place, (cell, width) in enumerate(zip(line, widths, strict=True)))
        for line in lines
    )  # fmt: skip


def last_line(results: Sequence[Result]) -> str:
    """The sums, as JSON."""
    played = [one for one in results if not one.skipped]
    return json.dumps(
        {
            "faults": len({one.fault for one in played}),
            "runs": len(played),
            "lost": sum(one.lost for one in played),
            "repeated": sum(one.repeated for one in played),
            "in_doubt": sum(one.in_doubt for one in played),
            "failed": sum(one.failed for one in played),
        }
    )


def write(page: Path, table: Sequence[tuple[str, ...]], conditions: str) -> None:
    """Put the table between the marks of a page; everything else there stays as it is."""
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    lines = [
        "| " + " | ".join(COLUMNS) + " |",
        "|---" + "|---:" * (len(COLUMNS) - 1) + "|",
        *("| " + " | ".join(row) + " |" for row in table),
    ]
    block = "\n".join([BEGIN, conditions, "", *lines, END])
    page.write_text(f"{before}{block}{after}", encoding="utf-8")
