"""Rounds of search for problems that have no solution yet: hotter, with reasoning, by repair.

Each round is asked of the problems that the rounds before it left unsolved. What the model is shown
is public: the statement, and in a repair what the public tests say of its own program; which
programs are repaired is chosen by the public tests too. Hidden tests decide what is gold, as ever.

A program found under another prompt than the run's own is gold as a program: what is trained is the
program in fences, as the answer to the run's own prompt. The text around it belongs to a prompt
that the trained model will not be given.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import asdict, dataclass, replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from axiom_rl.config import SearchRoundConfig
from axiom_rl.context.run_context import Policy, RunContext
from axiom_rl.core.text import count
from axiom_rl.core.types import Problem, Status
from axiom_rl.gold.collect import attempt
from axiom_rl.gold.experts import Expert
from axiom_rl.gold.store import GoldStore
from axiom_rl.gold.truth import judge_gold
from axiom_rl.rollouts.draw import Drawn, draw
from axiom_rl.rollouts.records import Rollout, read_rollouts
from axiom_rl.search.execute import FILE, Executions, name_of
from axiom_rl.search.public import PublicProblem, public_side
from axiom_rl.search.repair import Chain, repair_once

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundYield:
    """What a round asked for and what came of it."""

    problems: int
    samples: int
    tokens: int
    passed: int
    """Samples that pass all hidden tests."""
    solved: int
    """Problems that had no solution before the round and have one after it."""


def yield_of(rollouts: Sequence[Rollout], had: Set[str] = frozenset()) -> RoundYield:
    """Count what a round gave; `had` are the problems that had a solution before it."""
    passed = [r.completion.problem_id for r in rollouts if r.hidden and r.hidden.passed]
    return RoundYield(
        problems=len({item.completion.problem_id for item in rollouts}),
        samples=len(rollouts),
        tokens=sum(item.completion.completion_tokens for item in rollouts),
        passed=len(passed),
        solved=len({*passed} - had),
    )


def passing(rollouts: Sequence[Rollout]) -> set[str]:
    """Return the problems of which a sample passes all hidden tests."""
    return {item.completion.problem_id for item in rollouts if item.hidden and item.hidden.passed}


def search_rounds(
    context: RunContext,
    rounds: Mapping[str, SearchRoundConfig],
    problems: Mapping[str, Problem],
    policy: Policy,
    *,
    phase: str,
    iteration: int,
    seen: Sequence[Rollout],
    solved: Callable[[], Set[str]],
    admit: Callable[[Sequence[Rollout]], None],
) -> tuple[Drawn, dict[str, dict[str, Any]]]:
    """Search on for what is unsolved, round by round.

    A stopped run goes on in the round that it was stopped in: the samples lie in
    completions/<phase>_<name of the round>.jsonl, and what is counted is what lies there.

    Args:
        context: of the run.
        rounds: by name, in order; those of 0 samples are off.
        problems: by id.
        policy: the model.
        phase: of the samples drawn before.
        iteration: for the rows written.
        seen: those samples; their failing programs can be repaired.
        solved: returns the ids of the problems that need no more.
        admit: takes the samples of a round, as they would be trained on.

    Returns:
        What was drawn, and the yield of each round that asked anything.
    """
    gathered, yields = Drawn(rollouts=()), dict[str, dict[str, Any]]()
    had = passing(seen)
    for name, each in rounds.items():
        missing = [problem for problem in problems.values() if problem.id not in solved()]
        if not each.samples or not missing:
            continue
        open_ones = count(len(missing), "problem")
        log.info("%s without a solution: round %s (%s)", open_ones, name, each.how)
        own = f"{phase}_{name}"
        if each.how == "repair":
            tried = (*seen, *gathered.rollouts)
            drawn = _repair(context, own, iteration, missing, tried, policy, each)
        else:
            style = context.style if each.how == "again" else each.how
            tasks = [attempt(problem, context.fresh_seed) for problem in missing]
            styled = replace(context, style=style)
            samples = range(each.samples)
            drawn = draw(styled, own, tasks, samples, policy, iteration, each.temperature)
        if drawn.rollouts:
            admit(as_own_answers(drawn.rollouts, each, context.style))
            # An expert may leave a problem open of which a sample passes.
            yields[name] = asdict(yield_of(drawn.rollouts, had))
            had |= passing(drawn.rollouts)
            log.info("round %s: %s", name, yield_text(yields[name]))
        gathered += drawn
    return gathered, yields


def search_on(
    context: RunContext,
    rounds: Mapping[str, SearchRoundConfig],
    store: GoldStore,
    expert: Expert,
    problems: Mapping[str, Problem],
    policy: Policy,
    phase: str,
    drawn: Drawn,
    output: Path,
) -> Drawn:
    """Search on for what a collection has not solved; `output` is written after every round."""

    def admit(items: Sequence[Rollout]) -> None:
        expert.add(store, items)
        store.write(output)

    return search_rounds(
        context,
        rounds,
        problems,
        policy,
        phase=phase,
        iteration=0,
        seen=drawn.rollouts,
        solved=store.solved,
        admit=admit,
    )[0]


def collected(
    context: RunContext, rounds: Mapping[str, SearchRoundConfig], phase: str
) -> dict[str, list[Rollout]]:
    """Return all samples of a collection by round, whichever start of the run drew them."""
    folder = context.run.folder / "completions"
    drawn = {"first": read_rollouts(folder / f"{phase}.jsonl")}
    for name, each in rounds.items():
        items = read_rollouts(folder / f"{phase}_{name}.jsonl")
        drawn[name] = as_own_answers(items, each, context.style)
    return drawn


def log_collected(
    context: RunContext,
    rounds: Mapping[str, SearchRoundConfig],
    store: GoldStore,
    expert: Expert,
    problems: Mapping[str, Problem],
    phase: str,
) -> None:
    """Write a collection's row, counted from its files: a stop in between changes nothing.

    Args:
        context: of the run.
        rounds: of the collection.
        store: all gold there is.
        expert: that has seen nothing yet.
        problems: by id.
        phase: of the samples.
    """
    drawn = collected(context, rounds, phase)
    yields, had = dict[str, RoundYield](), set[str]()
    for name, items in drawn.items():
        if items:
            yields[name] = yield_of(items, had)
            had |= passing(items)
    new = GoldStore()
    everything = [item for items in drawn.values() for item in items]
    expert.add(new, everything)
    false = judge_gold(context.run.folder, 0, store.solutions, everything)
    passed = sum(row.passed for row in yields.values())
    context.run.tracker.log(
        "collect",
        0,
        samples=sum(row.samples for row in yields.values()),
        passed=passed,
        expert=expert.name,
        taken=expert.taken,
        solutions=len(new),
        total_solutions=len(store),
        duplicates=expert.taken - len(new),
        unsolved=len(problems.keys() - store.solved()),
        false_gold=false.total,
        rounds={name: asdict(row) for name, row in yields.items()},
    )


def yield_text(row: Mapping[str, Any]) -> str:
    """Write a yield in words."""
    return (
        f"{row['solved']} of {row['problems']} problems solved by {row['passed']} of "
        f"{row['samples']} samples, {row['tokens']:,} tokens"
    )


def as_own_answers(
    items: Sequence[Rollout], drawn_by: SearchRoundConfig, style: str
) -> list[Rollout]:
    """Return a round's samples as answers to the run's own prompt, refenced if it had another."""
    own = drawn_by.how in ("again", style)
    return [item if own else refenced(item) for item in items]


def refenced(item: Rollout) -> Rollout:
    """Return a rollout whose text is its program in fences, with the number of tokens drawn.

    The tokens themselves were drawn for another prompt, so nothing is trained on them, and of the
    run's own prompt (0 tokens) nothing was drawn.
    """
    if item.code is None:
        return item
    text = f"```python\n{item.code.strip()}\n```"
    said = replace(item.completion, text=text, truncated=False, token_ids=(), logprobs=())
    said = replace(said, prompt_tokens=0)
    return replace(item, completion=said)


def _repair(
    context: RunContext,
    phase: str,
    iteration: int,
    problems: Sequence[Problem],
    tried: Sequence[Rollout],
    policy: Policy,
    settings: SearchRoundConfig,
) -> Drawn:
    """Draw repairs of programs that fail a public test, `settings.samples` of each problem."""
    executions = Executions(context.run.folder / FILE, context.verifier)
    public = [public_side(problem) for problem in problems]
    chains = [
        chain
        for problem in public
        for chain in chains_to_repair(executions, problem, tried, settings.samples)
    ]
    path = context.run.folder / "completions" / f"{phase}.jsonl"
    repair_once(
        path,
        iteration,
        chains,
        executions=executions,
        tasks={problem.id: attempt(problem, context.fresh_seed) for problem in problems},
        sampler=policy,
        verifier=context.verifier,
        style=context.style,
        stream=f"{context.seed}/{phase}",
        temperature=settings.temperature,
    )
    place = {problem.id: number for number, problem in enumerate(problems)}
    rollouts = sorted(
        read_rollouts(path),
        key=lambda item: (
            place.get(item.completion.problem_id, len(place)),
            item.completion.problem_id,
            item.completion.sample,
        ),
    )
    return Drawn(rollouts=tuple(rollouts))


def chains_to_repair(
    executions: Executions, problem: PublicProblem, tried: Sequence[Rollout], count: int
) -> list[Chain]:
    """Return `count` chains that begin with different failing programs, the best of them first.

    The best pass the most public tests; an answer without a program comes last. Where there are
    fewer programs than `count`, each is repaired several times; where the public tests fail none,
    there is nothing that could be shown, and no chain.
    """
    own = [item for item in tried if item.completion.problem_id == problem.id]
    if not problem.public_tests:
        return []
    codes = dict.fromkeys(item.code for item in own if item.code is not None)
    rows = executions.public((problem, code) for code in codes)
    failing: dict[str | None, tuple[int, Rollout, Status]] = {}
    for item in own:
        if item.code is None:
            failing.setdefault(None, (-1, item, Status.NO_CODE))
            continue
        row = rows[problem.id, name_of(item.code)]
        if Status(row["status"]) is not Status.ACCEPTED:
            failing.setdefault(item.code, (int(row["passed"]), item, Status(row["status"])))
    best = sorted(failing.values(), key=lambda found: -found[0])  # stable: the earliest first
    return [
        Chain(
            problem=problem,
            steps=(replace(item, completion=replace(item.completion, sample=sample)),),
            statuses=(status,),
        )
        for sample, (_passed, item, status) in enumerate(islice(cycle(best), count))
    ]
