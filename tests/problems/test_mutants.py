"""Hidden tests kill small mistakes: mutants of the right programs die at 95 % or better."""

from __future__ import annotations

import copy
import re
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from harness import compiled, is_right, passes, programs_for, time_limit
from mutate import mutants

from axiom_rl.core.types import Problem, TestCase
from axiom_rl.problems import make_problem, problem_types
from axiom_rl.problems.generate import task_of
from axiom_rl.problems.registry import checker_for, get_type

TYPES = [name for family in ("basic", "easy", "hard") for name in problem_types()[family]]
AT_MOST = 80
"""Mutants per type and level, spread over all right programs."""
SECONDS = 0.5
INPUTS = 10_000
"""A mutant that gives the right value on so many is no mistake."""
INPUTS_AT_LEAST = 300
CPU_SECONDS_FOR_INPUTS = 3.0


def spread(programs: list[str]) -> list[str]:
    step = max(1, len(programs) // AT_MOST)
    return programs[::step][:AT_MOST]


@pytest.mark.slow
@pytest.mark.parametrize("name", TYPES)
def test_mutants_die(name: str) -> None:
    killed, survivors = 0, []
    for level in (1, 5):
        problem = make_problem(name, difficulty=level, index=level)
        right = programs_for(problem, task_of(problem)).right.values()
        candidates = sorted({text for source in right for text in mutants(source)})
        for mutant in spread(candidates):
            if not passes(mutant, problem, SECONDS):
                killed += 1
            elif not is_equivalent(mutant, problem):
                survivors.append(mutant)
    assert killed >= 10
    share = killed / (killed + len(survivors))
    assert share >= 0.95, f"{share:.1%} of {killed + len(survivors)}:\n" + "\n\n".join(survivors)


def is_equivalent(mutant: str, problem: Problem) -> bool:
    """Whether the mutant is right on inputs of all kinds, wherever they belong."""
    task, problem_type = task_of(problem), get_type(problem.type)
    namespace: dict[str, Any] = {"__name__": "candidate"}
    exec(compiled(mutant), namespace)
    rng, checker = Random(0), checker_for(problem.checker)
    try:
        with time_limit(CPU_SECONDS_FOR_INPUTS):
            for index in range(INPUTS):
                args = problem_type.inputs[index % len(problem_type.inputs)](rng, task)
                expected = problem_type.oracle(*args, **task.parameters)
                value = namespace[problem.entry_point](*copy.deepcopy(args))
                if not is_right(TestCase(args=args, expected=expected), value, checker):
                    return False
    except TimeoutError:
        assert index >= INPUTS_AT_LEAST, "too slow to tell"
    except Exception:  # noqa: BLE001 - whatever a mutant raises
        return False
    return True


def test_mutants_differ_in_one_place() -> None:
    source = "def f(x):\n    if x < 3 and not x == 0:\n        return x + 1\n    return True"
    found = list(mutants(source))
    assert len(found) == len(set(found)) >= 10
    assert source not in found
    assert any(re.search(r"x <= 3", mutant) for mutant in found)
    assert any("return x - 1" in mutant for mutant in found)


def test_the_check_for_equivalence_tells_mistakes_from_none() -> None:
    problem = make_problem("max_subarray", difficulty=1)
    same = (
        "def max_subarray(xs):\n    n = len(xs)\n"
        "    return max(sum(xs[i:j]) for i in range(n) for j in range(i + 1, n + 1))"
    )
    other = same.replace("n + 1", "max(n, i + 2)")
    assert is_equivalent(same, replace(problem, index=0))
    assert not is_equivalent(other, problem)
