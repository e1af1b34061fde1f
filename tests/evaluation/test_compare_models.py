from __future__ import annotations

import dataclasses
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fake_run import MODEL, SAMPLER, evaluation

from axiom_rl.core.errors import AxiomError
from axiom_rl.evaluation.compare import (
    compare,
    detectable_difference,
    difference_interval,
    standard_error,
)
from axiom_rl.evaluation.score import ProblemScore
from axiom_rl.evaluation.statistics import Scope, t_quantile
from axiom_rl.report.sections.result import power_text

SIMULATIONS = 2000
RATES = {f"type_{i}": i / 10 for i in range(1, 10)}
EMPTY = dataclasses.replace(evaluation(RATES), scope="sampled", per_problem={})


def scores(passed: Any, samples: int = 8) -> list[ProblemScore]:
    return [
        ProblemScore(type="t", difficulty=1, title="", passed=int(k), samples=samples)
        for k in passed
    ]


def alarms(rates: Any, scope: Scope, simulations: int = SIMULATIONS) -> float:
    """How often the same model, drawn twice, is called better or worse."""
    random = np.random.default_rng(0)
    found = 0
    for _ in range(simulations):
        old, new = scores(random.binomial(8, rates)), scores(random.binomial(8, rates))
        difference, _error = difference_interval(old, new, scope)
        found += difference.low > 0 or difference.high < 0
    return found / simulations


def sampled(shape: tuple[float, float], problems: int, gain: float) -> tuple[float, float]:
    """How often a model with `gain` is called better, and worse, on sampled problems.

    All comparisons at once; some of them also one by one, as `compare` makes them.
    """
    random = np.random.default_rng(1)
    rates = random.beta(*shape, size=(SIMULATIONS, problems))
    old = random.binomial(8, rates)
    new = random.binomial(8, np.clip(rates + gain, 0, 1))
    means = (new - old).mean(axis=1) / 8
    errors = ((new - old) / 8).std(axis=1, ddof=1) / math.sqrt(problems)
    half = t_quantile(0.975, problems - 1) * errors
    for row in range(20):
        one, _error = difference_interval(scores(old[row]), scores(new[row]), "sampled")
        assert one.low == pytest.approx(means[row] - half[row])
        assert one.high == pytest.approx(means[row] + half[row])
    return float(np.mean(means > half)), float(np.mean(means < -half))


@pytest.mark.parametrize(
    "rates",
    [
        [0.02, 0.1, 0.25, 0.5, 0.7, 0.9, 0.95, 0.97, 1, 1],
        [0.75, 0.9, 0.95, 0.98, 0.99, 0.99, 1, 1, 1, 1],
        [0.5] * 10,
    ],
)
def test_the_same_model_twice_on_a_fixed_set_is_rarely_told_apart(rates):
    assert alarms(rates, "fixed") <= 0.065


@pytest.mark.parametrize("problems", [10, 40, 200])
@pytest.mark.parametrize("shape", [(0.5, 0.5), (0.3, 3.0), (2.0, 3.0), (1e6, 1e6)])
def test_the_same_model_twice_on_a_sampled_set_is_rarely_told_apart(problems, shape):
    assert sum(sampled(shape, problems, gain=0.0)) <= 0.065


@pytest.mark.parametrize("problems", [2, 3, 5])
def test_a_handful_of_sampled_problems_raises_no_false_alarm(problems):
    assert alarms([0.5] * problems, "sampled", 1000) <= 0.065


@pytest.mark.parametrize("shape", [(0.5, 0.5), (2.0, 3.0), (2.0, 2.0)])
def test_five_points_on_200_problems_are_found(shape):
    better, worse = sampled(shape, 200, gain=0.05)
    assert better >= 0.80
    assert worse == 0


def test_five_points_lost_are_called_worse():
    better, worse = sampled((2.0, 2.0), 200, gain=-0.05)
    assert worse >= 0.80
    assert better == 0


def test_a_sampled_set_gets_the_paired_t_interval():
    """Gains of 0 to 11 sixteenths: the integers 0 to 11 have s = sqrt(13)."""
    old, new = scores([0] * 12, samples=16), scores(range(12), samples=16)
    difference, error = difference_interval(old, new, "sampled")
    assert error == pytest.approx(math.sqrt(13) / 16 / math.sqrt(12))
    half = 2.200985 * error  # t(0.975) for 11 degrees of freedom
    assert (difference.low, difference.high) == pytest.approx(
        (5.5 / 16 - half, 5.5 / 16 + half), rel=1e-5
    )
    assert math.isinf(standard_error([0.5]))


def test_a_clear_gain_and_its_mirror_image():
    low, high = evaluation(dict.fromkeys(RATES, 0.2)), evaluation(dict.fromkeys(RATES, 0.9), seed=1)
    better, worse = compare(low, high), compare(high, low)
    assert (better.answer, worse.answer) == ("better", "worse")
    assert better.difference.low == pytest.approx(-worse.difference.high)
    assert better.needed is None


def test_too_little_data_says_how_much_would_tell():
    before, after = evaluation(RATES, seed=1), evaluation(RATES, seed=2)
    result = compare(before, after)
    assert result.answer == "cannot tell from this much data"
    assert result.difference.value != 0
    assert result.needed is not None
    assert result.needed > 8
    assert 0.1 < result.detectable < 0.25


def test_no_difference_at_all_asks_for_no_number_of_samples():
    result = compare(evaluation(RATES), evaluation(RATES))
    assert result.difference.value == 0
    assert result.needed is None


def test_losses_come_first_and_only_sure_ones_are_told():
    before = evaluation({"a": 1.0, "b": 0.0, "c": 0.5})
    after = evaluation({"a": 0.0, "b": 0.2, "c": 0.5}, seed=3)
    result = compare(before, after)
    assert result.problems[0].before.type == "a"
    assert result.problems[0].answer == "worse"
    assert {change.answer for change in result.problems[1:]} == {"cannot tell from this much data"}
    assert result.groups(lambda row: row.type)[0].name == "a"


@pytest.mark.slow
def test_of_ten_types_of_the_same_model_one_seldom_seems_to_change() -> None:
    random, alarms, rounds = np.random.default_rng(0), 0, 100
    names = [f"type_{i}" for i in range(10) for _ in range(12)]
    for _ in range(rounds):
        rates = random.beta(1, 1, len(names))
        before, after = (
            dataclasses.replace(
                EMPTY,
                per_problem={
                    f"{name}/{i}": ProblemScore(
                        type=name, difficulty=1, title="", passed=int(passed), samples=8
                    )
                    for i, (name, passed) in enumerate(
                        zip(names, random.binomial(8, rates), strict=True)
                    )
                },
            )
            for _model in range(2)
        )
        groups = compare(before, after).groups(lambda row: row.type)
        alarms += any(g.difference.low > 0 or g.difference.high < 0 for g in groups)
    assert alarms / rounds <= 0.1, "0.05 and two standard errors; without correction 0.4"


def test_more_comparisons_widen_the_interval():
    before, after = evaluation(RATES, seed=1), evaluation(RATES, seed=2)
    one, five = compare(before, after), compare(before, after, comparisons=5)
    assert five.difference.low < one.difference.low
    assert five.difference.high > one.difference.high
    assert five.detectable > one.detectable


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": {"sha256": "other"}}, r"weights \(model\.sha256\)"),
        ({"tests": "new variants"}, "tests: 'fresh tests' against 'new variants'"),
        ({"split": "val"}, "split"),
        ({"sampler": SAMPLER | {"temperature": 1.0}}, r"sampler\.temperature: 0\.7 against 1\.0"),
    ],
)
def test_what_is_not_comparable_is_refused_with_the_reason(changes, message):
    with pytest.raises(AxiomError, match=message):
        compare(evaluation(RATES), evaluation(RATES, **changes))


def test_what_an_older_version_did_not_record_is_refused_as_such():
    after = evaluation(RATES, sampler=SAMPLER | {"prompt": "few_shot"})
    with pytest.raises(AxiomError, match=r"sampler\.prompt: not recorded against 'few_shot'"):
        compare(evaluation(RATES), after)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"chat_template": "a" * 64}, r"model\.chat_template: \"the model's own\" against aaaa"),
        ({"chat_template_kwargs": {"date_string": "x"}}, r"chat_template_kwargs: \{\} against"),
    ],
)
def test_prompts_of_another_template_are_compared_on_purpose_alone(changes, message):
    before = evaluation(RATES, model=dict(MODEL))
    after = evaluation(RATES, model=MODEL | changes)
    with pytest.raises(AxiomError, match=message):
        compare(before, after)
    compare(before, after, across=("prompt",))
    compare(before, evaluation(RATES, model=MODEL | {"chat_template_kwargs": {}}))


def test_hashes_are_told_in_short():
    other = dataclasses.replace(evaluation(RATES), tests_sha256="0" * 64)
    with pytest.raises(AxiomError, match=r"against 000000000000…"):
        compare(evaluation(RATES), other)


def test_other_problems_or_tests_are_refused():
    with pytest.raises(AxiomError, match="problems in one of them alone: type_9"):
        compare(evaluation(RATES), evaluation({k: v for k, v in RATES.items() if k != "type_9"}))
    other = dataclasses.replace(evaluation(RATES), tests_sha256="0" * 64)
    with pytest.raises(AxiomError, match="hash of the tests"):
        compare(evaluation(RATES), other)


def test_what_a_run_can_detect_is_known_before_it_starts():
    assert detectable_difference(200, 8) == pytest.approx(0.0495, abs=1e-3)
    assert detectable_difference(10, 8) == pytest.approx(0.2215, abs=1e-3)
    assert detectable_difference(10, 8, rate=0.9) < 0.14


def test_one_sample_per_problem_tells_nothing_and_says_so() -> None:
    before, after = (evaluation({"two_sum": 0.0, "fizzbuzz": rate}, n=1) for rate in (0.0, 1.0))
    comparison = compare(before, after)
    assert comparison.needed is None or comparison.needed > 1
    assert "take more samples" in power_text(comparison)
    assert "take more problems" in power_text(replace(comparison, scope="sampled"))
    few = replace(comparison, scope="fixed", detectable=1.048, needed=18)
    assert "find no difference: take more samples" in power_text(few), "not 104.8 points"
    assert "about 18 samples per problem" in power_text(few)
    assert "find a difference of 99.1 points" in power_text(replace(few, detectable=0.991))
