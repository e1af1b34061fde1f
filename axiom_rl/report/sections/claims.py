"""Claimed passes, checked again: programs that the hidden tests accept and the fresh ones do not.

The hidden tests select what training learns from. A program that passes them and fails other
inputs of the same task would teach a mistake; the share of such programs is the overfit gap.
"""

from __future__ import annotations

from axiom_rl.core.text import percent
from axiom_rl.core.types import Status
from axiom_rl.evaluation.recheck import Claims
from axiom_rl.evaluation.statistics import CONFIDENCE, two_sided, wilson
from axiom_rl.report.blocks import Block, Table, Text, with_interval
from axiom_rl.report.run_folder import Row, RunFolder


def claim_blocks(run: RunFolder) -> list[Block]:
    """Claimed passes of each phase of sampling, and how many fail fresh tests."""
    phases = {phase: _count(rows) for phase, rows in run.completions.items()} | run.claims
    checked = {phase: claims for phase, claims in phases.items() if claims.programs}
    if not checked:
        return []
    cells = [
        [phase.replace("_", " "), str(c.claimed), str(c.checked), str(c.failed), _gap(c)]
        for phase, c in checked.items()
    ]
    again = sum(claims.checked for claims in checked.values())
    failed = sum(claims.failed for claims in checked.values())
    text = (
        f"{again} samples that pass the hidden tests were judged again by fresh ones; {failed} of "
        f"them fail ({percent(failed / again)}, the overfit gap). Fresh tests select nothing: "
        "training learns from what passes the hidden ones."
    )
    headers = ["samples of", "pass hidden tests", "checked again", "fail fresh tests", "share"]
    return [Text(text), Table(headers, cells)]


def _count(rows: list[Row]) -> Claims:
    """Count what was judged by both as it was drawn."""
    claimed = [row for row in rows if (row.get("hidden") or {}).get("passed")]
    judged = [
        row
        for row in claimed
        if row.get("fresh") and row["fresh"]["status"] != Status.SANDBOX_FAULT
    ]
    return Claims(
        claimed=len(claimed),
        checked=len(judged),
        programs=len({(row["problem_id"], row.get("code")) for row in judged}),
        failed=sum(not row["fresh"]["passed"] for row in judged),
    )


def _gap(claims: Claims) -> str:
    """The same program twice fails twice: the interval is that of the different programs."""
    share = claims.failed / claims.checked
    return with_interval(wilson(share, claims.programs, two_sided(CONFIDENCE)))
