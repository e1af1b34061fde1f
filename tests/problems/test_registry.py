"""The registry of problem types: lookup, near misses, and types of the user's own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random

import pytest

from axiom_rl.core.errors import AxiomError
from axiom_rl.core.types import Problem
from axiom_rl.problems import (
    ProblemType,
    Task,
    has_fresh_tests,
    make_problem,
    problem_types,
    register,
    registry,
    with_fresh_tests,
)
from axiom_rl.problems.base import fixed_task, levels


def numbers(rng: Random, task: Task) -> tuple[int]:
    return (rng.randint(0, task.level["largest"]),)


DOUBLE = ProblemType(
    name="double",
    family="mine",
    title="Double",
    difficulty="Larger numbers.",
    levels=levels(largest=tuple(1000 * level for level in range(1, 11)), time_limit_s=(0.5,) * 10),
    draw_task=fixed_task("Return twice n.", "double", "(n)"),
    oracle=lambda n: 2 * n,
    examples=((1,), (5,)),
    edge_cases=((0,),),
    inputs=(numbers,),
    tests=6,
)


@pytest.fixture
def own_type(monkeypatch: pytest.MonkeyPatch) -> Iterator[ProblemType]:
    monkeypatch.setattr(registry, "_TYPES", dict(registry._TYPES))
    yield register(DOUBLE)


def test_families() -> None:
    families = problem_types()
    assert list(families) == ["basic", "easy", "hard", "memorisable"]
    assert families["basic"] == [
        "two_sum",
        "fizzbuzz",
        "reverse_string",
        "is_palindrome",
        "max_subarray",
        "fibonacci",
        "binary_search",
        "valid_parentheses",
        "merge_sorted_arrays",
        "remove_duplicates",
    ]
    assert families["easy"] == [
        "arithmetic",
        "rpn",
        "parentheses",
        "list_sort",
        "list_filter",
        "list_aggregate",
    ]
    assert len(families["hard"]) == 10
    assert families["memorisable"] == [f"memorisable_{name}" for name in families["easy"]]


def test_basic_signatures() -> None:
    signatures = [make_problem(name, difficulty=1).signature for name in problem_types()["basic"]]
    assert signatures == [
        "(nums, target)",
        "(n)",
        "(s)",
        "(s)",
        "(nums)",
        "(n)",
        "(nums, target)",
        "(s)",
        "(a, b)",
        "(nums)",
    ]


def test_coordinates_are_in_the_problem() -> None:
    problem = make_problem("rpn", difficulty=3, split="val", seed=4, index=5)
    assert problem.id == "rpn/d3/val/s4/5"
    assert (problem.type, problem.difficulty, problem.split) == ("rpn", 3, "val")
    assert (problem.seed, problem.index) == (4, 5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"type_name": "two_sun", "difficulty": 1}, "two_sum"),
        ({"type_name": "rpn", "difficulty": 0}, "1 to 10"),
        ({"type_name": "rpn", "difficulty": 11}, "1 to 10"),
        ({"type_name": "rpn", "difficulty": 1, "split": "tests"}, "did you mean test"),
    ],
)
def test_wrong_coordinates_say_what_is_possible(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(AxiomError, match=message):
        make_problem(**arguments)  # type: ignore[arg-type]


def test_own_type_makes_problems_with_its_limits(own_type: ProblemType) -> None:
    problem = make_problem("double", difficulty=2)
    assert problem.time_limit_s == 0.5
    assert len(problem.hidden_tests) == 6
    assert all(test.expected == 2 * test.args[0] for test in problem.hidden_tests)
    assert problem_types()["mine"] == ["double"]
    assert len(with_fresh_tests(problem, 0).fresh_tests) == 20


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "two_sum"}, "already registered"),
        ({"name": "two sum"}, "identifier"),
        ({"levels": DOUBLE.levels[:3]}, "3 levels"),
        ({"inputs": ()}, "no inputs"),
    ],
)
def test_a_type_that_cannot_work_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(AxiomError, match=message):
        register(replace(DOUBLE, **change))


def test_columns_need_ten_values() -> None:
    with pytest.raises(ValueError, match="'length' has 2 values"):
        levels(length=(1, 2))


def test_a_type_without_enough_inputs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_TYPES", dict(registry._TYPES))
    register(replace(DOUBLE, name="narrow", levels=levels(largest=(3,) * 10)))
    with pytest.raises(AxiomError, match="narrow: no new train hidden input"):
        make_problem("narrow", difficulty=1)


def test_few_inputs_may_be_shared_where_the_type_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_TYPES", dict(registry._TYPES))
    narrow = replace(DOUBLE, name="narrow", levels=levels(largest=(3,) * 10))
    register(replace(narrow, small_input_space="There are four numbers."))
    problem = make_problem("narrow", difficulty=1)
    assert {test.args for test in problem.hidden_tests} == {(0,), (2,), (3,)}


def test_checkers() -> None:
    two_sum = registry.checker_for("two_sum")
    assert two_sum is not None
    args = ([3, 3, 4], 7)
    assert two_sum(args, [2, 0], [0, 2])
    assert two_sum(args, [1, 2], [0, 2])
    for wrong in ([0, 1], [2, 2], [0, -1], [0, 5], [0], (0, 2), [0.0, 2], "02", None):
        assert not two_sum(args, wrong, [0, 2])
    search = registry.checker_for("binary_search")
    assert search is not None
    assert search(([1, 2, 2, 2], 2), 3, 1)
    assert search(([1, 2], 3), -1, -1)
    for wrong in (0, -2, 4, None, 1.5):
        assert not search(([1, 2, 2, 2], 2), wrong, 1)
    assert not search(([1, 2], 3), None, -1)
    assert registry.checker_for(None) is None
    assert make_problem("fizzbuzz", difficulty=1).checker is None
    assert make_problem("two_sum", difficulty=1).checker == "two_sum"
    with pytest.raises(AxiomError, match=r"unknown checker 'two_sun'.*two_sum.*problems\.imports"):
        registry.checker_for("two_sun")
    with pytest.raises(AxiomError, match="'two_sum' is already registered"):
        registry.register_checker("two_sum", two_sum)


def test_fresh_tests_keep_the_task_and_depend_on_the_seed() -> None:
    problem = make_problem("list_filter", difficulty=5, index=3)
    first, second = with_fresh_tests(problem, 1), with_fresh_tests(problem, 2)
    assert first == with_fresh_tests(problem, 1) == with_fresh_tests(first, 1)
    assert first.fresh_tests != second.fresh_tests
    for fresh in (first, second):
        assert replace(fresh, fresh_tests=()) == problem


def test_problems_of_other_sources_and_versions_have_no_fresh_tests() -> None:
    problem = make_problem("two_sum", difficulty=1)
    foreign: Problem = replace(problem, type="humaneval")
    assert has_fresh_tests(problem)
    assert not has_fresh_tests(foreign)
    with pytest.raises(AxiomError, match="unknown problem type 'humaneval'"):
        with_fresh_tests(foreign, 0)
    with pytest.raises(AxiomError, match="another version"):
        with_fresh_tests(replace(problem, statement="Something else."), 0)
