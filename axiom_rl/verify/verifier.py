"""Programs in, verdicts out: the pool of servers, the problems' tests, the judge."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from tqdm import tqdm

from axiom_rl.config import SandboxConfig
from axiom_rl.core.types import Problem, Status, Verdict
from axiom_rl.problems.sources.assertions import ENTRY, TestCode
from axiom_rl.sandbox.base import IsolationLevel, Outcome, SandboxUnavailableError
from axiom_rl.sandbox.kinds import open_sandbox
from axiom_rl.verify.judge import judge
from axiom_rl.verify.outputs import Inputs, ProgramRun, Runnable, prepare_run, without_program
from axiom_rl.verify.prepare import Prepared, Tests, canaries, prepare

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
    second_judgements: int = 0
    """Programs run once more, alone, since a busy machine may have been to blame."""


class Verifier:
    """Judges programs by tests of their problems, in sandboxed processes.

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
        self._prepared: OrderedDict[tuple[int, Tests], Prepared] = OrderedDict()
        self._lock = threading.Lock()
        self._room = threading.BoundedSemaphore(MAX_PENDING)
        self._recent_faults: deque[bool] = deque(maxlen=FAULT_WINDOW)
        self._stats = VerifierStats()
        self._pending = 0
        self._busy_since = 0.0
        self._test_code = TestCode()
        self._deciding = ThreadPoolExecutor(1, "test-code")
        """Where test code of benchmarks decides: the pool's thread must not wait for it."""
        self._pool = open_sandbox(config, canaries(config, self._test_code), without)

    def __enter__(self) -> Verifier:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the servers; leaves no process, thread or descriptor behind."""
        self._pool.close()
        self._deciding.shutdown(wait=False, cancel_futures=True)
        self._test_code.close()
        self._deciding.shutdown()

    @property
    def config(self) -> SandboxConfig:
        """Limits of programs whose problems have none of their own, among others."""
        return self._config

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
                second_judgements=report.second_judgements,
            )

    def submit(self, candidate: Candidate, *, tests: Tests = "hidden") -> Future[Verdict]:
        """Queue one candidate; never waits, unless MAX_PENDING are waiting already.

        Raises:
            AxiomError: if the problem has no such tests, or a checker that is not registered.
            SandboxUnavailableError: if the sandbox has stopped working, or fails too often.
        """
        problem, code = candidate
        prepared = self._prepare(problem, tests)
        self._raise_if_faulty()
        if code is None or not code.strip():
            return self._without_code(len(prepared.tests))
        return self._counted(lambda: self._judged(prepared, code))

    def _judged(self, prepared: Prepared, code: str) -> Future[Verdict]:
        """Run a program and judge the outcome, test code on a thread of its own."""
        standard, limits = prepared.standard, prepared.limits
        if standard.decide is None:
            return self._pool.submit(
                prepared.request(code), lambda outcome: judge(standard, limits, outcome)
            )
        judged: Future[Verdict] = Future()

        def decide(run: Future[Outcome]) -> None:
            if not judged.set_running_or_notify_cancel():
                return
            try:
                verdict = judge(standard, limits, run.result())
                named = verdict.detail.replace(ENTRY, standard.problem.entry_point)
                judged.set_result(replace(verdict, detail=named))
            except BaseException as error:  # noqa: BLE001 (it belongs to the future)
                judged.set_exception(error)

        run = self._pool.submit(prepared.request(code), lambda outcome: outcome)
        run.add_done_callback(lambda done: self._decide_later(decide, done, judged))
        return judged

    def _decide_later(
        self,
        decide: Callable[[Future[Outcome]], None],
        run: Future[Outcome],
        judged: Future[Verdict],
    ) -> None:
        def closed(task: Future[None] | None = None) -> None:
            if (task is None or task.cancelled()) and judged.set_running_or_notify_cancel():
                judged.set_exception(SandboxUnavailableError("the verifier was closed meanwhile"))

        try:
            self._deciding.submit(decide, run).add_done_callback(closed)
        except RuntimeError:  # it takes no more
            closed()

    def verify(
        self,
        candidates: Iterable[Candidate],
        *,
        progress: str | None = None,
        tests: Tests = "hidden",
    ) -> list[Verdict]:
        """Return one verdict per candidate, in order; never raises for bad code.

        Args:
            candidates: problems and programs.
            progress: label of a progress bar (lines in the log where there is no terminal).
            tests: which of the problems' tests judge: hidden, fresh or public.

        Raises:
            AxiomError: if a problem has no such tests, or a checker that is not registered, before
                anything runs.
            SandboxUnavailableError: if the sandbox has stopped working, or fails too often.
        """
        batch = list(candidates)
        for problem, _code in batch:
            self._prepare(problem, tests)
        probe = self._pool.probe()
        futures: list[Future[Verdict]] = []
        try:
            futures.extend(self.submit(candidate, tests=tests) for candidate in batch)
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
                    futures[place] = self._counted(partial(self._pool.submit, *each))
            runs = [
                each if isinstance(each, ProgramRun) else futures[place].result()
                for place, each in enumerate(batch)
            ]
        finally:
            for future in futures.values():
                future.cancel()
        self._raise_if_faulty()
        return runs

    def _counted(self, send: Callable[[], Future[Read]]) -> Future[Read]:
        """Hand a request to the pool and count it; waits where MAX_PENDING are pending."""
        self._room.acquire()
        self._begin()
        try:
            future = send()
        except SandboxUnavailableError:
            self._end(None)
            raise
        future.add_done_callback(self._end)
        return future

    def _without_code(self, total_tests: int) -> Future[Verdict]:
        future: Future[Verdict] = Future()
        future.set_result(
            Verdict(
                status=Status.NO_CODE,
                passed=False,
                pass_fraction=0.0,
                total_tests=total_tests,
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

    def _prepare(self, problem: Problem, tests: Tests) -> Prepared:
        """Return the problem's marshalled tests, kept for its next candidates.

        Raises:
            AxiomError: if it has no such tests, arguments that are not plain values, or a checker
                that is not registered.
        """
        key = id(problem), tests
        with self._lock:
            prepared = self._prepared.get(key)
            if prepared is None or prepared.problem is not problem:
                prepared = prepare(problem, self._config, tests, self._test_code)
                self._prepared[key] = prepared
                if len(self._prepared) > PREPARED_PROBLEMS:
                    self._prepared.popitem(last=False)
            return prepared


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
