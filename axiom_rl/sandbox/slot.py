"""A place for one server in the pool, and the jobs that it holds."""

from __future__ import annotations

import signal
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from axiom_rl.sandbox.base import Ending, Outcome, RunRequest
from axiom_rl.sandbox.process import ServerProcess
from axiom_rl.sandbox.wire import Hello, request_bytes

DEPTH = 2
"""Jobs held by one server: one that runs and one at hand."""
START_SECONDS = 60.0
GRACE_SECONDS = 10.0
"""Beyond a candidate's hard wall limit, before its server counts as wedged."""


@dataclass(slots=True, eq=False)
class Assignment:
    """A request, who judges its outcome, and who waits for the judgement."""

    request: RunRequest
    judge: Callable[[Outcome], Any]
    future: Future[Any] = field(default_factory=Future)
    is_canary: bool = False
    """A program whose outcome is known; its judge says whether the server is healthy."""
    is_alone: bool = False
    """A second judgement, beside which nothing else may run."""
    servers_broken: int = 0
    faults: int = 0
    was_killed: bool = False
    """Ended once by SIGKILL for no reason that could be seen."""

    def has_failed_again(self, *, is_fault: bool) -> int:
        """Note a try that came to nothing, and return how many have."""
        if is_fault:
            self.faults += 1
        else:
            self.servers_broken += 1
        return self.servers_broken + self.faults

    def may_have_died_of_the_machine(self, outcome: Outcome) -> bool:
        """Whether it may be that the system killed it for want of memory it had not taken.

        Under the system call filter a candidate cannot send SIGKILL, not even to itself.
        """
        limits = self.request.limits
        return (
            (outcome.ending, outcome.code) == (Ending.SIGNALLED, signal.SIGKILL)
            and outcome.cpu_s < limits.cpu_s
            and outcome.peak_memory_mb * 2**20 < limits.memory_bytes / 2
        )

    def begin(self) -> bool:
        """Mark the job as running; False if its future was cancelled."""
        return self.future.running() or self.future.set_running_or_notify_cancel()

    def finish(self, outcome: Outcome) -> None:
        """Judge the outcome and hand the judgement on."""
        try:
            judgement = self.judge(outcome)
        except Exception as error:  # noqa: BLE001 (reaches the waiting thread, not this one)
            self.future.set_exception(error)
        else:
            self.future.set_result(judgement)


@dataclass(slots=True, eq=False)
class Slot:
    """One server, replaced when it breaks."""

    server: ServerProcess
    hello: Hello | None = None
    jobs: deque[Assignment] = field(default_factory=deque)
    """Sent to the server; the first one runs."""
    retries: deque[Assignment] = field(default_factory=deque)
    """To be run in this server once its canary has passed."""
    suspects: list[Assignment] = field(default_factory=list)
    """Took down two servers; guilty if this server's canary passes."""
    deadline: float = 0.0
    """On the monotonic clock, for the hello or the running job."""
    served: int = 0
    proven: bool = False
    """Has passed its canary at least once."""
    probe_wanted: bool = True

    def __post_init__(self) -> None:
        self.deadline = time.monotonic() + START_SECONDS

    @property
    def is_probing(self) -> bool:
        """Whether a canary is under way."""
        return any(job.is_canary for job in self.jobs)

    @property
    def is_sound(self) -> bool:
        """Whether the canary has passed as often as it was asked for."""
        return self.proven and not self.probe_wanted and not self.is_probing

    @property
    def has_room(self) -> bool:
        """Whether another job may be sent."""
        return self.hello is not None and len(self.jobs) < DEPTH and not self.is_probing

    @property
    def is_overdue(self) -> bool:
        """Whether the server should have answered by now."""
        return (self.hello is None or bool(self.jobs)) and time.monotonic() > self.deadline

    def send(self, job: Assignment) -> None:
        """Send a job to the server."""
        self.jobs.append(job)
        if len(self.jobs) == 1:
            self._start_clock()
        self.server.queue(request_bytes(job.request, is_last=job.is_alone))

    def take(self) -> Assignment:
        """Return the job that has just ended; the next one's time begins."""
        job = self.jobs.popleft()
        self.served += 1
        self._start_clock()
        return job

    def _start_clock(self) -> None:
        if self.jobs:
            wall = self.jobs[0].request.limits.hard_wall_s
            self.deadline = time.monotonic() + wall + GRACE_SECONDS
