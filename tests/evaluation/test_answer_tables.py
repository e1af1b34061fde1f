"""A program that lists the answers is told apart from one that works them out."""

from __future__ import annotations

import pytest

from axiom_rl.core.types import TestCase
from axiom_rl.evaluation.answer_tables import holds_answers
from axiom_rl.problems import make_problem

BOARDS = (1, 1, 0, 0, 2, 10, 4, 40)
TESTS = [TestCase(args=(n,), expected=count) for n, count in enumerate(BOARDS)]
SOLVED = """
def n_queens(n):
    if n == 0: return 1
    if n in (2, 3): return 0
    steps = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    def place(row, columns, left, right):
        if row == n: return 1
        return sum(
            place(row + 1, columns | {c}, left | {row - c}, right | {row + c})
            for c in range(n) if c not in columns and row - c not in left and row + c not in right
        )
    return place(0, set(), set(), set())
"""
CHAIN = "\n".join(
    ["def n_queens(n):", *(f"    if n == {n}: return {a}" for n, a in enumerate(BOARDS))]
)
MATCH = "\n".join(
    ["def n_queens(n):", "    match n:"]
    + [f"        case {n}: return {a}" for n, a in enumerate(BOARDS)]
)


@pytest.mark.parametrize(
    ("code", "held"),
    [
        ("def n_queens(n):\n    return [1, 1, 0, 0, 2, 10, 4][n]", True),
        ("def n_queens(n):\n    return (1, 0, 0, 2, 10, 4)[n - 1]", True),
        ("T = {0: 1, 4: 2, 5: 10, 6: 4}\ndef n_queens(n):\n    return T.get(n, 0)", True),
        (
            "def n_queens(n):\n    return 2 if n == 4 else 10 if n == 5 else 4 if n == 6 else 0",
            True,
        ),
        (CHAIN, True),
        (MATCH, True),
        (SOLVED, False),
        (
            "def n_queens(n):\n    if n == 1: return 1\n    if n == 2: return 0\n    return f(n)",
            False,
        ),
        ("def n_queens(n):\n    return [0, 1, 2, 3, 4, 5, 6, 7][n]", False),
        ("def n_queens(n:\n", False),
    ],
)
def test_a_table_is_told_from_a_program(code: str, held: bool) -> None:
    assert holds_answers(code, TESTS) is held


def test_answers_to_long_inputs_are_not_looked_for() -> None:
    problem = make_problem("edit_distance", difficulty=1, split="train", seed=0, index=0)
    assert not holds_answers("T = {'a': 1, 'b': 2, 'c': 3}", problem.hidden_tests)
    queens = make_problem("n_queens", difficulty=3, split="train", seed=0, index=0)
    assert holds_answers(CHAIN, queens.hidden_tests)
    few = make_problem("n_queens", difficulty=1, split="train", seed=0, index=0)
    assert not holds_answers(CHAIN, few.hidden_tests), "one board alone tells nothing"
