"""Runs trusted programs against problems in this process: hundreds of times faster than a sandbox.

Right and wrong programs of a type live in `solutions/<type>.py`: dicts RIGHT and WRONG from name
to source, or functions `right(task)` and `wrong(task)` that return them where programs depend on
the task's parameters; and `brute(*args, **parameters)`, an independent solution for small inputs.
The function in a source is called `solve` or by the type's own name; it is renamed to the
problem's entry point. `WRONG_FROM` may name the level from which a wrong program is caught.
"""

from __future__ import annotations

import copy
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from axiom_rl.core.types import Problem, TestCase
from axiom_rl.problems import Task, with_fresh_tests
from axiom_rl.problems.registry import checker_for
from axiom_rl.verify.compare import values_match

SECONDS = 5.0
"""CPU time of one program on all tests of one problem; wrong programs may loop."""


@dataclass(frozen=True)
class Programs:
    right: dict[str, str]
    wrong: dict[str, str]


def solutions_module(type_name: str) -> Any:
    folder = str(Path(__file__).parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    return import_module(f"solutions.{type_name}")


def programs_for(problem: Problem, task: Task) -> Programs:
    """The type's programs for this problem, renamed to its entry point."""
    module = solutions_module(problem.type)
    right = module.right(task) if hasattr(module, "right") else module.RIGHT
    wrong = module.wrong(task) if hasattr(module, "wrong") else module.WRONG
    first_levels = getattr(module, "WRONG_FROM", {})
    caught = {
        name: source
        for name, source in wrong.items()
        if problem.difficulty >= first_levels.get(name, 1)
    }
    return Programs(
        {name: rename(source, problem) for name, source in right.items()},
        {name: rename(source, problem) for name, source in caught.items()},
    )


def rename(source: str, problem: Problem) -> str:
    return re.sub(rf"\b(solve|{problem.type})\b", problem.entry_point, source)


def judged_by_fresh(problem: Problem, seed: int) -> Problem:
    """The same problem with fresh tests as its hidden ones."""
    return replace(problem, hidden_tests=with_fresh_tests(problem, seed).fresh_tests)


def passes(source: str, problem: Problem, seconds: float = SECONDS) -> bool:
    """Whether the program returns the right value on all hidden tests; never raises."""
    return failure(source, problem, seconds) is None


def failure(source: str, problem: Problem, seconds: float = SECONDS) -> str | None:
    """The first hidden test that the program fails, in words."""
    checker = checker_for(problem.checker)
    namespace: dict[str, Any] = {"__name__": "candidate"}
    with time_limit(seconds):
        try:
            exec(compiled(source), namespace)
        except Exception as error:  # noqa: BLE001 - whatever a candidate raises
            return f"does not load: {error!r}"
        for test in problem.hidden_tests:
            try:
                value = namespace[problem.entry_point](*copy.deepcopy(test.args))
            except Exception as error:  # noqa: BLE001 - whatever a candidate raises
                return f"{test.args} raised {error!r}"
            if not is_right(test, value, checker):
                return f"{test.args} gave {value!r}, not {test.expected!r}"
    return None


def is_right(test: TestCase, value: Any, checker: Any) -> bool:
    if checker is not None:
        return bool(checker(test.args, value, test.expected))
    return values_match(value, test.expected)


@lru_cache(maxsize=4096)
def compiled(source: str) -> CodeType:
    return compile(source, "<candidate>", "exec")


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    def stop(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError(f"more than {seconds} s")

    previous = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, previous)
