"""`sandbox=debug`: candidates run in this very process, so that a debugger can stop in them.

Nothing is contained and nothing is limited: a candidate can read every file and every expected
value, and one that hangs hangs the run. Never use it on programs that nobody has read.
"""

from __future__ import annotations

import io
import json
import logging
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import redirect_stdout
from typing import Any, TypeVar

from axiom_rl.sandbox.base import Ending, IsolationLevel, Outcome, PoolReport, RunRequest
from axiom_rl.sandbox.child import runner
from axiom_rl.sandbox.wire import LENGTH

log = logging.getLogger(__name__)

T = TypeVar("T")


class InThisProcess:
    """Runs each request at once, where it is submitted."""

    def __init__(self) -> None:
        """Say aloud what this is."""
        log.warning(
            "sandbox=debug: candidates run INSIDE THIS PROCESS, without any isolation, time or "
            "memory limit; for a debugger only"
        )

    def submit(self, request: RunRequest, judge: Callable[[Outcome], T]) -> Future[T]:
        """Run the request and judge it before returning."""
        frames = bytearray()

        def write(frame: list[Any], _budget: int, is_last: bool) -> int:
            for each in (frame, ["end"]) if is_last else (frame,):
                body = json.dumps(each).encode()
                frames.extend(LENGTH.pack(len(body)) + body)
            return 0

        started, cpu = time.monotonic(), time.process_time()
        with redirect_stdout(io.StringIO()):
            budget = request.limits.result_bytes
            tests = request.tests
            receive = iter(tests).__next__
            runner.run(request.code, request.entry_point, len(tests), budget, receive, write)
        outcome = Outcome(
            Ending.EXITED,
            frames=bytes(frames),
            cpu_s=time.process_time() - cpu,
            wall_s=time.monotonic() - started,
        )
        future: Future[T] = Future()
        future.set_result(judge(outcome))
        return future

    def probe(self) -> Future[None]:
        """There is no server to probe."""
        future: Future[None] = Future()
        future.set_result(None)
        return future

    @property
    def report(self) -> PoolReport:
        """Level NONE."""
        return PoolReport(IsolationLevel.NONE)

    def close(self) -> None:
        """There is nothing to close."""
