"""Retention on synthetic data with a known truth: its interval covers, and it says when not."""

from __future__ import annotations

import numpy as np
import pytest

from axiom_rl.evaluation.experts.retained import retention_lines
from axiom_rl.evaluation.experts.retention import format_gain, retention

N = 8
TRIALS = 400


def simulate(
    random: np.random.Generator, types: int, each: int, gain: float, share: float
) -> tuple[list[float], list[float], list[float], list[str]]:
    """Draw an experiment: problems of a type vary together; the search gains `gain` in the mean."""
    units = [f"type {n}" for n in range(types) for _ in range(each)]
    base = np.repeat(random.uniform(0.1, 0.4, types), each)
    up = np.repeat(gain * random.uniform(0.4, 1.6, types), each)  # mean `gain`
    learnt = np.repeat(share * random.uniform(0.6, 1.4, types), each) * up
    policy = random.binomial(N, base) / N
    chosen = random.binomial(1, base + up).astype(float)
    trained = random.binomial(N, np.clip(base + learnt, 0, 1)) / N
    return list(policy), list(chosen), list(trained), units


def coverage(types: int, each: int, *, by_type: bool = True) -> tuple[float, float]:
    """Return how often the interval holds the truth where there is one, and how often there is."""
    random = np.random.default_rng(1)
    held, defined = 0, 0
    for _ in range(TRIALS):
        policy, chosen, trained, units = simulate(random, types, each, gain=0.3, share=0.8)
        own = units if by_type else [str(n) for n in range(len(units))]
        found = retention(policy, chosen, trained, own)
        if found.share is not None:
            defined += 1
            held += found.share.low <= 0.8 <= found.share.high
    return held / max(1, defined), defined / TRIALS


@pytest.mark.parametrize(("types", "each"), [(48, 1), (10, 6)])
def test_the_interval_holds_the_truth(types: int, each: int) -> None:
    held, defined = coverage(types, each)
    assert 0.92 <= held <= 0.99
    assert defined > 0.9


def test_problems_of_one_question_are_no_independent_ones() -> None:
    random = np.random.default_rng(3)
    units = [f"type {n}" for n in range(10) for _ in range(6)]
    rates = np.repeat(random.uniform(0, 1, 10), 6)  # a type is solved or not, as a whole
    widths = []
    for asked in (units, list(map(str, range(60)))):
        share = retention([0.2] * 60, list(0.4 + 0.2 * rates), list(rates), asked).share
        assert share is not None
        widths.append(share.high - share.low)
    assert widths[0] > 1.5 * widths[1]


def test_without_a_gain_of_the_search_there_is_no_retention() -> None:
    random = np.random.default_rng(2)
    shares = [retention(*simulate(random, 30, 1, gain=0.0, share=0.0)).share for _ in range(TRIALS)]
    assert sum(share is not None for share in shares) / TRIALS <= 0.05
    found = retention([0.5, 0.5], [0.5, 0.5], [1.0, 1.0], ["a", "b"])
    assert found.share is None and "not told from 0" in found.why
    assert found.trained.value == found.over.value == 0.5 and found.search.value == 0.0


def test_one_question_has_no_interval() -> None:
    found = retention([0.0, 0.1], [1.0, 1.0], [0.9, 0.8], ["a", "a"])
    assert found.share is None and "one question" in found.why
    assert np.isnan(found.search.low)


def test_the_ends_lie_around_the_ratio_and_a_loss_is_below_zero() -> None:
    random = np.random.default_rng(4)
    for share in (-0.5, 0.0, 0.5, 1.0, 1.4):
        policy, chosen, trained, units = simulate(random, 600, 1, gain=0.35, share=share)
        found = retention(policy, chosen, trained, units).share
        assert found is not None and found.low <= found.value <= found.high
        assert found.value == pytest.approx(share, abs=0.25)


@pytest.mark.parametrize(
    ("rates", "coded", "expected"),
    [
        ((0.4, 0.8), (0.5, 1.0), (0.4, 0.0)),  # all of it is format
        ((0.4, 0.6), (1.0, 1.0), (0.0, 0.2)),  # none of it
        ((0.3, 0.5), (0.6, 0.8), (0.1, 0.1)),
        ((0.0, 0.5), (0.0, 1.0), (0.0, 0.5)),
    ],
)
def test_the_part_of_format(
    rates: tuple[float, float], coded: tuple[float, float], expected: tuple[float, float]
) -> None:
    assert format_gain(*rates, *coded) == pytest.approx(expected)


def test_what_is_a_gain_is_called_one_in_the_log() -> None:
    """A policy that passes everything gains 0.0 %; it does not pass 0.0 %."""
    nothing = {"value": 0.0, "low": 0.0, "high": 0.0}
    found = {"share": None, "why": "too little", "trained_gain": nothing, "search_gain": nothing}
    rest = {"no_code_before": 0.0, "no_code_after": 0.0, "gain": 0.0, "rest": 0.0}
    document = {
        "retention": {"oracle": found},
        "learned_from": "oracle",
        "samples": 4,
        "format": rest,
    }
    line = retention_lines(document)[0]
    assert "gain of the trained policy 0.0 %" in line and "of the search at n = 4 0.0 %" in line
