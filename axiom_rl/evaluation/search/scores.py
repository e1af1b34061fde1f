"""Policy, policy with search, oracle: the same samples scored three ways.

Searches choose in `axiom_rl.search`, which never meets a verdict; here the verdicts on the chosen
samples are looked up. Where a benchmark has a test among its own that its statement shows, search
has seen it, so that scores are over the others; the one over all stands beside
(`Pool.passed_all`). A score is a mean over problems. The unit of every interval is what the model
was asked: problems whose statement is the same are one unit, so the levels of a type of `hard` are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from axiom_rl.core.types import FAILED_KEPT, Problem, Status, Verdict
from axiom_rl.evaluation.statistics import CONFIDENCE, Interval, t_quantile, wilson
from axiom_rl.problems import has_fresh_tests
from axiom_rl.rollouts.records import Rollout
from axiom_rl.search.budget import Cost, compute, orders
from axiom_rl.search.material import Material, Sampled, sampled
from axiom_rl.search.public import public_side
from axiom_rl.search.selectors import oracle

BOOTSTRAP_DRAWS = 4000
LEAST_GAP = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Samples of problems, each with the verdict of the tests that search does not see.

    A problem whose every test is shown has no such verdict and is none of these.
    """

    problems: tuple[Problem, ...]
    samples: Mapping[str, tuple[Sampled, ...]]
    passed: Mapping[str, tuple[bool, ...]]
    fractions: Mapping[str, tuple[float, ...]]
    """Share of all tests passed."""
    faults: int
    """Samples left out, since the sandbox failed on them."""
    passed_all: Mapping[str, tuple[bool, ...]] = field(default_factory=dict)
    """Whether they pass all tests of the problem, those that search sees included."""
    seen: Mapping[str, frozenset[int]] = field(default_factory=dict)
    """Places of the tests that search sees, of problems that have such."""
    all_seen: int = 0
    """Problems left out, since search sees all their tests."""

    @property
    def size(self) -> int:
        """Samples that every problem has."""
        return min(map(len, self.samples.values()), default=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchScore:
    """One way to choose, at one budget."""

    samples: int
    score: Interval
    """Share of the problems whose chosen sample passes."""
    gain: Interval
    """Over the policy on the same problems, paired."""
    gap_closed: Interval
    """Share of the way from the policy to the oracle at this budget; NaN where there is none."""
    cost: Cost


def make_pool(problems: Sequence[Problem], rollouts: Sequence[Rollout]) -> Pool:
    """Return the pool of the rollouts of these problems, in order of the draw."""
    seen = {problem.id: seen_tests(problem) for problem in problems}
    unseen = [p for p in problems if has_fresh_tests(p) or len(seen[p.id]) < len(p.hidden_tests)]
    verdicts: dict[str, list[tuple[Rollout, Verdict]]] = {problem.id: [] for problem in unseen}
    faults = 0
    for item in sorted(rollouts, key=lambda item: item.completion.sample):
        verdict = item.fresh or item.hidden
        if item.completion.problem_id not in verdicts or verdict is None:
            continue
        if verdict.status is Status.SANDBOX_FAULT:
            faults += 1
            continue
        verdicts[item.completion.problem_id].append((item, verdict))
    judged = {key: pairs for key, pairs in verdicts.items() if pairs}
    return Pool(
        problems=tuple(problem for problem in unseen if problem.id in judged),
        samples={k: tuple(sampled(i.completion, i.code) for i, _v in p) for k, p in judged.items()},
        passed={k: tuple(passes_unseen(v, seen[k]) for _i, v in p) for k, p in judged.items()},
        passed_all={key: tuple(v.passed for _i, v in pairs) for key, pairs in judged.items()},
        fractions={k: tuple(v.pass_fraction for _i, v in pairs) for k, pairs in judged.items()},
        seen={key: seen[key] for key in judged if seen[key]},
        faults=faults,
        all_seen=len(problems) - len(unseen),
    )


def seen_tests(problem: Problem) -> frozenset[int]:
    """Return the places of the tests of a score that search sees as well; fresh ones are others."""
    if has_fresh_tests(problem):
        return frozenset()
    public = [test.args for test in public_side(problem).public_tests]
    places = enumerate(problem.hidden_tests)
    return frozenset(place for place, test in places if test.args in public)


def passes_unseen(verdict: Verdict, seen: frozenset[int]) -> bool:
    """Whether a program passes every test but those that search sees."""
    failed = verdict.failed_tests  # none of a program that never ran
    return verdict.passed or (0 < len(failed) < FAILED_KEPT and seen.issuperset(failed))


def unit_of(problem: Problem) -> str:
    """Return what a problem shares with those that put the same question."""
    return f"{problem.type}\n{problem.statement}\n{problem.signature}"


@dataclass(frozen=True, slots=True)
class Scorer:
    """Scores choices on a pool at one budget."""

    pool: Pool
    samples: int
    policy: NDArray[np.float64]
    """Pass rate of each problem, over all its samples."""
    oracle: NDArray[np.float64]
    weights: NDArray[np.float64]
    """Of each problem in each bootstrap draw of units; rows sum to 1."""
    units: tuple[str, ...]

    def score(self, rates: Sequence[float], cost: Cost) -> SearchScore:
        """Return the score of one way to choose.

        Args:
            rates: of each problem, the share of the choices that pass.
            cost: of choosing so.
        """
        chosen = np.asarray(rates, dtype=float)
        return SearchScore(
            samples=self.samples,
            score=self._share(chosen),
            gain=self._mean(chosen - self.policy),
            gap_closed=self._gap_closed(chosen),
            cost=cost,
        )

    def difference(self, rates: Sequence[float], others: Sequence[float]) -> Interval:
        """Return how much better one way is than another on the same problems."""
        return self._mean(np.asarray(rates, dtype=float) - np.asarray(others, dtype=float))

    def mean(self, rates: Sequence[float]) -> Interval:
        """Return the mean of the problems' rates."""
        return self._share(np.asarray(rates, dtype=float))

    def policy_score(self) -> Interval:
        """Return the mean pass rate of single samples."""
        return self._share(self.policy)

    def _share(self, rates: NDArray[np.float64]) -> Interval:
        """Return a mean of rates in 0..1, with a width where all of them are the same.

        Ten of ten are no proof: then Wilson's interval says what so many units can tell, as that of
        a pass rate does (`axiom_rl.evaluation.statistics`).
        """
        mean = self._mean(rates, 0.0)
        if not mean.high - mean.low < LEAST_GAP:  # NaN of a single unit too
            return mean
        count = len(set(self.units))
        return wilson(mean.value, count, t_quantile(0.5 + CONFIDENCE / 2, count - 1))

    def _mean(self, values: NDArray[np.float64], least: float = -1.0) -> Interval:
        """Return a mean over problems with its interval over units; a rate is `least` 0."""
        mean = float(values.mean())
        count = len(set(self.units))
        if count < 2:
            return Interval(mean, math.nan, math.nan)
        spread = float(np.std(self.weights @ values)) * math.sqrt(count / (count - 1))
        half = t_quantile(0.5 + CONFIDENCE / 2, count - 1) * spread
        return Interval(mean, max(least, mean - half), min(1.0, mean + half))

    def _gap_closed(self, chosen: NDArray[np.float64]) -> Interval:
        gap = self.oracle - self.policy
        if gap.mean() < LEAST_GAP:
            return Interval(math.nan, math.nan, math.nan)
        share = float((chosen - self.policy).mean() / gap.mean())
        gaps, gains = self.weights @ gap, self.weights @ (chosen - self.policy)
        there = gaps > LEAST_GAP
        if len(set(self.units)) < 2 or not there.any():
            return Interval(share, math.nan, math.nan)
        low, high = np.quantile(
            gains[there] / gaps[there], [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]
        )
        return Interval(share, min(share, float(low)), max(share, float(high)))


def scorer(pool: Pool, samples: int, oracle_rates: Sequence[float]) -> Scorer:
    """Return what scores choices among so many samples.

    Args:
        pool: the samples with their verdicts.
        samples: the budget.
        oracle_rates: of each problem, the oracle's score at that budget.
    """
    units = tuple(unit_of(problem) for problem in pool.problems)
    policy = np.array([np.mean(pool.passed[problem.id]) for problem in pool.problems])
    return Scorer(pool, samples, policy, np.asarray(oracle_rates), _weights(units), units)


def oracle_rates(pool: Pool, samples: int, seed: int) -> list[float]:
    """Return the oracle's score on each problem: over the replay's orders, or on all samples."""
    rates = []
    for problem in pool.problems:
        passed = pool.passed[problem.id]
        chosen = orders(problem.id, len(passed), seed)
        hits = [passed[oracle.choose(passed, order[:samples])] for order in chosen]
        rates.append(sum(hits) / len(hits))
    return rates


def cost_of(
    pool: Pool,
    samples: int,
    *,
    cpu_s: float,
    written: int,
    read: float = 0.0,
    parameters: int | None = None,
) -> Cost:
    """Return the mean cost per problem of drawing so many samples and searching among them.

    Args:
        pool: the samples; a budget of n is n times their mean length.
        samples: the budget.
        cpu_s: seconds of running programs for the search, all problems together.
        written: tokens of tests that the model wrote, all problems together.
        read: tokens that a value head read again, all problems together.
        parameters: of the model, where they are known.
    """
    drawn = [each for each in pool.samples.values() if each]
    generated = sum(sum(sample.tokens for sample in each) / len(each) for each in drawn)
    forward = sum(sum(sample.prompt_tokens for sample in each) / len(each) for each in drawn)
    count = max(1, len(drawn))
    drawn_tokens, read_tokens = samples * generated + written, samples * forward + read
    return Cost(
        generated=drawn_tokens / count,
        forward=read_tokens / count,
        cpu_s=round(cpu_s / count, 6),
        flops=compute(parameters, (drawn_tokens + read_tokens) / count),
    )


def survivors(pool: Pool, materials: Mapping[str, Material]) -> dict[str, int]:
    """Count the samples that pass all public tests, those of them that are wrong, and the rest.

    Hard-coded are those that pass no test but the public ones, which a benchmark has among its own.
    """
    counts = {"programs": 0, "survivors": 0, "false": 0, "hard_coded": 0}
    tests = {problem.id: len(problem.hidden_tests) for problem in pool.problems}
    shown = {key: len(pool.seen.get(key, ())) / max(1, count) for key, count in tests.items()}
    for key, material in materials.items():
        counts["programs"] += sum(sample.code is not None for sample in material.samples)
        if not material.problem.public_tests:
            continue
        for place in material.survivors:
            counts["survivors"] += 1
            counts["false"] += not pool.passed[key][place]
            counts["hard_coded"] += (
                not pool.passed[key][place] and pool.fractions[key][place] <= shown[key]
            )
    return counts


def _weights(units: Sequence[str]) -> NDArray[np.float64]:
    """Draw units, all problems of a unit together: (draws, problems), rows sum to 1."""
    names = sorted(set(units))
    number = np.array([names.index(unit) for unit in units])
    random = np.random.default_rng(0)
    counts = random.multinomial(len(names), np.full(len(names), 1 / len(names)), BOOTSTRAP_DRAWS)
    weights = counts[:, number].astype(float)
    total = weights.sum(axis=1, keepdims=True)
    result: NDArray[np.float64] = weights / total
    return result
