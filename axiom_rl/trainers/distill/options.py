"""What of trl.DistillationConfig can be given in trainer.args, and what a run needs of it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from trl.trainer.distillation_config import DistillationConfig

from axiom_rl.core.errors import AxiomError
from axiom_rl.models.lora.merged_copy import compute_dtype
from axiom_rl.trainers.options import build_options, check_options, name_the_device

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
    if not math.isfinite(args.get("learning_rate", 0)):
        raise AxiomError(f"trainer.args.learning_rate={args['learning_rate']}: must be finite")


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
    device = model.device.type
    name_the_device(model.device)
    options: dict[str, Any] = args | {
        "bf16": compute_dtype(model) == torch.bfloat16,
        "use_cpu": device == "cpu",
        "output_dir": str(folder),
        "seed": seed,
        "logging_steps": 1,
        "logging_strategy": "steps",
        "shuffle_dataset": False,  # the rows have the order of the run's seed
        "dataloader_pin_memory": device == "cuda",
        "disable_tqdm": True,  # our own bar and lines say the same
    }
    made: DistillationConfig = build_options(DistillationConfig, options)
    return made
