"""The schema of conf/problems."""

from __future__ import annotations

from dataclasses import dataclass

from omegaconf import MISSING


@dataclass
class ProblemsConfig:
    """Which problems, how many, and how they are put to the model."""

    source: str = MISSING
    """procedural (types of a family in the registry), jsonl, humaneval or mbpp."""
    prompt: str = MISSING
    """direct, chain_of_thought, few_shot or think (reasoning inside <think> tags)."""


@dataclass
class SplitSizes:
    """Problems per type in each split."""

    train: int = MISSING
    """Trained on."""
    val: int = MISSING
    """Chosen by: which types to train on, which setting is best."""
    test: int = MISSING
    """Reported on, and used for nothing else."""


@dataclass
class ProceduralConfig(ProblemsConfig):
    """Problems drawn from the generators of a family."""

    family: str | None = MISSING
    """basic, easy, hard, memorisable, or one of your own; null means types of all families."""
    types: list[str] | None = MISSING
    """Types of the family to use; null means all."""
    holdout_types: list[str] = MISSING
    """Types kept out of the train split; they are in val and test alone."""
    levels: list[int] = MISSING
    """Difficulty levels drawn from in turn, each 1 to 10."""
    sizes: SplitSizes = MISSING
    weights: dict[str, float] = MISSING
    """Factors on `sizes` for some types, e.g. +problems.weights.lcs=2; 1 for types not named."""
    imports: list[str] = MISSING
    """Modules to import first, which register problem types of your own."""
    check: bool = MISSING
    """stage=list compares the problems with HumanEval and MBPP."""
    check_files: list[str] = MISSING
    """Benchmark files (JSONL) for `check`; empty means an installed package and the hub."""
    seed: int = MISSING
    """Seed of the problems; apart from the run's seed, so that runs share their problems."""


@dataclass
class JsonlConfig(ProblemsConfig):
    """Problems of the user's own, see docs/reference/problems.md for the format."""

    path: str | None = MISSING
    """The file: one JSON object per line. Needed; null is an error that says so."""
    imports: list[str] = MISSING
    """Modules that register the checkers which the file names."""


@dataclass
class BenchmarkConfig(ProblemsConfig):
    """A public benchmark, judged without the candidate ever holding an expected value."""

    path: str | None = MISSING
    """JSONL file (or .jsonl.gz); null means an installed package, then the hub."""
    limit: int | None = MISSING
    """Largest number of tasks, the first ones; null means all."""
    trained_on: str | None = MISSING
    """Run folder, or problems file like its problems/train.jsonl: tasks that overlap with these
    problems are left out. null means the run that model.adapter comes from, if there is one."""
