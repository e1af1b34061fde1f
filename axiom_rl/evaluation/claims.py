"""Claimed passes, checked again: programs that the hidden tests accept and the fresh ones do not.

The hidden tests select what training learns from. A program that passes them and fails other
inputs of the same task would teach a mistake; the share of such programs is the overfit gap.
"""

from __future__ import annotations

from axiom_rl.evaluation.blocks import Block, Table, Text, percent, with_interval
from axiom_rl.evaluation.metrics import CONFIDENCE, two_sided, wilson
from axiom_rl.evaluation.run_folder import Row, RunFolder
from axiom_rl.types import Status


def claim_blocks(run: RunFolder) -> list[Block]:
    """Claimed passes of each phase of sampling, and how many fail fresh tests."""
    counts = {phase: _count(rows) for phase, rows in run.completions.items()}
    checked = {phase: count for phase, count in counts.items() if count[1]}
    if not checked:
        return []
    cells = [
        [phase.replace("_", " "), str(claimed), str(again), str(failed), _gap(failed, again)]
        for phase, (claimed, again, failed) in checked.items()
    ]
    again = sum(count[1] for count in checked.values())
    failed = sum(count[2] for count in checked.values())
    text = (
        f"Of {again} programs that pass the hidden tests, {failed} fail fresh ones "
        f"({percent(failed / again)}). Fresh tests select nothing: training learns from what "
        "passes the hidden ones."
    )
    headers = ["samples of", "pass hidden tests", "checked again", "fail fresh tests", "share"]
    return [Text(text), Table(headers, cells)]


def _count(rows: list[Row]) -> tuple[int, int, int]:
    """Return claimed passes, those judged by fresh tests as well, and those that fail them."""
    claimed = [row for row in rows if (row.get("hidden") or {}).get("passed")]
    again = [row["fresh"] for row in claimed if row.get("fresh")]
    judged = [verdict for verdict in again if verdict["status"] != Status.SANDBOX_FAULT]
    return len(claimed), len(judged), sum(not verdict["passed"] for verdict in judged)


def _gap(failed: int, again: int) -> str:
    return with_interval(wilson(failed / again, again, two_sided(CONFIDENCE)))
