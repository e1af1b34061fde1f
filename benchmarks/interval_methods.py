"""Which interval keeps its promise: simulations behind docs/concepts/statistics.md.

    python benchmarks/interval_methods.py

Every row is a set of true pass rates, every column a method; all random numbers are seeded.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from axiom_rl.evaluation.compare import difference_interval
from axiom_rl.evaluation.score import ProblemScore
from axiom_rl.evaluation.statistics import Scope, rate_interval, two_sided, wilson

Numbers = NDArray[np.float64]
Bounds = tuple[float, float]
SAMPLES = 8
DRAWS = 1000
FIXED = {
    "mixed, 0.02 to 1": [0.02, 0.1, 0.25, 0.5, 0.7, 0.9, 0.95, 0.97, 1, 1],
    "after training": [0.75, 0.9, 0.95, 0.98, 0.99, 0.99, 1, 1, 1, 1],
    "all 0.5": [0.5] * 10,
    "all 0.97": [0.97] * 10,
    "five at 0, five at 1": [0.0] * 5 + [1.0] * 5,
}
POPULATIONS = {
    "all 0.5": (1e6, 1e6),
    "middling": (2.0, 3.0),
    "easy or hard": (0.5, 0.5),
    "mostly hard": (0.3, 3.0),
}


def stratified_wilson(passed: Numbers, _random: np.random.Generator) -> Bounds:
    """The method of this project for a fixed set."""
    interval = rate_interval(passed.astype(int), [SAMPLES] * len(passed), "fixed")
    return interval.low, interval.high


def pooled_wilson(passed: Numbers, _random: np.random.Generator) -> Bounds:
    """Wilson over all samples, as if they were of one problem."""
    count = SAMPLES * len(passed)
    interval = wilson(float(passed.sum()) / count, count, two_sided(0.95))
    return interval.low, interval.high


def stratified_bootstrap(passed: Numbers, random: np.random.Generator) -> Bounds:
    """Percentiles of means, each problem's samples drawn again."""
    rates = np.broadcast_to(passed / SAMPLES, (DRAWS, len(passed)))
    return _percentiles(random.binomial(SAMPLES, rates).mean(1) / SAMPLES)


def jeffreys(passed: Numbers, random: np.random.Generator) -> Bounds:
    """Percentiles of the mean of Beta posteriors with Jeffreys' prior."""
    shape = (DRAWS, len(passed))
    return _percentiles(random.beta(passed + 0.5, SAMPLES - passed + 0.5, shape).mean(1))


def project_difference(gains: Numbers, old: Numbers, new: Numbers) -> Bounds:
    """The method of this project for a sampled set: the paired t interval."""
    return _difference(old, new, "sampled")


def percentile_bootstrap(gains: Numbers, old: Numbers, new: Numbers) -> Bounds:
    """Percentiles of the mean gain over resampled problems."""
    return _percentiles(_weights(len(gains)) @ gains)


def studentised_bootstrap(gains: Numbers, old: Numbers, new: Numbers) -> Bounds:
    """Percentiles of the mean gain in units of its own error (bootstrap-t)."""
    weights = _weights(len(gains))
    means = weights @ gains
    errors = np.sqrt(np.maximum(weights @ gains**2 - means**2, 1e-18) / (len(gains) - 1))
    low, high = _percentiles((means - gains.mean()) / errors)
    error = gains.std(ddof=1) / np.sqrt(len(gains))
    return float(gains.mean() - high * error), float(gains.mean() - low * error)


def two_level_bootstrap(gains: Numbers, old: Numbers, new: Numbers) -> Bounds:
    """Problems drawn again, then their samples drawn again inside."""
    random = np.random.default_rng(0)
    chosen = random.integers(len(gains), size=(DRAWS, len(gains)))
    after = random.binomial(SAMPLES, new[chosen] / SAMPLES)
    before = random.binomial(SAMPLES, old[chosen] / SAMPLES)
    return _percentiles((after - before).mean(1) / SAMPLES)


def coverage(method: Callable[[Numbers, np.random.Generator], Bounds], rates: Numbers) -> str:
    """Share of 2,000 intervals that hold the true mean, and their mean width in points."""
    random, resample = np.random.default_rng(0), np.random.default_rng(1)
    truth, inside, width, rounds = rates.mean(), 0, 0.0, 2000
    for _ in range(rounds):
        low, high = method(random.binomial(SAMPLES, rates).astype(float), resample)
        inside += bool(low <= truth + 1e-12 and truth - 1e-12 <= high)
        width += high - low
    return f"{100 * inside / rounds:.1f} %, {100 * width / rounds:.1f}"


def flagged(
    method: Callable[[Numbers, Numbers, Numbers], Bounds],
    shape: tuple[float, float],
    problems: int,
    gain: float,
    rounds: int,
) -> str:
    """Share of comparisons whose interval leaves out zero."""
    random, found = np.random.default_rng(2), 0
    for _ in range(rounds):
        rates = random.beta(*shape, size=problems)
        old = random.binomial(SAMPLES, rates).astype(float)
        new = random.binomial(SAMPLES, np.clip(rates + gain, 0, 1)).astype(float)
        low, high = method((new - old) / SAMPLES, old, new)
        found += bool(low > 0 or high < 0)
    return f"{100 * found / rounds:.1f} %"


def main() -> None:
    """Print the tables of docs/concepts/statistics.md."""
    rates = [stratified_wilson, pooled_wilson, stratified_bootstrap, jeffreys]
    _print_table(
        "Fixed set of 10 problems, 8 samples each: coverage and width in points",
        rates,
        {name: [coverage(method, np.array(p)) for method in rates] for name, p in FIXED.items()},
    )
    print("\nFixed set, the same model twice: called different")
    for name, p in FIXED.items():
        print(f"| {name} | {_fixed_alarms(np.array(p))} |")
    methods = [
        project_difference,
        percentile_bootstrap,
        studentised_bootstrap,
        two_level_bootstrap,
    ]
    for problems, gain, title in (
        (10, 0.0, "10 sampled problems, the same model twice: called different"),
        (200, 0.0, "200 sampled problems, the same model twice: called different"),
        (200, 0.05, "200 sampled problems, a gain of 5 points: found"),
    ):
        table = {}
        for name, shape in POPULATIONS.items():
            rounds = {m: 200 if m is two_level_bootstrap else 2000 for m in methods}
            table[name] = [flagged(m, shape, problems, gain, rounds[m]) for m in methods]
        _print_table(title, methods, table)


def _fixed_alarms(rates: Numbers) -> str:
    random, found = np.random.default_rng(3), 0
    for _ in range(2000):
        old, new = random.binomial(SAMPLES, rates), random.binomial(SAMPLES, rates)
        low, high = _difference(old.astype(float), new.astype(float), "fixed")
        found += bool(low > 0 or high < 0)
    return f"{100 * found / 2000:.1f} %"


def _difference(old: Numbers, new: Numbers, scope: Scope) -> Bounds:
    before, after = (
        [
            ProblemScore(type="", difficulty=1, title="", passed=int(k), samples=SAMPLES)
            for k in counts
        ]
        for counts in (old, new)
    )
    interval, _error = difference_interval(before, after, scope)
    return interval.low, interval.high


@lru_cache
def _weights(count: int) -> Numbers:
    random = np.random.default_rng(0)
    return random.multinomial(count, np.full(count, 1 / count), size=DRAWS) / count


def _percentiles(values: Numbers) -> Bounds:
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def _print_table(
    title: str, methods: list[Callable[..., Bounds]], rows: dict[str, list[str]]
) -> None:
    names = [method.__name__.replace("_", " ") for method in methods]
    print(f"\n{title}\n| true pass rates | " + " | ".join(names) + " |")
    for name, cells in rows.items():
        print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
