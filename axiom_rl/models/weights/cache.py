"""The user's cache of converted models: built once, whole or not at all, by one run at a time."""

from __future__ import annotations

import errno
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from safetensors import SafetensorError

from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import cache_dir as cache_dir

logger = logging.getLogger(__name__)

GB = 1e9

DISK_TROUBLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS)

NOTHING_LEFT = "nothing unfinished is left there"


def build_once(target: Path, build: Callable[[Path], None]) -> Path:
    """Return the folder `target`, made by `build(temporary)` and a rename if it is not there.

    A lock file beside it keeps a second run waiting instead of doing the same work; what an
    interrupted run left is removed. Nothing is ever seen under `target` that is not finished.

    Raises:
        AxiomError: if the disk is full or the cache cannot be written.
    """
    if target.is_dir():
        return target
    prefix = f".{target.name}.tmp-"
    with reporting_full_disk(target):
        _make_cache(target.parent)
        with _locked(target.with_name(f".{target.name}.lock")):
            for stale in target.parent.glob(f"{prefix}*"):
                shutil.rmtree(stale)
            if not target.is_dir():
                _build_and_rename(target.with_name(f"{prefix}{os.getpid()}"), target, build)
    return target


def _make_cache(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if error.errno in DISK_TROUBLE:
            raise
        # Of a home that is no folder, say: /dev/null or /nonexistent, as services have it.
        raise AxiomError(
            f"the cache cannot be made ({folder}: {error.strerror}): set AXIOM_RL_CACHE to a "
            "folder that can be written"
        ) from error


def write_folder(target: Path, build: Callable[[Path], None]) -> None:
    """Make a new folder `target` whole or not at all.

    Raises:
        AxiomError: if it exists and is not empty, or the disk is full.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise AxiomError(f"{target} exists and is not empty; name another folder, or remove it")
    with reporting_full_disk(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        _build_and_rename(target.with_name(f".{target.name}.tmp-{os.getpid()}"), target, build)


def check_free_disk(folder: Path, needed: int, purpose: str) -> None:
    """Raise AxiomError unless the disk of `folder` has `needed` bytes free."""
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise AxiomError(
            f"{purpose} needs {needed / GB:.1f} GB of free disk under {existing}, and "
            f"{free / GB:.1f} GB are free; make room, or set AXIOM_RL_CACHE to a folder on a "
            "larger disk"
        )


@contextmanager
def reporting_full_disk(folder: Path) -> Iterator[None]:
    """Turn a full disk or a folder that cannot be written into an AxiomError."""
    try:
        yield
    except SafetensorError as error:  # its way to say that a file could not be written
        raise AxiomError(f"cannot write {folder}: {error}; {NOTHING_LEFT}") from error
    except OSError as error:
        if error.errno not in DISK_TROUBLE:
            raise
        raise AxiomError(f"cannot write {folder}: {error.strerror}; {NOTHING_LEFT}") from error


def _build_and_rename(temporary: Path, target: Path, build: Callable[[Path], None]) -> None:
    temporary.mkdir()
    try:
        build(temporary)
        for file in temporary.iterdir():
            _fsync(file)
        temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _locked(path: Path) -> AbstractContextManager[object]:
    """Take a lock that the system lets go of when the process dies; say that it is waited for."""
    lock = FileLock(path)
    try:
        return lock.acquire(blocking=False)
    except Timeout:
        logger.info("another run is preparing %s; waiting for it", path.parent)
        return lock.acquire()
