"""On-policy distillation: the student writes, the teacher marks every token.

(Agarwal et al. 2024, "On-Policy Distillation of Language Models".)
The loss is the divergence between both next-token distributions at the tokens of the student's own
samples, which TRL's trainer computes from the hidden states of both models. The samples are judged
as well; their verdicts are reported and train nothing.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import torch
from datasets import Dataset
from datasets.utils.logging import disable_progress_bar
from transformers import PreTrainedModel, PreTrainedTokenizerBase, PrinterCallback

from axiom_rl.config import DistillConfig, ModelConfig
from axiom_rl.context.run_context import RunContext
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_jsonl, write_jsonl
from axiom_rl.core.types import Problem
from axiom_rl.evaluation.measure import measure
from axiom_rl.models.load import load_model
from axiom_rl.models.lora.options import save_adapter, trainable_adapter
from axiom_rl.models.memory import free_memory
from axiom_rl.models.weights.source import ResolvedModel
from axiom_rl.problems.prompts import render
from axiom_rl.run.folder import whole_checkpoints
from axiom_rl.trainers.adapter import publish, release, remove_checkpoints
from axiom_rl.trainers.distill.options import distill_config, samples_per_step
from axiom_rl.trainers.distill.session import DistillSession
from axiom_rl.trainers.distill.trainer import StudentTrainer
from axiom_rl.trainers.grpo.policy import TrainingPolicy
from axiom_rl.trainers.sft.run import last_whole_checkpoint

log = logging.getLogger(__name__)

ITERATION = 1


def run_distill(
    context: RunContext,
    model: ModelConfig,
    resolved: ResolvedModel,
    trainer: DistillConfig,
    teacher: tuple[ModelConfig, ResolvedModel],
) -> None:
    """Train on the student's own samples, measured before and after.

    Args:
        context: of the run.
        model: the student.
        resolved: where its weights are.
        trainer: options of TRL.
        teacher: another model whose tokenizer was compared with the student's.

    Raises:
        AxiomError: if there are no problems, or a model cannot be loaded.
    """
    if not context.splits.train:
        raise AxiomError("no problems to train on: set problems.sizes.train=1 or more")
    policy = context.policy(model.adapter)
    measure(context, 0, policy, "before")
    release(policy)
    adapter = _train(context, model, resolved, trainer, teacher)
    measure(context, ITERATION, context.policy(adapter), f"iter_{ITERATION}")
    publish(context, ITERATION)


def _train(
    context: RunContext,
    model_config: ModelConfig,
    resolved: ResolvedModel,
    trainer: DistillConfig,
    teacher: tuple[ModelConfig, ResolvedModel],
) -> str:
    run = context.run
    folder = run.folder / "checkpoints" / f"iter_{ITERATION}"
    target = folder / "adapter"
    if run.is_finished(f"train/{ITERATION}"):
        remove_checkpoints(folder)
        return str(target)
    shutil.rmtree(target, ignore_errors=True)
    with run.timed("train", ITERATION) as columns:
        torch.manual_seed(context.seed)
        done = max(whole_checkpoints(folder), default=0)
        run.tracker.cut_training(ITERATION, done)
        completions = run.folder / "completions" / "distill.jsonl"
        _cut_back(completions, done)
        base, tokenizer = load_model(resolved, model_config)
        four_bit = model_config.quantization == "4bit"
        policy = TrainingPolicy(base, tokenizer, context, trainer, resolved, four_bit=four_bit)
        policy.model = trainable_adapter(base, model_config.lora, model_config.adapter, resolved)
        session = DistillSession(context, policy, completions, ITERATION)
        columns["steps"] = _steps(context, trainer, policy, session, folder, teacher, tokenizer)
        columns["tokens"] = sum(int(row["completion_tokens"]) for row in read_jsonl(completions))
        how = f"distilled from {teacher[1].name}, {columns['steps']} steps"
        save_adapter(policy.model, target, resolved, how)
    del policy, session, base
    free_memory()
    run.finish(f"train/{ITERATION}")
    remove_checkpoints(folder)
    return str(target)


def _steps(
    context: RunContext,
    trainer: DistillConfig,
    policy: TrainingPolicy,
    session: DistillSession,
    folder: Path,
    teacher: tuple[ModelConfig, ResolvedModel],
    tokenizer: PreTrainedTokenizerBase,
) -> int:
    """Train from the newest checkpoint or from the start; return the number of the last step."""
    disable_progress_bar()
    config = distill_config(trainer.args, policy.model, folder, context.seed)
    made = StudentTrainer(
        model=policy.model,
        teacher_model=_teacher(teacher, policy.model.config.vocab_size),
        args=config,
        train_dataset=Dataset.from_list(list(_rows(context, trainer))),
        processing_class=tokenizer,
        callbacks=[session],
        draw=session.draw,
    )
    made.remove_callback(PrinterCallback)  # our own lines say the same
    made.train(resume_from_checkpoint=last_whole_checkpoint(folder))
    policy.model.eval()
    return int(made.state.global_step)


def _rows(context: RunContext, trainer: DistillConfig) -> Iterator[dict[str, Any]]:
    """Yield the prompts of all steps: passes over the problems, each in an order of its own.

    TRL's sampler leaves out what does not fill a batch at the end of an epoch, and a resumed run
    would shuffle anew; one long epoch has neither.
    """
    wanted, turn = int(trainer.args["max_steps"]) * samples_per_step(trainer.args), 0
    problems: list[Problem] = []
    while wanted:
        if not problems:
            problems = list(context.splits.train)
            Random(f"{context.seed}/distill/{turn}").shuffle(problems)
            turn += 1
        yield {"prompt": render(problems.pop(), context.style)}
        wanted -= 1


def _teacher(teacher: tuple[ModelConfig, ResolvedModel], rows: int) -> PreTrainedModel:
    """Load the teacher, frozen; rows of its vocabulary that no token has are cut to the student's.

    Models of a family may have more rows than tokens (Qwen2.5 7B has 152,064 for 151,665).
    """
    config, resolved = teacher
    model, _tokenizer = load_model(resolved, config)
    if model.config.vocab_size > rows:
        model.resize_token_embeddings(rows, mean_resizing=False)
    model.requires_grad_(False)
    return model


def _cut_back(completions: Path, step: int) -> None:
    """Drop what was drawn in steps that are taken again."""
    if completions.exists():
        kept: Sequence[Any] = [row for row in read_jsonl(completions) if int(row["step"]) <= step]
        write_jsonl(completions, kept)
