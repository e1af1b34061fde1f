"""Model N against model N+1: is one better, worse, or can this much data not tell?

The difference of two mean pass rates gets one of two 95 % intervals, by the scope of the problems:

- fixed (the problems are the population): stratified by problem over samples alone. The two
  models' stratified Wilson intervals are joined by Newcombe's hybrid score method (1998).
- sampled (the problems stand for more like them): the paired t interval over problems, each with
  all its samples of both models: the gains' spread holds the noise of the samples already.

docs/concepts/statistics.md has the simulations behind this choice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from axiom_rl.evaluation.comparable import require_comparable
from axiom_rl.evaluation.score import Evaluation, ProblemScore
from axiom_rl.evaluation.statistics import (
    CONFIDENCE,
    Interval,
    Scope,
    fisher_exact,
    holm,
    rate_interval,
    stratified_variance,
    t_quantile,
    two_sided,
)

Answer = Literal["better", "worse", "cannot tell from this much data"]
POWER = 0.8
SMALL_SET = 10
"""Below this many sampled problems, their spread may come out as zero by chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemChange:
    """One problem under both models."""

    id: str
    before: ProblemScore
    after: ProblemScore
    p_value: float
    """Fisher's exact test, corrected by Holm for the number of problems."""
    answer: Answer

    @property
    def difference(self) -> float:
        """Pass rate after minus before."""
        return self.after.rate - self.before.rate


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupChange:
    """The problems of one type or difficulty; the intervals of all of them hold together."""

    name: str
    problems: int
    before: float
    after: float
    difference: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What two evaluations on the same problems and tests say about their models."""

    scope: Scope
    before: Evaluation
    after: Evaluation
    difference: Interval
    """Mean pass rate after minus before, in -1..1."""
    answer: Answer
    detectable: float
    """Smallest difference that data like these find in 80 % of cases."""
    needed: int | None
    """Samples per problem (fixed) or problems (sampled) that would tell a difference as large as
    the one seen; None where the answer is given already or no difference was seen."""
    problems: tuple[ProblemChange, ...]
    """Largest losses first."""

    def groups(self, key: Callable[[ProblemScore], str]) -> list[GroupChange]:
        """Split by a key of the problem (its type, its difficulty), largest losses first.

        The intervals are widened for the number of groups (Bonferroni): of ten types, one would
        otherwise often seem to change by chance alone.
        """
        names = sorted({key(change.before) for change in self.problems})
        confidence = 1 - (1 - CONFIDENCE) / len(names)  # 95 % for all groups together
        return sorted(
            (self._group(name, key, confidence) for name in names),
            key=lambda row: row.difference.value,
        )

    def _group(
        self, name: str, key: Callable[[ProblemScore], str], confidence: float
    ) -> GroupChange:
        rows = [change for change in self.problems if key(change.before) == name]
        before, after = [row.before for row in rows], [row.after for row in rows]
        return GroupChange(
            name=name,
            problems=len(rows),
            before=sum(row.rate for row in before) / len(rows),
            after=sum(row.rate for row in after) / len(rows),
            difference=difference_interval(before, after, self.scope, confidence)[0],
        )


def compare(
    before: Evaluation, after: Evaluation, comparisons: int = 1, across: Collection[str] = ()
) -> Comparison:
    """Compare two evaluations of the same problems, tests, base weights and sampler settings.

    Args:
        before: model N.
        after: model N+1.
        comparisons: how many models are compared with model N; by Bonferroni, all the intervals
            together then hold the truth in 95 % of cases.
        across: what is meant to differ, of axiom_rl.evaluation.comparable.ACROSS.

    Raises:
        AxiomError: if they are not comparable, saying in what they differ.
    """
    require_comparable(before, after, across)
    ids = list(before.per_problem)
    old = [before.per_problem[key] for key in ids]
    new = [after.per_problem[key] for key in ids]
    confidence = 1 - (1 - CONFIDENCE) / comparisons
    difference, error = difference_interval(old, new, before.scope, confidence)
    answer = answer_of(difference)
    unsure = answer.startswith("cannot")
    factor = _factor(before.scope, len(ids), confidence)
    return Comparison(
        scope=before.scope,
        before=before,
        after=after,
        difference=difference,
        answer=answer,
        detectable=factor * error,
        needed=_needed(difference.value, factor * error, before) if unsure else None,
        problems=_problem_changes(before.per_problem, after.per_problem),
    )


def difference_interval(
    before: Sequence[ProblemScore],
    after: Sequence[ProblemScore],
    scope: Scope,
    confidence: float = CONFIDENCE,
) -> tuple[Interval, float]:
    """Return the difference of two mean pass rates with its interval, and its standard error.

    Args:
        before: the problems under model N.
        after: the same problems, in the same order, under model N+1.
        scope: whether the problems are the population or a sample of it.
        confidence: of the interval.
    """
    old = ([row.passed for row in before], [row.samples for row in before])
    new = ([row.passed for row in after], [row.samples for row in after])
    samples_alone = _newcombe(
        rate_interval(*old, "fixed", confidence), rate_interval(*new, "fixed", confidence)
    )
    if scope == "fixed":
        return samples_alone, math.sqrt(stratified_variance(*old) + stratified_variance(*new))
    gains = [b.rate - a.rate for a, b in zip(before, after, strict=True)]
    error = standard_error(gains)
    # The samples' noise is in the gains already: their spread is not added to it once more.
    half = t_quantile(0.5 + confidence / 2, len(gains) - 1) * error if len(gains) > 1 else math.inf
    mean = float(np.mean(gains))
    low, high = max(-1.0, mean - half), min(1.0, mean + half)
    # Few problems may gain alike by chance, which makes s too small: take the wider of both.
    if len(gains) < SMALL_SET:
        low, high = min(low, samples_alone.low), max(high, samples_alone.high)
    return Interval(mean, low, high), error


def standard_error(gains: Sequence[float]) -> float:
    """Standard error of the mean of paired gains, s / sqrt(n); infinite for one problem alone."""
    if len(gains) < 2:
        return math.inf
    return float(np.std(gains, ddof=1)) / math.sqrt(len(gains))  # ddof=1: the mean is estimated


def detectable_difference(
    problems: int, samples: int, rate: float = 0.5, scope: Scope = "fixed"
) -> float:
    """Smallest gain that a run will find in 80 % of cases, to be stated before it starts.

    Args:
        problems: how many problems.
        samples: samples per problem.
        rate: expected pass rate of every problem; 1/2 is the worst case.
        scope: whether the problems are the population or a sample of it; for a sample, all
            problems are taken to change alike, which nobody knows before the run.

    Returns:
        The difference in 0..1; 1 where even that is not found (one sampled problem).
    """
    error = math.sqrt(2 * rate * (1 - rate) / (problems * samples))  # two models, equal variances
    return min(1.0, _factor(scope, problems) * error)


def _problem_changes(
    before: Mapping[str, ProblemScore], after: Mapping[str, ProblemScore]
) -> tuple[ProblemChange, ...]:
    raw = [
        fisher_exact((row.passed, after[key].passed), (row.samples, after[key].samples))
        for key, row in before.items()
    ]
    changes = []
    for (key, row), p_value in zip(before.items(), holm(raw), strict=True):
        gain = after[key].rate - row.rate
        sure = p_value <= 1 - CONFIDENCE  # then the sign of the gain is the answer
        answer = answer_of(Interval(gain, gain, gain) if sure else Interval(gain, -1.0, 1.0))
        changes.append(
            ProblemChange(id=key, before=row, after=after[key], p_value=p_value, answer=answer)
        )
    return tuple(sorted(changes, key=lambda change: change.difference))


def _newcombe(before: Interval, after: Interval) -> Interval:
    # Each side takes the bounds that make the difference smallest and largest, added in quadrature
    # as independent errors: method 10 of Newcombe (1998).
    difference = after.value - before.value
    down = math.hypot(after.value - after.low, before.high - before.value)
    up = math.hypot(after.high - after.value, before.value - before.low)
    return Interval(difference, difference - down, difference + up)


def answer_of(difference: Interval) -> Answer:
    """Name what an interval of a difference says."""
    if difference.low > 0:
        return "better"
    return "worse" if difference.high < 0 else "cannot tell from this much data"


def _needed(difference: float, detectable: float, evaluation: Evaluation) -> int | None:
    if difference == 0 or not math.isfinite(detectable):
        return None
    size = evaluation.problems
    if evaluation.scope == "fixed":
        size = max(row.samples for row in evaluation.per_problem.values())
    return math.ceil(size * (detectable / difference) ** 2)


def _factor(scope: Scope, problems: int, confidence: float = CONFIDENCE) -> float:
    """Standard errors between no difference and one found with the stated power."""
    if scope == "fixed":
        return two_sided(confidence) + two_sided(2 * POWER - 1)
    freedom = problems - 1
    return t_quantile(0.5 + confidence / 2, freedom) + t_quantile(POWER, freedom)
