"""Which outcomes are judged at once, which on another thread, and which after a second run."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from axiom_rl.sandbox.base import Ending, Outcome, SandboxUnavailableError
from axiom_rl.sandbox.slot import Assignment

HEAVY_BYTES = 1 << 16
"""Of a record, from which on it is judged on a thread of its own."""
MOST_HEAVY = 8
"""Records that wait to be judged there; meanwhile no new program starts."""
DRAIN_SECONDS = 5.0
"""How long a second judgement waits for the queue to become empty, before it goes first."""


class Judging:
    """Has outcomes judged; a large one elsewhere, so that no other verdict waits for it."""

    def __init__(self, ring: Callable[[], None]) -> None:
        """`ring` is called whenever a large one is done."""
        self._ring = ring
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sandbox-judge")
        self._lock = threading.Lock()
        self._heavy = 0
        self._closing = False

    @property
    def is_full(self) -> bool:
        """Whether so many large records wait that no program should add to them."""
        return self._heavy >= MOST_HEAVY

    def finish(self, job: Assignment, outcome: Outcome) -> None:
        """Judge the outcome, or have it judged, and hand the judgement on."""
        if len(outcome.frames) < HEAVY_BYTES:
            job.finish(outcome)
            return
        with self._lock:
            self._heavy += 1
        self._thread.submit(self._finish, job, outcome)

    def _finish(self, job: Assignment, outcome: Outcome) -> None:
        if self._closing:
            job.future.set_exception(SandboxUnavailableError("the sandbox was closed meanwhile"))
        else:
            job.finish(outcome)
        with self._lock:
            self._heavy -= 1
        self._ring()

    def close(self) -> None:
        """Wait for the record that is being judged; the others fail: the sandbox is closed."""
        self._closing = True
        self._thread.shutdown()


class SecondRuns:
    """Programs to be run once more, alone, since a busy machine may have ended the first run."""

    def __init__(self) -> None:
        self.jobs: deque[Assignment] = deque()
        self.started = 0
        self._since = 0.0

    def take(self, job: Assignment, outcome: Outcome) -> bool:
        """Keep the job if it must run again, which it may once; False if it is done."""
        if job.is_alone or not outcome.was_crowded:
            return False
        is_close = outcome.ending is not Ending.CPU_LIMIT
        is_close &= outcome.cpu_s > job.request.limits.cpu_s
        if outcome.ending is not Ending.WALL_LIMIT and not is_close:
            return False
        job.is_alone = True
        if not self.jobs:
            self._since = time.monotonic()
        self.jobs.append(job)
        return True

    def is_due(self, others_wait: bool) -> bool:
        """Whether the next one's turn has come: when nothing else waits, or after a while."""
        waited = time.monotonic() - self._since
        return bool(self.jobs) and (not others_wait or waited > DRAIN_SECONDS)

    def next(self) -> Assignment:
        """Return the next one, to be started now."""
        self.started += 1
        self._since = time.monotonic()
        return self.jobs.popleft()
