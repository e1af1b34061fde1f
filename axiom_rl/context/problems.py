"""The problems of a run: made before anything is written, then kept in its folder."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

from axiom_rl.config import SPLITS, BenchmarkConfig, Config, ProceduralConfig
from axiom_rl.core.types import Problem
from axiom_rl.problems.sources.load import load_splits, require_problems
from axiom_rl.problems.sources.trained_on import training_problems
from axiom_rl.problems.splits import Splits, import_types_of, read_splits, write_splits
from axiom_rl.verify.references import check_references

log = logging.getLogger(__name__)

MOST_NAMED = 5
"""Rows named in a line of the log."""


def make_problems(config: Config, folder: Path, only: str | None = None) -> Splits:
    """Return the run's problems: those in its folder if it is resumed, else drawn anew.

    Args:
        config: the whole configuration.
        folder: of the run; nothing is written.
        only: the one split wanted; None means all for stage=train and solve, else the headline
            split: test, else val, else train.

    Raises:
        AxiomError: if there are none.
    """
    import_types_of(config.problems)
    saved = read_splits(folder / "problems")
    if saved is not None:
        return saved
    trains, tested = config.stage.kind == "train", config.stage.kind != "solve"
    before = _trained_before(config)
    splits = load_splits(config.problems, before, trains=trains, tested=tested)
    if not trains and tested:
        only = only or next((name for name in reversed(SPLITS) if getattr(splits, name)), None)
        empty: dict[str, Any] = {split: () for split in SPLITS if split != only}
        splits = replace(splits, **empty)
    wanted = "train" if trains else only
    require_problems(config.problems, splits, wanted)
    if not isinstance(config.problems, ProceduralConfig) and tested:
        splits = check_references(splits, config.sandbox)
        require_problems(config.problems, splits, wanted)
    return splits


def keep_problems(folder: Path, splits: Splits) -> None:
    """Write problems/ of a run that has none yet, and name rows that are in doubt."""
    if read_splits(folder / "problems") is not None:
        return
    write_splits(folder / "problems", splits)
    for what, found, file in (
        ("rows are left out", splits.left_out, "left_out.json"),
        ("problems have weak tests", splits.weak, "weak.json"),
    ):
        if found:
            named = "; ".join(f"{key}: {reason}" for key, reason in [*found.items()][:MOST_NAMED])
            place = folder / "problems" / file
            log.warning("%d %s, see %s: %s", len(found), what, place, named)


def _trained_before(config: Config) -> tuple[Problem, ...]:
    """Return what the model was trained on, where a benchmark's score depends on it."""
    if not isinstance(config.problems, BenchmarkConfig) or config.stage.kind == "collect":
        return ()
    place = config.problems.trained_on or config.model.adapter
    return () if place is None else training_problems(place)
