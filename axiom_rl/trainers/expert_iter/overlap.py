"""A model is measured, and tried again where nothing passed, in one go.

Both are samples of the same model. The evaluation is the first of the rounds that
`axiom_rl.rollouts.ahead` draws and the tries are the others: while the last samples of the
evaluation are written and judged, tries of what has no solution yet begin.
"""

from __future__ import annotations

from collections.abc import Container
from contextlib import ExitStack
from functools import partial

from axiom_rl.config import ExpertIterConfig
from axiom_rl.context.run_context import Policy, RunContext
from axiom_rl.evaluation.experts.opened import SearchInUse
from axiom_rl.evaluation.measure import evaluated, measure
from axiom_rl.gold.collect import Tries, rounds, solved_by_one, to_come
from axiom_rl.rollouts.ahead import Lot, RoundDrawer
from axiom_rl.rollouts.records import Rollout


def tries_of(context: RunContext, iteration: int, trainer: ExpertIterConfig) -> Tries:
    """Return what an iteration may draw of problems without a solution."""
    return Tries(
        phase=f"attempts_{iteration}",
        iteration=iteration,
        attempts=range(context.sampler.n, trainer.max_attempts),
        budget=trainer.max_retries,
        temperature=trainer.retry_temperature,
    )


def measure_ahead(
    context: RunContext,
    iteration: int,
    policy: Policy,
    phase: str,
    trainer: ExpertIterConfig,
    search: SearchInUse | None,
    solved: Container[str],
) -> tuple[tuple[Rollout, ...], RoundDrawer | None]:
    """Measure a model that the next iteration gathers its gold from.

    Args:
        context: of the run.
        iteration: after which the model is measured; the next one tries.
        policy: the model.
        phase: of the evaluation.
        trainer: says what may be tried.
        search: that evaluations add.
        solved: ids of the problems that have a solution from iterations before.

    Returns:
        The evaluation's samples, and what draws the tries of the next iteration; None where
        nothing is drawn ahead.
    """
    if not _can_overlap(context, trainer, search):
        return measure(context, iteration, policy, phase), None
    tasks = {task.problem.id: task for task in evaluated(context)}
    missing = [problem for problem in context.splits.train if problem.id not in solved]
    first, tries = range(context.sampler.n), tries_of(context, iteration + 1, trainer)
    evaluation = Lot(phase=phase, tasks=tasks, samples=first, iteration=iteration, temperature=None)
    lots = [evaluation, tries.lot(context, missing)]
    solves = solved_by_one(trainer.expert)
    drawer = RoundDrawer(context=context, policy=policy, lots=lots, solves=solves)
    plan = list(rounds(tries.attempts, context.sampler.n))
    later = partial(to_come, [problem.id for problem in missing], plan, tries.budget)
    draws = partial(drawer.draw, list(tasks), first, later)
    with ExitStack() as failing:
        failing.push(drawer)
        rollouts = measure(context, iteration, policy, phase, draws=draws)
        failing.pop_all()  # nothing failed: the tries go on with what runs
    return rollouts, drawer


def _can_overlap(
    context: RunContext, trainer: ExpertIterConfig, search: SearchInUse | None
) -> bool:
    """Whether only a sample's own verdict says what is tried next, by the same batch."""
    heats = {context.sampler.temperature, trainer.retry_temperature}
    return (
        trainer.expert == "hidden"
        and trainer.problems_per_iteration is None
        and not trainer.arms
        and (search is None or search.config.kind == "none")
        and (len(heats) == 1 or 0 not in heats)
    )
