"""What of trl.DistillationConfig can be given in trainer.args, and what a run needs of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from peft import PeftModel
from trl.trainer.distillation_config import DistillationConfig

from axiom_rl.core.errors import AxiomError
from axiom_rl.trainers.options import check_options, run_options

NEEDED = (
    "max_steps", "max_completion_length", "temperature", "save_steps",
    "per_device_train_batch_size", "gradient_accumulation_steps",
)  # fmt: skip
"""Without any of these there is no training, or none that can be gone on with."""


def check_distill(args: dict[str, Any]) -> None:
    """Refuse options that TRL lacks or refuses, or that a run cannot use.

    Raises:
        AxiomError: naming the key and what it must be.
    """
    check_options(DistillationConfig, args)
    for key in NEEDED:
        value = args.get(key, 0)
        if not value > 0:
            raise AxiomError(f"trainer.args.{key}={args.get(key)}: must be above 0")
        if key != "temperature" and value != int(value):
            raise AxiomError(f"trainer.args.{key}={value}: must be a whole number")


def samples_per_step(args: dict[str, Any]) -> int:
    """Return the number of completions that one optimizer step learns from."""
    return int(args["per_device_train_batch_size"]) * int(args["gradient_accumulation_steps"])


def distill_config(
    args: dict[str, Any], model: PeftModel, folder: Path, seed: int
) -> DistillationConfig:
    """Return TRL's configuration for this model and machine.

    Raises:
        AxiomError: if TRL refuses a value.
    """
    own = {
        "logging_steps": 1,
        "logging_strategy": "steps",
        "shuffle_dataset": False,  # the rows have the order of the run's seed
    }
    made: DistillationConfig = run_options(DistillationConfig, args, model, folder, seed, **own)
    return made
