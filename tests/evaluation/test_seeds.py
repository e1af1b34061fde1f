from __future__ import annotations

import math

import numpy as np
import pytest

from axiom_rl.errors import AxiomError
from axiom_rl.evaluation.seeds import compare_settings, mean_over_seeds


def test_three_seeds_have_student_s_interval():
    interval = mean_over_seeds([0.875, 0.95, 0.912])
    half = 4.3027 * np.std([0.875, 0.95, 0.912], ddof=1) / math.sqrt(3)
    assert interval.value == pytest.approx(0.91233, abs=1e-4)
    assert interval.low == pytest.approx(interval.value - half, abs=1e-4)
    assert interval.high == 1.0, "no rate lies above 100 %"


def test_one_seed_says_nothing_about_others():
    interval = mean_over_seeds([0.9])
    assert (interval.value, interval.low, interval.high) == (0.9, 0.0, 1.0)
    alone = compare_settings({0: 0.2}, {0: 0.9})
    assert alone.answer == "cannot tell from this much data"


def test_settings_are_paired_by_seed():
    first = {0: 0.30, 1: 0.50, 2: 0.70}
    second = {2: 0.76, 1: 0.55, 0: 0.35}
    result = compare_settings(first, second)
    assert result.seeds == (0, 1, 2)
    assert result.answer == "better", "the seeds differ by more than the settings, but in pairs"
    assert compare_settings(second, first).answer == "worse"
    assert compare_settings(first, second, comparisons=50).answer.startswith("cannot tell")


def test_intervals_over_seeds_hold_the_truth_about_95_times_in_100():
    random = np.random.default_rng(0)
    draws = random.normal(0.5, 0.05, size=(1000, 4))
    intervals = [mean_over_seeds(row.tolist()) for row in draws]
    assert 0.93 <= np.mean([i.low <= 0.5 <= i.high for i in intervals]) <= 0.97


@pytest.mark.parametrize("values", [[], [0.5, math.nan]])
def test_what_is_no_result_is_refused(values):
    with pytest.raises(AxiomError, match="finite values, one per seed"):
        mean_over_seeds(values)


def test_other_seeds_are_refused():
    with pytest.raises(AxiomError, match=r"\[0, 1\] against \[0, 2\]"):
        compare_settings({0: 0.1, 1: 0.2}, {0: 0.1, 2: 0.2})
