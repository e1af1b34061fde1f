"""What hidden and fresh tests say of gold: a report, in evaluation/, that no training reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from axiom_rl.core.files import read_jsonl, write_jsonl
from axiom_rl.core.types import Solution, Status, Verdict
from axiom_rl.rollouts.records import Rollout
from axiom_rl.search.execute import name_of

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class FalseGold:
    """Shares of gold that fail a hidden or a fresh test; None where nothing was judged."""

    new: float | None
    """Of what this iteration found."""
    total: float | None
    """Of all gold so far."""


def truth_file(folder: Path, iteration: int) -> Path:
    """Return where the verdicts on an iteration's gold are kept."""
    return folder / "evaluation" / f"gold_{iteration}.jsonl"


def judge_gold(
    folder: Path, iteration: int, solutions: Sequence[Solution], rollouts: Sequence[Rollout]
) -> FalseGold:
    """Write what hidden and fresh tests say of gold solutions, and return how much of it is false.

    Args:
        folder: of the run.
        iteration: 1, 2, ...; what the one before wrote is kept.
        solutions: all gold so far, in order.
        rollouts: the samples of this iteration, with their verdicts.
    """
    earlier = truth_file(folder, iteration - 1)
    rows = list(read_jsonl(earlier)) if earlier.exists() else []
    known = len(rows)
    by_program = {(r.completion.problem_id, r.code): r for r in reversed(rollouts)}
    for solution in solutions[known:]:
        item = by_program.get((solution.problem_id, solution.solution_code))
        rows.append(
            {
                "schema": SCHEMA,
                "problem_id": solution.problem_id,
                "program": name_of(solution.solution_code),
                "expert": solution.expert,
                "hidden_passed": _passed(item.hidden) if item else None,
                "fresh_passed": _passed(item.fresh) if item else None,
            }
        )
    write_jsonl(truth_file(folder, iteration), rows)
    verdicts = [_true(row["hidden_passed"], row["fresh_passed"]) for row in rows]
    return FalseGold(_false(verdicts[known:]), _false(verdicts))


def _passed(verdict: Verdict | None) -> bool | None:
    known = verdict is not None and verdict.status is not Status.SANDBOX_FAULT
    return verdict.passed if known and verdict is not None else None


def _true(hidden: bool | None, fresh: bool | None) -> bool | None:
    """Gold is false if it fails either kind of test, and unknown if neither judged it."""
    seen = [passed for passed in (hidden, fresh) if passed is not None]
    return all(seen) if seen else None


def _false(verdicts: Sequence[bool | None]) -> float | None:
    judged = [passed for passed in verdicts if passed is not None]
    return sum(not passed for passed in judged) / len(judged) if judged else None
