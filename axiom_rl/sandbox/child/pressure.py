"""Whether the machine has more to run than processors: then wall time says little of a program."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

CROWDED = 0.6
"""Share of the time in which somebody waited for a processor, from which on it is not counted.

Programs on every processor, and a trainer that wakes up now and then, stay well below.
"""
_STALLS = ("/sys/fs/cgroup/cpu.pressure", "/proc/pressure/cpu")
"""The kernel's own count of such time: of our container, else of the machine."""
_RUNNING = "/proc/loadavg"
_QUOTA = "/sys/fs/cgroup/cpu.max"


class Pressure:
    """How crowded the machine is; opens what it reads at once, before files are closed to us."""

    def __init__(self) -> None:
        self._processors = _processors()
        self._has_quota = not _text(_QUOTA).startswith(("max", "unread"))
        self._stalls = next((fd for fd in map(_open, _STALLS) if _is_readable(fd)), -1)
        self._running = _open(_RUNNING)
        self._total, self._at = 0.0, 0.0

    def begin(self) -> None:
        """Count from now on."""
        self._at = time.monotonic()
        self._total = self._stalled()

    def is_crowded(self) -> bool:
        """Whether the machine was crowded since this, or `begin`, was last called."""
        before, since = self._total, self._at
        self.begin()
        if self._stalls < 0:
            return self._more_than_processors()
        share = (self._total - before) / max(self._at - since, 1e-6)
        return share >= CROWDED and (self._has_quota or self._more_than_processors())

    def _stalled(self) -> float:
        """Seconds in which somebody waited, since the machine started."""
        if self._stalls < 0:
            return 0.0
        line = os.pread(self._stalls, 256, 0).partition(b"\n")[0]
        return int(line.rpartition(b"total=")[2]) / 1e6

    def _more_than_processors(self) -> bool:
        """Whether more can run than there are processors; this process is not counted."""
        if self._running >= 0:
            running = os.pread(self._running, 256, 0).split()[3].partition(b"/")[0]
            return int(running) - 1 > self._processors
        with contextlib.suppress(OSError):
            return os.getloadavg()[0] > self._processors
        return False


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _open(path: str) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return -1


def _is_readable(descriptor: int) -> bool:
    """Whether the kernel keeps the count; where it was switched off, reading fails."""
    if descriptor < 0:
        return False
    with contextlib.suppress(OSError):
        return b"total=" in os.pread(descriptor, 256, 0)
    return False


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii")
    except OSError:
        return "unread"
