"""How fast this machine sampled last time, for an estimate before the first sample.

Read from the runs beside this one: nothing is kept outside run folders.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_json
from axiom_rl.core.text import duration
from axiom_rl.run.folder import machine, read_sessions
from axiom_rl.run.tracking import read_metrics

MOST_RUNS = 30
"""Newest runs that are looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """What the last evaluation of a model on this machine took."""

    tokens_per_second: float
    tokens_per_sample: float

    def text(self, samples: int, limit: int) -> str:
        """Say how long samples will take.

        Args:
            samples: to draw.
            limit: tokens of a sample at most.
        """
        tokens = samples * min(self.tokens_per_sample, limit)
        return (
            f"about {duration(tokens / self.tokens_per_second)} at the speed of the last run here "
            f"({self.tokens_per_second:,.0f} tokens/s)"
        )


def last_speed(outputs: Path, model: str, backend: str) -> Speed | None:
    """Return the speed of the newest run of a model on this machine; None where there is none.

    Args:
        outputs: folder of runs, outputs/NAME/TIME or of sweeps outputs/NAME/TIME/NUMBER.
        model: its name.
        backend: of the sampler.
    """
    for folder in _newest(outputs):
        try:
            speed = _speed_of(folder, model, backend)
        except (AxiomError, KeyError, TypeError, ValueError):  # damaged, or of another version
            continue
        if speed is not None:
            return speed
    return None


def _newest(outputs: Path) -> Iterator[Path]:
    found = [*outputs.glob("*/*/metrics.jsonl"), *outputs.glob("*/*/*/metrics.jsonl")]
    found.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    yield from (path.parent for path in found[:MOST_RUNS])


def _speed_of(folder: Path, model: str, backend: str) -> Speed | None:
    sessions = read_sessions(folder)
    before = folder / "evaluation" / "before.json"
    if not (sessions and before.exists()):
        return None
    last, here = sessions[-1], machine()
    same_model = last["model"]["name"] == model
    same_backend = read_json(before)["sampler"]["backend"] == backend
    if not (same_model and same_backend and all(last[key] == here[key] for key in here)):
        return None
    timed = [
        row
        for row in read_metrics(folder, "timing")
        if row["name"] == "evaluate" and row["iteration"] == 0 and row.get("tokens_per_second")
    ]
    samples = {
        row["split"]: int(row["samples"])
        for row in read_metrics(folder, "evaluate")
        if row["iteration"] == 0 and row.get("of") is None
    }
    if not (timed and sum(samples.values())):
        return None
    return Speed(
        tokens_per_second=float(timed[0]["tokens_per_second"]),
        tokens_per_sample=float(timed[0]["tokens"]) / sum(samples.values()),
    )
