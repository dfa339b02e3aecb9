"""A full disk under the journals: sending stops, and goes on by itself when there is room again."""

import contextlib
import os
import resource
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from drills.faults import Fault
from drills.run import Allowed, Run
from drills.servers import wait_until


def _stands(run: Run) -> None:
    """Wait until the sink gets nothing more although mails are open."""
    seen = [-1, -1, -1, -1, -1]
    while len(set(seen)) > 1 or seen[0] < 0:
        seen = [*seen[1:], run.sink.accepted]
        time.sleep(0.15)
    if run.settled():
        raise AssertionError("everything was sent although the journal could not be written")


@contextlib.contextmanager
def _tiny_disk(folder: Path) -> Iterator[bool]:
    """Mount 256 kB there, more than the whole journal needs; False where that is not allowed."""
    folder.mkdir(parents=True)
    words = ["mount", "-t", "tmpfs", "-o", "size=256k,mode=0700", "drill", str(folder)]
    mounted = os.geteuid() == 0 and subprocess.run(words, capture_output=True, check=False).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _full(run: Run) -> Allowed:
    run.sink.slow_down(0.005)
    with _tiny_disk(run.data / "journals") as mounted:
        if not mounted:
            return _limited(run)
        run.start()
        run.publish()
        run.wait_for(run.some(0.1, 0.4))
        filler = run.data / "journals" / ".filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(b"\0" * 256)
        _stands(run)
        filler.unlink()
        run.broken()
        run.finish()
        run.stop("worker-send")
    return Allowed()


def _limited(run: Run) -> Allowed:
    """No file of the sender's may grow any more, for a while (EFBIG instead of ENOSPC)."""
    run.start("worker-plan", "beat")
    run.start("worker-send", log=Path(os.devnull))
    run.publish()
    run.wait_for(run.some(0.1, 0.4))
    pid = run.processes["worker-send"].pid
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, before[1]))
    _stands(run)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
    run.broken()
    return Allowed()


def _read_only(run: Run) -> Allowed:
    """The folder of the journals cannot be written when the worker starts."""
    folder = run.data / "journals"
    folder.write_text("a file where a folder should be")
    run.start()
    run.publish()
    wait_until(lambda: run.count("pending") == run.readers, "the mailing is expanded")
    time.sleep(1)
    if run.sink.accepted:
        raise AssertionError("something was sent without a journal")
    folder.unlink()
    run.broken()
    return Allowed()


FAULTS = (
    Fault(name="disk full under the journal", play=_full),
    Fault(name="journal at its limit", play=_limited),
    Fault(name="no journal at the start", play=_read_only),
)
