"""The loop of self-improvement: measure model N, gather gold solutions, train, measure model N+1.

`trainer=expert_iter` gathers gold from the model's own verified samples, iteration by iteration
(Anthony et al. 2017; with rejection sampling as in ReST-EM, Singh et al. 2023); `trainer=sft` takes
it from a solutions file and goes round once. Every phase is finished on disk before the next
begins, so a stopped run goes on after its last finished phase.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence, Set
from dataclasses import asdict
from pathlib import Path
from typing import Any

from axiom_rl.config import ExpertIterConfig, ModelConfig, SftTrainerConfig
from axiom_rl.context.run_context import Policy, RunContext
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.text import duration
from axiom_rl.core.types import Problem, Solution
from axiom_rl.evaluation.experts.opened import SearchInUse, open_expert
from axiom_rl.evaluation.experts.pool import take_pool
from axiom_rl.evaluation.experts.retained import expert_of_gold, score_phase, write_retention
from axiom_rl.evaluation.measure import measure
from axiom_rl.gold.choice import choose_solutions
from axiom_rl.gold.collect import try_unsolved
from axiom_rl.gold.experts import Expert
from axiom_rl.gold.rows import sft_rows
from axiom_rl.gold.search_rounds import passing, search_rounds, yield_of
from axiom_rl.gold.store import GoldStore, read_solutions
from axiom_rl.gold.teacher.traces import read_traces
from axiom_rl.gold.truth import judge_gold
from axiom_rl.models.load import load_tokenizer
from axiom_rl.models.weights.source import ResolvedModel
from axiom_rl.rollouts.advice import nothing_passed
from axiom_rl.rollouts.ahead import RoundDrawer
from axiom_rl.rollouts.draw import Drawn, cost
from axiom_rl.rollouts.records import Rollout
from axiom_rl.run.tracking import read_metrics
from axiom_rl.trainers.adapter import publish, release, train_rows
from axiom_rl.trainers.expert_iter.arms import rows_of_arms, that_fit
from axiom_rl.trainers.expert_iter.focus import by_type, draw_picked, pick_problems
from axiom_rl.trainers.expert_iter.overlap import measure_ahead, tries_of
from axiom_rl.trainers.sft.run import check_lengths, longest_row, row_lengths

log = logging.getLogger(__name__)


def run_sft(
    context: RunContext,
    model: ModelConfig,
    resolved: ResolvedModel,
    trainer: SftTrainerConfig,
    search: SearchInUse,
) -> None:
    """Train on a solutions file, or on a teacher's traces, measured before and after.

    Raises:
        AxiomError: if there is no solutions file, or it is about other problems.
    """
    solutions = solutions_of(trainer)
    rows = rows_of(context, trainer, resolved)
    expert = expert_of_gold(solutions)
    policy = context.policy(model.adapter)
    rollouts = measure(context, 0, policy, "before")
    if search.config.kind != "none":
        score_phase(context, expert, search, policy, "before", rollouts)
    release(policy)
    adapter = train_rows(context, 1, rows, trainer.args, model, resolved, model.adapter, expert)
    policy = context.policy(adapter)
    rollouts = measure(context, 1, policy, "iter_1")
    if search.config.kind != "none":
        score_phase(context, expert, search, policy, "iter_1", rollouts)
        write_retention(context, expert, 1, "iter_1")
    publish(context, 1)


def solutions_of(trainer: SftTrainerConfig) -> Sequence[Solution]:
    """Return what trainer=sft trains on: a teacher's traces, or a solutions file.

    Raises:
        AxiomError: if there is no file.
    """
    if trainer.traces is not None:
        return read_traces(Path(trainer.traces))
    if trainer.solutions is not None:
        return read_solutions(Path(trainer.solutions))
    raise AxiomError("trainer=sft needs trainer.solutions=path.jsonl (stage=collect makes one)")


def rows_of(
    context: RunContext, trainer: SftTrainerConfig, resolved: ResolvedModel
) -> list[dict[str, Any]]:
    """Return the rows that trainer=sft trains on.

    Raises:
        AxiomError: if there is no file, it is about other problems, or no row is short enough.
    """
    solutions = solutions_of(trainer)
    try:
        rows = sft_rows(solutions, train_problems(context), context.style, trainer.target)
    except AxiomError as error:
        key = "traces" if trainer.traces is not None else "solutions"
        raise AxiomError(f"trainer.{key}={getattr(trainer, key)}: {error}") from None
    check_lengths(row_lengths(rows, load_tokenizer(resolved)), longest_row(trainer.args))
    return rows


def run_expert_iteration(
    context: RunContext,
    model: ModelConfig,
    resolved: ResolvedModel,
    trainer: ExpertIterConfig,
    search: SearchInUse,
) -> None:
    """Evaluate, collect gold solutions, train on them; `trainer.iterations` times.

    Raises:
        AxiomError: if the expert takes not one sample of any problem, so that there is nothing to
            train on.
    """
    policy = context.policy(model.adapter)
    take_pool(context, trainer)
    rollouts, begun = measure_ahead(context, 0, policy, "before", trainer, search, ())
    score_phase(context, trainer.expert, search, policy, "before", rollouts)
    total = rows_of_arms(context, trainer, search, policy, rollouts, resolved, "before")
    _say_expected(context, rollouts, trainer)
    before = (rollouts, policy)
    improve(context, model, resolved, trainer, *before, search=search, total=total, begun=begun)
    publish(context, trainer.iterations)


def improve(
    context: RunContext,
    model: ModelConfig,
    resolved: ResolvedModel,
    trainer: ExpertIterConfig,
    rollouts: Sequence[Rollout],
    policy: Policy,
    first: int = 1,
    *,
    search: SearchInUse | None = None,
    total: int | None = None,
    begun: RoundDrawer | None = None,
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
        search: what the expert reads, and what is scored beside each evaluation; None: nothing is.
        total: rows of each iteration, where arms are compared.
        begun: has begun with further samples of the measured model.

    Returns:
        The last adapter and what it drew when it was measured.
    """
    adapter, store = model.adapter, GoldStore()
    iterations = range(first, first + trainer.iterations)
    for iteration in iterations:
        log.info("iteration %d of %d", iteration - first + 1, trainer.iterations)
        phase = f"iter_{iteration}"
        store = _gather(context, iteration, rollouts, policy, store, trainer, search, begun)
        rows = _rows(context, iterations, iteration, store, trainer, resolved, total)
        release(policy)
        start = adapter if trainer.start_from == "adapter" else None
        adapter = train_rows(
            context, iteration, rows, trainer.args, model, resolved, start, trainer.expert
        )
        policy = context.policy(adapter)
        if iteration == iterations[-1]:
            rollouts = measure(context, iteration, policy, phase)
        else:
            had = store.solved()
            rollouts, begun = measure_ahead(context, iteration, policy, phase, trainer, search, had)
        if search is not None:
            score_phase(context, trainer.expert, search, policy, phase, rollouts)
            write_retention(context, trainer.expert, iteration, phase)
    return adapter, tuple(rollouts)


def _rows(
    context: RunContext,
    iterations: range,
    iteration: int,
    store: GoldStore,
    trainer: ExpertIterConfig,
    resolved: ResolvedModel,
    total: int | None,
) -> list[dict[str, Any]]:
    """Return the training rows of an iteration: a choice of all gold so far."""
    solutions = list(store.solutions)
    if total is not None:
        solutions = that_fit(context, solutions, trainer, resolved)
    found = _found_in(context, range(iterations.start, iteration + 1))
    chosen = choose_solutions(
        solutions,
        trainer.max_solutions,
        context.seed,
        iterations=[found[(one.problem_id, one.solution_code)] for one in solutions],
        total=total,
    )
    return sft_rows(chosen, train_problems(context), context.style, trainer.target)


def _found_in(context: RunContext, iterations: range) -> dict[tuple[str, str], int]:
    """Return in which iteration each gold solution was found."""
    found: dict[tuple[str, str], int] = {}
    for number in iterations:
        for one in read_solutions(_gold_file(context, number)):
            found.setdefault((one.problem_id, one.solution_code), number)
    return found


def _gold_file(context: RunContext, iteration: int) -> Path:
    return context.run.folder / "solutions" / f"iter_{iteration}.jsonl"


def _say_expected(
    context: RunContext, rollouts: Sequence[Rollout], trainer: ExpertIterConfig
) -> None:
    """Say how long the sampling to come will take, by the speed of the first evaluation."""
    timed = [row for row in read_metrics(context.run.folder, "timing") if row["name"] == "evaluate"]
    speed = float(timed[0]["tokens_per_second"]) if timed else 0.0
    # Not measured, or most of it is over.
    if len(timed) != 1 or not rollouts or trainer.pool or not speed:
        return
    seconds = float(timed[0]["tokens"]) / speed
    each = seconds / len(rollouts)
    searched = sum(each.samples for each in trainer.rounds.values()) * len(context.splits.train)
    passed = {r.completion.problem_id for r in rollouts if r.hidden is not None and r.hidden.passed}
    solved = trainer.expert == "hidden" and all(p.id in passed for p in context.splits.train)
    retries = (trainer.max_retries + searched) * (trainer.iterations - solved)
    log.info(
        "expected: %s for the evaluations to come and at most %s for further tries, at the speed "
        "so far; training comes on top",
        duration(seconds * trainer.iterations),
        duration(each * retries),
    )


def _gather(
    context: RunContext,
    iteration: int,
    rollouts: Sequence[Rollout],
    policy: Policy,
    store: GoldStore,
    trainer: ExpertIterConfig,
    search: SearchInUse | None,
    begun: RoundDrawer | None,
) -> GoldStore:
    """Add the samples of the train split that the expert takes; try unsolved problems again."""
    path = _gold_file(context, iteration)
    if context.run.is_finished(f"collect/{iteration}"):
        return GoldStore(read_solutions(path))
    problems, before, had = train_problems(context), store.solutions, store.solved()
    phase = f"iter_{iteration - 1}" if iteration > 1 else "before"
    expert = open_expert(context, trainer.expert, problems, search, policy, phase)
    with context.run.timed("collect", iteration) as columns:
        first = Drawn(rollouts=_of(problems, rollouts))
        expert.add(store, first.rollouts)
        more, draws = _further(context, iteration, first, policy, store, expert, trainer, begun)
        tried = [first, more]
        found, yields = _search(context, iteration, tried, had, policy, store, expert, trainer)
        more += found
        columns.update(cost(more))
    store = GoldStore(before)
    expert.fill(store)
    samples, passed = len(first.rollouts) + len(more.rollouts), first.passed + more.passed
    if not len(store):
        raise AxiomError(_nothing_passed(context, [first, more], trainer))
    drawn = (first + more).rollouts
    false = judge_gold(context.run.folder, iteration, store.solutions, drawn)
    store.write(path)
    context.run.tracker.log(
        "collect",
        iteration,
        expert=trainer.expert,
        samples=samples,
        passed=passed,
        taken=expert.taken,
        solutions=len(store) - len(before),
        total_solutions=len(store),
        duplicates=expert.taken - (len(store) - len(before)),
        unsolved=len(problems.keys() - store.solved()),
        false_gold=false.new,
        false_gold_total=false.total,
        drawn_tokens=sum(item.completion.completion_tokens for item in drawn),
        discarded_tokens=more.discarded_tokens,
        rounds=yields,
        **draws,
    )
    context.run.finish(f"collect/{iteration}")
    return store


def _search(
    context: RunContext,
    iteration: int,
    before: Sequence[Drawn],
    had: Set[str],
    policy: Policy,
    store: GoldStore,
    expert: Expert,
    trainer: ExpertIterConfig,
) -> tuple[Drawn, dict[str, Any]]:
    """Search on where nothing passed; return also the yield of each round, those before included.

    Args:
        context: of the run.
        iteration: 1, 2, ...
        before: the measurement and the further samples.
        had: problems that had a solution before both.
        policy: the model.
        store: gets the solutions.
        expert: decides what a solution is.
        trainer: its rounds.
    """
    problems, yields = train_problems(context), dict[str, Any]()
    for name, drawn in zip(("first", "more"), before, strict=True):
        if drawn.rollouts:
            yields[name] = asdict(yield_of(drawn.rollouts, had))
            had = had | passing(drawn.rollouts)
    found, later = search_rounds(
        context,
        trainer.rounds,
        problems,
        policy,
        phase=f"attempts_{iteration}",
        iteration=iteration,
        seen=[item for drawn in before for item in drawn.rollouts],
        solved=store.solved,
        admit=lambda items: expert.add(store, items),
    )
    return found, yields | later


def _nothing_passed(context: RunContext, drawn: Sequence[Drawn], trainer: ExpertIterConfig) -> str:
    """Say what to change, given which limit ended the tries."""
    rollouts = [item for part in drawn for item in part.rollouts]
    problems = [*train_problems(context).values()]
    asked = context.sampler.n + len(drawn[-1].rollouts) // max(len(problems), 1)
    limit = "max_retries" if asked < trainer.max_attempts else "max_attempts"
    more = f"more attempts (trainer.{limit}={max(2 * getattr(trainer, limit), 1)})"
    return nothing_passed(
        problems,
        rollouts,
        model=str(context.model["name"]),
        limit=context.sampler.max_new_tokens,
        expert=trainer.expert,
        others=[more] if trainer.problems_per_iteration is None else [],
    )


def _further(
    context: RunContext,
    iteration: int,
    first: Drawn,
    policy: Policy,
    store: GoldStore,
    expert: Expert,
    trainer: ExpertIterConfig,
    begun: RoundDrawer | None,
) -> tuple[Drawn, dict[str, Any]]:
    """Draw more samples: of what the curriculum picks, or else of what has no solution yet."""
    problems = train_problems(context)
    if trainer.problems_per_iteration is None:
        tries = tries_of(context, iteration, trainer)
        more = try_unsolved(context, store, expert, problems, policy, tries, begun=begun)
        return more, {}
    counts = pick_problems(context, iteration, problems, first.rollouts, expert, trainer)
    draws = by_type(problems, counts)
    log.info("draws of the curriculum: %s", draws)
    more = draw_picked(context, iteration, problems, counts, policy, trainer.retry_temperature)
    expert.add(store, more.rollouts)
    return more, {"draws": draws}


def train_problems(context: RunContext) -> dict[str, Problem]:
    """Return the training problems by id."""
    return {problem.id: problem for problem in context.splits.train}


def _of(problems: Mapping[str, Problem], rollouts: Sequence[Rollout]) -> tuple[Rollout, ...]:
    return tuple(item for item in rollouts if item.completion.problem_id in problems)
