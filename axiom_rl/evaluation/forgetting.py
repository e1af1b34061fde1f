"""What a run trains on of the families that it watches for forgetting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from axiom_rl.core.files import read_json, write_json

FILE = "forgetting.json"


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
        return f"{family} is trained on, so its change is no forgetting and is not measured as such"
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
