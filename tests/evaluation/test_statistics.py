from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from axiom_rl.evaluation.statistics import (
    fisher_exact,
    holm,
    pass_at_k,
    rate_interval,
    stratified_variance,
    t_quantile,
    two_sided,
    wilson,
)


@pytest.mark.parametrize(("samples", "passed", "k"), [(8, 3, 1), (8, 3, 4), (6, 0, 2), (6, 6, 6)])
def test_pass_at_k_is_the_share_of_subsets_that_hold_a_pass(samples, passed, k):
    draws = [1] * passed + [0] * (samples - passed)
    subsets = list(combinations(draws, k))
    assert pass_at_k(samples, passed, k) == pytest.approx(
        sum(map(any, subsets)) / len(subsets), abs=1e-12
    )


@pytest.mark.parametrize(("samples", "k"), [(4, 5), (0, 1), (4, 0)])
def test_pass_at_k_is_nan_where_it_has_no_unbiased_estimate(samples, k):
    assert math.isnan(pass_at_k(samples, 0, k))


def test_wilson_agrees_with_a_published_example():
    interval = wilson(15 / 148, 148, two_sided(0.95))  # Newcombe 1998, table I
    assert (interval.low, interval.high) == pytest.approx((0.0624, 0.1605), abs=5e-5)


def test_wilson_keeps_a_width_where_every_sample_passes():
    interval = wilson(1.0, 80, two_sided(0.95))
    assert interval.high == 1.0
    assert 0.94 < interval.low < 0.96


@pytest.mark.parametrize(
    ("freedom", "expected"), [(1, 12.7062), (2, 4.3027), (9, 2.2622), (30, 2.0423), (199, 1.9720)]
)
def test_t_quantile_agrees_with_the_tables(freedom, expected):
    assert t_quantile(0.975, freedom) == pytest.approx(expected, abs=1e-4)
    assert t_quantile(0.025, freedom) == pytest.approx(-expected, abs=1e-4)


def test_one_problem_says_nothing_of_a_population():
    assert math.isinf(t_quantile(0.975, 0))
    interval = rate_interval([4], [8], "sampled")
    assert (interval.low, interval.high) == (0.0, 1.0)


@given(st.lists(st.integers(0, 8), min_size=1, max_size=12))
def test_an_interval_of_a_fixed_set_holds_its_rate_and_is_never_wider_than_unstratified(passed):
    interval = rate_interval(passed, [8] * len(passed), "fixed")
    pooled = wilson(sum(passed) / 8 / len(passed), 8 * len(passed), two_sided(0.95))
    assert 0 <= interval.low <= interval.value <= interval.high <= 1
    assert interval.high - interval.low <= pooled.high - pooled.low + 1e-12
    assert interval.high > interval.low


def test_a_sampled_set_of_unequal_problems_is_less_certain_than_a_fixed_one():
    passed, samples = [0, 0, 0, 0, 8, 8, 8, 8], [8] * 8
    fixed = rate_interval(passed, samples, "fixed")
    sampled = rate_interval(passed, samples, "sampled")
    assert sampled.high - sampled.low > 2 * (fixed.high - fixed.low)


def test_problems_without_a_judged_sample_are_left_out():
    assert rate_interval([4, 0], [8, 0], "fixed") == rate_interval([4], [8], "fixed")
    assert math.isnan(rate_interval([0], [0], "fixed").value)


def test_one_sample_per_problem_falls_back_to_the_unstratified_interval():
    assert math.isinf(stratified_variance([1, 0], [1, 1]))
    assert rate_interval([1, 0], [1, 1], "fixed") == wilson(0.5, 2, two_sided(0.95))


@pytest.mark.parametrize(
    "rates",
    [
        [0.02, 0.1, 0.25, 0.5, 0.7, 0.9, 0.95, 0.97, 1, 1],
        [0.75, 0.9, 0.95, 0.98, 0.99, 0.99, 1, 1, 1, 1],
        [0.5] * 10,
        [0.0] * 5 + [1.0] * 5,
        [0.97] * 10,
    ],
)
def test_intervals_of_a_fixed_set_hold_the_truth_about_95_times_in_100(rates):
    random = np.random.default_rng(0)
    truth = np.mean(rates)
    inside = 0
    for _ in range(500):
        interval = rate_interval(random.binomial(8, rates), [8] * 10, "fixed")
        inside += bool(interval.low <= truth + 1e-12 and truth - 1e-12 <= interval.high)
    assert inside >= 465


def test_intervals_of_a_sampled_set_hold_the_population_rate():
    random = np.random.default_rng(1)
    inside = 0
    for _ in range(500):
        rates = random.beta(0.5, 1.0, size=40)
        interval = rate_interval(random.binomial(8, rates), [8] * 40, "sampled")
        inside += interval.low <= 1 / 3 <= interval.high
    assert inside >= 465


def test_fisher_agrees_with_known_values():
    assert fisher_exact((0, 8), (8, 8)) == pytest.approx(2 / math.comb(16, 8))
    assert fisher_exact((3, 7), (8, 8)) == pytest.approx(0.11888, abs=1e-5)
    assert fisher_exact((4, 4), (8, 8)) == 1.0


def test_holm_steps_down_and_keeps_the_order():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []
