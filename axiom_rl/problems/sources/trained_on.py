"""What a model was trained on: the train problems that training runs left beside their adapters."""

from __future__ import annotations

from pathlib import Path

from omegaconf import OmegaConf

from axiom_rl.core.errors import AxiomError
from axiom_rl.core.types import Problem
from axiom_rl.problems.splits import import_types, read_problems, require_type

DEEPEST = 4
"""Folders between a run and an adapter in it (checkpoints/iter_1/adapter)."""


def training_problems(place: str) -> tuple[Problem, ...]:
    """Return the problems that an adapter, and the adapters it was started from, were trained on.

    Args:
        place: an adapter in its run folder, the run folder, or a problems file (.jsonl).

    Raises:
        AxiomError: if no problems are to be found there: what they overlap with is unknown then.
    """
    if place.endswith(".jsonl"):
        return _read(Path(place))
    run = _run_of(Path(place))
    saved = OmegaConf.load(run / "config.yaml")
    import_types(OmegaConf.select(saved, "problems.imports", default=[]))
    start = OmegaConf.select(saved, "model.adapter")
    earlier = () if start is None else training_problems(start)
    return (*earlier, *_read(run / "problems" / "train.jsonl"))


def _read(path: Path) -> tuple[Problem, ...]:
    """Read problems that are compared with others, and not judged by."""
    problems = read_problems(path, judged=False)
    for problem in problems:
        require_type(problem, str(path))
    return problems


def _run_of(place: Path) -> Path:
    path = place.expanduser().resolve()
    for folder in (path, *path.parents[:DEEPEST]):
        if (folder / "problems" / "train.jsonl").is_file() and (folder / "config.yaml").is_file():
            return folder
    raise AxiomError(
        f"{place} is in no run folder (problems/train.jsonl and config.yaml are missing), so the "
        "tasks of the benchmark that its training overlaps with cannot be left out; set "
        "problems.trained_on to the run folder, or to a problems file like its "
        "problems/train.jsonl (an empty file states that nothing overlaps)"
    )
