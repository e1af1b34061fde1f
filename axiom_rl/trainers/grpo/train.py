"""One training of an adapter by GRPO, from the start or from its newest checkpoint."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

import torch

from axiom_rl.config import GrpoConfig, ModelConfig
from axiom_rl.context.run_context import RunContext
from axiom_rl.core.types import Problem
from axiom_rl.models.load import load_model
from axiom_rl.models.lora.merged_copy import compute_dtype, leave_inputs_in_bfloat16
from axiom_rl.models.lora.options import save_adapter, trainable_adapter
from axiom_rl.models.memory import free_memory
from axiom_rl.models.weights.source import ResolvedModel
from axiom_rl.problems.curriculum import Curriculum
from axiom_rl.run.tracking import read_metrics
from axiom_rl.trainers.grpo.checkpoints import ITERATION, cut_back, keep_last, reopen, steps_done
from axiom_rl.trainers.grpo.policy import TrainingPolicy
from axiom_rl.trainers.grpo.rehearsal import read_rehearsal
from axiom_rl.trainers.grpo.session import Evaluate, Session


def train_grpo(
    context: RunContext,
    model_config: ModelConfig,
    resolved: ResolvedModel,
    trainer: GrpoConfig,
    problems: Sequence[Problem],
    evaluate: Evaluate,
    rehearsed: Sequence[Problem] = (),
    iteration: int = ITERATION,
) -> str:
    """Train an adapter on `problems` and return its folder; `model.adapter` is where it starts.

    Of the problems in `rehearsed` the answers of `draw_rehearsal` are trained on beside them.
    `iteration` numbers the rows and the checkpoints: a pipeline has other trainings before.

    Raises:
        AxiomError: if sampler and trainer disagree, or a checkpoint is damaged.
    """
    run = context.run
    folder = run.folder / "checkpoints" / f"iter_{iteration}"
    target = folder / "adapter"
    done = steps_done(run.folder, iteration)
    if run.is_finished(f"train/{iteration}"):
        if int(trainer.args["max_steps"]) <= done:
            keep_last(folder)
            return str(target)
        reopen(context, folder)
    shutil.rmtree(target, ignore_errors=True)
    with run.timed("train", iteration) as columns:
        curriculum = Curriculum(problems, trainer.curriculum, context.seed)
        checkpoint = cut_back(context, folder, curriculum)
        torch.manual_seed(context.seed)
        base, tokenizer = load_model(resolved, model_config)
        four_bit = model_config.quantization == "4bit"
        policy = TrainingPolicy(base, tokenizer, context, trainer, resolved, four_bit=four_bit)
        policy.model = trainable_adapter(base, model_config.lora, model_config.adapter, resolved)
        if policy.merges and compute_dtype(policy.model) == torch.bfloat16:
            leave_inputs_in_bfloat16(policy.model)
        rehearsal = read_rehearsal(context, trainer, rehearsed, tokenizer)
        session = Session(
            context, trainer, curriculum, policy, folder, evaluate, iteration, rehearsal
        )
        columns["steps"] = session.train(checkpoint)
        columns["tokens"] = sum(
            row.get("tokens", 0)
            for row in read_metrics(run.folder, "train")
            if row["iteration"] == iteration and row["step"] > done
        )
        how = f"GRPO on {len(problems)} problems, {columns['steps']} steps"
        save_adapter(policy.model, target, resolved, how)
    del policy, session, base
    free_memory()
    run.finish(f"train/{iteration}")
    keep_last(folder)
    return str(target)
