"""The problems of a run, wherever they come from."""

from __future__ import annotations

from collections.abc import Iterable

from axiom_rl.config import BenchmarkConfig, JsonlConfig, ProblemsConfig, ProceduralConfig
from axiom_rl.errors import AxiomError
from axiom_rl.problems.benchmarks import load_benchmark
from axiom_rl.problems.dataset import Splits, build_splits
from axiom_rl.problems.jsonl import read_user_problems
from axiom_rl.types import Problem


def load_splits(config: ProblemsConfig) -> Splits:
    """Return the problems that the config names, in their splits.

    Only procedural problems have fresh tests (`axiom_rl.problems.has_fresh_tests`).

    Raises:
        AxiomError: if the config is impossible, or a file or benchmark cannot be read.
    """
    match config:
        case ProceduralConfig():
            return build_splits(config)
        case JsonlConfig():
            return _by_split(read_user_problems(config.path))
        case BenchmarkConfig():
            if config.limit is not None and config.limit < 1:
                raise AxiomError("problems.limit must be 1 or more, or null for all")
            problems = load_benchmark(config.source, config.path).problems
            return _by_split(problems[: config.limit])
        case _:
            raise AxiomError(f"problems.source={config.source}: no such source; see conf/problems/")


def _by_split(problems: Iterable[Problem]) -> Splits:
    splits: dict[str, list[Problem]] = {"train": [], "val": [], "test": []}
    for problem in problems:
        splits[problem.split].append(problem)
    return Splits(**{split: tuple(chosen) for split, chosen in splits.items()})
