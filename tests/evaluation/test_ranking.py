"""AUC and calibration on verdicts whose truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from axiom_rl.evaluation.ranking import (
    JudgedSamples,
    auc,
    auc_across,
    auc_within,
    auc_within_difference,
    aucs_of_problems,
    brier_skill,
    calibration_error,
    chosen_rate,
    reliability,
)


def judged(passed: list[bool], problems: str, units: str | None = None) -> JudgedSamples:
    return JudgedSamples(
        passed=np.array(passed),
        problems=tuple(problems),
        units=tuple(units or problems),
        families=("f",) * len(passed),
    )


def synthetic(problems: int, each: int, spread: float, seed: int = 0) -> tuple:
    """Calibrated probabilities: a level for each problem and a part for each sample."""
    random = np.random.default_rng(seed)
    level = np.repeat(random.normal(size=problems) * 2, each)
    logits = level + spread * random.normal(size=problems * each)
    probabilities = 1 / (1 + np.exp(-logits))
    passed = random.random(len(logits)) < probabilities
    names = tuple(str(n) for n in np.repeat(np.arange(problems), each))
    samples = JudgedSamples(
        passed=passed, problems=names, units=names, families=("f",) * len(names)
    )
    return samples, probabilities


@pytest.mark.parametrize(
    ("scores", "passed", "value"),
    [
        ([1, 2, 3, 4], [0, 0, 1, 1], 1.0),
        ([4, 3, 2, 1], [0, 0, 1, 1], 0.0),
        ([1, 1, 1, 1], [0, 1, 0, 1], 0.5),
        ([1, 2, 2, 3], [0, 1, 0, 1], 0.875),
        ([1, 2], [1, 1], math.nan),
    ],
)
def test_auc(scores: list[float], passed: list[int], value: float) -> None:
    found = auc(np.array(scores, dtype=float), np.array(passed, dtype=bool))
    assert found == pytest.approx(value, nan_ok=True)


def test_within_is_not_across() -> None:
    """All difficulty: across problems perfect but for the pairs, within them a coin."""
    samples = judged([True, False, True, True, False, False, True, False], "aaaabbbb")
    scores = np.array([9.0, 9, 9, 9, 1, 1, 1, 1])
    assert auc_within(samples, scores).value == 0.5
    assert auc_across(samples, scores).value == pytest.approx(auc(scores, samples.passed))
    assert auc_across(samples, scores).value > 0.7
    known = {"a": 1.0, "b": 0.0}
    scores = np.array([2.0, 1, 2, 2, 2, 2, 1, 2])
    assert aucs_of_problems(samples, scores) == known
    assert auc_within(samples, scores).value == 0.5
    only = judged([True, True, False, True], "aabb")
    assert aucs_of_problems(only, np.array([1.0, 2, 3, 4])) == {"b": 1.0}


def test_the_unit_of_the_interval_is_the_question() -> None:
    samples, scores = synthetic(40, 8, 2.0)
    of_types = JudgedSamples(
        passed=samples.passed,
        problems=samples.problems,
        units=tuple(str(int(name) % 4) for name in samples.problems),
        families=samples.families,
    )
    by_problem, by_type = auc_within(samples, scores), auc_within(of_types, scores)
    assert by_problem.value == by_type.value
    assert by_problem.low < by_problem.value < by_problem.high
    one = JudgedSamples(
        passed=samples.passed,
        problems=samples.problems,
        units=("only",) * len(samples.problems),
        families=samples.families,
    )
    for interval in (auc_within(one, scores), auc_across(one, scores), brier_skill(one, scores)):
        assert math.isnan(interval.low) and math.isfinite(interval.value)


def test_the_difference_is_paired() -> None:
    samples, scores = synthetic(60, 8, 2.0, seed=1)
    noise = np.random.default_rng(2).normal(size=len(scores))
    gap = auc_within_difference(samples, scores, noise)
    assert gap.low > 0 and gap.value == pytest.approx(
        auc_within(samples, scores).value - auc_within(samples, noise).value
    )
    same = auc_within_difference(samples, scores, scores * 2)
    assert (same.value, same.low, same.high) == (0, 0, 0)


def test_calibration_of_known_probabilities() -> None:
    samples, true = synthetic(300, 8, 1.0)
    assert calibration_error(samples, true).value < 0.03
    skill = brier_skill(samples, true)
    assert 0 < skill.low < skill.value < 1
    base = np.full(len(true), samples.passed.mean())
    assert brier_skill(samples, base).value == pytest.approx(0, abs=1e-12)
    sure = np.where(true > 0.5, 1.0, 0.0)
    assert calibration_error(samples, sure).value > 0.1
    assert brier_skill(samples, 1 - true).high < 0
    table = reliability(samples, true)
    assert len(table) == 10 and {part.samples for part in table} == {240}
    assert [part.predicted for part in table] == sorted(part.predicted for part in table)
    assert all(abs(part.predicted - part.observed) < 0.1 for part in table)
    within = calibration_error(samples, sure)
    assert within.low <= within.value <= within.high


def test_each_family_has_its_own_base_rate() -> None:
    passed = [True, True, True, False, False, False, False, True]
    samples = JudgedSamples(
        passed=np.array(passed), problems=tuple("abcdefgh"), units=tuple("abcdefgh"),
        families=("easy",) * 4 + ("hard",) * 4,
    )  # fmt: skip
    rates = np.array([0.75] * 4 + [0.25] * 4)
    assert brier_skill(samples, rates).value == pytest.approx(0)
    assert brier_skill(samples, np.full(8, 0.5)).value < 0


def test_choosing_by_a_score_counts_every_problem() -> None:
    samples = judged([True, False, False, False, True, True], "aabbcc")
    assert chosen_rate(samples, np.array([2.0, 1, 1, 1, 1, 1])).value == pytest.approx(2 / 3)
    assert chosen_rate(samples, np.array([1.0, 1, 1, 1, 1, 1])).value == pytest.approx(2 / 3)
    assert chosen_rate(samples, np.array([1.0, 2, 1, 1, 1, 1])).value == pytest.approx(1 / 3)


def test_few_samples_and_nothing_to_tell_apart() -> None:
    samples = judged([True, True], "ab")
    assert math.isnan(auc_within(samples, np.array([1.0, 2])).value)
    assert math.isnan(brier_skill(samples, np.array([0.5, 0.5])).value)
    assert len(reliability(samples, np.array([0.5, 0.6]))) == 2
