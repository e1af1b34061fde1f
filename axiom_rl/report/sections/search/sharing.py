"""What sharing samples by need is worth, and which selector was chosen on other problems."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from axiom_rl.core.text import percent
from axiom_rl.evaluation.search.words import shown_interval
from axiom_rl.report.blocks import Block, Table, Text, table_of
from axiom_rl.report.run_folder import Row


def sharing_blocks(sharing: Mapping[str, Any] | None) -> list[Block]:
    """Return what sharing by need is worth on a pool; [] where it was not asked for."""
    if sharing is None:
        return []
    told = "the examples, the votes and the value head" if sharing["by_head"] else "examples, votes"
    text = (
        "Samples shared by need, replayed: a quarter of the budget is drawn evenly, the rest goes "
        "round by round to the problems where one more sample is likeliest to put a wrong choice "
        f"right, as told by {told}. Both ways take the samples in the same orders, by need never "
        f"for more tokens, and {sharing['selector']} chooses. The oracle is told the verdicts."
    )
    columns: dict[str, Callable[[Row], str]] = {
        "samples a problem": lambda row: str(row["samples"]),
        "evenly": lambda row: percent(row["even"]["score"]["value"]),
        "by need": lambda row: percent(row["need"]["score"]["value"]),
        "difference": lambda row: shown_interval(row["difference"]),
        "oracle, evenly and by need": lambda row: ", ".join(
            percent(row[how]["oracle"]) for how in ("even", "need")
        ),
        "tokens a problem": lambda row: f"{row['even']['tokens']:.0f}, {row['need']['tokens']:.0f}",
        "samples by need (of a problem)": lambda row: (
            "{drawn:.1f} ({least:.1f} to {most:.1f})".format_map(row["need"])
        ),
    }
    return [Text(text), table_of(sharing["rows"], columns)]


def chosen_blocks(chosen: Mapping[str, Any] | None) -> list[Block]:
    """Say which selector was chosen for each budget, and where; [] where none was."""
    if chosen is None:
        return []
    text = (
        f"The selectors marked with * were chosen on {chosen['pool']} ({chosen['problems']} "
        f"problems, {chosen['units']} different questions, {chosen['samples']} samples each), "
        "before a verdict of this pool was looked at. Of the other rows the best is the best on "
        "these samples."
    )
    rows = [
        [n, row["selector"], f"{percent(row['score'])} at {row['samples']} samples"]
        for n, row in chosen["by_budget"].items()
    ]
    return [Text(text), Table(["samples", "chosen", "its score there"], rows)]
