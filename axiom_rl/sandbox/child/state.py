"""A state of the server's own: nothing of what its parent happens to be in reaches a candidate.

A process inherits descriptors, signals, limits, priorities, a umask and more from whoever started
it, and verdicts would depend on them. What cannot be set here stays as it is: hard limits, and a
low priority that only a privileged user may raise.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import socket
import sys
import threading
import types
from collections.abc import Iterable
from pathlib import Path

CHANNEL = 3
"""The descriptor of the socket to the pool; in a candidate its record takes this place."""
CLOSE_RANGE = 436
ARGUMENTS = ["solution.py"]
TITLE = b"axiom-rl: sandbox"
MOST_DESCRIPTORS = 1 << 16
"""Tried one by one, where the system tells neither how to close them nor which are open."""
NUMBER_LIMITS = ("AS", "DATA", "FSIZE", "CPU", "SIGPENDING", "MEMLOCK", "RTTIME")
SIGNALS_HELD = 256
"""Signals and timers that may be queued; each holds memory of the kernel."""
LARGEST_STACK, SMALLEST_STACK, STACKS = 8 << 20, 256 << 10, 256


def take_channel() -> socket.socket:
    """Return the pool's socket, which is our standard input, and close everything else we got.

    The socket may have any number in the pool's process. Here it goes to a low one before anything
    is closed, and standard input becomes empty.
    """
    os.dup2(0, CHANNEL, inheritable=False)
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    close_from(CHANNEL + 1)
    sys.stdin = open(  # noqa: SIM115 (the old one saw the socket)
        0, encoding="utf-8", errors="surrogateescape", closefd=False
    )
    return socket.socket(fileno=CHANNEL)


def close_from(first: int) -> None:
    """Close every descriptor from `first` on, up to the largest number there can be."""
    if sys.platform == "linux":
        last = ctypes.c_uint(0xFFFFFFFF)
        if _libc.syscall(ctypes.c_long(CLOSE_RANGE), ctypes.c_uint(first), last, 0) == 0:
            return
    for descriptor in _open_descriptors():
        if descriptor >= first:
            with contextlib.suppress(OSError):
                os.close(descriptor)


def _open_descriptors() -> Iterable[int]:
    for folder in ("/proc/self/fd", "/dev/fd"):
        with contextlib.suppress(OSError):
            return [int(entry.name) for entry in Path(folder).iterdir()]
    return range(min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], MOST_DESCRIPTORS))


_libc = ctypes.CDLL(None, use_errno=True)


def reset() -> None:
    """Take on the state that every server has, whoever started it."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    for ignored in (signal.SIGPIPE, signal.SIGINT):
        signal.signal(ignored, signal.SIG_IGN)
    os.umask(0o022)
    for name in NUMBER_LIMITS:
        if (kind := getattr(resource, f"RLIMIT_{name}", None)) is not None:
            set_limit(kind, resource.RLIM_INFINITY, keep_hard=True)
    if sys.platform == "linux":
        set_limit(resource.RLIMIT_SIGPENDING, SIGNALS_HELD)
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        _libc.personality(ctypes.c_ulong(0))
        _count_in_full_for_the_killer()
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, 0)


def set_limit(kind: int, soft: int, hard: int | None = None, *, keep_hard: bool = False) -> None:
    """Set a resource limit, as near as the hard limit that we were started with allows."""
    most = resource.getrlimit(kind)[1]
    if keep_hard:
        hard = most
    hard = _least(soft if hard is None else hard, most)
    with contextlib.suppress(ValueError, OSError):  # macOS refuses some of them
        resource.setrlimit(kind, (_least(soft, hard), hard))


def hard_limit(kind: int) -> int:
    """Return the most that a limit may be set to, a large number where it is not bounded."""
    most = resource.getrlimit(kind)[1]
    return most if most != resource.RLIM_INFINITY else sys.maxsize


def _least(first: int, second: int) -> int:
    values = [value for value in (first, second) if value != resource.RLIM_INFINITY]
    return min(values) if values else resource.RLIM_INFINITY


def _count_in_full_for_the_killer() -> None:
    """Where the parent is spared when memory runs out (a negative score), we are not."""
    place = Path("/proc/self/oom_score_adj")
    with contextlib.suppress(OSError):
        if int(place.read_text(encoding="ascii")) < 0:
            place.write_text("0", encoding="ascii")


def size_stacks(memory: int) -> None:
    """Have 120 threads fit into a candidate's memory, whatever stack limit we were started with.

    The C library takes the size from that limit when the process starts.
    """
    threading.stack_size(max(SMALLEST_STACK, min(LARGEST_STACK, memory // STACKS >> 14 << 14)))


def forget_the_start() -> None:
    """Leave nothing of the command line, the interpreter's place and our own start code."""
    sys.argv[:] = ARGUMENTS
    sys.orig_argv[:] = ["python", *ARGUMENTS]
    sys.executable = sys._base_executable = "/usr/bin/python3"  # type: ignore[attr-defined]
    os.environ.pop("LD_LIBRARY_PATH", None)
    sys.modules["__main__"] = types.ModuleType("__main__")
    if sys.platform == "linux":
        _retitle()


def _retitle() -> None:
    """Overwrite the command line in our memory, where candidates could find it."""
    try:
        fields = Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return
    start, end = int(fields[45]), int(fields[46])  # the 48th and 49th of all
    if 0 < start < end:
        ctypes.memset(start, 0, end - start)
        title = TITLE[: end - start - 1]
        ctypes.memmove(start, title, len(title))
