"""What the levels of the hard family promise: conventions, sizes, and who is too slow for them.

That right programs pass and wrong ones fail is the contract test's business.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from harness import judged_by_fresh

from axiom_rl.core.types import Problem
from axiom_rl.problems import make_problem, problem_types
from axiom_rl.problems.prompts import render
from axiom_rl.problems.registry import get_type

HARD = problem_types()["hard"]
LEVELS = range(1, 11)

TOO_MANY_CALLS = 10**8
"""A call takes Python at least 50 ns, so this many take 5 s and more."""
FEW_CALLS = 2 * 10**6
"""Of all tests of a problem together: below a second."""


@pytest.mark.parametrize(
    ("name", "args", "expected"),
    [
        ("lcs", ("abcbdab", "bdcaba"), 4),
        ("lcs", ("", ""), 0),
        ("edit_distance", ("kitten", "sitting"), 3),
        ("edit_distance", ("intention", "execution"), 5),
        ("edit_distance", ("ab", "ba"), 2),
        ("knapsack", ([10, 20, 30], [60, 100, 120], 50), 220),
        ("knapsack", ([1], [5], 3), 5),
        ("knapsack", ([], [], 0), 0),
        ("lis", ([10, 9, 2, 5, 3, 7, 101, 18],), 4),
        ("lis", ([2, 2, 2],), 1),
        ("lis", ([],), 0),
        ("coin_change", ([1, 2, 5], 11), 3),
        ("coin_change", ([2], 3), -1),
        ("coin_change", ([7], 0), 0),
        ("word_break", ("catsandog", ["cats", "dog", "sand", "and", "cat"]), False),
        ("word_break", ("aaaaaaa", ["aaaa", "aaa"]), True),
        ("word_break", ("", []), True),
        ("merge_intervals", ([[1, 4], [4, 5]],), [[1, 5]]),
        ("merge_intervals", ([[3, 4], [1, 2]],), [[1, 2], [3, 4]]),
        ("merge_intervals", ([[2, 6], [8, 10], [15, 18], [1, 3]],), [[1, 6], [8, 10], [15, 18]]),
        ("median_sorted_arrays", ([1, 2], [3, 4]), 2.5),
        ("median_sorted_arrays", ([], [1]), 1.0),
        ("trapping_rain_water", ([0, 1, 0, 2, 1, 0, 1, 3, 2, 1, 2, 1],), 6),
        ("trapping_rain_water", ([4, 2, 0, 3, 2, 5],), 9),
        ("n_queens", (0,), 1),
    ],
)
def test_oracles_know_the_conventions(name: str, args: tuple[Any, ...], expected: Any) -> None:
    assert get_type(name).oracle(*args) == expected


def test_the_median_is_a_float() -> None:
    assert isinstance(get_type("median_sorted_arrays").oracle([1], [3]), float)


def test_n_queens_counts_are_the_known_ones() -> None:
    oracle = get_type("n_queens").oracle
    assert [oracle(n) for n in range(10)] == [1, 1, 0, 0, 2, 10, 4, 40, 92, 352]


@pytest.mark.parametrize("name", HARD)
def test_prompts_are_short_and_tests_many(name: str) -> None:
    for level in LEVELS:
        problem = make_problem(name, difficulty=level)
        (message,) = render(problem, "direct")
        assert len(message["content"]) < 700  # at four characters a token, 175 tokens
        assert 2 <= len(problem.public_tests) <= 3
        tests = problem.hidden_tests
        assert len(tests) >= (4 if name == "n_queens" else 20)
        # A program that returns one constant is far from passing.
        assert len({repr(test.expected) for test in tests}) >= 2


def lcs_calls(a: str, b: str) -> int:
    @cache
    def calls(i: int, j: int) -> int:
        if i == len(a) or j == len(b):
            return 1
        if a[i] == b[j]:
            return 1 + calls(i + 1, j + 1)
        return 1 + calls(i + 1, j) + calls(i, j + 1)

    return calls(0, 0)


def edit_distance_calls(a: str, b: str) -> int:
    @cache
    def calls(i: int, j: int) -> int:
        if not i or not j:
            return 1
        if a[i - 1] == b[j - 1]:
            return 1 + calls(i - 1, j - 1)
        return 1 + calls(i - 1, j) + calls(i, j - 1) + calls(i - 1, j - 1)

    return calls(len(a), len(b))


def knapsack_calls(weights: list[int], values: list[int], capacity: int) -> int:
    @cache
    def calls(i: int, left: int) -> int:
        if i == len(weights):
            return 1
        taken = calls(i + 1, left - weights[i]) if weights[i] <= left else 0
        return 1 + calls(i + 1, left) + taken

    return calls(0, capacity)


def lis_calls(nums: list[int]) -> int:
    @cache
    def calls(i: int, last: float) -> int:
        if i == len(nums):
            return 1
        taken = calls(i + 1, nums[i]) if nums[i] > last else 0
        return 1 + calls(i + 1, last) + taken

    return calls(0, -math.inf)


def coin_change_calls(coins: list[int], amount: int) -> int:
    calls = [1]
    for left in range(1, amount + 1):
        calls.append(1 + sum(calls[left - coin] for coin in coins if coin <= left))
    return calls[amount]


def word_break_calls(s: str, words: list[str]) -> int:
    @cache
    def calls(start: int) -> tuple[int, bool]:
        if start == len(s):
            return 1, True
        count = 1
        for word in words:
            if s.startswith(word, start):
                more, found = calls(start + len(word))
                count += more
                if found:
                    return count, True
        return count, False

    return calls(0)[0]


CALLS: dict[str, Callable[..., int]] = {
    "lcs": lcs_calls,
    "edit_distance": edit_distance_calls,
    "knapsack": knapsack_calls,
    "lis": lis_calls,
    "coin_change": coin_change_calls,
    "word_break": word_break_calls,
}
"""How often the plain recursion without memory calls itself, by type; counted with memory."""


def some_problems(name: str, level: int) -> list[Problem]:
    train, test = (make_problem(name, difficulty=level, split=split) for split in ("train", "test"))
    return [train, test, judged_by_fresh(test, 1)]


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("level", range(6, 11))
def test_recursion_without_memory_is_too_slow_at_upper_levels(name: str, level: int) -> None:
    for problem in some_problems(name, level):
        assert problem.time_limit_s == 2.0
        calls = (CALLS[name](*test.args) for test in reversed(problem.hidden_tests))
        assert any(count > TOO_MANY_CALLS for count in calls), problem.id


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("level", range(1, 6))
def test_recursion_without_memory_will_do_at_lower_levels(name: str, level: int) -> None:
    for problem in some_problems(name, level):
        assert problem.time_limit_s is None
        assert sum(CALLS[name](*test.args) for test in problem.hidden_tests) < FEW_CALLS, problem.id


@pytest.mark.parametrize("level", LEVELS)
def test_memory_alone_never_recurses_too_deep(level: int) -> None:
    for problem in some_problems("coin_change", level):
        for test in problem.hidden_tests:
            coins, amount = test.args
            assert amount // min(coins) <= 200  # two or three frames each, of Python's 1000


@pytest.mark.parametrize("level", range(8, 11))
def test_upper_levels_are_too_large_to_count_units(level: int) -> None:
    for problem in some_problems("merge_intervals", level):
        assert max(e - s for test in problem.hidden_tests for s, e in test.args[0]) > 10**7
    for problem in some_problems("trapping_rain_water", level):
        assert max(test.expected for test in problem.hidden_tests) > 10**6


def test_upper_board_sizes_rule_out_trying_all_placements() -> None:
    problem = make_problem("n_queens", difficulty=10)
    assert math.factorial(max(test.args[0] for test in problem.hidden_tests)) > 10**6
    assert problem.time_limit_s == 4.0


def test_board_sizes_are_all_tested() -> None:
    for level in LEVELS:
        largest = get_type("n_queens").levels[level - 1]["largest"]
        problem = make_problem("n_queens", difficulty=level)
        tests = [*problem.hidden_tests, *problem.public_tests]
        assert sorted(test.args[0] for test in tests) == [*range(largest + 1)]
