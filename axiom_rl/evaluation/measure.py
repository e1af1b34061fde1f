"""Measuring a model: draw, judge, score, and write it all down."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import groupby
from typing import Any

from axiom_rl.context.run_context import Policy, RunContext
from axiom_rl.core.text import percent
from axiom_rl.core.types import Verdict
from axiom_rl.evaluation.score import (
    BENCHMARK_TESTS,
    FRESH_TESTS,
    HIDDEN_TESTS,
    Evaluation,
    score,
    write_evaluation,
)
from axiom_rl.problems import has_fresh_tests
from axiom_rl.problems.sources.benchmarks import BENCHMARKS
from axiom_rl.problems.splits import Splits
from axiom_rl.rollouts.advice import all_cut_off
from axiom_rl.rollouts.draw import Drawn, cost, draw
from axiom_rl.rollouts.judge import JudgedBy, task_for
from axiom_rl.rollouts.records import Rollout

log = logging.getLogger(__name__)

SETTINGS = ("backend", "n", "temperature", "top_p", "max_new_tokens")


def measure(
    context: RunContext,
    iteration: int,
    policy: Policy,
    phase: str,
    *,
    watched: bool = False,
    subject: str | None = None,
    draws: Callable[[], Drawn] | None = None,
    **columns: Any,
) -> tuple[Rollout, ...]:
    """Evaluate a model on every split and return its rollouts, ordered by problem and sample.

    Writes completions/<phase>.jsonl, evaluation/<phase>.json (the headline: the test split, or,
    where there is none, the train problems; on fresh tests where the problems have a generator) and
    metrics rows for each split, with `columns` in them.

    `watched` is for problems that the run does not train on, whatever their split is called: they
    are judged once, by fresh tests, and by hidden ones only where they have no others.

    `draws` draws and judges what `evaluated` names, as `draw` would.

    `subject` names the model in the log where nothing is trained, so nothing is 'before training'.
    """
    splits = context.splits
    tasks = evaluated(context)
    if watched:
        tasks = [replace(task, hidden=not task.problem.fresh_tests) for task in tasks]
    finished = context.run.is_finished(f"evaluate/{phase}")
    with context.run.timed("evaluate", iteration, phase=phase, log=not finished) as spent:
        if draws is None:
            drawn = draw(context, phase, tasks, range(context.sampler.n), policy, iteration)
        else:
            drawn = draws()
        spent.update(cost(drawn) | columns)
        if drawn.ahead_seconds:
            spent["ahead_seconds"] = round(drawn.ahead_seconds, 3)
    if finished:
        return drawn.rollouts
    if all_cut_off(drawn.rollouts):
        log.warning(
            "every one of the %d answers was cut off by the token limit: give more than "
            "%s.max_new_tokens=%d",
            len(drawn.rollouts),
            columns.get("of", "sampler"),
            context.sampler.max_new_tokens,
        )
    for evaluation in _by_split(context, tasks, drawn.rollouts, policy.adapter):
        _log(context, iteration, evaluation, subject, columns)
        if is_headline(evaluation, splits):
            write_evaluation(context.run.folder / "evaluation" / f"{phase}.json", evaluation)
    context.run.finish(f"evaluate/{phase}")
    context.publish()
    return drawn.rollouts


def evaluated(context: RunContext) -> list[JudgedBy]:
    """Return the problems of an evaluation in its order, and how they are judged."""
    return [task_for(problem, context.fresh_seed) for problem in context.splits.all]


def headline_split(splits: Splits) -> str:
    """Return the split that a report's first line is about."""
    if splits.test:
        return "test"
    # Train problems without a generator have no tests but those that training rewards.
    fresh = all(has_fresh_tests(problem) for problem in splits.train)
    return "val" if splits.val and not (splits.train and fresh) else "train"


def held_out(splits: Splits) -> Splits:
    """Leave the training problems out of GRPO's evaluations, where there is val to choose types by.

    Without val they are measured, for the test split must not choose what is trained on.
    """
    return replace(splits, train=()) if splits.val else splits


def is_headline(evaluation: Evaluation, splits: Splits) -> bool:
    """Tell whether a report's first line is about this evaluation."""
    if evaluation.split != headline_split(splits):
        return False
    problems = getattr(splits, evaluation.split)
    return evaluation.tests == FRESH_TESTS or not any(map(has_fresh_tests, problems))


def name_of_tests(task: JudgedBy) -> str:
    """Say what a score on this task holds out."""
    if task.problem.fresh_tests:
        return FRESH_TESTS
    of_benchmark = task.problem.type in BENCHMARKS and task.problem.split != "train"
    return BENCHMARK_TESTS if of_benchmark else HIDDEN_TESTS


def _by_split(
    context: RunContext, tasks: Sequence[JudgedBy], rollouts: Sequence[Rollout], adapter: str | None
) -> list[Evaluation]:
    """Score each split on what it holds out, and train problems on their hidden tests as well."""
    evaluations = []
    for split, group in groupby(tasks, key=lambda task: task.problem.split):
        members = list(group)
        ids = {task.problem.id for task in members}
        own = [item for item in rollouts if item.completion.problem_id in ids]
        kinds = [name_of_tests(members[0])]
        if FRESH_TESTS in kinds and all(task.hidden for task in members):
            kinds.append(HIDDEN_TESTS)
        evaluations += [_score(context, split, kind, members, own, adapter) for kind in kinds]
    return evaluations


def _score(
    context: RunContext,
    split: str,
    tests: str,
    tasks: Sequence[JudgedBy],
    rollouts: Sequence[Rollout],
    adapter: str | None,
) -> Evaluation:
    hidden = [item.hidden for item in rollouts if item.hidden]
    fresh = [item.fresh for item in rollouts if item.fresh]
    on_fresh = tests == FRESH_TESTS
    judged: list[Verdict] = fresh if on_fresh else hidden
    settings = asdict(context.sampler)
    return score(
        [task.problem for task in tasks],
        [item.completion for item in rollouts],
        judged,
        hidden if on_fresh and len(hidden) == len(fresh) else None,
        split=split,
        model=dict(context.model) | {"adapter": adapter},
        sampler={key: settings[key] for key in SETTINGS} | {"prompt": context.style},
        seed=context.seed,
        tests=tests,
        left_out=context.splits.left_out,
        weak=context.splits.weak,
    )


def _thinking(evaluation: Evaluation) -> dict[str, int]:
    count = evaluation.truncated_thinking
    return {} if count is None else {"truncated_thinking": count}


def _log(
    context: RunContext,
    iteration: int,
    evaluation: Evaluation,
    subject: str | None,
    columns: Mapping[str, Any],
) -> None:
    rate = evaluation.pass_at_1
    trained = f"after iteration {iteration}" if iteration else "before training"
    if of := columns.get("of"):  # the teacher, or a family that is watched for forgetting
        trained = f"{of}, {trained}"
    log.info(
        "%s: %s of %d samples pass, 95 %% interval %s to %s (%s, %s)",
        trained if subject is None else subject,
        percent(rate.value),
        evaluation.samples,
        percent(rate.low),
        percent(rate.high),
        evaluation.split,
        evaluation.tests,
    )
    context.run.tracker.log(
        "evaluate",
        iteration,
        split=evaluation.split,
        tests=evaluation.tests,
        accuracy=evaluation.pass_at_1.value,
        low=evaluation.pass_at_1.low,
        high=evaluation.pass_at_1.high,
        samples=evaluation.samples,
        solved=evaluation.solved,
        problems=evaluation.problems,
        faults=evaluation.faults,
        overfit_gap=evaluation.overfit_gap,
        **_thinking(evaluation),
        **columns,
    )
