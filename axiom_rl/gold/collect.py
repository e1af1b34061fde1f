"""Gathering gold: samples that pass all hidden tests, and more tries where none did."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from axiom_rl.context.run_context import Policy, RunContext
from axiom_rl.core.files import read_json, write_json
from axiom_rl.core.types import Problem
from axiom_rl.gold.store import GoldStore, make_solution
from axiom_rl.problems import has_fresh_tests, with_fresh_tests
from axiom_rl.rollouts.draw import Drawn, draw
from axiom_rl.rollouts.judge import JudgedBy
from axiom_rl.rollouts.records import Rollout
from axiom_rl.verify.extract import split_thinking

log = logging.getLogger(__name__)


def next_collection(output: Path, folder: Path) -> str:
    """Return the name of a collection's phase and random stream: another for each into `output`.

    The first is `collect`; a later one must not draw the same samples again, so it is `collect_1`
    and so on. How many there were stands beside the solutions, in <name>.collections.json; a file
    without that counts as one. A run that is resumed goes on with the name it began with.

    Args:
        output: the solutions file.
        folder: of the run.
    """
    counted, own = output.with_suffix(".collections.json"), folder / "checkpoints" / "collect.json"
    if own.exists():
        number = int(read_json(own)["collection"])
    else:
        before = read_json(counted)["collections"] if counted.exists() else output.exists()
        number = int(before)
        write_json(own, {"schema": 1, "collection": number})
    written = read_json(counted)["collections"] if counted.exists() else 0
    write_json(counted, {"schema": 1, "collections": max(int(written), number + 1)})
    return f"collect_{number}" if number else "collect"


def add_passing(
    store: GoldStore, rollouts: Sequence[Rollout], problems: Mapping[str, Problem], model_name: str
) -> None:
    """Put the programs that pass all hidden tests into the store."""
    for item in rollouts:
        if item.hidden and item.hidden.passed and item.code is not None:
            problem = problems[item.completion.problem_id]
            reasoning = split_thinking(item.completion.text).reasoning
            store.add(make_solution(problem, item.code, item.hidden, model_name, reasoning))


def try_unsolved(
    context: RunContext,
    store: GoldStore,
    problems: Mapping[str, Problem],
    policy: Policy,
    *,
    phase: str,
    iteration: int,
    attempts: range,
    budget: int | None = None,
    temperature: float | None = None,
    output: Path | None = None,
) -> Drawn:
    """Draw more samples of each problem, in rounds that double, until it has a solution.

    Args:
        context: of the run.
        store: gets the solutions.
        problems: by id; those that the store has solutions of are left alone.
        policy: the model.
        phase: completions/<phase>.jsonl keeps the samples.
        iteration: for the rows written.
        attempts: indices of the samples that may be drawn of each problem.
        budget: samples that may be drawn of all problems together; None means no limit.
        temperature: in the place of sampler.temperature; a higher one finds what is rare.
        output: solutions file, written after every round.
    """
    gathered = Drawn(rollouts=())
    for samples in rounds(attempts, context.sampler.n):
        missing = [p for p in problems.values() if p.id not in store.solved()]
        if budget is not None and missing:
            left = budget - len(gathered.rollouts)
            samples = samples[: left // len(missing)]
        if not missing or not samples:
            break
        log.info("%d problems without a solution: samples up to %d", len(missing), samples.stop)
        tasks = [attempt(problem, context.fresh_seed) for problem in missing]
        drawn = draw(context, phase, tasks, samples, policy, iteration, temperature)
        asked = {problem.id for problem in missing}
        fresh = tuple(
            item
            for item in drawn.rollouts
            if item.completion.sample in samples and item.completion.problem_id in asked
        )
        add_passing(store, fresh, problems, str(context.model["name"]))
        gathered += replace(drawn, rollouts=fresh)
        if output is not None:
            store.write(output)
    return gathered


def attempt(problem: Problem, seed: int) -> JudgedBy:
    """Return how an attempt is judged: by the hidden tests; a pass again by fresh ones.

    The fresh tests select nothing. They tell how many of the passes that training will learn from
    are passes of the hidden tests alone.
    """
    if has_fresh_tests(problem):
        problem = with_fresh_tests(problem, seed)
    return JudgedBy(problem=problem, recheck=True)


def rounds(attempts: range, first: int) -> Iterator[range]:
    """Cut attempts into rounds that double what was drawn: 0-8, 8-16, 16-32, 32-64 for first=8."""
    start = attempts.start
    while start < attempts.stop:
        stop = min(max(2 * start, start + first), attempts.stop)
        yield range(start, stop)
        start = stop
