"""Supervised fine-tuning of a LoRA adapter with TRL's SFTTrainer; loss on the completion only."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from datasets.utils.logging import disable_progress_bar
from peft import PeftModel
from transformers import (
    PreTrainedTokenizerBase,
    PrinterCallback,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from trl.trainer.sft_config import SFTConfig

from axiom_rl.core.errors import AxiomError
from axiom_rl.run.folder import whole_checkpoints
from axiom_rl.trainers.options import SET_BY_THE_RUN, build_options, check_options
from axiom_rl.trainers.sft.trainer import PackedSFTTrainer

logger = logging.getLogger(__name__)

OURS = SET_BY_THE_RUN | {"completion_only_loss", "assistant_only_loss"}
"""Options of trl.SFTConfig that the run sets itself; giving one in trainer.args is an error."""

Log = Callable[..., None]
"""Called with the numbers of a logged step as keywords."""


def check_args(args: dict[str, Any]) -> None:
    """Refuse options that trl.SFTConfig lacks or refuses, or that are ours to set.

    Raises:
        AxiomError: naming the key, with the near misses.
    """
    check_options(SFTConfig, args, OURS)
    if int(args.get("max_length", 1)) < 1:
        raise AxiomError(
            f"trainer.args.max_length={args['max_length']}: must be at least 1, in tokens"
        )


def sft_config(args: dict[str, Any], model: PeftModel, folder: Path, seed: int) -> SFTConfig:
    """Return TRL's configuration for this model and machine.

    Raises:
        AxiomError: if TRL refuses a value.
    """
    check_args(args)
    device = model.device.type
    options: dict[str, Any] = args | {
        "bf16": model.get_base_model().dtype == torch.bfloat16,
        "use_cpu": device == "cpu",
        "output_dir": str(folder),
        "seed": seed,
        "completion_only_loss": True,
        "dataloader_pin_memory": device == "cuda",
        "disable_tqdm": not sys.stderr.isatty(),
    }
    made: SFTConfig = build_options(SFTConfig, options)
    return made


def train_adapter(
    model: PeftModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[dict[str, Any]],
    args: dict[str, Any],
    *,
    folder: Path,
    seed: int,
    log: Log,
    on_save: Callable[[], None],
) -> int:
    """Train the adapter of `model` in place and return the number of optimizer steps.

    Args:
        model: base model with a trainable adapter on it.
        tokenizer: the model's.
        rows: conversational prompt-completion rows, see `axiom_rl.gold.store.sft_rows`.
        args: verbatim options of trl.SFTConfig.
        folder: for checkpoints; the newest one in it is where training goes on.
        seed: of the order of rows.
        log: called with step, epoch, loss, learning_rate, grad_norm and seconds.
        on_save: called after each checkpoint.

    Raises:
        AxiomError: for an option that TRL refuses, or if there are no rows.
    """
    if not rows:
        raise AxiomError("nothing to train on: no gold solution was found")
    if not sys.stderr.isatty():
        disable_progress_bar()
    trainer = PackedSFTTrainer(
        model=model,
        args=sft_config(args, model, folder, seed),
        train_dataset=Dataset.from_list(list(rows)),
        processing_class=tokenizer,
        callbacks=[_Metrics(log, on_save)],
    )
    if not trainer.packs:
        logger.info("rows run padded, as TRL lays them out: packing is not for these options")
    trainer.remove_callback(PrinterCallback)  # our own lines say the same
    trainer.train(resume_from_checkpoint=last_whole_checkpoint(folder))
    model.eval()
    return int(trainer.state.global_step)


def last_whole_checkpoint(folder: Path) -> str | None:
    """Return the newest checkpoint that was written to its end, which is its trainer_state.json."""
    whole = whole_checkpoints(folder)
    return str(whole[max(whole)]) if whole else None


class _Metrics(TrainerCallback):
    """Hands the numbers of each logged step to metrics.jsonl, and tells of checkpoints."""

    def __init__(self, log: Log, on_save: Callable[[], None]) -> None:
        self._log = log
        self._on_save = on_save
        self._started = time.monotonic()

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        if logs is None or "loss" not in logs:
            return
        logger.info(
            "step %d of %d: loss %.4f", state.global_step, state.max_steps, float(logs["loss"])
        )
        names = ("loss", "learning_rate", "grad_norm", "entropy", "mean_token_accuracy")
        self._log(
            step=state.global_step,
            epoch=round(float(state.epoch or 0), 4),
            seconds=round(time.monotonic() - self._started, 3),
            **{name: float(logs[name]) for name in names if name in logs},
        )

    def on_save(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        self._on_save()
