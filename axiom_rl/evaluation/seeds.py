"""Several training seeds of one setting: what a sweep can say about the setting, not the run.

The interval of one run covers the chance in its samples. Whether another training seed would give
as good a model is another question, and only runs with several seeds answer it: their results are
independent draws, so their mean gets Student's t interval for the number of seeds. Each result
holds the noise of its own samples, which the spread between seeds therefore covers too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from axiom_rl.errors import AxiomError
from axiom_rl.evaluation.compare import Answer, answer_of
from axiom_rl.evaluation.metrics import CONFIDENCE, Interval, t_quantile


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedComparison:
    """Two settings, each trained with the same seeds."""

    seeds: tuple[int, ...]
    difference: Interval
    """Mean over the seeds of the second setting's rate minus the first's, in -1..1."""
    answer: Answer


def mean_over_seeds(
    values: Sequence[float],
    *,
    bounds: tuple[float, float] = (0.0, 1.0),
    confidence: float = CONFIDENCE,
) -> Interval:
    """Return the mean of one setting's results, with its interval over training seeds.

    Args:
        values: one finite result per seed, such as each run's pass rate after training.
        bounds: smallest and largest value possible: 0..1 for rates, -1..1 for gains. One seed
            alone says nothing about others, so its interval is all of this.
        confidence: of the interval.

    Raises:
        AxiomError: if there are no values, or one is not finite.
    """
    if not values or not all(map(math.isfinite, values)):
        raise AxiomError(f"a mean over seeds needs finite values, one per seed, not {[*values]}")
    mean = float(np.mean(values))
    if len(values) == 1:
        return Interval(mean, *bounds)
    error = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    half = t_quantile(0.5 + confidence / 2, len(values) - 1) * error
    return Interval(mean, max(bounds[0], mean - half), min(bounds[1], mean + half))


def compare_settings(
    first: Mapping[int, float], second: Mapping[int, float], *, comparisons: int = 1
) -> SeedComparison:
    """Compare two settings by their pass rates, paired by training seed.

    Pairing takes out what a seed does to both settings (the order of the problems, the samples of
    the model before training).

    Args:
        first: pass rate after training by seed, under the first setting.
        second: the same under the second setting.
        comparisons: how many settings are compared with the first; the interval is widened by
            Bonferroni for their number.

    Raises:
        AxiomError: if the settings were not trained with the same seeds.
    """
    if first.keys() != second.keys() or not first:
        raise AxiomError(
            f"settings are compared over the same seeds, not {sorted(first)} against "
            f"{sorted(second)}; run the missing ones"
        )
    seeds = tuple(sorted(first))
    difference = mean_over_seeds(
        [second[seed] - first[seed] for seed in seeds],
        bounds=(-1.0, 1.0),
        confidence=1 - (1 - CONFIDENCE) / comparisons,
    )
    return SeedComparison(seeds=seeds, difference=difference, answer=answer_of(difference))
