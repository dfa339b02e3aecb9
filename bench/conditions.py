"""Under which conditions figures were made: without machine, versions and settings they say nothing."""

import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.database import SETTINGS, PostgreSQL, Redis

_POSTCONF = "/usr/sbin:/sbin"


@dataclass(frozen=True, kw_only=True)
class Conditions:
    cores: int
    processor: str
    memory_gb: float
    load_before: float
    versions: Mapping[str, str]
    commit_ms: float

    def lines(self) -> list[str]:
        """One fact a line, in words."""
        settings = ", ".join(f"{name}={value}" for name, value in SETTINGS.items())
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        return [
            f"{self.cores} cores ({self.processor}), {self.memory_gb:.0f} GB of memory; all of it "
            "runs on them at once: our processes, PostgreSQL, Redis and the sink",
            versions,
            f"PostgreSQL: {settings}; one small durable transaction alone takes {self.commit_ms:.2f} ms",
            f"the machine's load before the run was {self.load_before:.2f}",
        ]


def conditions(postgresql: PostgreSQL, redis: Redis, load_before: float) -> Conditions:
    """Look at this machine and these servers."""
    return Conditions(
        cores=len(os.sched_getaffinity(0)),
        processor=_field("/proc/cpuinfo", "model name") or platform.machine(),
        memory_gb=int((_field("/proc/meminfo", "MemTotal") or "0").split()[0]) / 1024**2,
        load_before=load_before,
        versions={
            "Linux": platform.release().split("-")[0],
            "Python": platform.python_version(),
            "PostgreSQL": postgresql.version,
            "Redis": redis.version,
            "Postfix": _postfix_version(),
        },
        commit_ms=postgresql.commit_seconds() * 1000,
    )


def _field(file: str, name: str) -> str | None:
    for line in Path(file).read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return None


def _postfix_version() -> str:
    program = shutil.which("postconf") or shutil.which("postconf", path=_POSTCONF)
    if program is None:
        return "?"
    done = subprocess.run([program, "-d", "-h", "mail_version"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "?"
