"""The selector chosen on other problems: named before the scores that it is reported with.

The best of many selectors on a test pool is the best on these very samples, and its score is too
high. So each budget's selector is the one with the best score at that budget on another pool, drawn
by the same policy for other problems.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from axiom_rl.core.errors import AxiomError
from axiom_rl.evaluation.search.scores import Pool, unit_of
from axiom_rl.evaluation.search.searched import ORACLE, Searched, replay_scores
from axiom_rl.search import registry
from axiom_rl.search.budget import budgets
from axiom_rl.value.recipe import FrozenPolicy

CONTROL = "random"


def check_other(
    place: str, pool: Pool, policy: FrozenPolicy, test: Pool, test_policy: FrozenPolicy
) -> None:
    """Refuse a pool to choose on that is the test pool's own, or another policy's.

    Args:
        place: of the pool to choose on.
        pool: its samples.
        policy: that drew them.
        test: the samples that are reported.
        test_policy: that drew these.

    Raises:
        AxiomError: saying what to type instead.
    """
    cure = "give a run of the same model on another split, such as stage.split=val"
    known = {problem.id for problem in test.problems}
    both = [problem.id for problem in pool.problems if problem.id in known]
    if both:
        raise AxiomError(
            f"stage.choose_on={place}: {len(both)} of its problems are in stage.pool too, such as "
            f"{both[0]}, so that the choice would be made on what it is scored on; {cure}"
        )
    for what, mine, theirs in (
        ("weights", policy.base["sha256"], test_policy.base["sha256"]),
        ("adapter", policy.adapter_sha256, test_policy.adapter_sha256),
        ("prompt", policy.style, test_policy.style),
    ):
        if mine != theirs:
            raise AxiomError(
                f"stage.choose_on={place}: its samples are of another {what} than those of "
                f"stage.pool; {cure}"
            )


def choose_selectors(val: Searched, test: Searched, place: Path) -> dict[str, Any]:
    """Return the selector of each of the test pool's budgets, by its score on the val pool.

    Only what can be had on both pools is chosen from, and not the control. Of equal scores the
    selector that is listed first wins, which asks for less. A budget that the val pool is too small
    for takes the choice at the val pool's largest.

    Args:
        val: the pool to choose on.
        test: the pool that is reported; no verdict of it is looked at.
        place: of the val pool.

    Raises:
        AxiomError: if no selector can be had on both.
    """
    replayed = replay_scores(val)
    scores = {
        name: rows
        for name, rows in replayed.scores.items()
        if name not in (CONTROL, ORACLE)
        and not registry.missing(registry.get(name), test.materials.values())
    }
    if not scores:
        raise AxiomError(f"stage.choose_on={place}: no selector can be had on both pools")
    by_budget = {}
    for n in budgets(test.pool.size):
        at = max(step for step in budgets(val.pool.size) if step <= n)
        best = max(scores, key=lambda name: scores[name][at].score.value)
        by_budget[str(n)] = {
            "selector": best,
            "samples": at,
            "score": scores[best][at].score.value,
        }
    return {
        "pool": str(place),
        "problems": len(val.pool.problems),
        "units": len({unit_of(problem) for problem in val.pool.problems}),
        "samples": val.pool.size,
        "by_budget": by_budget,
    }
