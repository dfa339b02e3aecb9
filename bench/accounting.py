"""What processes cost: CPU seconds and memory, read from /proc.

Linux only. A process's own time and that of its children which have ended are
counted, so that a database's short-lived backends are not forgotten.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")
FORGET_PEAK = "5"  # written to clear_refs: the peak of the memory begins anew


@dataclass(frozen=True, kw_only=True)
class Stat:
    """The fields of /proc/PID/stat that are asked for; times in seconds."""

    parent: int
    own: float
    ended_children: float

    @property
    def seconds(self) -> float:
        return self.own + self.ended_children


def parse_stat(text: str) -> Stat:
    """Read one /proc/PID/stat. The name in parentheses may itself hold spaces and parentheses."""
    fields = text[text.rindex(")") + 2 :].split()
    user, system, children_user, children_system = (int(fields[place]) for place in range(11, 15))
    return Stat(
        parent=int(fields[1]),
        own=(user + system) / TICKS,
        ended_children=(children_user + children_system) / TICKS,
    )


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Resident memory in MB: now, and at its highest."""

    rss: float
    peak: float


def parse_status(text: str) -> Memory:
    """Read one /proc/PID/status."""
    kilobytes = {
        name: int(rest.split()[0])
        for name, _, rest in (line.partition(":") for line in text.splitlines())
        if name in {"VmRSS", "VmHWM"}
    }
    return Memory(rss=kilobytes.get("VmRSS", 0) / 1024, peak=kilobytes.get("VmHWM", 0) / 1024)


def memory_of(pid: int) -> Memory:
    """The resident memory of one process."""
    return parse_status((PROC / str(pid) / "status").read_text())


def forget_peak(pid: int) -> None:
    """Let the peak of this process begin at what it holds now."""
    (PROC / str(pid) / "clear_refs").write_text(FORGET_PEAK)


def cpu_of(pids: Iterable[int]) -> float:
    """CPU seconds that these processes and all below them have used so far; 0 for those that are gone."""
    wanted = set(pids)
    stats = _everybody()
    total = 0.0
    for pid, stat in stats.items():
        if pid in wanted or _is_below(pid, wanted, stats):
            total += stat.seconds
    return total


@dataclass(frozen=True, kw_only=True)
class Machine:
    """CPU seconds of all cores since the start of the machine: worked, and taken away by its host."""

    busy: float
    stolen: float


def parse_machine(text: str) -> Machine:
    """Read /proc/stat."""
    fields = [int(word) / TICKS for word in text.splitlines()[0].split()[1:]]
    user, nice, system, _idle, _waiting, irq, soft, stolen = fields[:8]
    return Machine(busy=user + nice + system + irq + soft, stolen=stolen)


def machine() -> Machine:
    """What the machine has worked so far."""
    return parse_machine((PROC / "stat").read_text())


def _is_below(pid: int, wanted: set[int], stats: dict[int, Stat]) -> bool:
    seen = set[int]()
    while pid in stats and pid not in seen:
        seen.add(pid)
        pid = stats[pid].parent
        if pid in wanted:
            return True
    return False


def _everybody() -> dict[int, Stat]:
    found: dict[int, Stat] = {}
    for folder in PROC.iterdir():
        if folder.name.isdecimal():
            try:
                found[int(folder.name)] = parse_stat((folder / "stat").read_text())
            except (FileNotFoundError, ProcessLookupError):  # ended while we looked
                continue
    return found
