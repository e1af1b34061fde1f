"""A search knows a problem's public side and nothing else."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from axiom_rl.core.types import Problem, TestCase
from axiom_rl.problems import make_problem, problem_types
from axiom_rl.search import PublicProblem, public_side
from axiom_rl.search.inputs import input_text, mutated_inputs
from axiom_rl.search.public import as_problem
from axiom_rl.search.written import prompt

NONSENSE = (TestCase(args=("nonsense",), expected={"nonsense": None}),)
TYPES = [name for family in ("basic", "easy", "hard") for name in problem_types()[family]]


def nonsense(problem: Problem) -> Problem:
    """The same problem with nonsense in the place of all that is not public."""
    secret = {
        f.name: NONSENSE for f in fields(Problem) if f.name in ("hidden_tests", "fresh_tests")
    }
    return replace(problem, **secret)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", TYPES)
def test_nothing_but_the_public_side_reaches_a_search(name: str) -> None:
    problem = make_problem(name, difficulty=3, split="test", seed=0, index=1)
    public, blind = public_side(problem), public_side(nonsense(problem))
    assert public == blind
    assert mutated_inputs(public, 24, 0) == mutated_inputs(blind, 24, 0)
    assert prompt(public) == prompt(blind)
    assert as_problem(public).hidden_tests == problem.public_tests


def test_the_type_has_no_place_for_a_secret() -> None:
    names = {field.name for field in fields(PublicProblem)}
    assert not {name for name in names if "hidden" in name or "fresh" in name}
    assert not hasattr(
        public_side(make_problem("lcs", difficulty=1, split="test", seed=0, index=0)), "__dict__"
    )


@pytest.mark.parametrize("name", TYPES)
def test_inputs_are_different_new_and_enough(name: str) -> None:
    problem = public_side(make_problem(name, difficulty=3, split="test", seed=0, index=0))
    inputs = mutated_inputs(problem, 24, 0)
    texts = list(map(input_text, inputs))
    public = {input_text(test.args) for test in problem.public_tests}
    assert len(set(texts)) == len(texts) == 24
    assert not public & set(texts)
    assert texts == sorted(texts, key=len)
    kinds = {tuple(map(type, test.args)) for test in problem.public_tests}
    assert {tuple(map(type, args)) for args in inputs} == kinds
    assert mutated_inputs(problem, 24, 1) != inputs
    assert len(mutated_inputs(problem, 5, 0)) == 5 and mutated_inputs(problem, 0, 0) == ()


def shaped(*args: tuple[object, ...]) -> list[tuple[object, ...]]:
    tests = tuple(TestCase(args=each, expected=0) for each in args)
    problem = replace(
        public_side(make_problem("lcs", difficulty=1, split="test", seed=0, index=0)),
        public_tests=tests,
    )
    return list(mutated_inputs(problem, 48, 0))


def test_most_inputs_keep_what_all_examples_have_in_common() -> None:
    def most(kept: list[bool]) -> bool:
        return sum(kept) >= 0.7 * len(kept)

    ordered = shaped(([1, 3, 5], 5), ([2, 4, 6, 8], 3))
    assert most([args[0] == sorted(args[0]) for args in ordered])
    assert most([min([args[1], *args[0]]) >= 0 for args in ordered])
    columns = shaped(([2, 3, 4], [3, 4, 6]), ([5], [10]))
    assert most([len(args[0]) == len(args[1]) for args in columns])
    pairs = shaped(([[1, 3], [2, 6]],), ([[4, 5]],))
    assert most([all(len(pair) == 2 for pair in args[0]) for args in pairs])


def test_boundaries_are_among_the_inputs() -> None:
    lists = shaped(([4, -1, 7],), ([2, 2],))
    assert ([],) in lists and ([4],) in lists
    texts = shaped(("abc",), ("xy",))
    assert ("",) in texts and ("a",) in texts
    assert {(0,), (1,), (-1,)} <= set(shaped((5,), (-8,)))


@pytest.mark.parametrize("args", [(), ("a",), (None,), ({1: "x"},), ({3, 4},), (1.5, True, b"x")])
def test_any_plain_argument_is_taken(args: tuple[object, ...]) -> None:
    for inputs in shaped(args):
        assert len(inputs) == len(args)
