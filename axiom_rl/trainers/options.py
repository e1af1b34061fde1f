"""TRL's configuration classes: values checked before anything loads, and made for one device."""

from __future__ import annotations

import dataclasses
import logging
import math
import os
from pathlib import Path
from typing import Any, get_args

import torch
from peft import PeftModel

from axiom_rl.config.trl_options import BITSANDBYTES_OPTIMIZERS, check_trl_options
from axiom_rl.core.errors import AxiomError
from axiom_rl.models.lora.merged_copy import compute_dtype

logger = logging.getLogger(__name__)


def check_options(config: type, args: dict[str, Any]) -> Any:
    """Refuse options that a configuration class of TRL lacks or refuses, or that a run cannot use.

    Args:
        config: trl.SFTConfig or trl.GRPOConfig.
        args: trainer.args.

    Returns:
        The configuration as TRL completes it, with placeholders for model and folder.

    Raises:
        AxiomError: naming the key, with the reason or the near misses.
    """
    check_trl_options(config.__name__, args)
    fields = {field.name: field for field in dataclasses.fields(config)}
    for key, value in args.items():
        default = fields[key].default
        number = type(value) in (int, float) and not math.isnan(value)
        if (type(default) in (int, float) and not number) or value != value:
            raise AxiomError(f"trainer.args.{key}={value}: must be a number")
        kinds = get_args(fields[key].type) or (fields[key].type,)  # int | None is of two
        counts = int in kinds and float not in kinds and value is not None
        if counts and type(value) is not int:
            raise AxiomError(f"trainer.args.{key}={value}: must be a whole number")
        if type(default) is bool and type(value) is not bool:
            raise AxiomError(f"trainer.args.{key}={value}: must be true or false")
    if args.get("optim") in BITSANDBYTES_OPTIMIZERS and not torch.cuda.is_available():
        raise AxiomError(
            f"trainer.args.optim={args['optim']} needs an NVIDIA GPU and there is none here; "
            "choose adamw_torch"
        )
    made = build_options(config, args | {"output_dir": "checkpoints", "bf16": False})
    if not math.isfinite(args.get("learning_rate", 0)):
        raise AxiomError(f"trainer.args.learning_rate={args['learning_rate']}: must be finite")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise AxiomError("a run trains in one process: start python launch.py without torchrun")
    return made


def run_options(
    config: type, args: dict[str, Any], model: PeftModel, folder: Path, seed: int, **own: Any
) -> Any:
    """Return TRL's configuration for this model and machine.

    Args:
        config: trl.SFTConfig, trl.GRPOConfig or trl.DistillationConfig.
        args: trainer.args.
        model: that is trained.
        folder: for checkpoints.
        seed: of the run.
        own: what this trainer decides by itself.

    Raises:
        AxiomError: if TRL refuses a value.
    """
    name_the_device(model.device)
    decided = {
        "bf16": compute_dtype(model) == torch.bfloat16,
        "use_cpu": model.device.type == "cpu",
        "output_dir": str(folder),
        "seed": seed,
        "dataloader_pin_memory": model.device.type == "cuda",
        "disable_tqdm": True,  # its bar and its dictionaries would stand beside our own lines
    }
    return build_options(config, args | decided | own)


def build_options(config: type, options: dict[str, Any]) -> Any:
    """Return TRL's configuration.

    Raises:
        AxiomError: if TRL refuses a value.
    """
    try:
        return on_one_device(config(**options, report_to="none"))
    except (TypeError, ValueError, ArithmeticError) as error:
        raise AxiomError(
            f"trainer.args: trl.{config.__name__} refuses these options: {error}"
        ) from error


def on_one_device(made: Any) -> Any:
    """Keep transformers from spreading a batch over all visible GPUs (DataParallel).

    It would multiply the batch by their number, and the packed pass is for one device.
    """
    made._n_gpu = min(made.n_gpu, 1)  # what transformers' Trainer itself sets for a split model
    return made


def name_the_device(device: torch.device) -> None:
    """Say which of several visible GPUs is used."""
    seen = torch.cuda.device_count() if device.type == "cuda" else 1
    if seen > 1:
        index = device.index or 0
        logger.info(
            "%d GPUs are visible and one is used: cuda:%d (%s); choose another with "
            "CUDA_VISIBLE_DEVICES",
            seen,
            index,
            torch.cuda.get_device_name(index),
        )
