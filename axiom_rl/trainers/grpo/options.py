"""What of trl.GRPOConfig can be given in trainer.args, and what must go together.

Completions come from our own sampler, so options of TRL's generation are refused instead of being
ignored; so is what would make the log-probabilities of sampler and trainer differ on purpose.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from peft import PeftModel
from trl.trainer.grpo_config import GRPOConfig

from axiom_rl.config import GrpoConfig
from axiom_rl.core.errors import AxiomError
from axiom_rl.rollouts.rewards import shaping_of
from axiom_rl.trainers.options import check_options, run_options

COUNTS = (
    "max_steps", "num_generations", "max_completion_length", "save_steps", "num_iterations",
    "steps_per_generation", "gradient_accumulation_steps", "per_device_train_batch_size",
)  # fmt: skip
NEEDED = ("max_steps", "num_generations", "max_completion_length", "temperature", "save_steps")


def check_grpo(trainer: GrpoConfig) -> None:
    """Refuse options that TRL lacks or refuses, that are ours, or that do not go together.

    Raises:
        AxiomError: naming the key and what to type.
    """
    args = trainer.args
    _check_counts(args)
    made: GRPOConfig = check_options(GRPOConfig, args)
    if not math.isfinite(args.get("beta", 0)):
        raise AxiomError(f"trainer.args.beta={args['beta']}: must be finite")
    for key in NEEDED:
        if not args.get(key, 0) > 0:
            raise AxiomError(f"trainer.args.{key}={args.get(key)}: must be above 0")
    for low, high, what in (
        (trainer.signal_low, trainer.signal_high, "trainer.signal_{}"),
        (trainer.curriculum.low, trainer.curriculum.high, "trainer.curriculum.{}"),
    ):
        if low > high:
            names = what.format("low"), what.format("high")
            raise AxiomError(f"{names[0]}={low} must not be above {names[1]}={high}")
    shaping_of(trainer)  # refuses weights that could outweigh a test
    terms = trainer.format_weight or trainer.length_weight
    if terms and made.scale_rewards != "none":
        raise AxiomError(
            f"trainer.args.scale_rewards={made.scale_rewards} would blow up the small terms "
            "trainer.format_weight and trainer.length_weight in groups that differ in nothing "
            "else: set trainer.args.scale_rewards=none, or the weights to 0"
        )
    _check_batches(made)
    size = int(args["num_generations"])
    if trainer.objective == "max_at_k" and trainer.k > size:
        raise AxiomError(
            f"trainer.k={trainer.k}: a group holds trainer.args.num_generations={size} samples, "
            f"which cannot show the best of {trainer.k}: type trainer.k={size} or less, or "
            f"trainer.args.num_generations={trainer.k}"
        )


def _check_counts(args: dict[str, Any]) -> None:
    for key in COUNTS:
        value = args.get(key)
        if isinstance(value, float) and value > 0 and not value.is_integer():
            raise AxiomError(f"trainer.args.{key}={value}: must be a whole number")
        if isinstance(value, int | float) and not value > 0:
            raise AxiomError(f"trainer.args.{key}={value}: must be above 0")


def _check_batches(made: GRPOConfig) -> None:
    assert made.steps_per_generation is not None  # TRL fills it in
    steps = made.steps_per_generation * made.num_iterations
    every = int(made.save_steps) * made.gradient_accumulation_steps
    if made.save_strategy != "steps" or every % steps:
        raise AxiomError(
            f"trainer.args.save_steps={made.save_steps}: a checkpoint must fall between two "
            "batches of completions, so save_strategy=steps and save_steps x "
            f"gradient_accumulation_steps must be a multiple of "
            f"{steps} (steps_per_generation x num_iterations)"
        )
    if made.save_total_limit is not None and made.save_total_limit < 2:
        raise AxiomError(
            f"trainer.args.save_total_limit={made.save_total_limit}: must be 2 or more, so that a "
            "whole checkpoint is left if the machine stops while one is written"
        )


def grpo_config(args: dict[str, Any], model: PeftModel, folder: Path, seed: int) -> GRPOConfig:
    """Return TRL's configuration for this model and machine.

    Raises:
        AxiomError: if TRL refuses a value.
    """
    own = {
        "logging_steps": 1,
        "logging_strategy": "steps",
        "shuffle_dataset": False,
        "ignore_data_skip": True,  # the curriculum goes on where the checkpoint left it
        "top_p": 1.0,
        "top_k": 0,
    }
    made: GRPOConfig = run_options(GRPOConfig, args, model, folder, seed, **own)
    return made


def groups_per_batch(made: GRPOConfig) -> int:
    """Return the number of groups generated together."""
    assert made.generation_batch_size and made.num_generations  # TRL fills them in
    return made.generation_batch_size // made.num_generations
