"""How fast problems are made, oracles included: python benchmarks/problems.py [--count 10000].

Prints seconds of one core for `count` train problems of each family, types and levels in turn,
beside the budget (10 s for easy and 60 s for hard at 10,000), and the milliseconds of each type.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict

from axiom_rl.problems import make_problem, problem_types

BUDGETS = {"easy": 10.0, "hard": 60.0}
"""Seconds for 10,000 problems."""


def seconds_by_type(family: str, count: int) -> dict[str, float]:
    """Make `count` problems of the family; return the CPU seconds of each type."""
    names = problem_types()[family]
    seconds: dict[str, float] = defaultdict(float)
    for index in range(count):
        name = names[index % len(names)]
        started = time.process_time()
        make_problem(name, difficulty=index // len(names) % 10 + 1, index=index)
        seconds[name] += time.process_time() - started
    return seconds


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="problems per family")
    count = parser.parse_args().count
    for family, budget in BUDGETS.items():
        seconds = seconds_by_type(family, count)
        total = sum(seconds.values())
        allowed = budget * count / 10_000
        print(f"{family}: {count} problems in {total:.1f} s of CPU (budget {allowed:.1f} s)")
        for name, spent in sorted(seconds.items(), key=lambda item: -item[1]):
            print(f"  {name:22} {1000 * spent * len(seconds) / count:7.2f} ms per problem")


if __name__ == "__main__":
    main()
