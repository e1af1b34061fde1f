"""Waiting for a candidate's end, on its CPU clock first and the wall clock behind it."""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import socket
import threading
import time
from pathlib import Path

NOT_KILLED, CPU_KILL, WALL_KILL, PARENT_GONE, THREAD_KILL = 0, 1, 2, 3, 4
CORES = os.cpu_count() or 1
LONGEST_PAUSE_MS = 20.0
COUNT_EVERY_MS = 5.0

Reaped = tuple[int, int, resource.struct_rusage]
"""What wait4 returns: process, status, resources used."""


class Watch:
    """Waits for children of this process, kills them at their limits, and what they leave."""

    def __init__(self, channel: socket.socket) -> None:
        """Watch `channel` too: when its other end is closed, candidates end at once."""
        self._channel = channel
        self.reads_clocks = hasattr(os, "pidfd_open")
        """Whether a child's end and its CPU clock can be watched (Linux), or only polled for."""
        self._children = _open_list_of_children()
        self.most_threads = 0
        """Of a candidate, where the kernel does not bound them; else 0."""

    def wait(self, pid: int, cpu_s: float, wall_s: float, started: float) -> tuple[int, Reaped]:
        """Wait for a child's end; returns why it was killed, if it was, and how it ended."""
        pidfd = os.pidfd_open(pid) if self.reads_clocks else -1
        try:
            why, reaped = self._wait(pid, pidfd, cpu_s, started + wall_s)
        finally:
            if pidfd >= 0:
                os.close(pidfd)
        if why != NOT_KILLED:
            os.kill(pid, signal.SIGKILL)
        return why, reaped or os.wait4(pid, 0)

    def _wait(
        self, pid: int, pidfd: int, cpu_s: float, deadline: float
    ) -> tuple[int, Reaped | None]:
        poll = select.poll()
        poll.register(self._channel, getattr(select, "POLLRDHUP", 0))
        if pidfd >= 0:
            poll.register(pidfd, select.POLLIN)
        pause = 0.5
        while True:
            cpu_left = cpu_s - _cpu_time(pid) if pidfd >= 0 else cpu_s
            wall_left = deadline - time.monotonic()
            if cpu_left <= 0:
                return CPU_KILL, None
            if wall_left <= 0:
                return WALL_KILL, None
            pause = min(2 * pause, LONGEST_PAUSE_MS)
            longest = 1000 * min(cpu_left / CORES, wall_left) if pidfd >= 0 else pause
            if self.most_threads:
                if _threads_of(pid) > self.most_threads:
                    return THREAD_KILL, None
                longest = min(longest, COUNT_EVERY_MS)
            events = poll.poll(max(1.0, longest))
            if any(descriptor == pidfd for descriptor, _ in events):
                return NOT_KILLED, None
            if pidfd < 0 and (reaped := os.wait4(pid, os.WNOHANG))[0]:
                return NOT_KILLED, reaped
            if events:
                return PARENT_GONE, None

    def kill_strays(self) -> None:
        """End what a candidate left running; with the system call filter on there is nothing."""
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0] or self._kill_children():
                pass

    def _kill_children(self) -> bool:
        """Kill every child there is and reap one; False where they cannot be found."""
        if os.getpid() == 1:
            os.kill(-1, signal.SIGKILL)
        else:
            listed = os.pread(self._children, 65536, 0) if self._children >= 0 else b""
            if not listed:
                return False
            for child in listed.split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(child), signal.SIGKILL)
        os.waitpid(-1, 0)
        return True


def _cpu_time(pid: int) -> float:
    """CPU seconds of another process so far, by its own clock (Linux's clock id for a pid)."""
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0


def _threads_of(pid: int) -> int:
    """How many threads a process has: its folder of them tells, without being opened."""
    try:
        return Path(f"/proc/{pid}/task").stat().st_nlink - 2
    except OSError:
        return 0


def _open_list_of_children() -> int:
    """Open the kernel's list of our children while we still can; -1 where there is none."""
    try:
        return os.open(f"/proc/self/task/{threading.get_native_id()}/children", os.O_RDONLY)
    except OSError:
        return -1
