"""The problems of a run, wherever they come from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from axiom_rl.config import BenchmarkConfig, JsonlConfig, ProblemsConfig, ProceduralConfig
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.types import Problem
from axiom_rl.problems.generate import SPLITS
from axiom_rl.problems.sources.benchmarks import load_benchmark
from axiom_rl.problems.sources.contamination import find_overlaps, overlapping_tasks
from axiom_rl.problems.sources.jsonl import read_user_problems
from axiom_rl.problems.splits import Splits, build_splits, import_types


def load_splits(
    config: ProblemsConfig,
    trained: Sequence[Problem] = (),
    *,
    trains: bool = False,
    tested: bool = True,
) -> Splits:
    """Return the problems that the config names, in their splits.

    Only procedural problems have fresh tests (`axiom_rl.problems.has_fresh_tests`).

    Args:
        config: the problems wanted.
        trained: what the model was trained on before; tasks of a benchmark's val and test splits
            that overlap with it are left out.
        trains: the train split will be trained on, so it counts as well.
        tested: whether problems of the user's own must have tests beside examples.

    Raises:
        AxiomError: if the config is impossible, or a file or benchmark cannot be read.
    """
    match config:
        case ProceduralConfig():
            return build_splits(config)
        case JsonlConfig():
            if config.path is None:
                raise AxiomError(
                    "problems=jsonl needs problems.path=my_problems.jsonl (the format is in "
                    "docs/reference/problems.md)"
                )
            import_types(config.imports)
            own = read_user_problems(config.path, tested=tested)
            return _by_split(own.problems, own.left_out, own.solutions)
        case BenchmarkConfig():
            return _of_benchmark(config, trained, trains)
        case _:
            raise AxiomError(f"problems.source={config.source}: no such source; see conf/problems/")


def require_problems(config: ProblemsConfig, splits: Splits, split: str | None) -> None:
    """Refuse a run without problems.

    Args:
        config: where the problems come from.
        splits: what came from there.
        split: the split that must have some; None means any.

    Raises:
        AxiomError: saying how to get some.
    """
    counts = {name: len(getattr(splits, name)) for name in SPLITS}
    if counts[split] if split else any(counts.values()):
        return
    there = ", ".join(f"{count} {name}" for name, count in counts.items())
    match config:
        case ProceduralConfig():
            cure = f"set problems.sizes.{split}=1 or more"
        case BenchmarkConfig(source="humaneval") if split == "train":
            cure = (
                "HumanEval is for evaluation (stage=evaluate, or stage.split=test) and never for "
                "training; train on e.g. problems=mbpp or problems=easy"
            )
        case BenchmarkConfig():
            cure = f"{config.source} has {there} problems ({len(splits.left_out)} left out)"
        case _ if splits.left_out:
            place, reason = next(iter(splits.left_out.items()))
            cure = (
                f"{there} problems, and {len(splits.left_out)} rows of problems.path are left out "
                f"({place}: {reason})"
            )
        case _:
            cure = f'give problems "split": "{split}" in problems.path, or choose another split'
    raise AxiomError(f"the {split or 'problems'} split is empty: {cure}")


def _of_benchmark(config: BenchmarkConfig, trained: Sequence[Problem], trains: bool) -> Splits:
    if config.limit is not None and config.limit < 1:
        raise AxiomError("problems.limit must be 1 or more, or null for all")
    benchmark = load_benchmark(config.source, config.path)
    chosen = benchmark.problems[: config.limit]
    own = [problem for problem in chosen if problem.split == "train"] if trains else []
    overlapping = overlapping_tasks(find_overlaps([*trained, *own], benchmark))
    scored = {
        problem.id: overlapping[problem.id]
        for problem in chosen
        if problem.split != "train" and problem.id in overlapping
    }
    return _by_split(chosen, benchmark.left_out | scored, benchmark.solutions)


def _by_split(
    problems: Iterable[Problem], left_out: Mapping[str, str], solutions: Mapping[str, str]
) -> Splits:
    splits: dict[str, list[Problem]] = {split: [] for split in SPLITS}
    for problem in problems:
        if problem.id not in left_out:
            splits[problem.split].append(problem)
    train, val, test = (tuple(splits[split]) for split in SPLITS)
    return Splits(train, val, test, left_out=dict(left_out), solutions=solutions)
