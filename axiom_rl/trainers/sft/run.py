"""Supervised fine-tuning of a LoRA adapter with TRL's SFTTrainer; loss on the completion only."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset
from datasets.utils.logging import disable_progress_bar
from peft import PeftModel
from transformers import PreTrainedTokenizerBase, PrinterCallback, TrainerState
from trl.trainer.sft_config import SFTConfig

from axiom_rl.core.errors import AxiomError
from axiom_rl.models.lora.merged_copy import leave_inputs_in_bfloat16
from axiom_rl.models.prepacked import prepack_frozen
from axiom_rl.run.folder import whole_checkpoints
from axiom_rl.trainers.options import check_options, run_options
from axiom_rl.trainers.sft.trainer import PackedSFTTrainer
from axiom_rl.trainers.steps import AfterSteps

logger = logging.getLogger(__name__)

ABOVE_0 = (
    "num_train_epochs", "per_device_train_batch_size", "gradient_accumulation_steps",
    "logging_steps", "save_steps",
)  # fmt: skip
"""With none of these there is no training, or none that can be followed and gone on with."""

Log = Callable[..., None]
"""Called with the numbers of a logged step as keywords."""


def check_args(args: dict[str, Any]) -> None:
    """Refuse options that trl.SFTConfig lacks or refuses, or that a run cannot use.

    Raises:
        AxiomError: naming the key, with the reason or the near misses.
    """
    check_options(SFTConfig, args)
    for key in ABOVE_0:
        if not args.get(key, 1) > 0:
            raise AxiomError(f"trainer.args.{key}={args[key]}: must be above 0")
    if longest_row(args) < 1:
        raise AxiomError(
            f"trainer.args.max_length={args['max_length']}: must be at least 1, in tokens"
        )


def longest_row(args: Mapping[str, Any]) -> int:
    """Return the most tokens of a row: trainer.args.max_length, or TRL's own where it is left out.

    A longer row is not trained on, see `rows_that_fit`.
    """
    default: Any = SFTConfig.__dataclass_fields__["max_length"].default
    return int(args.get("max_length", default))


def sft_config(args: dict[str, Any], model: PeftModel, folder: Path, seed: int) -> SFTConfig:
    """Return TRL's configuration for this model and machine.

    Raises:
        AxiomError: if TRL refuses a value.
    """
    check_args(args)
    made: SFTConfig = run_options(SFTConfig, args, model, folder, seed, completion_only_loss=True)
    return made


def prepare(model: PeftModel, config: SFTConfig) -> None:
    """Make a model cheaper to train, to the same numbers."""
    if config.bf16:
        leave_inputs_in_bfloat16(model)
        prepack_frozen(model)


def train_adapter(
    model: PeftModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[dict[str, Any]],
    args: dict[str, Any],
    *,
    folder: Path,
    seed: int,
    log: Log,
    on_save: Callable[[Path], None],
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
        on_save: called with the folder of each checkpoint that was written.

    Raises:
        AxiomError: for an option that TRL refuses, or if there are no rows.
    """
    if not rows:
        raise AxiomError("nothing to train on: no gold solution was found")
    disable_progress_bar()
    config = sft_config(args, model, folder, seed)
    prepare(model, config)
    trainer = PackedSFTTrainer(
        model=model,
        args=config,
        train_dataset=Dataset.from_list(rows_that_fit(rows, tokenizer, config.max_length)),
        processing_class=tokenizer,
        callbacks=[_Metrics(log, on_save)],
    )
    trainer.remove_callback(PrinterCallback)  # our own lines say the same
    if not trainer.packs:
        logger.info("rows run padded, as TRL lays them out: packing is not for these options")
    trainer.train(resume_from_checkpoint=last_whole_checkpoint(folder))
    model.eval()
    return int(trainer.state.global_step)


def row_lengths(rows: Sequence[dict[str, Any]], tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Return the tokens of each row, prompt and completion."""
    return [
        len(
            tokenizer.apply_chat_template(
                [*row["prompt"], *row["completion"]], tokenize=True, return_dict=False
            )
        )
        for row in rows
    ]


def check_lengths(lengths: list[int], max_length: int | None) -> list[int]:
    """Return the lengths of rows, of which one at least must fit.

    Raises:
        AxiomError: if no row fits, with the length that would do.
    """
    if max_length is not None and lengths and min(lengths) > max_length:
        raise AxiomError(
            f"trainer.args.max_length={max_length}: no solution fits with its prompt; the shortest "
            f"has {min(lengths)} tokens"
        )
    return lengths


def rows_that_fit(
    rows: Sequence[dict[str, Any]], tokenizer: PreTrainedTokenizerBase, max_length: int | None
) -> list[dict[str, Any]]:
    """Leave out rows that TRL would cut: without its end token a row teaches never to end.

    Raises:
        AxiomError: if no row fits, with the length that would do.
    """
    lengths = check_lengths(row_lengths(rows, tokenizer), max_length)
    fitting = [
        row
        for row, length in zip(rows, lengths, strict=True)
        if max_length is None or length <= max_length
    ]
    if len(fitting) < len(rows):
        logger.warning(
            "%d of %d solutions are not trained on: with their prompts they have up to %d tokens, "
            "more than trainer.args.max_length=%d, and would lose their ends",
            len(rows) - len(fitting), len(rows), max(lengths), max_length,
        )  # fmt: skip
    return fitting


def last_whole_checkpoint(folder: Path) -> str | None:
    """Return the newest checkpoint that was written to its end, which is its trainer_state.json."""
    whole = whole_checkpoints(folder)
    return str(whole[max(whole)]) if whole else None


class _Metrics(AfterSteps):
    """Hands the numbers of each logged step to metrics.jsonl, and tells of checkpoints."""

    def __init__(self, log: Log, on_save: Callable[[Path], None]) -> None:
        self._log = log
        self._on_save = on_save
        self._started = time.monotonic()

    def logged(self, state: TrainerState, logs: dict[str, float]) -> None:
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

    def saved(self, checkpoint: Path) -> None:
        self._on_save(checkpoint)
