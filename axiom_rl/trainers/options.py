"""Options of TRL's configuration classes that a user may give, checked before anything loads."""

from __future__ import annotations

import dataclasses
import difflib
import math
from typing import Any

from axiom_rl.core.errors import AxiomError

SET_BY_THE_RUN = frozenset(
    (
        "seed", "data_seed", "full_determinism", "output_dir", "run_name", "report_to",
        "push_to_hub", "bf16", "fp16", "tf32", "bf16_full_eval", "fp16_full_eval", "use_cpu",
        "disable_tqdm", "resume_from_checkpoint", "model_init_kwargs",
    )
)  # fmt: skip
"""Options of transformers.TrainingArguments and TRL that no trainer's args may hold."""


def check_options(config: type, args: dict[str, Any], ours: frozenset[str]) -> None:
    """Refuse options that a configuration class of TRL lacks or refuses, or that are ours to set.

    Args:
        config: trl.SFTConfig or trl.GRPOConfig.
        args: trainer.args.
        ours: options that the run sets itself.

    Raises:
        AxiomError: naming the key, with the near misses.
    """
    known = {field.name: field.default for field in dataclasses.fields(config)}
    for key, value in args.items():
        if key in ours:
            raise AxiomError(
                f"trainer.args.{key} is set by the run itself (from seed=, model.dtype=, "
                "model.device=, sampler=, tracking= and the run folder); leave it out"
            )
        if key not in known:
            near = difflib.get_close_matches(key, known, n=3)
            hint = f"; did you mean {' or '.join(near)}?" if near else ""
            raise AxiomError(f"trainer.args.{key}: trl.{config.__name__} has no such option{hint}")
        if type(known[key]) in (int, float) and type(value) not in (int, float):
            raise AxiomError(f"trainer.args.{key}={value}: must be a number")
        if type(value) is float and math.isnan(value):
            raise AxiomError(f"trainer.args.{key}={value}: must be a number")
    build_options(config, args | {"output_dir": "checkpoints", "bf16": False})


def build_options(config: type, options: dict[str, Any]) -> Any:
    """Return TRL's configuration.

    Raises:
        AxiomError: if TRL refuses a value.
    """
    try:
        made: Any = config(**options, report_to="none")
    except (TypeError, ValueError, ArithmeticError) as error:
        raise AxiomError(
            f"trainer.args: trl.{config.__name__} refuses these options: {error}"
        ) from error
    if made.n_gpu > 1:  # else transformers' Trainer wraps the model in DataParallel
        made._n_gpu = 1
    return made
