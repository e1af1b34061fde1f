"""Programs judged while the sampler goes on."""

from __future__ import annotations

import time
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, replace
from itertools import takewhile

from axiom_rl.core.types import Completion, Problem, Verdict
from axiom_rl.problems import has_fresh_tests, with_fresh_tests
from axiom_rl.rollouts.records import Rollout
from axiom_rl.verify import Verifier, extract_code


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedBy:
    """A problem to sample: judged by its hidden tests, by its fresh ones if it has any, or both."""

    problem: Problem
    hidden: bool = True
    recheck: bool = False
    """Judge by the fresh tests only what passes the hidden ones: is a claimed pass a real one?"""


def task_for(problem: Problem, seed: int) -> JudgedBy:
    """Return how a problem is evaluated: by fresh tests, and hidden ones where it is trained on.

    A problem of a benchmark or of the user's own has no generator: its hidden tests are all it has.

    Args:
        problem: any problem of a split.
        seed: of the fresh tests.
    """
    if not has_fresh_tests(problem):
        return JudgedBy(problem=problem)
    return JudgedBy(problem=with_fresh_tests(problem, seed), hidden=problem.split == "train")


class JudgedLater:
    """Programs under verification while the sampler goes on; taken back in order of submission."""

    def __init__(self, verifier: Verifier) -> None:
        """Begin with nothing under verification."""
        self._verifier = verifier
        self._open: deque[_Open] = deque()
        self.waited = 0.0
        """Seconds that the caller was held up."""

    def submit(self, completion: Completion, task: JudgedBy) -> None:
        """Start to judge a completion by the tests that its task asks for."""
        started = time.monotonic()
        problem, text = task.problem, completion.text
        code = extract_code(text, problem.entry_point, shown=problem.statement)
        code = None if completion.stopped else code  # half a program is none
        hidden = self._verifier.submit((task.problem, code)) if task.hidden else None
        at_once = task.problem.fresh_tests and not task.recheck
        fresh = self._verifier.submit((task.problem, code), tests="fresh") if at_once else None
        self._open.append(_Open(completion, task, code, hidden, fresh))
        self.waited += time.monotonic() - started

    def ready(self) -> list[_Open]:
        """Return the oldest completions, up to the first that is still being judged."""
        return list(takewhile(_Open.done, self._open))

    def take(self, *, everything: bool = False, first: int | None = None) -> list[Rollout]:
        """Take out the ready rollouts, or wait for the `first` so many, or for all of them.

        Raises:
            SandboxUnavailableError: if the sandbox itself keeps failing.
        """
        started = time.monotonic()
        if first is not None:
            taken = list(self._open)[:first]
        else:
            taken = list(self._open) if everything else self.ready()
        rollouts = self._recheck([(item.task, item.result()) for item in taken])
        for _ in taken:
            self._open.popleft()
        self.waited += time.monotonic() - started
        return rollouts

    def _recheck(self, judged: list[tuple[JudgedBy, Rollout]]) -> list[Rollout]:
        """Judge the claimed passes of tasks that ask for it by their fresh tests."""
        futures: dict[int, Future[Verdict]] = {}
        for place, (task, item) in enumerate(judged):
            again = task.recheck and task.problem.fresh_tests
            if again and item.hidden and item.hidden.passed:
                futures[place] = self._verifier.submit((task.problem, item.code), tests="fresh")
        return [
            replace(item, fresh=futures[place].result()) if place in futures else item
            for place, (_, item) in enumerate(judged)
        ]


@dataclass(frozen=True, slots=True)
class _Open:
    completion: Completion
    task: JudgedBy
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
