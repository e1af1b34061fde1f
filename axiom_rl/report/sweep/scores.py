"""The scores of a sweep: one per job, a mean with an interval per setting.

A setting is what its jobs were asked, the seed apart. Its interval is Student's t over its seeds,
with a variance that is at least what the samples of each run allow: three seeds that agree by
chance are not certain.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist, fmean, variance

from axiom_rl.evaluation.score import Evaluation, read_evaluation
from axiom_rl.evaluation.statistics import CONFIDENCE, Interval, t_quantile, two_sided
from axiom_rl.run.sweep_jobs import Job
from axiom_rl.run.tracking import read_metrics


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
    before: float | None = None
    """The same pass rate before training, on the same tests; None where there is none."""

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

    @property
    def before(self) -> float | None:
        """Mean over seeds of the rate before training; None if a job has none."""
        values = [score.before for score in self.scores.values() if score.before is not None]
        return fmean(values) if len(values) == len(self.scores) else None


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
    trained = path.stem == "after"
    rows = [row for row in read_metrics(folder, "evaluate") if row.get("split") == "val"]
    if not rows or rows[-1].get("accuracy") is None:
        rate, before = last.pass_at_1, _before(folder, last) if trained else None
        return Score(rate, last.split, last.tests, rate, last.tests_sha256, before)
    final = rows[-1]
    rate = Interval(final["accuracy"], final["low"], final["high"])
    same = [row for row in rows[:-1] if row.get("tests") == final["tests"]]
    before = same[0].get("accuracy") if trained and same else None
    return Score(rate, "val", str(final["tests"]), last.pass_at_1, last.tests_sha256, before)


def _before(folder: Path, last: Evaluation) -> float | None:
    """Return the pass rate before training on the same tests, where there is one."""
    path = folder / "evaluation" / "before.json"
    first = read_evaluation(path) if path.exists() else None
    same = first is not None and first.tests_sha256 == last.tests_sha256
    return first.pass_at_1.value if first is not None and same else None


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


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """Return the last parts of each key that tell it from the others, `learning_rate`."""
    names = {}
    for key in keys:
        parts = key.split(".")
        ends = (".".join(parts[-count:]) for count in range(1, len(parts) + 1))
        others = [f".{other}" for other in keys if other != key]
        names[key] = next((e for e in ends if not any(o.endswith(f".{e}") for o in others)), key)
    return names


def changing(jobs: Sequence[Job]) -> list[str]:
    """Return the keys whose values differ between jobs, in the order typed."""
    keys = dict.fromkeys(key for job in jobs for key in job.parameters)
    return [key for key in keys if len({job.parameters.get(key) for job in jobs}) > 1]
