"""Where a run's numbers go: metrics.jsonl always, W&B where the user asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from axiom_rl.config import TrackingConfig, WandbConfig
from axiom_rl.core.errors import AxiomError
from axiom_rl.run.tracking.metrics import Phase, Tracker, read_metrics
from axiom_rl.run.tracking.wandb_copy import WandbTracker, check_wandb

__all__ = ["Phase", "Tracker", "WandbTracker", "check_wandb", "open_tracker", "read_metrics"]


def open_tracker(config: TrackingConfig, folder: Path, settings: Mapping[str, Any]) -> Tracker:
    """Return the tracker that the config asks for.

    Args:
        config: of the group `tracking`.
        folder: the run folder.
        settings: the run's whole configuration, shown by W&B.

    Raises:
        AxiomError: for an unknown kind, or where wandb is missing.
    """
    match config:
        case WandbConfig():
            return WandbTracker(folder, config, settings)
        case TrackingConfig(kind="none"):
            return Tracker(folder)
        case _:
            raise AxiomError(f"tracking.kind={config.kind!r}: choose none or wandb")
