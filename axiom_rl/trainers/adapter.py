"""The adapter of an iteration: trained on rows, measured, published, its model let go of."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from axiom_rl.config import ModelConfig
from axiom_rl.context.run_context import Policy, RunContext
from axiom_rl.models.load import load_model
from axiom_rl.models.lora.card import describe_adapter
from axiom_rl.models.lora.options import save_adapter, trainable_adapter
from axiom_rl.models.memory import free_memory
from axiom_rl.models.weights.source import ResolvedModel
from axiom_rl.run.folder import whole_checkpoints
from axiom_rl.trainers.sft.run import longest_row, row_lengths, rows_that_fit, train_adapter

log = logging.getLogger(__name__)


def train_rows(
    context: RunContext,
    iteration: int,
    rows: Sequence[dict[str, Any]],
    args: dict[str, Any],
    model_config: ModelConfig,
    resolved: ResolvedModel,
    start: str | None,
    expert: str = "hidden",
) -> str:
    """Train a new adapter, or go on with the one in `start`; return its folder."""
    run = context.run
    folder = run.folder / "checkpoints" / f"iter_{iteration}"
    target = folder / "adapter"
    if run.is_finished(f"train/{iteration}"):
        remove_checkpoints(folder)  # where it was stopped just before
        return str(target)
    shutil.rmtree(target, ignore_errors=True)

    def saved(checkpoint: Path) -> None:
        describe_adapter(checkpoint, resolved)
        run.save_state()

    def log_step(**numbers: Any) -> None:
        run.tracker.log("train", iteration, **numbers)
        context.publish()

    with run.timed("train", iteration) as columns:
        torch.manual_seed(context.seed)
        base, tokenizer = load_model(resolved, model_config)
        model = trainable_adapter(base, model_config.lora, start, resolved)
        run.tracker.cut_training(iteration, max(whole_checkpoints(folder), default=0))
        rows = rows_that_fit(rows, tokenizer, longest_row(args))
        log.info("training on %d solutions", len(rows))
        columns["steps"] = train_adapter(
            model,
            tokenizer,
            rows,
            args,
            folder=folder,
            seed=context.seed,
            log=log_step,
            on_save=saved,
        )
        columns["solutions"] = len(rows)
        columns["row_tokens"] = sum(row_lengths(rows, tokenizer))
        what = "that pass" if expert == "hidden" else f"that the expert {expert} took"
        how = f"fine-tuned on {len(rows)} programs {what}, {columns['steps']} steps"
        save_adapter(model, target, resolved, how)
    del model, base
    free_memory()
    run.finish(f"train/{iteration}")
    remove_checkpoints(folder)
    return str(target)


def remove_checkpoints(folder: Path) -> None:
    """Remove TRL's checkpoints of a training that is finished."""
    for checkpoint in folder.glob("checkpoint-*"):
        shutil.rmtree(checkpoint)


def publish(context: RunContext, iteration: int, phase: str | None = None) -> None:
    """Copy the last adapter and evaluation to where readers look for them.

    `phase` is that of the last evaluation; None means iter_<iteration>.
    """
    folder = context.run.folder
    final = folder / "adapter"
    if not context.run.is_finished(f"publish/{iteration}"):
        shutil.rmtree(final, ignore_errors=True)
        shutil.copytree(folder / "checkpoints" / f"iter_{iteration}" / "adapter", final)
        evaluation = folder / "evaluation"
        last = evaluation / f"{phase or f'iter_{iteration}'}.json"
        shutil.copyfile(last, evaluation / "after.json")
        context.run.finish(f"publish/{iteration}")


def release(policy: Policy) -> None:
    """Free the memory of a model that is not sampled from again."""
    policy.close()
    free_memory()
