"""A lock on a run folder: one process at a time, whose id a second one's error names."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import write_text


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a run folder. The lock is the kernel's and goes with the process, however it ends.

    Raises:
        AxiomError: if another process works in the folder, naming its process id.
    """
    place = folder / "checkpoints"
    lock, owner = FileLock(place / "run.lock"), place / "run.pid"
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
