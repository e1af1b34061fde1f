"""Gathering gold: samples that an expert takes, and more tries where it took none."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from axiom_rl.context.run_context import Policy, RunContext
from axiom_rl.core.files import read_json, write_json
from axiom_rl.core.text import count
from axiom_rl.core.types import Problem
from axiom_rl.gold.experts import Expert, by_verdict
from axiom_rl.gold.store import GoldStore
from axiom_rl.problems import has_fresh_tests, with_fresh_tests
from axiom_rl.rollouts.ahead import Lot, RoundDrawer
from axiom_rl.rollouts.draw import Drawn
from axiom_rl.rollouts.judge import JudgedBy
from axiom_rl.rollouts.records import Rollout
from axiom_rl.sampling.base import Key

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Tries:
    """What may be drawn of problems without a solution."""

    phase: str
    """completions/<phase>.jsonl keeps the samples."""
    iteration: int
    """For the rows written."""
    attempts: range
    """Indices of the samples that may be drawn of each problem."""
    budget: int | None = None
    """Samples that may be drawn of all problems together; None means no limit."""
    temperature: float | None = None
    """In the place of sampler.temperature; a higher one finds what is rare."""

    def lot(self, context: RunContext, problems: Iterable[Problem]) -> Lot:
        """Return what rounds may ask for of these problems."""
        return Lot(
            phase=self.phase,
            tasks={problem.id: attempt(problem, context.fresh_seed) for problem in problems},
            samples=self.attempts,
            iteration=self.iteration,
            temperature=self.temperature,
        )


def solved_by_one(expert: str) -> Callable[[Rollout], bool]:
    """Return whether a sample alone solves its problem, for an expert that goes by verdicts."""
    return lambda item: bool(by_verdict(expert, [item], ""))


def try_unsolved(
    context: RunContext,
    store: GoldStore,
    expert: Expert,
    problems: Mapping[str, Problem],
    policy: Policy,
    tries: Tries,
    *,
    begun: RoundDrawer | None = None,
    output: Path | None = None,
) -> Drawn:
    """Draw more samples of each problem, in rounds that double, until it has a solution.

    Args:
        context: of the run.
        store: gets the solutions.
        expert: decides what a solution is.
        problems: by id; those that the store has solutions of are left alone.
        policy: the model.
        tries: what may be drawn.
        begun: has drawn some of it ahead.
        output: solutions file, written after every round.
    """
    gathered, budget = Drawn(rollouts=()), tries.budget
    unsolved = [problem for problem in problems.values() if problem.id not in store.solved()]
    plan = list(rounds(tries.attempts, context.sampler.n))
    solves = None if expert.searching else solved_by_one(expert.name)
    lots = [tries.lot(context, unsolved)]
    with begun or RoundDrawer(context=context, policy=policy, lots=lots, solves=solves) as drawer:
        for number, samples in enumerate(plan, start=1):
            missing = [problem.id for problem in unsolved if problem.id not in store.solved()]
            left = None if budget is None else budget - len(gathered.rollouts)
            if left is not None and missing:
                samples = samples[: left // len(missing)]
                left -= len(samples) * len(missing)
            if not missing or not samples:
                break
            open_ones = count(len(missing), "problem")
            log.info("%s without a solution: samples up to %d", open_ones, samples.stop)
            later = partial(to_come, missing, plan[number:], left)
            drawn = drawer.draw(missing, samples, later)
            fresh = tuple(
                item
                for item in drawn.rollouts
                if item.completion.sample in samples and item.completion.problem_id in missing
            )
            expert.add(store, fresh)
            gathered += replace(drawn, rollouts=fresh)
            if output is not None:
                store.write(output)
        return gathered + drawer.discarded()


def to_come(
    missing: Sequence[str], plan: Sequence[range], left: int | None, solved: Mapping[str, int]
) -> Iterator[Key]:
    """Yield the samples that later rounds ask for if no more problems are solved than now.

    Args:
        missing: ids of the problems of the round that is being drawn.
        plan: the rounds after it.
        left: samples that may be drawn in them; None means no limit.
        solved: the first sample that solves a problem, where one is known.
    """
    for samples in plan:
        open_ = [each for each in missing if solved.get(each, samples.start) >= samples.start]
        whole = len(samples)
        if left is not None and open_:
            samples = samples[: left // len(open_)]
            left -= len(samples) * len(open_)
        # Sample by sample: the first ones of each problem tell most about it.
        yield from ((problem_id, sample) for sample in samples for problem_id in open_)
        if len(samples) < whole or not open_:
            return


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
