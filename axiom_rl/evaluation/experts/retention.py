"""Retention: how much of a search's gain training put into the weights, with its interval.

retention = (trained policy - policy) / (search - policy), all three pass rates on the same
held-out problems. A ratio of two paired means: its interval is Fieller's (1954), which has an end
on both sides exactly where the denominator's own interval does not hold 0. So it is defined there
and nowhere else. What varies is the unit, the question asked (`unit_of`): sums over the problems of
a unit are the observations, as in the ratio estimator of cluster sampling.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from axiom_rl.evaluation.statistics import CONFIDENCE, Interval, t_quantile


@dataclass(frozen=True, slots=True)
class Retention:
    """A ratio of gains, or why there is none."""

    trained: Interval
    """Gain of the trained policy over the policy."""
    search: Interval
    """Gain of the search over the policy."""
    over: Interval
    """The trained policy minus policy with search: above 0, one sample beats the search."""
    share: Interval | None
    """trained / search; may lie below 0 or above 1."""
    why: str = ""
    """Why there is no share."""


def retention(
    policy: Sequence[float],
    searched: Sequence[float],
    trained: Sequence[float],
    units: Sequence[str],
    confidence: float = CONFIDENCE,
) -> Retention:
    """Return the retention over problems, all four sequences in the same order.

    Args:
        policy: pass rate of each problem before training, 0..1.
        searched: share of the search's choices that pass, before training.
        trained: pass rate after training.
        units: what each problem asks; problems of one unit vary together.
        confidence: of all intervals.
    """
    before = np.asarray(policy, dtype=float)
    gains = np.stack([np.asarray(trained) - before, np.asarray(searched) - before])
    means, covariance, count = _clustered(gains, units)
    over = float(means[0] - means[1])
    if count < 2:
        alone = [Interval(float(mean), math.nan, math.nan) for mean in (*means, over)]
        return Retention(alone[0], alone[1], alone[2], None, "one question has no interval")
    t = t_quantile(0.5 + confidence / 2, count - 1)
    errors = [math.sqrt(covariance[k, k]) for k in (0, 1)]
    between = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    errors.append(math.sqrt(max(0.0, between)))
    trained_gain, search_gain, over_search = (
        _around(float(mean), t * error) for mean, error in zip((*means, over), errors, strict=True)
    )
    share, why = None, "the search's own gain is not told from 0 on these problems"
    if search_gain.low > 0:
        share, why = _fieller(means, covariance, t), ""
    return Retention(trained_gain, search_gain, over_search, share, why)


def _clustered(
    values: NDArray[np.float64], units: Sequence[str]
) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """Return means of rows of (2, problems), their covariance over units, and how many units."""
    names, number = np.unique(units, return_inverse=True)
    count = len(names)
    means = values.mean(axis=1)
    sums = np.zeros((len(values), count))
    for place, unit in enumerate(number):
        sums[:, unit] += values[:, place] - means
    # Each unit's sum of deviations, over the number of problems, is its part in the mean's error.
    parts = sums / values.shape[1]
    covariance = parts @ parts.T * (count / (count - 1) if count > 1 else math.nan)
    return means, covariance, count


def _fieller(means: NDArray[np.float64], covariance: NDArray[np.float64], t: float) -> Interval:
    """Return the ratios r for which numerator - r * denominator is within t errors of 0."""
    top, bottom = (float(mean) for mean in means)
    # (top - r bottom)^2 <= t^2 (v11 - 2 r v12 + r^2 v22): a quadratic a r^2 - 2 b r + c <= 0.
    a = bottom**2 - t**2 * float(covariance[1, 1])
    b = top * bottom - t**2 * float(covariance[0, 1])
    c = top**2 - t**2 * float(covariance[0, 0])
    root = math.sqrt(max(0.0, b * b - a * c))
    ratio = top / bottom
    return Interval(ratio, min(ratio, (b - root) / a), max(ratio, (b + root) / a))


def _around(mean: float, half: float) -> Interval:
    return Interval(mean, max(-1.0, mean - half), min(1.0, mean + half))


def format_gain(
    before: float, after: float, coded_before: float, coded_after: float
) -> tuple[float, float]:
    """Split a gain into what comes from answers that hold a program at all, and the rest.

    A pass rate is the share of answers with a program times the pass rate of these; the first part
    is the change of that share at the old pass rate, the second the change of the pass rate.

    Args:
        before: pass rate before training.
        after: pass rate after it.
        coded_before: share of answers that held a program (all others are NO_CODE).
        coded_after: the same after training.

    Returns:
        Both parts; they sum to the gain.
    """
    right = before / coded_before if coded_before else 0.0
    by_format = (coded_after - coded_before) * right
    return by_format, after - before - by_format
