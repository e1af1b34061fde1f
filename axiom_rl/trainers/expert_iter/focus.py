"""More samples where the model is weak: an iteration's draws, shared out by a curriculum.

The curriculum sees the pass rate of every training problem at the start of each iteration. Then it
draws `trainer.problems_per_iteration` times, and each draw is worth `sampler.n` more samples of one
problem: with `trainer.curriculum.focus=1` a type that never passes is drawn five times as often as
one that passes in 80 % of its samples.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from axiom_rl.config import ExpertIterConfig
from axiom_rl.context.run_context import Policy, RunContext
from axiom_rl.core.files import read_json, write_json
from axiom_rl.core.types import Problem, Status
from axiom_rl.gold.collect import attempt
from axiom_rl.gold.experts import Expert
from axiom_rl.problems.curriculum import Curriculum
from axiom_rl.rollouts.draw import Drawn, draw
from axiom_rl.rollouts.records import Rollout


def pick_problems(
    context: RunContext,
    iteration: int,
    problems: Mapping[str, Problem],
    rollouts: Sequence[Rollout],
    expert: Expert,
    trainer: ExpertIterConfig,
) -> Counter[str]:
    """Return how often each problem is drawn in this iteration, by its id.

    What the curriculum learnt goes on from iteration to iteration in
    `checkpoints/curriculum_<iteration>.json`; a stopped iteration draws the same again.

    Args:
        context: of the run.
        iteration: 1, 2, ...
        problems: the training problems, by id.
        rollouts: this iteration's measurement of them.
        expert: that has seen them; one that is blind to hidden tests must not learn of them here.
        trainer: its curriculum and problems_per_iteration.
    """
    curriculum = Curriculum(list(problems.values()), trainer.curriculum, context.seed)
    if iteration > 1:
        curriculum.restore(read_json(_state_file(context, iteration - 1)))
    rates = _rates(rollouts) if expert.name == "hidden" else expert.rates()
    for problem_id, rate in rates.items():
        curriculum.observe(problem_id, rate)
    draws = range(trainer.problems_per_iteration or 0)
    counts = Counter(problem.id for _ in draws for problem in curriculum.pick(1))
    write_json(_state_file(context, iteration), curriculum.state())
    return counts


def draw_picked(
    context: RunContext,
    iteration: int,
    problems: Mapping[str, Problem],
    counts: Mapping[str, int],
    policy: Policy,
    temperature: float,
) -> Drawn:
    """Draw `sampler.n` more samples of a problem for each time that it was picked."""
    first = context.sampler.n
    asked = {key: range(first, (counts[key] + 1) * first) for key in problems if counts.get(key, 0)}
    tasks = [attempt(problems[key], context.fresh_seed) for key in asked]
    drawn = draw(context, f"focus_{iteration}", tasks, asked, policy, iteration, temperature)
    # In the order of the turns: of what is gold twice, the first is kept.
    new = [item for item in drawn.rollouts if item.completion.problem_id in asked]
    new = [item for item in new if item.completion.sample in asked[item.completion.problem_id]]
    return replace(drawn, rollouts=tuple(sorted(new, key=lambda r: r.completion.sample // first)))


def by_type(problems: Mapping[str, Problem], counts: Mapping[str, int]) -> dict[str, int]:
    """Return the draws of each type, for the log."""
    types = dict.fromkeys((problem.type for problem in problems.values()), 0)
    for key, count in counts.items():
        types[problems[key].type] += count
    return types


def _rates(rollouts: Sequence[Rollout]) -> dict[str, float]:
    """Pass rates on the hidden tests by problem id, without the sandbox's own faults."""
    passed: dict[str, list[bool]] = defaultdict(list)
    for item in rollouts:
        if item.hidden and item.hidden.status is not Status.SANDBOX_FAULT:
            passed[item.completion.problem_id].append(item.hidden.passed)
    return {key: sum(values) / len(values) for key, values in passed.items()}


def _state_file(context: RunContext, iteration: int) -> Path:
    return context.run.folder / "checkpoints" / f"curriculum_{iteration}.json"
