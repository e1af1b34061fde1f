"""Budgets and the orders in which a pool is replayed."""

from __future__ import annotations

from collections import Counter

import pytest

from axiom_rl.search.budget import SUBSETS, budgets, orders


@pytest.mark.parametrize(
    ("samples", "steps"), [(1, [1]), (8, [1, 2, 4, 8]), (12, [1, 2, 4, 8, 12]), (0, [])]
)
def test_budgets_are_powers_and_the_whole_pool(samples: int, steps: list[int]) -> None:
    assert budgets(samples) == steps


def test_orders_are_seeded_balanced_and_differ_by_problem() -> None:
    made = orders("p", 8, 0)
    assert len(made) == SUBSETS and all(sorted(order) == list(range(8)) for order in made)
    assert len({frozenset(order[:4]) for order in made}) > 50
    for place in range(8):
        assert set(Counter(order[place] for order in made).values()) == {SUBSETS // 8}
    assert orders("p", 8, 0) == made != orders("q", 8, 0) and orders("p", 8, 1) != made
    assert orders("p", 0, 0) == []
