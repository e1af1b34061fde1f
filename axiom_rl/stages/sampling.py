"""Stages that sample from a model and train nothing: evaluate, collect, solve, teach."""

from __future__ import annotations

import logging
from dataclasses import replace
from itertools import chain
from pathlib import Path

from axiom_rl.config import CollectConfig, Config, EvaluateConfig, SolveConfig, TeachConfig
from axiom_rl.context.present import check_present
from axiom_rl.context.problems import make_problems
from axiom_rl.core.errors import AxiomError
from axiom_rl.evaluation.experts.opened import check_shown, open_expert, with_expert
from axiom_rl.evaluation.measure import headline_split, measure
from axiom_rl.evaluation.search.replayed import check_search, check_stopping_sampler
from axiom_rl.evaluation.search.run import checked_choice, run_beside, run_solve
from axiom_rl.gold.collect import Tries, next_collection, try_unsolved
from axiom_rl.gold.search_rounds import collected, log_collected, search_on
from axiom_rl.gold.store import GoldStore, read_solutions
from axiom_rl.gold.teacher.asked import failed, read_student
from axiom_rl.gold.teacher.open import check_teacher
from axiom_rl.gold.teacher.teach import teach as ask_teacher
from axiom_rl.rollouts.advice import nothing_passed
from axiom_rl.rollouts.draw import cost
from axiom_rl.stages.knowing import live_policy_known, search_in_use
from axiom_rl.stages.opening import check_libraries, open_context, resolve_model

log = logging.getLogger(__name__)


def evaluate(config: Config, folder: Path) -> None:
    """Evaluate the base model, or it with model.adapter, on tests it was never trained on."""
    stage = config.stage
    assert isinstance(stage, EvaluateConfig)
    check_search(config.search)
    check_present(config)
    splits = make_problems(config, folder, only=stage.split)
    check_libraries(config)
    resolved = resolve_model(config)
    known = live_policy_known(config, resolved, getattr(splits, headline_split(splits)))
    with open_context(config, folder, splits, resolved) as context:
        if stage.split is None:
            others = "stage.split=train, val or test takes another one"
            log.info("evaluated is the %s split: %s", headline_split(splits), others)
        policy = context.policy(config.model.adapter)
        model = str(context.model["name"])
        model += f" with {config.model.adapter}" if config.model.adapter else ""
        rollouts = measure(context, 0, policy, "before", subject=model)
        run_beside(context, config.search, policy, rollouts, known)


def collect(config: Config, folder: Path) -> None:
    """Best-of-N: sample each problem until one passes or max_attempts is reached; save passes."""
    config = with_expert(config)
    stage = config.stage
    assert isinstance(stage, CollectConfig)
    output = Path(stage.output) if stage.output else folder / "solutions" / "collected.jsonl"
    keep = stage.skip_existing and output.exists()
    store = GoldStore(read_solutions(output) if keep else ())
    if others := sorted({one.expert for one in store.solutions} - {stage.expert}):
        log.warning(
            "%s holds gold of another expert (%s), and what it solved counts as solved: type "
            "stage.skip_existing=false to begin anew, or give another stage.output",
            output,
            ", ".join(others),
        )
    check_present(config)
    splits = make_problems(config, folder, only=stage.split)
    check_shown(config, getattr(splits, stage.split))
    check_libraries(config)
    resolved = resolve_model(config)
    search = search_in_use(config, resolved, splits)
    with open_context(config, folder, splits, resolved) as context:
        problems = {p.id: p for p in getattr(splits, stage.split)}
        finished = context.run.is_finished("collect/0")
        policy, phase = context.policy(config.model.adapter), next_collection(output, folder)
        expert = open_expert(context, stage.expert, problems, search, policy, phase)
        with context.run.timed("collect", 0, log=not finished) as columns:
            drawn = try_unsolved(
                context,
                store,
                expert,
                problems,
                policy,
                Tries(phase=phase, iteration=0, attempts=range(stage.max_attempts)),
                output=output,
            )
            drawn += search_on(
                context, stage.rounds, store, expert, problems, policy, phase, drawn, output
            )
            # Of what was solved before a stop, nothing was asked again.
            whole = chain.from_iterable(collected(context, stage.rounds, phase).values())
            columns.update(cost(replace(drawn, rollouts=tuple(whole))))
        if not finished:
            again = open_expert(context, stage.expert, problems, search, policy, phase)
            log_collected(context, stage.rounds, store, again, problems, phase)
            context.run.finish("collect/0")
        if not len(store):
            why = nothing_passed(
                [*problems.values()],
                drawn.rollouts,
                model=str(context.model["name"]),
                limit=context.sampler.max_new_tokens,
                expert=stage.expert,
                others=[f"more attempts (stage.max_attempts={2 * stage.max_attempts})"],
            )
            raise AxiomError(f"{output} holds no solution: {why}")
        log.info("%d solutions of %d problems in %s", len(store), len(store.solved()), output)


def solve(config: Config, folder: Path) -> None:
    """Choose a program for each problem, by its examples and the search alone."""
    stage = config.stage
    assert isinstance(stage, SolveConfig)
    search = checked_choice(config.search)
    check_present(config)
    splits = make_problems(config, folder)
    check_libraries(config)
    if search.stop_below is not None:
        from axiom_rl.context.resources import with_chosen_sampler

        check_stopping_sampler(with_chosen_sampler(config)[0])  # sampler=auto may mean vLLM here
    output = Path(stage.output) if stage.output else folder / "solved.jsonl"
    resolved = resolve_model(config)
    head = live_policy_known(config, resolved, splits.all).head
    early = None
    if head is not None and search.stop_below is not None:
        early = head.stops(search.stop_below, splits.all, config.sampler.max_new_tokens)
    with open_context(config, folder, splits, resolved) as context:
        run_solve(context, config, search, output, head, early)
    log.info("chosen programs: %s", output)


def teach(config: Config, folder: Path) -> None:
    """Ask a teacher for traces of the problems that the student fails."""
    stage, teacher = config.stage, config.teacher
    assert isinstance(stage, TeachConfig)
    check_teacher(teacher)
    check_present(config)
    splits = make_problems(config, folder, only=stage.split)
    problems = getattr(splits, stage.split)
    if stage.student is None:
        log.info("no student is named (stage.student=): all %d problems are asked", len(problems))
    else:
        rates = read_student(Path(stage.student), problems)
        problems = failed(problems, rates, teacher.max_pass_rate)
        log.info("the student fails %d of %d problems", len(problems), len(rates))
    check_libraries(config)
    output = Path(stage.output) if stage.output else None
    with open_context(config, folder, splits, resolve_model(config)) as context:
        ask_teacher(context, teacher, problems, output=output)
