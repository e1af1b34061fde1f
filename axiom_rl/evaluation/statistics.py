"""Rates and their uncertainty: pass@k, intervals for pass rates, exact tests, Holm's correction.

Two kinds of problem sets, two questions. A *fixed* set (one problem per type, such as the ten
basic functions) is the whole population: only the samples are random, so its interval is
stratified by problem over samples. A *sampled* set (several problems per type, drawn from
generators) stands for more problems like these, so its interval counts the spread between problems
too. Both are Wilson score intervals at an effective sample size, which stay inside 0..1 and keep a
width where every sample passes; docs/concepts/statistics.md compares the alternatives.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
import scipy  # its parts load when they are first used
from numpy.typing import NDArray

Scope = Literal["fixed", "sampled"]
Counts = Sequence[int] | NDArray[np.int64]
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and its 95 % interval; rates are in 0..1, and unknown values are NaN."""

    value: float
    low: float
    high: float


def pass_at_k(samples: int, passed: int, k: int) -> float:
    """Chance that at least one of `k` samples passes, without bias (Chen et al. 2021, eq. 1).

    It is 1 - C(samples - passed, k) / C(samples, k). NaN where k > samples: fewer samples than k
    allow no unbiased estimate.
    """
    if not 1 <= k <= samples:
        return math.nan
    return 1.0 - math.comb(samples - passed, k) / math.comb(samples, k)


def wilson(rate: float, samples: float, z: float) -> Interval:
    """Wilson's score interval (1927) of a pass rate over `samples` draws (may be fractional).

    `z` is the quantile of the confidence wanted: 1.96 for 95 %. An infinite one gives 0..1.
    """
    if not samples > 0 or math.isinf(z):
        return Interval(rate if samples > 0 else math.nan, 0.0, 1.0)
    # The rates p with |rate - p| <= z sqrt(p (1 - p) / samples): a quadratic in p.
    shrink = 1.0 + z * z / samples
    middle = (rate + z * z / (2 * samples)) / shrink
    half = z / shrink * math.sqrt(rate * (1 - rate) / samples + (z / (2 * samples)) ** 2)
    # Rounding must not put the rate itself outside: at 0 and 1 a bound equals it.
    return Interval(rate, max(0.0, min(rate, middle - half)), min(1.0, max(rate, middle + half)))


def rate_interval(
    passed: Counts, samples: Counts, scope: Scope, confidence: float = CONFIDENCE
) -> Interval:
    """Mean of the problems' pass rates with its interval.

    Args:
        passed: passing samples of each problem.
        samples: judged samples of each problem; problems without any are left out.
        scope: whether the problems are the population or a sample of it.
        confidence: chance that such intervals hold the truth.
    """
    good, total = _judged(passed, samples)
    if not len(total):
        return Interval(math.nan, 0.0, 1.0)
    rate = float(np.mean(good / total))
    match scope:
        case "fixed":
            return wilson(rate, _effective_fixed(good, total), two_sided(confidence))
        case "sampled":
            t = t_quantile(0.5 + confidence / 2, len(total) - 1)
            return wilson(rate, _effective_sampled(good, total), t)


def stratified_variance(passed: Counts, samples: Counts) -> float:
    """Variance of the mean pass rate over a fixed set: that of the samples alone.

    Each problem's rate is drawn half a sample towards 1/2 (Jeffreys), so that 8 of 8 is not taken
    for certainty; the factor samples - 1 removes the bias of a variance from few samples.
    """
    good, total = _judged(passed, samples)
    if not len(total) or total.min() < 2:
        return math.inf
    smooth = (good + 0.5) / (total + 1)
    # Var(mean of K rates) = sum of the rates' variances / K^2, each p (1 - p) / (n - 1).
    return float(np.sum(smooth * (1 - smooth) / (total - 1)) / len(total) ** 2)


def two_sided(confidence: float) -> float:
    """Standard errors on either side that hold the truth with this confidence: 1.96 for 95 %."""
    return NormalDist().inv_cdf(0.5 + confidence / 2)


def t_quantile(probability: float, freedom: int) -> float:
    """Quantile of Student's t; infinite for freedom < 1: one problem says nothing of others."""
    return float(scipy.stats.t.ppf(probability, freedom)) if freedom >= 1 else math.inf


def fisher_exact(passed: tuple[int, int], samples: tuple[int, int]) -> float:
    """Two-sided p-value of Fisher's exact test for two counts of passes (0..1)."""
    failed = [total - good for good, total in zip(passed, samples, strict=True)]
    return float(scipy.stats.fisher_exact([passed, failed]).pvalue)


def holm(p_values: Iterable[float]) -> list[float]:
    """P-values adjusted for their number by Holm's step-down method (1979), in the same order."""
    values = list(p_values)
    adjusted = [0.0] * len(values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        # The smallest of m is multiplied by m, the next by m - 1, ...; never below an earlier one.
        largest = max(largest, min(1.0, values[index] * (len(values) - rank)))
        adjusted[index] = largest
    return adjusted


def _judged(passed: Counts, samples: Counts) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    good, total = np.asarray(passed, dtype=float), np.asarray(samples, dtype=float)
    return good[total > 0], total[total > 0]


def _effective_fixed(good: NDArray[np.float64], total: NDArray[np.float64]) -> float:
    """Unstratified samples that would tell as much; at least the real number of samples."""
    # n such that p (1 - p) / n is the stratified variance. Strata only help, so n >= samples.
    middle = float(np.mean((good + 0.5) / (total + 1)))
    variance = stratified_variance(good.astype(int), total.astype(int))
    return max(float(total.sum()), middle * (1 - middle) / variance)


def _effective_sampled(good: NDArray[np.float64], total: NDArray[np.float64]) -> float:
    """Independent samples that would tell as much: from one per problem up to all of them."""
    rates = good / total
    variance = float(np.var(rates, ddof=1)) / len(rates) if len(rates) > 1 else 0.0
    rate = float(np.mean(rates))
    if variance == 0.0:  # all problems alike: no more is claimed than one sample each
        return float(len(rates))
    return min(max(rate * (1 - rate) / variance, float(len(rates))), float(total.sum()))
