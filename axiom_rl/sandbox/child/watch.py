"""Waiting for a candidate's end, on its CPU clock first and the wall clock behind it."""

from __future__ import annotations

import contextlib
import math
import os
import resource
import select
import signal
import socket
import threading
import time
from pathlib import Path

from .exchange import Exchange
from .pressure import Pressure

NOT_KILLED, CPU_KILL, WALL_KILL, PARENT_GONE, THREAD_KILL = 0, 1, 2, 3, 4
RECORD_KILL = 5
CORES = os.cpu_count() or 1
LONGEST_PAUSE_MS = 20.0
COUNT_EVERY_MS = 5.0
FIRST_TICK_S, TICK_S = 0.1, 0.25
"""How often we look whether the machine is crowded."""
STILL_S = 1.0
LATE_S = 0.5
"""Beyond when it asked to be woken; a process that runs later than that was stopped."""

Reaped = tuple[int, int, resource.struct_rusage]
"""What wait4 returns: process, status, resources used."""


class _Clock:
    """The wall time that counts: not while the machine is crowded, nor while we were stopped.

    Time while this process itself did not run (Ctrl-Z, a paused container) is nobody's fault. The
    hard limit counts crowded time too. A program whose CPU clock stands still for a second is not
    waiting for a processor, however crowded the machine is: it sleeps, and its time counts.
    """

    def __init__(self, pressure: Pressure, started: float, wall_s: float, hard_s: float) -> None:
        self._pressure = pressure
        self._wall_left, self._hard_left = wall_s, hard_s
        self._seen = started
        self._asked = math.inf
        self._pending = 0.0
        """Seconds not yet known to be crowded or not."""
        self._is_measuring = False
        self._cpu_s = self._still = self._excused = 0.0
        """The program's CPU clock, for how long it has stood still, and how much of that time was
        not counted."""
        self.was_crowded = False

    def left(self, cpu_s: float) -> float:
        """Seconds until it is time to look at this clock again; 0 at the end of the time.

        Args:
            cpu_s: the program's CPU time so far.
        """
        self._advance(cpu_s)
        tick = TICK_S if self._is_measuring else FIRST_TICK_S
        if self._pending >= min(tick, self._wall_left):
            self._settle()
        left = min(self._wall_left - self._pending, self._hard_left)
        if left <= 0 and self._still >= STILL_S:
            self.was_crowded = False
        return max(0.0, min(left, max(tick - self._pending, 0.001)))

    def expect(self, seconds: float) -> None:
        """Remember when we shall look again at the latest."""
        self._asked = seconds

    def is_crowded_now(self, cpu_s: float) -> bool:
        """Whether the machine is, or has been, crowded."""
        self._advance(cpu_s)
        self._settle()
        return self.was_crowded

    def _advance(self, cpu_s: float) -> None:
        now = time.monotonic()
        passed = min(now - self._seen, self._asked + LATE_S)
        self._seen = now
        self._pending += passed
        self._hard_left -= passed
        self._still += passed
        if cpu_s > self._cpu_s:
            self._cpu_s, self._still, self._excused = cpu_s, 0.0, 0.0

    def _settle(self) -> None:
        """Count what passed since the last time, unless the machine was crowded."""
        pending, self._pending = self._pending, 0.0
        if not self._is_measuring:  # most programs have ended by now, and cost no look at all
            self._is_measuring = True
            self._pressure.begin()
        elif self._pressure.is_crowded():
            self.was_crowded = True
            self._excused += pending
            pending = 0.0
        if self._still >= STILL_S:
            pending, self._excused = pending + self._excused, 0.0
        self._wall_left -= pending


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
        self._pressure = Pressure()
        self.was_crowded = False
        """Whether the machine was crowded while the last child ran."""

    def wait(
        self,
        pid: int,
        cpu_s: float,
        wall_s: float,
        started: float,
        *,
        spare_s: float = 0.0,
        hard_s: float | None = None,
        exchange: Exchange | None = None,
    ) -> tuple[int, Reaped]:
        """Wait for a child's end; returns why it was killed, if it was, and how it ended.

        `was_crowded` then says whether others kept the machine busy meanwhile.

        Args:
            pid: the child.
            cpu_s: its CPU limit.
            wall_s: its wall limit, in time that counts (see `_Clock`).
            started: when it was forked, on the monotonic clock.
            spare_s: CPU time beyond the limit that it gets on a crowded machine.
            hard_s: its wall limit however crowded the machine is.
            exchange: the arguments sent to it and the records that come back.
        """
        clock = _Clock(self._pressure, started, wall_s, wall_s if hard_s is None else hard_s)
        pidfd = os.pidfd_open(pid) if self.reads_clocks else -1
        try:
            why, reaped = self._wait(pid, pidfd, (cpu_s, spare_s), clock, exchange)
        finally:
            if pidfd >= 0:
                os.close(pidfd)
        self.was_crowded = clock.was_crowded
        if why != NOT_KILLED:
            os.kill(pid, signal.SIGKILL)
        return why, reaped or os.wait4(pid, 0)

    def _wait(
        self,
        pid: int,
        pidfd: int,
        cpu: tuple[float, float],
        clock: _Clock,
        exchange: Exchange | None,
    ) -> tuple[int, Reaped | None]:
        poll = select.poll()
        if exchange is not None:
            poll.register(exchange, exchange.wanted)
        poll.register(self._channel, getattr(select, "POLLRDHUP", 0))
        if pidfd >= 0:
            poll.register(pidfd, select.POLLIN)
        pause = 0.5
        while True:
            # Without clocks to read, a limit of the kernel ends it, and it never seems to sleep.
            used = _cpu_time(pid) if pidfd >= 0 else time.monotonic() * 1e-9
            cpu_left = cpu[0] - used
            if cpu_left <= 0 and clock.is_crowded_now(used):
                cpu_left += cpu[1]
            if cpu_left <= 0:
                return CPU_KILL, None
            wall_left = clock.left(used)
            if wall_left <= 0:
                return WALL_KILL, None
            pause = min(2 * pause, LONGEST_PAUSE_MS)
            longest = 1000 * min(cpu_left / CORES, wall_left) if pidfd >= 0 else pause
            if self.most_threads:
                if _threads_of(pid) > self.most_threads:
                    return THREAD_KILL, None
                longest = min(longest, COUNT_EVERY_MS)
            longest = max(1.0, longest)
            clock.expect(longest / 1000)
            events = poll.poll(longest)
            if exchange is not None:
                events = self._talk(poll, events, exchange, longest)
                if exchange.is_full:
                    return RECORD_KILL, None
            if any(descriptor == pidfd for descriptor, _ in events):
                return NOT_KILLED, None
            if pidfd < 0 and (reaped := os.wait4(pid, os.WNOHANG))[0]:
                return NOT_KILLED, reaped
            if events:
                return PARENT_GONE, None

    def _talk(
        self,
        poll: select.poll,
        events: list[tuple[int, int]],
        exchange: Exchange,
        longest: float,
    ) -> list[tuple[int, int]]:
        """Serve the exchange until something else happens, or for `longest` milliseconds.

        Returns:
            What else happened.
        """
        number = exchange.fileno()
        end = time.monotonic() + longest / 1000
        while len(events) == 1 and events[0][0] == number:
            wanted = exchange.wanted
            if not exchange.serve(events[0][1]):
                poll.unregister(number)
                return []
            if exchange.wanted != wanted:
                poll.modify(number, exchange.wanted)
            left = end - time.monotonic()
            if left <= 0:
                return []
            events = poll.poll(max(1.0, 1000 * left))
        return [event for event in events if event[0] != number]

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
