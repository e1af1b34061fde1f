"""Programs in, verdicts out: the pool of servers, the problems' tests, the judge."""

from __future__ import annotations

import logging
import marshal
import sys
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, TypeVar

from tqdm import tqdm

from axiom_rl.config import SandboxConfig
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.types import Problem, Status, TestCase, Verdict
from axiom_rl.problems.registry import checker_for
from axiom_rl.sandbox.base import (
    IsolationLevel,
    Limits,
    Outcome,
    RunRequest,
    SandboxUnavailableError,
)
from axiom_rl.sandbox.kinds import open_sandbox
from axiom_rl.sandbox.pool import Canary
from axiom_rl.verify.judge import Standard, judge, standard_of
from axiom_rl.verify.outputs import Inputs, ProgramRun, Runnable, prepare_run, without_program

log = logging.getLogger(__name__)

Candidate = tuple[Problem, str | None]
"""A problem and the program meant to solve it; None where the completion held no program."""

Read = TypeVar("Read", Verdict, ProgramRun)
"""What becomes of an outcome."""

MAX_PENDING = 4096
"""Candidates submitted and not yet judged; `submit` waits for room beyond that."""
PREPARED_PROBLEMS = 1024
FAULT_WINDOW = 200
FAULTS_AT_LEAST = 3
FAULT_SHARE = 0.05
LOG_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class VerifierStats:
    """What a verifier has done so far."""

    verdicts: int = 0
    busy_s: float = 0.0
    """Seconds in which at least one candidate was waiting for its verdict."""
    candidate_cpu_s: float = 0.0
    faults: int = 0
    retries: int = 0
    restarts: int = 0
    """Servers replaced."""


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A problem's tests as requests need them; holds the problem, so that its id stays its own."""

    standard: Standard
    tests: tuple[bytes, ...]
    limits: Limits


class Verifier:
    """Judges programs by the hidden tests of their problems, in sandboxed processes.

    Safe to call from several threads. Use it as a context manager, or call `close`.
    """

    def __init__(self, config: SandboxConfig, *, without: Sequence[str] = ()) -> None:
        """Start the servers.

        Args:
            config: limits, number of servers, and the lowest isolation level accepted.
            without: layers to leave out, by name; for tests and the benchmark.

        Raises:
            SandboxUnavailableError: if the servers do not start, fail the canary, or do not reach
                the level that `sandbox.isolation` asks for.
        """
        self._config = config
        self._prepared: OrderedDict[int, _Prepared] = OrderedDict()
        self._lock = threading.Lock()
        self._room = threading.BoundedSemaphore(MAX_PENDING)
        self._recent_faults: deque[bool] = deque(maxlen=FAULT_WINDOW)
        self._stats = VerifierStats()
        self._pending = 0
        self._busy_since = 0.0
        self._pool = open_sandbox(config, self._canaries(), without)

    def __enter__(self) -> Verifier:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the servers; leaves no process, thread or descriptor behind."""
        self._pool.close()

    @property
    def level(self) -> IsolationLevel:
        """The isolation level reached."""
        return self._pool.report.level

    @property
    def layers(self) -> dict[str, str]:
        """Each isolation layer with `on`, or why it is off."""
        return dict(self._pool.report.layers)

    @property
    def stats(self) -> VerifierStats:
        """What has been done so far."""
        report = self._pool.report
        with self._lock:
            busy = time.monotonic() - self._busy_since if self._pending else 0.0
            return replace(
                self._stats,
                busy_s=self._stats.busy_s + busy,
                retries=report.retries,
                restarts=report.restarts,
            )

    def submit(self, candidate: Candidate) -> Future[Verdict]:
        """Queue one candidate; never waits, unless MAX_PENDING are waiting already.

        Raises:
            AxiomError: if the problem has no hidden tests.
            SandboxUnavailableError: if the sandbox has stopped working, or fails too often.
        """
        problem, code = candidate
        prepared = self._prepare(problem)
        self._raise_if_faulty()
        if code is None or not code.strip():
            return self._without_code(problem)
        request = RunRequest(code, problem.entry_point, prepared.tests, prepared.limits)
        return self._send(
            request, lambda outcome: judge(prepared.standard, prepared.limits, outcome)
        )

    def verify(
        self, candidates: Iterable[Candidate], *, progress: str | None = None
    ) -> list[Verdict]:
        """Return one verdict per candidate, in order; never raises for bad code.

        Args:
            candidates: problems and programs.
            progress: label of a progress bar (lines in the log where there is no terminal).

        Raises:
            AxiomError: if a problem has no hidden tests, before anything runs.
            SandboxUnavailableError: if the sandbox has stopped working, or fails too often.
        """
        batch = list(candidates)
        for problem, _code in batch:
            self._prepare(problem)
        probe = self._pool.probe()
        futures: list[Future[Verdict]] = []
        try:
            futures.extend(self.submit(candidate) for candidate in batch)
            verdicts = [future.result() for future in _shown(futures, progress)]
            probe.result()
        finally:
            for future in futures:
                future.cancel()
        self._raise_if_faulty()
        return verdicts

    def run(self, programs: Iterable[tuple[Runnable, str | None, Inputs]]) -> list[ProgramRun]:
        """Return what programs return on inputs, in order; there are no expected values.

        One request to the sandbox per program, with all its inputs.

        Args:
            programs: problem (its public side is enough), program and inputs.

        Raises:
            AxiomError: for a problem without inputs, or arguments that are not plain values.
            SandboxUnavailableError: if the sandbox has stopped working, or fails too often.
        """
        batch = [
            prepare_run(problem, code, inputs, self._config)
            if code is not None and code.strip()
            else without_program(inputs)
            for problem, code, inputs in programs
        ]
        self._raise_if_faulty()
        futures: dict[int, Future[ProgramRun]] = {}
        try:
            for place, each in enumerate(batch):
                if not isinstance(each, ProgramRun):
                    futures[place] = self._send(*each)
            runs = [
                each if isinstance(each, ProgramRun) else futures[place].result()
                for place, each in enumerate(batch)
            ]
        finally:
            for future in futures.values():
                future.cancel()
        self._raise_if_faulty()
        return runs

    def _send(self, request: RunRequest, read: Callable[[Outcome], Read]) -> Future[Read]:
        """Hand a request to the pool and count it; waits where MAX_PENDING are pending."""
        self._room.acquire()
        self._begin()
        try:
            future = self._pool.submit(request, read)
        except SandboxUnavailableError:
            self._end(None)
            raise
        future.add_done_callback(self._end)
        return future

    def _without_code(self, problem: Problem) -> Future[Verdict]:
        future: Future[Verdict] = Future()
        future.set_result(
            Verdict(
                status=Status.NO_CODE,
                passed=False,
                pass_fraction=0.0,
                total_tests=len(problem.hidden_tests),
                detail="the completion holds no program",
            )
        )
        return future

    def _begin(self) -> None:
        with self._lock:
            if self._pending == 0:
                self._busy_since = time.monotonic()
            self._pending += 1

    def _end(self, future: Future[Any] | None) -> None:
        """Count a candidate that is no longer waiting."""
        self._room.release()
        verdict: Verdict | ProgramRun | None = None
        if future is not None and not future.cancelled() and future.exception() is None:
            verdict = future.result()
        is_fault = verdict is not None and verdict.status is Status.SANDBOX_FAULT
        with self._lock:
            self._pending -= 1
            busy = time.monotonic() - self._busy_since if self._pending == 0 else 0.0
            if verdict is not None:
                self._recent_faults.append(is_fault)
            self._stats = replace(
                self._stats,
                busy_s=self._stats.busy_s + busy,
                verdicts=self._stats.verdicts + (verdict is not None),
                candidate_cpu_s=self._stats.candidate_cpu_s + (verdict.cpu_s if verdict else 0.0),
                faults=self._stats.faults + is_fault,
            )

    def _raise_if_faulty(self) -> None:
        with self._lock:
            faults, seen = sum(self._recent_faults), len(self._recent_faults)
        if faults >= FAULTS_AT_LEAST and faults > FAULT_SHARE * seen:
            raise SandboxUnavailableError(
                f"{faults} of the last {seen} verdicts are faults of the sandbox, not of the "
                "candidates: look for a full disk, too little memory or a limit on processes"
            )

    def _prepare(self, problem: Problem) -> _Prepared:
        """Return the problem's marshalled tests, kept for its next candidates.

        Raises:
            AxiomError: if it has no hidden tests, or arguments that are not plain values.
        """
        with self._lock:
            prepared = self._prepared.get(id(problem))
            if prepared is None or prepared.standard.problem is not problem:
                prepared = _prepare(problem, self._config)
                self._prepared[id(problem)] = prepared
                if len(self._prepared) > PREPARED_PROBLEMS:
                    self._prepared.popitem(last=False)
            return prepared

    def _canaries(self) -> tuple[Canary, ...]:
        """One right and one wrong program, judged by the same judge as every other."""
        test = TestCase(args=(20_000, [1, 2]), expected=(20_001, {"sum": 3}))
        problem = Problem(
            id="canary",
            type="canary",
            difficulty=1,
            split="train",
            title="canary",
            statement="",
            entry_point="f",
            public_tests=(),
            hidden_tests=(test, test),
        )
        prepared = _prepare(problem, self._config)
        limits = Limits(5.0, 256 << 20, 1 << 20, 1 << 20)

        def canary(code: str, status: Status) -> Canary:
            request = RunRequest(code, "f", prepared.tests, limits)
            return request, lambda outcome: _status(prepared, limits, outcome) is status

        right = 'def f(n, items):\n    return n + 1, {"sum": sum(items)}\n'
        wrong = 'def f(n, items):\n    return n, {"sum": sum(items)}\n'
        return canary(right, Status.ACCEPTED), canary(wrong, Status.WRONG_ANSWER)


def _status(prepared: _Prepared, limits: Limits, outcome: Outcome) -> Status:
    return judge(prepared.standard, limits, outcome).status


def _prepare(problem: Problem, config: SandboxConfig) -> _Prepared:
    if not problem.hidden_tests:
        raise AxiomError(f"problem {problem.id} has no hidden tests, so nothing could be judged")
    try:
        tests = tuple(marshal.dumps(test.args) for test in problem.hidden_tests)
        standard = standard_of(problem, checker_for(problem.type))
    except (ValueError, TypeError) as error:
        raise AxiomError(
            f"problem {problem.id}: arguments and expected values must be plain values "
            f"(None, bool, int, float, str, bytes, list, tuple, dict, set): {error}"
        ) from None
    cpu = config.time_limit_s if problem.time_limit_s is None else problem.time_limit_s
    memory = config.memory_mb if problem.memory_limit_mb is None else problem.memory_limit_mb
    limits = Limits(cpu, memory << 20, config.output_kb << 10, config.result_kb << 10)
    return _Prepared(standard, tests, limits)


def _shown(futures: list[Future[Verdict]], label: str | None) -> Iterable[Future[Verdict]]:
    """Pass the futures through, with a bar on a terminal or a line in the log now and then."""
    if label is None:
        wait(futures)  # once for all of them: to wake up for each costs more than to judge it
        yield from futures
        return
    if sys.stderr.isatty():
        yield from tqdm(futures, desc=label, unit="program")
        return
    said = time.monotonic()
    for done, future in enumerate(futures):
        if time.monotonic() - said > LOG_SECONDS:
            said = time.monotonic()
            log.info("%s: %d of %d programs", label, done, len(futures))
        yield future
