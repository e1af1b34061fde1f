"""Stages that sample from a model and train nothing: evaluate, collect, solve, teach."""

from __future__ import annotations

import logging
from pathlib import Path

from axiom_rl.config import CollectConfig, Config, EvaluateConfig, SolveConfig, TeachConfig
from axiom_rl.context.present import check_present
from axiom_rl.context.problems import make_problems
from axiom_rl.core.errors import AxiomError
from axiom_rl.evaluation.measure import measure
from axiom_rl.evaluation.search.replayed import check_search
from axiom_rl.evaluation.search.run import checked_choice, run_beside, run_solve
from axiom_rl.gold.collect import next_collection, try_unsolved
from axiom_rl.gold.store import GoldStore, read_solutions
from axiom_rl.gold.teacher.asked import failed, read_student
from axiom_rl.gold.teacher.open import check_teacher
from axiom_rl.gold.teacher.teach import teach as ask_teacher
from axiom_rl.rollouts.draw import cost
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
    with open_context(config, folder, splits, resolve_model(config)) as context:
        policy = context.policy(config.model.adapter)
        rollouts = measure(context, 0, policy, "before")
        run_beside(context, config.search, policy, rollouts)


def collect(config: Config, folder: Path) -> None:
    """Best-of-N: sample each problem until one passes or max_attempts is reached; save passes."""
    stage = config.stage
    assert isinstance(stage, CollectConfig)
    output = Path(stage.output) if stage.output else folder / "solutions" / "collected.jsonl"
    keep = stage.skip_existing and output.exists()
    store = GoldStore(read_solutions(output) if keep else ())
    check_present(config)
    splits = make_problems(config, folder, only=stage.split)
    check_libraries(config)
    with open_context(config, folder, splits, resolve_model(config)) as context:
        problems = {p.id: p for p in getattr(splits, stage.split)}
        finished = context.run.is_finished("collect/0")
        with context.run.timed("collect", 0, log=not finished) as columns:
            drawn = try_unsolved(
                context,
                store,
                problems,
                context.policy(config.model.adapter),
                phase=next_collection(output, folder),
                iteration=0,
                attempts=range(stage.max_attempts),
                output=output,
            )
            columns.update(cost(drawn))
        if not finished:
            context.run.finish("collect/0")
        if not len(store):
            raise AxiomError(
                f"none of {len(drawn.rollouts)} samples passed, so {output} holds no solution: "
                "choose easier problems (problems=basic, lower problems.levels), a larger model "
                "(model=qwen2.5-coder-1.5b) or more attempts (stage.max_attempts)"
            )
        log.info("%d solutions of %d problems in %s", len(store), len(store.solved()), output)


def solve(config: Config, folder: Path) -> None:
    """Choose a program for each problem, by its examples and the search alone."""
    stage = config.stage
    assert isinstance(stage, SolveConfig)
    search = checked_choice(config.search)
    check_present(config)
    splits = make_problems(config, folder)
    check_libraries(config)
    output = Path(stage.output) if stage.output else folder / "solved.jsonl"
    with open_context(config, folder, splits, resolve_model(config)) as context:
        run_solve(context, config, search, output)
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
