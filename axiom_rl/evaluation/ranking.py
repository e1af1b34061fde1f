"""How well scores tell passing samples from failing ones, and how well probabilities are meant.

Two AUCs, two questions. *Within* problems it is the mean over problems that have passing and
failing samples: what choosing among the samples of a problem can use. *Across* problems it is over
all samples at once, and difficulty alone can make it high. Every interval is a bootstrap over units
(what the model was asked), all samples of a unit together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from axiom_rl.evaluation.statistics import CONFIDENCE, Interval

DRAWS = 2000
BINS = 10
FEWEST = 2
"""Units below which nothing is known of others."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedSamples:
    """Samples of some problems with their verdicts; one entry per sample."""

    passed: NDArray[np.bool_]
    problems: tuple[str, ...]
    units: tuple[str, ...]
    families: tuple[str, ...]
    """Whose base rate a probability is compared with."""


@dataclass(frozen=True, slots=True)
class Bin:
    """Samples of like probability."""

    samples: int
    predicted: float
    observed: float


def auc(scores: Floats, passed: NDArray[np.bool_]) -> float:
    """Return the chance that a passing sample has the higher score, ties counted half.

    The area under the ROC curve by Mann and Whitney's statistic; NaN without both outcomes.
    """
    good, bad = int(passed.sum()), int((~passed).sum())
    if not good or not bad:
        return math.nan
    ranks = scipy.stats.rankdata(scores)
    return float((ranks[passed].sum() - good * (good + 1) / 2) / (good * bad))


def aucs_of_problems(samples: JudgedSamples, scores: Floats) -> dict[str, float]:
    """Return the AUC of each problem that has both outcomes."""
    found = {}
    for problem, places in _places(samples.problems).items():
        value = auc(scores[places], samples.passed[places])
        if not math.isnan(value):
            found[problem] = value
    return found


def auc_within(samples: JudgedSamples, scores: Floats) -> Interval:
    """Return the mean over the problems with both outcomes, by bootstrap over units."""
    of_problems = aucs_of_problems(samples, scores)
    return _mean_interval(list(of_problems.values()), _units_of(samples, of_problems))


def auc_within_difference(samples: JudgedSamples, scores: Floats, others: Floats) -> Interval:
    """Return how much higher the mean AUC within problems is than that of other scores, paired."""
    first, second = aucs_of_problems(samples, scores), aucs_of_problems(samples, others)
    gaps = [first[problem] - second[problem] for problem in first]
    return _mean_interval(gaps, _units_of(samples, first))


def auc_across(samples: JudgedSamples, scores: Floats) -> Interval:
    """Return the AUC over all samples, by bootstrap over units."""
    order = np.argsort(scores, kind="stable")
    ordered, passed = scores[order], samples.passed[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=-np.inf))  # where another score begins

    def weighted(weights: Floats) -> float:
        mine = weights[order]
        good = np.add.reduceat(mine * passed, starts)
        bad = np.add.reduceat(mine * ~passed, starts)
        below = np.cumsum(bad) - bad
        total = good.sum() * bad.sum()
        return float((good * (below + 0.5 * bad)).sum() / total) if total else math.nan

    return _bootstrap(weighted, samples)


def brier_skill(samples: JudgedSamples, probabilities: Floats) -> Interval:
    """Return 1 - Brier score / that of each family's own base rate; above 0 is better than it."""
    passed = samples.passed.astype(float)
    members = [np.asarray(places) for places in _places(samples.families).values()]
    errors = (probabilities - passed) ** 2

    def skill(weights: Floats) -> float:
        reference = 0.0
        for places in members:
            mass = weights[places].sum()
            rate = (weights[places] * passed[places]).sum() / mass if mass else 0.0
            reference += mass * rate * (1 - rate)
        return 1.0 - float((weights * errors).sum()) / reference if reference else math.nan

    return _bootstrap(skill, samples)


def calibration_error(samples: JudgedSamples, probabilities: Floats) -> Interval:
    """Return the expected calibration error over equal-mass bins.

    A drawn set repeats samples, which adds to the error: the interval leans upwards.
    """
    passed = samples.passed.astype(float)
    parts = _bins(probabilities)

    def error(weights: Floats) -> float:
        gaps = [abs(float((weights[p] * (probabilities[p] - passed[p])).sum())) for p in parts]
        return sum(gaps) / float(weights.sum())

    return _bootstrap(error, samples)


def reliability(samples: JudgedSamples, probabilities: Floats) -> list[Bin]:
    """Return predicted and observed pass rates in equal-mass bins, lowest probability first."""
    return [
        Bin(len(p), float(probabilities[p].mean()), float(samples.passed[p].mean()))
        for p in _bins(probabilities)
    ]


def chosen_rate(samples: JudgedSamples, scores: Floats) -> Interval:
    """Return the share of problems whose sample of the highest score passes; the first of equals.

    All problems count, also those without both outcomes.
    """
    places = _places(samples.problems)
    hits = {
        problem: float(samples.passed[own[int(np.argmax(scores[own]))]])
        for problem, own in places.items()
    }
    return _mean_interval(list(hits.values()), _units_of(samples, hits))


def _bins(probabilities: Floats) -> list[NDArray[np.int64]]:
    order = np.argsort(probabilities, kind="stable")
    return [part for part in np.array_split(order, BINS) if len(part)]


def _places(names: Sequence[str]) -> dict[str, NDArray[np.int64]]:
    found: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        found.setdefault(name, []).append(place)
    return {name: np.asarray(places) for name, places in found.items()}


def _units_of(samples: JudgedSamples, problems: Mapping[str, float]) -> list[str]:
    unit = dict(zip(samples.problems, samples.units, strict=True))
    return [unit[problem] for problem in problems]


def _draws(units: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return how often each unit is drawn, (draws, units), and the unit of each entry."""
    names, number = np.unique(units, return_inverse=True)
    counts = np.random.default_rng(0).multinomial(
        len(names), np.full(len(names), 1 / len(names)), DRAWS
    )
    return counts, number


def _mean_interval(values: Sequence[float], units: Sequence[str]) -> Interval:
    """Return a mean over problems; its bootstrap draws units."""
    if not values:
        return Interval(math.nan, math.nan, math.nan)
    array = np.asarray(values, dtype=float)
    mean = float(array.mean())
    if len(set(units)) < FEWEST:
        return Interval(mean, math.nan, math.nan)
    counts, number = _draws(units)
    sums = np.bincount(number, weights=array)  # of each unit
    sizes = np.bincount(number).astype(float)
    return _between(mean, (counts @ sums) / (counts @ sizes))


def _bootstrap(statistic: Callable[[Floats], float], samples: JudgedSamples) -> Interval:
    """Return a statistic of weighted samples; its bootstrap draws units."""
    value = statistic(np.ones(len(samples.passed)))
    if math.isnan(value) or len(set(samples.units)) < FEWEST:
        return Interval(value, math.nan, math.nan)
    counts, number = _draws(samples.units)
    drawn = np.array([statistic(count[number].astype(float)) for count in counts])
    return _between(value, drawn)


def _between(value: float, drawn: Floats) -> Interval:
    known = drawn[np.isfinite(drawn)]
    if not len(known):
        return Interval(value, math.nan, math.nan)
    low, high = np.quantile(known, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(value, min(value, float(low)), max(value, float(high)))
