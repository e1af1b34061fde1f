"""Differences between the settings of a sweep, and what each parameter explains.

The share of a parameter is the part of the variance between jobs that its values explain (eta
squared), held against shuffled scores, since with few jobs any parameter explains a good part by
chance.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, variance

import numpy as np
from numpy.typing import NDArray

from axiom_rl.evaluation.statistics import CONFIDENCE, Interval, t_quantile
from axiom_rl.report.sweep.scores import Score, Setting, changing
from axiom_rl.run.sweep_jobs import Job

SHUFFLES = 2000
BINS = 3
"""Parts that the values of a number are cut into where nearly every job has its own."""


@dataclass(frozen=True, slots=True)
class Share:
    """How much of the variance between jobs a parameter explains."""

    parameter: str
    values: int
    """Different values, or parts that they were cut into."""
    explained: float
    by_chance: float
    """Share that 95 % of shuffles stay below."""


def difference(one: Setting, other: Setting, comparisons: int) -> Interval:
    """Return how much better `one` is, paired by seed; NaN where no seed is shared.

    Args:
        one: a setting.
        other: another one.
        comparisons: how many differences are looked at; the interval is widened (Bonferroni), so
            that all of them together hold the truth in 95 % of cases.
    """
    seeds = [seed for seed in one.scores if seed in other.scores]
    pairs = [(one.scores[seed], other.scores[seed]) for seed in seeds]
    if not pairs:
        return Interval(math.nan, -1.0, 1.0)
    values = [a.rate.value - b.rate.value for a, b in pairs]
    allowed = fmean(a.deviation**2 + b.deviation**2 for a, b in pairs)
    quantile = 1 - (1 - CONFIDENCE) / comparisons / 2
    if len(values) == 1:
        margin = NormalDist().inv_cdf(quantile) * math.sqrt(allowed)
    else:
        spread = max(variance(values), allowed)
        margin = t_quantile(quantile, len(values) - 1) * math.sqrt(spread / len(values))
    mean = fmean(values)
    return Interval(mean, max(-1.0, mean - margin), min(1.0, mean + margin))


def shares_of(jobs: Sequence[Job], scores: Mapping[int, Score]) -> list[Share]:
    """Return the share of each parameter, seed included, the largest first."""
    scored = [job for job in jobs if job.number in scores]
    rates = np.array([scores[job.number].rate.value for job in scored])
    shares = []
    for key in changing(scored):
        groups = _groups([job.parameters.get(key, "") for job in scored])
        random = np.random.default_rng(0)
        shuffled = [_explained(groups, random.permutation(rates)) for _ in range(SHUFFLES)]
        shares.append(
            Share(
                key,
                len(set(groups)),
                _explained(groups, rates),
                float(np.quantile(shuffled, CONFIDENCE)),
            )
        )
    return sorted(shares, key=lambda share: -share.explained)


def _explained(groups: Sequence[int], rates: NDArray[np.float64]) -> float:
    """Eta squared: the sum of squares between groups over that of all jobs; 0 where all agree."""
    labels, mean = np.asarray(groups), float(rates.mean())
    total = float(np.sum((rates - mean) ** 2))
    between = sum(
        float(np.sum(labels == label)) * (float(rates[labels == label].mean()) - mean) ** 2
        for label in set(groups)
    )
    return between / total if total > 1e-12 else 0.0


def _groups(values: Sequence[str]) -> list[int]:
    """Number the values; cut numbers into parts where more than half the jobs have their own."""
    different = sorted(set(values))
    try:
        numbers = [float(value) for value in values]
    except ValueError:
        numbers = []
    if numbers and len(different) > max(BINS, len(values) // 2):
        edges = np.quantile(numbers, [part / BINS for part in range(1, BINS)])
        return [int(place) for place in np.searchsorted(edges, numbers, side="right")]
    return [different.index(value) for value in values]
