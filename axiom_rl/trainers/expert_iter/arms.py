"""Rows of the arms of a comparison: every arm takes as many as the smallest one has."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from axiom_rl.config import ExpertIterConfig
from axiom_rl.context.run_context import Policy, RunContext
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_json, write_json
from axiom_rl.core.types import Solution
from axiom_rl.evaluation.experts.opened import SearchInUse, open_expert
from axiom_rl.gold.choice import choose_solutions
from axiom_rl.gold.rows import gives_row, sft_rows
from axiom_rl.gold.store import GoldStore
from axiom_rl.models.load import load_tokenizer
from axiom_rl.models.weights.source import ResolvedModel
from axiom_rl.rollouts.records import Rollout
from axiom_rl.trainers.sft.run import longest_row, row_lengths

log = logging.getLogger(__name__)

SCHEMA = 1
FILE = "arms.json"


def rows_of_arms(
    context: RunContext,
    trainer: ExpertIterConfig,
    search: SearchInUse,
    policy: Policy,
    rollouts: Sequence[Rollout],
    resolved: ResolvedModel,
    phase: str,
) -> int | None:
    """Return how many rows each arm trains on in every iteration; None without a comparison.

    Every arm works it out from the same pool, so all of them come to the same number; it is kept in
    arms.json.

    Raises:
        AxiomError: if an arm has no gold in this pool.
    """
    if not trainer.arms:
        return None
    path = context.run.folder / FILE
    if path.exists():
        return int(read_json(path)["rows"])
    problems = {problem.id: problem for problem in context.splits.train}
    counts = {}
    for name in trainer.arms:
        store = GoldStore()
        expert = open_expert(context, name, problems, search, policy, phase)
        expert.add(store, [item for item in rollouts if item.completion.problem_id in problems])
        whole = that_fit(context, store.solutions, trainer, resolved)
        counts[name] = len(choose_solutions(whole, trainer.max_solutions, context.seed))
    rows = min(counts.values())
    if not rows:
        empty = next(name for name, count in counts.items() if not count)
        raise AxiomError(
            f"trainer.arms: the arm {empty} has no gold in this pool, so no arm could be trained: "
            "leave it out, or draw more samples (sampler.n)"
        )
    write_json(path, {"schema": SCHEMA, "rows": rows, "arms": counts})
    log.info(
        "every arm trains on %d rows, as many as the smallest has: %s",
        rows,
        ", ".join(f"{name} {count}" for name, count in counts.items()),
    )
    return rows


def that_fit(
    context: RunContext,
    solutions: Sequence[Solution],
    trainer: ExpertIterConfig,
    resolved: ResolvedModel,
) -> list[Solution]:
    """Leave out what training would leave out.

    That is what is longer than max_length, and what the style `think` makes no row of.
    """
    problems = {problem.id: problem for problem in context.splits.train}
    solutions = [one for one in solutions if gives_row(one, context.style)]
    if not solutions:
        return []
    rows = sft_rows(solutions, problems, context.style, trainer.target)
    lengths = row_lengths(rows, load_tokenizer(resolved))
    most = longest_row(trainer.args)
    return [one for one, length in zip(solutions, lengths, strict=True) if length <= most]
