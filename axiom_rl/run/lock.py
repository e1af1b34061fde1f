"""A lock on a run folder: one process at a time, whose id a second one's error names."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import write_text

LOCK, OWNER = "run.lock", "run.pid"
SLACK_S = 2.0
"""By which the clocks of processes and files may differ."""
FRESH_S = 30.0
"""Age of the last word of a run on another machine: one at work notes its time again and again."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder of a run or a sweep; the kernel ends the lock with the process, always.

    Raises:
        AxiomError: if another process works in the folder, naming its process id.
    """
    place = folder / "checkpoints"
    lock, owner = FileLock(place / LOCK), place / OWNER
    try:
        place.mkdir(parents=True, exist_ok=True)
        lock.acquire(blocking=False)
    except Timeout:
        pid = owner.read_text(encoding="utf-8").strip() if owner.exists() else "unknown"
        raise AxiomError(
            f"another process (pid {pid}) works in {folder}: wait until it has ended, or stop it "
            f"(kill {pid}), and try again"
        ) from None
    except OSError as error:
        raise AxiomError(f"cannot write {place}: {error.strerror}") from error
    try:
        write_text(owner, f"{os.getpid()}\n")
        yield
    finally:
        owner.unlink(missing_ok=True)
        lock.release()


def at_work(folder: Path) -> bool:
    """Whether a process works in a run folder, here or on another machine that shares the disk.

    It only looks: taking the lock to find out could make a run that starts just then fail.
    """
    place = folder / "checkpoints"
    try:
        written = (place / OWNER).stat().st_mtime
        pid = int((place / OWNER).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # nobody, or nobody any more
        return False
    try:
        process = psutil.Process(pid)
        # One that began after the note was written has the number of one that was killed.
        began = process.create_time() <= written + SLACK_S
        if began and process.status() != psutil.STATUS_ZOMBIE:
            return True
    except psutil.Error:
        pass  # ended, or not ours to see: what it wrote last tells
    return any(time.time() - _written(path) < FRESH_S for path in place.glob("spent_*.json"))


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # its phase has ended
        return 0.0
