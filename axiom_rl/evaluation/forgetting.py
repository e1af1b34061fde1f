"""What a run trains on, of its own types and of the families that it watches, and what it lost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from axiom_rl.core.files import read_json, write_json
from axiom_rl.evaluation.score import Evaluation
from axiom_rl.evaluation.statistics import CONFIDENCE, fisher_exact, holm

FILE = "forgetting.json"
TYPES_FILE = "trained_types.json"
LOST_FALL = 0.1
"""A type that falls by more than this, and beyond what chance in the samples explains, is lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedOn:
    """The types of a watched family that the run trains on: their change is no forgetting."""

    types: tuple[str, ...]
    whole: bool
    """Whether no type of the family is left to watch."""

    def __bool__(self) -> bool:
        return bool(self.types)


def trained_on_text(family: str, trained: TrainedOn) -> str:
    """Say what of a family is not measured as forgetting, and why."""
    if trained.whole:
        return (
            f"{family} is trained on, so its change is no forgetting and is not measured as such; "
            "types of it that this run leaves out are watched among its own problems"
        )
    return f"{family} without {', '.join(trained.types)}, which this run trains on"


def write_trained_on(folder: Path, families: Mapping[str, TrainedOn]) -> None:
    """Write forgetting.json: what the run trains on, of each family that it was to watch."""
    found = {name: asdict(trained) for name, trained in families.items()}
    write_json(folder / FILE, {"schema": 1, "trained_on": found})


def read_trained_on(folder: Path) -> dict[str, TrainedOn] | None:
    """Read forgetting.json of a run folder; None where there is none, as in older versions."""
    path = folder / FILE
    if not path.exists():
        return None
    return {name: TrainedOn(**row) for name, row in read_json(path)["trained_on"].items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeBaseline:
    """What the baseline said of a type of the training split, and what followed."""

    passed: int
    samples: int
    """0 where the type was not measured."""
    trained: bool


def write_types(folder: Path, types: Mapping[str, TypeBaseline]) -> None:
    """Write trained_types.json: which types are trained on and which are left out."""
    rows = {name: asdict(row) for name, row in types.items()}
    write_json(folder / TYPES_FILE, {"schema": 1, "types": rows})


def read_types(folder: Path) -> dict[str, TypeBaseline]:
    """Read trained_types.json of a run folder; empty where there is none."""
    path = folder / TYPES_FILE
    rows = read_json(path)["types"] if path.exists() else {}
    return {name: TypeBaseline(**row) for name, row in rows.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeChange:
    """A type before and after training: samples that passed, of those judged."""

    name: str
    family: str
    """Name of the watched family; '' for the run's own problems."""
    before: tuple[int, int]
    after: tuple[int, int]
    p_value: float
    """Of Fisher's exact test, corrected by Holm for the number of types compared. It is about the
    samples of these problems; of other problems of the type it says less."""

    @property
    def difference(self) -> float:
        """Pass rate after minus before."""
        return self.after[0] / self.after[1] - self.before[0] / self.before[1]

    @property
    def is_told(self) -> bool:
        """Whether chance in the samples does not explain the change."""
        return self.p_value <= 1 - CONFIDENCE

    @property
    def is_lost(self) -> bool:
        """Whether more than half passed before, and that fell by more than LOST_FALL for sure."""
        had = self.before[0] / self.before[1] > 0.5
        return had and self.is_told and self.difference < -LOST_FALL


def type_changes(pairs: Mapping[str, tuple[Evaluation, Evaluation]]) -> list[TypeChange]:
    """Compare the types of evaluations before and after, by family, largest losses first."""
    counted = [
        (name, family, old, new)
        for family, (before, after) in pairs.items()
        for name, old, new in _both(_by_type(before), _by_type(after))
    ]
    raw = [fisher_exact((old[0], new[0]), (old[1], new[1])) for _n, _f, old, new in counted]
    changes = [
        TypeChange(name=name, family=family, before=old, after=new, p_value=p_value)
        for (name, family, old, new), p_value in zip(counted, holm(raw), strict=True)
    ]
    return sorted(changes, key=lambda change: change.difference)


Counts = tuple[int, int]
"""Passed and judged samples."""


def _both(
    before: Mapping[str, Counts], after: Mapping[str, Counts]
) -> Iterator[tuple[str, Counts, Counts]]:
    """Yield the types that have judged samples in both."""
    for name, old in before.items():
        new = after.get(name, (0, 0))
        if old[1] and new[1]:
            yield name, old, new


def _by_type(evaluation: Evaluation) -> dict[str, tuple[int, int]]:
    counts: dict[str, tuple[int, int]] = {}
    for row in evaluation.per_problem.values():
        passed, samples = counts.get(row.type, (0, 0))
        counts[row.type] = passed + row.passed, samples + row.samples
    return counts
