"""The scores of a sweep: one per job, a mean with an interval per setting, a share per parameter.

A setting is what its jobs were asked, the seed apart. Its interval is Student's t over its seeds,
with a variance that is at least what the samples of each run allow: three seeds that agree by
chance are not certain. The share of a parameter is the part of the variance between jobs that
its values explain (eta squared), held against shuffled scores, since with few jobs any
parameter explains a good part by chance.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist, fmean, variance

import numpy as np

from axiom_rl.evaluation.evaluate import read_evaluation
from axiom_rl.evaluation.metrics import CONFIDENCE, Interval, t_quantile, two_sided
from axiom_rl.sweeps.job import Job
from axiom_rl.tracking import read_metrics

SHUFFLES = 2000
BINS = 3
"""Parts that the values of a number are cut into where nearly every job has its own."""


@dataclass(frozen=True, slots=True)
class Score:
    """What one job came to."""

    rate: Interval
    """The pass rate that settings are ranked by, with the interval over its samples."""
    split: str
    """val where the run has one, so that the test split is not chosen on; else the headline's."""
    tests: str
    """What was held out."""
    headline: Interval
    """The first line of the run's own report."""
    tests_sha256: str

    @property
    def deviation(self) -> float:
        """Standard error of the rate that its samples allow."""
        return (self.rate.high - self.rate.low) / (2 * two_sided(CONFIDENCE))


@dataclass(frozen=True, slots=True)
class Setting:
    """Jobs that differ in their seed alone."""

    parameters: Mapping[str, str]
    scores: Mapping[str, Score]
    """By seed."""

    @property
    def rate(self) -> Interval:
        """Mean over seeds with its 95 % interval; with one seed, that over its samples."""
        scores = list(self.scores.values())
        if len(scores) == 1:
            return scores[0].rate
        values = [score.rate.value for score in scores]
        spread = max(variance(values), fmean(score.deviation**2 for score in scores))
        margin = t_quantile(0.5 + CONFIDENCE / 2, len(values) - 1) * math.sqrt(spread / len(values))
        mean = fmean(values)
        return Interval(mean, max(0.0, mean - margin), min(1.0, mean + margin))


@dataclass(frozen=True, slots=True)
class Share:
    """How much of the variance between jobs a parameter explains."""

    parameter: str
    values: int
    """Different values, or parts that they were cut into."""
    explained: float
    by_chance: float
    """Share that 95 % of shuffles stay below."""


def job_score(folder: Path) -> Score | None:
    """Return what a run came to: its last evaluation; None where it has none.

    Raises:
        AxiomError: if an evaluation of it is damaged.
    """
    found = [folder / "evaluation" / f"{name}.json" for name in ("after", "before")]
    path = next((path for path in found if path.exists()), None)
    if path is None:
        return None
    last = read_evaluation(path)
    rows = [row for row in read_metrics(folder, "evaluate") if row.get("split") == "val"]
    if not rows or rows[-1].get("accuracy") is None:
        return Score(last.pass_at_1, last.split, last.tests, last.pass_at_1, last.tests_sha256)
    val = Interval(rows[-1]["accuracy"], rows[-1]["low"], rows[-1]["high"])
    return Score(val, "val", str(rows[-1]["tests"]), last.pass_at_1, last.tests_sha256)


def settings_of(jobs: Sequence[Job], scores: Mapping[int, Score]) -> list[Setting]:
    """Group the scored jobs by what they were asked, the best first."""
    keys = changing(jobs)
    groups: dict[tuple[tuple[str, str], ...], dict[str, Score]] = defaultdict(dict)
    for job in jobs:
        if job.number in scores:
            asked = tuple((key, job.parameters.get(key, "")) for key in keys if key != "seed")
            groups[asked][job.parameters.get("seed", "")] = scores[job.number]
    found = [Setting(dict(asked), scored) for asked, scored in groups.items()]
    return sorted(found, key=lambda setting: -setting.rate.value)


def changing(jobs: Sequence[Job]) -> list[str]:
    """Return the keys whose values differ between jobs, in the order typed."""
    keys = dict.fromkeys(key for job in jobs for key in job.parameters)
    return [key for key in keys if len({job.parameters.get(key) for job in jobs}) > 1]


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


def _explained(groups: Sequence[int], rates: np.ndarray) -> float:
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
