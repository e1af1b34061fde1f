"""What every problem type promises, checked over the whole registry."""

from __future__ import annotations

import copy
import inspect
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
from harness import failure, is_right, judged_by_fresh, passes, programs_for, solutions_module

from axiom_rl.core.types import Problem
from axiom_rl.problems import make_problem, problem_types, with_fresh_tests
from axiom_rl.problems.generate import FRESH_TESTS, SPLITS, input_key, task_of
from axiom_rl.problems.registry import checker_for, get_type

TYPES = [name for family in ("basic", "easy", "hard") for name in problem_types()[family]]
MEMORISABLE = problem_types()["memorisable"]
LEVELS = range(1, 11)
QUICK, THOROUGH = 10, 200
"""Problems per type at the gate."""
LONGEST_FOR_BRUTE_FORCE = 60
"""Characters of an input's repr; a type's solutions module may say otherwise (BRUTE_SIZE)."""

every_type = pytest.mark.parametrize("name", TYPES)


def some_problems(name: str, count: int) -> Iterator[Problem]:
    """Problems of all levels and splits, every other one with fresh tests."""
    for index in range(count):
        problem = make_problem(
            name,
            difficulty=index % 10 + 1,
            split=SPLITS[index % 3],
            seed=index % 7,
            index=index,
        )
        yield judged_by_fresh(problem, seed=index) if index % 2 else problem


def check_gate(name: str, count: int) -> None:
    for problem in some_problems(name, count):
        programs = programs_for(problem, task_of(problem))
        assert len(programs.right) >= 3
        assert len(programs.wrong) >= 5
        for label, source in programs.right.items():
            assert failure(source, problem) is None, f"{problem.id}: right program {label!r}"
        for label, source in programs.wrong.items():
            assert not passes(source, problem), f"{problem.id}: wrong program {label!r} passes"


@every_type
def test_right_programs_pass_and_wrong_ones_fail(name: str) -> None:
    check_gate(name, QUICK)


@pytest.mark.slow
@every_type
def test_right_programs_pass_and_wrong_ones_fail_on_200_problems(name: str) -> None:
    check_gate(name, THOROUGH)


@every_type
def test_oracle_agrees_with_brute_force(name: str) -> None:
    module = solutions_module(name)
    longest = getattr(module, "BRUTE_SIZE", LONGEST_FOR_BRUTE_FORCE)
    compared = 0
    for problem in some_problems(name, QUICK):
        parameters = task_of(problem).parameters
        for test in (*problem.hidden_tests, *problem.public_tests):
            if len(repr(test.args)) <= longest:
                value = module.brute(*copy.deepcopy(test.args), **parameters)
                assert is_right(test, value, checker_for(problem.checker)), (
                    problem.id,
                    test,
                    value,
                )
                compared += 1
    assert compared >= 20


@every_type
def test_difficulty_rises(name: str) -> None:
    work = [
        statistics.median(
            oracle_work(make_problem(name, difficulty=level, seed=1, index=index))
            for index in range(1 if get_type(name).small_input_space else 5)
        )
        for level in (1, 4, 7, 10)
    ]
    assert work == sorted(set(work)), f"median work at levels 1, 4, 7, 10: {work}"


def oracle_work(problem: Problem) -> float:
    """Mean over the tests: lines that the oracle executes, and the size of its input."""
    parameters = task_of(problem).parameters
    oracle = inspect.unwrap(get_type(problem.type).oracle)  # without a cache
    lines = 0

    def count(_frame: Any, event: str, _argument: Any) -> Any:
        nonlocal lines
        lines += event == "line"
        return count

    previous = sys.gettrace()
    sys.settrace(count)
    try:
        for test in problem.hidden_tests:
            oracle(*test.args, **parameters)
    finally:
        sys.settrace(previous)
    size = sum(len(repr(test.args)) for test in problem.hidden_tests)
    return (lines + size) / len(problem.hidden_tests)


@every_type
def test_enough_tests_and_none_twice(name: str) -> None:
    least = {"basic": 20, "easy": 5, "hard": 4}[get_type(name).family]
    fresh_least = 4 if get_type(name).small_input_space else FRESH_TESTS
    for level in LEVELS:
        problem = make_problem(name, difficulty=level)
        fresh = judged_by_fresh(problem, seed=0)
        assert len(problem.public_tests) >= 1
        assert len(problem.hidden_tests) >= least
        assert len(fresh.hidden_tests) >= fresh_least
        for tests in (problem.hidden_tests, fresh.hidden_tests):
            assert len({input_key(test.args) for test in tests}) == len(tests)


@every_type
def test_public_examples_are_never_hidden_or_fresh(name: str) -> None:
    for problem in some_problems(name, QUICK):
        shown = {input_key(test.args) for test in problem.public_tests}
        for tests in (problem.hidden_tests, with_fresh_tests(problem, 5).fresh_tests):
            assert not shown & {input_key(test.args) for test in tests}, problem.id


@pytest.mark.parametrize("name", [*TYPES, *MEMORISABLE])
def test_splits_and_fresh_tests_share_no_input(name: str) -> None:
    if get_type(name).small_input_space:
        pytest.skip(get_type(name).small_input_space)
    used: dict[str, str] = {}
    for split, level, seed in product(SPLITS, (1, 5, 10), (1, 10**9 + 7)):
        for index in range(2):
            problem = make_problem(name, difficulty=level, split=split, seed=seed, index=index)
            for kind, shown in (
                ("hidden", problem),
                ("fresh", judged_by_fresh(problem, seed)),
            ):
                for key in drawn_inputs(shown):
                    purpose = f"{split} {kind}"
                    assert used.setdefault(key, purpose) == purpose, (problem.id, key)


def drawn_inputs(problem: Problem) -> set[str]:
    """Keys of the hidden tests that are not named edge cases of any task of the type."""
    task = task_of(problem)
    edges = {
        input_key(edge(task) if callable(edge) else edge)
        for edge in get_type(problem.type).edge_cases
    }
    return {input_key(test.args) for test in problem.hidden_tests} - edges


@every_type
def test_tasks_stay_in_their_split(name: str) -> None:
    home: dict[str, str] = {}
    varied = [n for n in (1, 3, 6, 10) if task_of(make_problem(name, difficulty=n)).identity]
    for level, split, index in product(varied, SPLITS, range(8)):
        problem = make_problem(name, difficulty=level, split=split, seed=index % 2, index=index)
        key = f"{level} {task_of(problem).identity}"
        assert home.setdefault(key, split) == split, problem.id


def test_easy_problems_really_differ() -> None:
    """Of 40 problems of a type and level, at least half have a task of their own."""
    for name, level in product(problem_types()["easy"], (2, 5, 9)):
        problems = [make_problem(name, difficulty=level, index=index) for index in range(40)]
        tasks = {(problem.statement, problem.entry_point) for problem in problems}
        assert len(tasks) >= 20, (name, level, len(tasks))


@every_type
def test_edge_cases_do_not_depend_on_chance(name: str) -> None:
    task = task_of(make_problem(name, difficulty=5))
    for edge in get_type(name).edge_cases:
        if callable(edge):
            assert edge(task) == edge(task)
            assert not any(
                a is b for a, b in zip(edge(task), edge(task), strict=True) if a == []
            ), "tests must not share mutable values"


@every_type
def test_oracle_leaves_its_arguments_alone(name: str) -> None:
    problem = make_problem(name, difficulty=6)
    parameters = task_of(problem).parameters
    for test in problem.hidden_tests:
        before = copy.deepcopy(test.args)
        get_type(name).oracle(*test.args, **parameters)
        assert test.args == before


GARBAGE = [None, True, 0, -1, 10**30, 1.5, float("nan"), "", "x", b"x", [], [[]], [0], [0, "a"]]
GARBAGE += [[None, None], [0, 10**9], (0, 1), {0, 1}, {}, {"a": 1}, [0.0, 1.0], [[1], [2]]]


@every_type
def test_checkers_survive_any_value(name: str) -> None:
    checker = get_type(name).checker
    if checker is None:
        return
    for test in make_problem(name, difficulty=2).hidden_tests:
        assert checker(test.args, test.expected, test.expected) is True
        for value in GARBAGE:
            assert checker(test.args, value, test.expected) in (True, False)


DIGEST = """
import hashlib
from axiom_rl.problems import make_problem, problem_types, with_fresh_tests
digest = hashlib.sha256()
for names in problem_types().values():
    for name in names:
        for level, split in ((1, "train"), (4, "val"), (8, "test")):
            problem = make_problem(name, difficulty=level, split=split, seed=3, index=2)
            digest.update(repr((problem, with_fresh_tests(problem, 1))).encode())
print(digest.hexdigest())
"""


def test_problems_are_the_same_in_every_process() -> None:
    digests = {
        subprocess.run(
            [sys.executable, "-c", DIGEST],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "424242")
    }
    assert len(digests) == 1


@pytest.mark.parametrize("name", MEMORISABLE)
def test_memorisable_problems_reward_a_constant_and_fresh_tests_tell(name: str) -> None:
    for level in (1, 5, 10):
        problem = make_problem(name, difficulty=level, index=level)
        (test,) = problem.hidden_tests
        constant = f"def {problem.entry_point}(*args):\n    return {test.expected!r}\n"
        assert passes(constant, problem)
        assert not passes(constant, judged_by_fresh(problem, seed=0))


def test_two_aggregates_are_told_apart() -> None:
    """`the sum minus the largest minus the smallest` would mean another number."""
    for index in range(30):
        problem = make_problem("list_aggregate", difficulty=10, index=index)
        assert ") minus (" in problem.statement, problem.statement
