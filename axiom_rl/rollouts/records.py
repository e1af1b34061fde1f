"""Completions with their verdicts: drawn, judged, and written as they come.

Programs are judged while the sampler goes on. A judged sample found on disk is never drawn or
judged again, so an interrupted phase goes on where it stopped.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Any

from axiom_rl.core.files import append_jsonl, read_jsonl
from axiom_rl.core.types import Completion, Problem, Status, Verdict
from axiom_rl.problems import has_fresh_tests, with_fresh_tests
from axiom_rl.problems.prompts import render
from axiom_rl.sampling import Sampler, SampleRequest
from axiom_rl.verify import Verifier, extract_code

SCHEMA = 1
LOGPROB_DIGITS = 6
"""After the point; the batch decides about later ones."""
WRITTEN_TOGETHER = 8
"""Judged completions written in one go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A problem to sample: judged by its hidden tests, by fresh tests, or by both."""

    problem: Problem
    fresh: Problem | None = None
    """The same problem with fresh tests in the place of its hidden ones."""
    hidden: bool = True
    recheck: bool = False
    """Judge by the fresh tests only what passes the hidden ones: is a claimed pass a real one?"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """One completion, the program in it, and what became of that."""

    completion: Completion
    code: str | None
    hidden: Verdict | None
    fresh: Verdict | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """Rollouts, and what those cost that were drawn just now rather than found on disk."""

    rollouts: tuple[Rollout, ...]
    seconds: float = 0.0
    tokens: int = 0
    verify_seconds: float = 0.0
    """Seconds in which sampling stood still for the verifier; it works beside it otherwise."""
    verify_cpu_seconds: float = 0.0
    """CPU time of the programs judged."""

    @property
    def passed(self) -> int:
        """Samples that passed all hidden tests, duplicates included."""
        return sum(bool(item.hidden and item.hidden.passed) for item in self.rollouts)

    def __add__(self, other: Drawn) -> Drawn:
        return Drawn(
            rollouts=self.rollouts + other.rollouts,
            seconds=self.seconds + other.seconds,
            tokens=self.tokens + other.tokens,
            verify_seconds=self.verify_seconds + other.verify_seconds,
            verify_cpu_seconds=self.verify_cpu_seconds + other.verify_cpu_seconds,
        )


def task_for(problem: Problem, seed: int) -> Task:
    """Return how a problem is evaluated: by fresh tests, and hidden ones where it is trained on.

    A problem of a benchmark or of the user's own has no generator: its hidden tests are all it has.

    Args:
        problem: any problem of a split.
        seed: of the fresh tests.
    """
    if not has_fresh_tests(problem):
        return Task(problem=problem)
    return Task(
        problem=problem, fresh=with_fresh_tests(problem, seed), hidden=problem.split == "train"
    )


def draw_rollouts(
    path: Path,
    tasks: Sequence[Task],
    samples: range,
    *,
    sampler: Callable[[], Sampler],
    verifier: Verifier,
    style: str,
    stream: str,
    iteration: int,
    temperature: float | None = None,
) -> Drawn:
    """Draw and judge the samples that `path` does not hold yet; return those of the whole file.

    Args:
        path: completions/<phase>.jsonl.
        tasks: problems and how to judge them.
        samples: indices of the samples of each problem.
        sampler: called only if something is left to draw.
        verifier: judges the programs.
        style: prompt style.
        stream: name of the random streams, see `SampleRequest.stream`.
        iteration: written into each row.
        temperature: in the place of sampler.temperature.
    """
    by_id = {task.problem.id: task for task in tasks}
    done = read_rollouts(path)
    have = {(item.completion.problem_id, item.completion.sample) for item in done}
    requests = [
        SampleRequest(
            problem_id=task.problem.id,
            messages=tuple(render(task.problem, style)),
            samples=tuple(s for s in samples if (task.problem.id, s) not in have),
            stream=stream,
        )
        for task in tasks
    ]
    requests = [request for request in requests if request.samples]
    started, new = time.monotonic(), list[Rollout]()
    cpu_before = verifier.stats.candidate_cpu_s
    judging = Judging(by_id, verifier)
    if requests:
        try:
            for completion in sampler().sample(requests, temperature=temperature):
                judging.submit(completion)
                if len(judging.ready()) >= WRITTEN_TOGETHER:
                    new += _write(path, judging.take(), iteration)
            new += _write(path, judging.take(everything=True), iteration)
        except KeyboardInterrupt:  # what is judged already need not be drawn again
            _write(path, judging.take(), iteration)
            raise
    return Drawn(
        rollouts=tuple(sorted([*done, *new], key=_order(by_id))),
        seconds=time.monotonic() - started,
        verify_seconds=judging.waited,
        verify_cpu_seconds=verifier.stats.candidate_cpu_s - cpu_before,
        tokens=sum(item.completion.completion_tokens for item in new),
    )


class Judging:
    """Programs under verification while the sampler goes on; taken back in order of submission."""

    def __init__(self, tasks: Mapping[str, Task], verifier: Verifier) -> None:
        """Judge completions of `tasks`, by problem id."""
        self._tasks = tasks
        self._verifier = verifier
        self._open: deque[_Open] = deque()
        self.waited = 0.0
        """Seconds that the caller was held up."""

    def submit(self, completion: Completion) -> None:
        """Start to judge a completion by the tests that its task asks for."""
        started = time.monotonic()
        task = self._tasks[completion.problem_id]
        code = extract_code(completion.text, task.problem.entry_point, shown=task.problem.statement)
        hidden = self._verifier.submit((task.problem, code)) if task.hidden else None
        at_once = task.fresh if not task.recheck else None
        fresh = self._verifier.submit((at_once, code)) if at_once else None
        self._open.append(_Open(completion, code, hidden, fresh))
        self.waited += time.monotonic() - started

    def ready(self) -> list[_Open]:
        """Return the oldest completions, up to the first that is still being judged."""
        return list(takewhile(_Open.done, self._open))

    def take(self, *, everything: bool = False) -> list[Rollout]:
        """Take out the ready rollouts, or wait for all of them.

        Raises:
            SandboxUnavailableError: if the sandbox itself keeps failing.
        """
        started = time.monotonic()
        taken = list(self._open) if everything else self.ready()
        rollouts = self._recheck([item.result() for item in taken])
        for _ in taken:
            self._open.popleft()
        self.waited += time.monotonic() - started
        return rollouts

    def _recheck(self, rollouts: list[Rollout]) -> list[Rollout]:
        """Judge the claimed passes of tasks that ask for it by their fresh tests."""
        futures: dict[int, Future[Verdict]] = {}
        for place, item in enumerate(rollouts):
            task = self._tasks[item.completion.problem_id]
            if task.recheck and task.fresh and item.hidden and item.hidden.passed:
                futures[place] = self._verifier.submit((task.fresh, item.code))
        return [
            replace(item, fresh=futures[place].result()) if place in futures else item
            for place, item in enumerate(rollouts)
        ]


@dataclass(frozen=True, slots=True)
class _Open:
    completion: Completion
    code: str | None
    hidden: Future[Verdict] | None
    fresh: Future[Verdict] | None

    def done(self) -> bool:
        return all(future.done() for future in (self.hidden, self.fresh) if future)

    def result(self) -> Rollout:
        return Rollout(
            completion=self.completion,
            code=self.code,
            hidden=self.hidden.result() if self.hidden else None,
            fresh=self.fresh.result() if self.fresh else None,
        )


def read_rollouts(path: Path) -> list[Rollout]:
    """Read a completions file; empty if there is none. Verdicts come back without their cases."""
    if not path.exists():
        return []
    return [_rollout(row) for row in read_jsonl(path)]


def _write(path: Path, rollouts: list[Rollout], iteration: int) -> list[Rollout]:
    append_jsonl(path, (rollout_row(item, path.stem, iteration) for item in rollouts))
    return rollouts


def _order(tasks: Mapping[str, Task]) -> Callable[[Rollout], tuple[int, int]]:
    """Order by problem and sample: what follows must not depend on which sample finished first."""
    place = {problem_id: index for index, problem_id in enumerate(tasks)}
    return lambda item: (
        place.get(item.completion.problem_id, len(place)),
        item.completion.sample,
    )


def rollout_row(item: Rollout, phase: str, iteration: int) -> dict[str, Any]:
    """Return a rollout as a row of completions/*.jsonl."""
    return {
        "schema": SCHEMA,
        "problem_id": item.completion.problem_id,
        "sample": item.completion.sample,
        "iteration": iteration,
        "phase": phase,
        "text": item.completion.text,
        "code": item.code,
        "truncated": item.completion.truncated,
        "prompt_tokens": item.completion.prompt_tokens,
        "completion_tokens": item.completion.completion_tokens,
        "token_ids": list(item.completion.token_ids),
        "logprobs": [round(logprob, LOGPROB_DIGITS) for logprob in item.completion.logprobs],
        "hidden": _verdict_row(item.hidden),
        "fresh": _verdict_row(item.fresh),
    }


def _verdict_row(verdict: Verdict | None) -> dict[str, Any] | None:
    if verdict is None:
        return None
    return {
        "status": str(verdict.status),
        "passed": verdict.passed,
        "passed_tests": verdict.passed_tests,
        "total_tests": verdict.total_tests,
        "pass_fraction": verdict.pass_fraction,
        "failed_test": next((case.index for case in verdict.cases if not case.passed), None),
        "detail": verdict.detail,
    }


def _rollout(row: Mapping[str, Any]) -> Rollout:
    return Rollout(
        completion=Completion(
            problem_id=row["problem_id"],
            sample=row["sample"],
            text=row["text"],
            prompt_tokens=row["prompt_tokens"],
            completion_tokens=row["completion_tokens"],
            truncated=row["truncated"],
            token_ids=tuple(row.get("token_ids", ())),  # rows of older versions have neither
            logprobs=tuple(row.get("logprobs", ())),
        ),
        code=row["code"],
        hidden=_verdict(row["hidden"]),
        fresh=_verdict(row["fresh"]),
    )


def _verdict(row: Mapping[str, Any] | None) -> Verdict | None:
    if row is None:
        return None
    return Verdict(
        status=Status(row["status"]),
        passed=row["passed"],
        pass_fraction=row["pass_fraction"],
        total_tests=row["total_tests"],
        detail=row["detail"],
    )
