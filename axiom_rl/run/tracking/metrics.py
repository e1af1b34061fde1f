"""metrics.jsonl: one row per step and phase, the source of truth and of every chart."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import append_jsonl, read_jsonl, write_jsonl

SCHEMA = 1
Phase = Literal["evaluate", "collect", "teach", "train", "timing"]


class Tracker:
    """Writes one line of metrics.jsonl per call of `log`."""

    def __init__(self, folder: Path) -> None:
        """Go on with `folder`/metrics.jsonl, or start it."""
        self.folder = folder
        self.path = folder / "metrics.jsonl"
        self.rows = sum(1 for _row in read_metrics(folder))
        """Rows written so far; a checkpoint stores this number."""

    def log(self, phase: Phase, iteration: int, **numbers: Any) -> None:
        """Append one row and wait until it is on disk.

        Args:
            phase: evaluate, collect, teach, train or timing.
            iteration: 0 before training, then 1, 2, ...
            **numbers: the row's columns; NaN and infinity, which JSON lacks, become null.

        Raises:
            AxiomError: if the row cannot be written.
        """
        row = {
            "schema": SCHEMA,
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "phase": phase,
            "iteration": iteration,
        }
        row |= {key: _finite(value) for key, value in numbers.items()}
        append_jsonl(self.path, [row])
        self.rows += 1

    def cut_back(self, rows: int) -> None:
        """Drop every row after the first `rows`, so that a resumed run doubles nothing.

        Raises:
            AxiomError: if the file has fewer rows than the checkpoint counted.
        """
        kept = read_metrics(self.folder)
        if len(kept) < rows:
            raise AxiomError(
                f"{self.path} has {len(kept)} rows, but the checkpoint was taken after {rows}; "
                "restore the file, or start a new run"
            )
        write_jsonl(self.path, kept[:rows])
        self.rows = rows

    def cut_training(self, iteration: int, step: int) -> None:
        """Drop an iteration's rows of training steps after `step`, where training goes on.

        Whatever the state says: the checkpoint that it was saved with may be damaged.
        """
        rows = read_metrics(self.folder)
        kept = [
            row
            for row in rows
            if (row["phase"], row["iteration"]) != ("train", iteration)
            or row.get("step", 0) <= step
        ]
        if len(kept) < len(rows):
            write_jsonl(self.path, kept)
            self.rows = len(kept)

    def close(self) -> None:
        """Finish; call it last, after the report is written."""


def read_metrics(folder: Path, phase: Phase | None = None) -> list[dict[str, Any]]:
    """Return the rows of a run's metrics.jsonl, of one phase or all; [] where there is none."""
    path = folder / "metrics.jsonl"
    rows = list(read_jsonl(path)) if path.exists() else []
    return [row for row in rows if phase is None or row.get("phase") == phase]


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(part) for key, part in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
