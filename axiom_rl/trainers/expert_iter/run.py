"""The loop of self-improvement: measure model N, gather gold solutions, train, measure model N+1.

`trainer=expert_iter` gathers gold from the model's own verified samples, iteration by iteration
(Anthony et al. 2017; with rejection sampling as in ReST-EM, Singh et al. 2023); `trainer=sft` takes
it from a solutions file and goes round once. Every phase is finished on disk before the next
begins, so a stopped run goes on after its last finished phase.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from axiom_rl.config import ExpertIterConfig, ModelConfig, SftTrainerConfig
from axiom_rl.context.run_context import Policy, RunContext
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.text import duration
from axiom_rl.core.types import Problem, Solution
from axiom_rl.evaluation.measure import measure
from axiom_rl.gold.collect import add_passing, try_unsolved
from axiom_rl.gold.rows import sft_rows
from axiom_rl.gold.store import GoldStore, read_solutions
from axiom_rl.gold.teacher.traces import read_traces
from axiom_rl.models.load import load_model
from axiom_rl.models.lora.card import describe_adapter
from axiom_rl.models.lora.options import save_adapter, trainable_adapter
from axiom_rl.models.memory import free_memory
from axiom_rl.models.weights.source import ResolvedModel
from axiom_rl.problems.registry import problem_types
from axiom_rl.rollouts.draw import Drawn, cost
from axiom_rl.rollouts.records import Rollout
from axiom_rl.run.folder import whole_checkpoints
from axiom_rl.run.tracking import read_metrics
from axiom_rl.trainers.expert_iter.focus import by_type, draw_picked, pick_problems
from axiom_rl.trainers.sft.run import train_adapter

log = logging.getLogger(__name__)


def run_sft(
    context: RunContext, model: ModelConfig, resolved: ResolvedModel, trainer: SftTrainerConfig
) -> None:
    """Train on a solutions file, or on a teacher's traces, measured before and after.

    Raises:
        AxiomError: if there is no solutions file, or it is about other problems.
    """
    rows = rows_of(context, trainer)
    policy = context.policy(model.adapter)
    measure(context, 0, policy, "before")
    release(policy)
    adapter = train_rows(context, 1, rows, trainer.args, model, resolved, model.adapter)
    measure_last(context, 1, adapter)


def rows_of(context: RunContext, trainer: SftTrainerConfig) -> list[dict[str, Any]]:
    """Return the rows that trainer=sft trains on.

    Raises:
        AxiomError: if there is no file, or it is about other problems.
    """
    if trainer.traces is not None:
        solutions: Sequence[Solution] = read_traces(Path(trainer.traces))
    elif trainer.solutions is not None:
        solutions = read_solutions(Path(trainer.solutions))
    else:
        raise AxiomError("trainer=sft needs trainer.solutions=path.jsonl (stage=collect makes one)")
    return sft_rows(solutions, _train_problems(context), context.style)


def run_expert_iteration(
    context: RunContext, model: ModelConfig, resolved: ResolvedModel, trainer: ExpertIterConfig
) -> None:
    """Evaluate, collect gold solutions, train on them; `trainer.iterations` times.

    Raises:
        AxiomError: if not one sample of any problem passed, so that there is nothing to train on.
    """
    policy = context.policy(model.adapter)
    rollouts = measure(context, 0, policy, "before")
    _say_expected(context, rollouts, trainer)
    improve(context, model, resolved, trainer, rollouts, policy)
    publish(context, trainer.iterations)


def improve(
    context: RunContext,
    model: ModelConfig,
    resolved: ResolvedModel,
    trainer: ExpertIterConfig,
    rollouts: Sequence[Rollout],
    policy: Policy,
    first: int = 1,
) -> tuple[str | None, tuple[Rollout, ...]]:
    """Go round `trainer.iterations` times from a model that was measured.

    Args:
        context: of the run.
        model: its adapter is the one that was measured.
        resolved: where the weights are.
        trainer: what is done in each iteration.
        rollouts: of the measurement.
        policy: the measured model.
        first: number of the first iteration: a pipeline has other trainings before.

    Returns:
        The last adapter and what it drew when it was measured.
    """
    adapter, store = model.adapter, GoldStore()
    for iteration in range(first, first + trainer.iterations):
        log.info("iteration %d of %d", iteration - first + 1, trainer.iterations)
        store = _gather(context, iteration, rollouts, policy, store, trainer)
        rows = sft_rows(
            store.solutions, _train_problems(context), context.style, trainer.max_solutions
        )
        release(policy)
        start = adapter if trainer.start_from == "adapter" else None
        adapter = train_rows(context, iteration, rows, trainer.args, model, resolved, start)
        policy = context.policy(adapter)
        rollouts = measure(context, iteration, policy, f"iter_{iteration}")
    return adapter, tuple(rollouts)


def _say_expected(
    context: RunContext, rollouts: Sequence[Rollout], trainer: ExpertIterConfig
) -> None:
    """Say how long the sampling to come will take, by the speed of the first evaluation."""
    timed = [row for row in read_metrics(context.run.folder, "timing") if row["name"] == "evaluate"]
    seconds = float(timed[0]["seconds"]) if timed else 0.0
    if len(timed) != 1 or not rollouts:  # nothing was measured, or most of it is over
        return
    each = seconds / len(rollouts)
    retries = trainer.max_retries * trainer.iterations
    log.info(
        "expected: %s for the evaluations to come and at most %s for further tries, at the speed "
        "so far; training comes on top",
        duration(seconds * trainer.iterations),
        duration(each * retries),
    )


def measure_last(context: RunContext, iteration: int, adapter: str) -> None:
    """Measure the adapter of the last iteration and publish both."""
    measure(context, iteration, context.policy(adapter), f"iter_{iteration}")
    publish(context, iteration)


def _gather(
    context: RunContext,
    iteration: int,
    rollouts: Sequence[Rollout],
    policy: Policy,
    store: GoldStore,
    trainer: ExpertIterConfig,
) -> GoldStore:
    """Add the passing samples of the train split; try unsolved problems again and again."""
    path = context.run.folder / "solutions" / f"iter_{iteration}.jsonl"
    if context.run.is_finished(f"collect/{iteration}"):
        return GoldStore(read_solutions(path))
    problems = _train_problems(context)
    before = len(store)
    with context.run.timed("collect", iteration) as columns:
        first = Drawn(rollouts=_of(problems, rollouts))
        add_passing(store, first.rollouts, problems, str(context.model["name"]))
        more, draws = _further(context, iteration, first, policy, store, trainer)
        columns.update(cost(more))
    samples, passed = len(first.rollouts) + len(more.rollouts), first.passed + more.passed
    if not len(store):
        raise AxiomError(_nothing_passed(context, samples, [first, more], trainer))
    store.write(path)
    context.run.tracker.log(
        "collect",
        iteration,
        samples=samples,
        passed=passed,
        solutions=len(store) - before,
        total_solutions=len(store),
        duplicates=passed - (len(store) - before),
        unsolved=len(problems.keys() - store.solved()),
        **draws,
    )
    context.run.finish(f"collect/{iteration}")
    return store


def _nothing_passed(
    context: RunContext, samples: int, drawn: Sequence[Drawn], trainer: ExpertIterConfig
) -> str:
    """Say what to change, given what this run was."""
    rollouts = [item for part in drawn for item in part.rollouts]
    if rollouts and all(item.completion.truncated for item in rollouts):
        return (
            f"every one of {samples} answers was cut off by the token limit, so none passed: give "
            f"more than sampler.max_new_tokens={context.sampler.max_new_tokens}"
        )
    problems = _train_problems(context).values()
    asked = context.sampler.n + len(drawn[-1].rollouts) // max(len(problems), 1)
    limit = "max_retries" if asked < trainer.max_attempts else "max_attempts"
    cures = ["a larger model (model=qwen2.5-coder-1.5b)"]
    if any(problem.difficulty > 1 for problem in problems):
        cures.append("lower problems.levels")
    elif {problem.type for problem in problems} - {*problem_types()["basic"]}:
        cures.append("easier problems (problems=basic)")
    if trainer.problems_per_iteration is None:
        cures.append(f"more attempts (trainer.{limit}={2 * getattr(trainer, limit)})")
    return (
        f"none of {samples} samples passed, so there is nothing to train on: try "
        f"{', or '.join(cures)}"
    )


def _further(
    context: RunContext,
    iteration: int,
    first: Drawn,
    policy: Policy,
    store: GoldStore,
    trainer: ExpertIterConfig,
) -> tuple[Drawn, dict[str, Any]]:
    """Draw more samples: of what the curriculum picks, or else of what has no solution yet."""
    problems = _train_problems(context)
    if trainer.problems_per_iteration is None:
        more = try_unsolved(
            context,
            store,
            problems,
            policy,
            phase=f"attempts_{iteration}",
            iteration=iteration,
            attempts=range(context.sampler.n, trainer.max_attempts),
            budget=trainer.max_retries,
            temperature=trainer.retry_temperature,
        )
        return more, {}
    counts = pick_problems(context, iteration, problems, first.rollouts, trainer)
    draws = by_type(problems, counts)
    log.info("draws of the curriculum: %s", draws)
    more = draw_picked(context, iteration, problems, counts, policy, trainer.retry_temperature)
    add_passing(store, more.rollouts, problems, str(context.model["name"]))
    return more, {"draws": draws}


def train_rows(
    context: RunContext,
    iteration: int,
    rows: Sequence[dict[str, Any]],
    args: dict[str, Any],
    model_config: ModelConfig,
    resolved: ResolvedModel,
    start: str | None,
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

    with run.timed("train", iteration) as columns:
        torch.manual_seed(context.seed)
        base, tokenizer = load_model(resolved, model_config)
        model = trainable_adapter(base, model_config.lora, start, resolved)
        run.tracker.cut_training(iteration, max(whole_checkpoints(folder), default=0))
        log.info("training on %d solutions (trainer.max_solutions of each problem)", len(rows))
        columns["steps"] = train_adapter(
            model,
            tokenizer,
            rows,
            args,
            folder=folder,
            seed=context.seed,
            log=lambda **numbers: run.tracker.log("train", iteration, **numbers),
            on_save=saved,
        )
        columns["solutions"] = len(rows)
        how = f"fine-tuned on {len(rows)} programs that pass, {columns['steps']} steps"
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


def _train_problems(context: RunContext) -> dict[str, Problem]:
    return {problem.id: problem for problem in context.splits.train}


def _of(problems: Mapping[str, Problem], rollouts: Sequence[Rollout]) -> tuple[Rollout, ...]:
    return tuple(item for item in rollouts if item.completion.problem_id in problems)
