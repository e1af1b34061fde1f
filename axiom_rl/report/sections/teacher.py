"""What a teacher bought: problems asked and solved, yield, tokens, money, time."""

from __future__ import annotations

from typing import Any

from axiom_rl.core.text import count, duration, percent
from axiom_rl.report.blocks import Bar, BarGroup, Bars, Block, Section, Table, Text, harmless
from axiom_rl.report.run_folder import RunFolder

NONE = "no trace"


def teacher_section(run: RunFolder) -> Section:
    """What the teacher gave and cost; empty where none was asked."""
    result = _result(run)
    if result is None:
        return Section("The teacher", [])
    blocks: list[Block] = [Text(_sentence(result))]
    if result["ended"]:
        blocks.append(Text(harmless(f"Asking ended early: {result['ended']}"), warning=True))
    for name, reason in result["not_compared_with"].items():
        told = f"The answers were not compared with {name}, which could not be had: {reason}"
        blocks.append(Text(harmless(told), warning=True))
    if result["compared_with"]:
        names = ", ".join(result["compared_with"])
        blocks.append(Text(f"Answers that repeat a task of {names} were left out."))
    blocks += [_costs(result), Bars([_bars(row) for row in result["by_type"]])]
    if result["counts"]:
        rows = [[kind.replace("_", " "), str(n)] for kind, n in result["counts"].items()]
        blocks.append(Table(["what became of the others", "count"], rows))
    return Section("The teacher", blocks)


def teacher_headline(run: RunFolder) -> str:
    """Return the first sentence of a run that asked a teacher and evaluated nothing."""
    result = _result(run)
    return "" if result is None else _sentence(result)


def _result(run: RunFolder) -> dict[str, Any] | None:
    return run.document("teacher/result.json")


def _sentence(result: dict[str, Any]) -> str:
    money = f" and {result['cost']:.4f} of money" if result["priced"] else ""
    return (
        f"{harmless(result['model_name'])} ({result['teacher']}) solved {result['solved']} of "
        f"{count(result['asked'], 'problem')}: {count(result['traces'], 'trace')} from "
        f"{count(result['answers'], 'answer')} "
        f"(yield {percent(result['yield'])}), for {result['tokens']:,} tokens{money} in "
        f"{duration(result['seconds'])}."
    )


def _costs(result: dict[str, Any]) -> Table:
    traces = result["traces"]
    rows = [
        ["problems asked", str(result["asked"])],
        ["problems with a trace", str(result["solved"])],
        ["answers, right ones among them", f"{result['answers']}, {result['right']}"],
        ["yield", percent(result["yield"])],
        ["tokens of prompts, of answers", f"{result['prompt_tokens']:,}, {result['tokens']:,}"],
        ["tokens of answers per trace", f"{result['tokens'] / traces:,.0f}" if traces else NONE],
        ["time", duration(result["seconds"])],
    ]
    if result["priced"]:
        each = f"{result['cost'] / traces:.4f}" if traces else NONE
        rows.append(["money, per trace", f"{result['cost']:.4f}, {each}"])
    if result["uncertain_cost"]:
        rows.append(["money that lost requests may have cost", f"{result['uncertain_cost']:.4f}"])
    for key, name in (
        ("cached", "answers that were on disk already"),
        ("estimated", "answers whose tokens are estimated"),
        ("lost_requests", "requests that were never answered"),
    ):
        if result[key]:
            rows.append([name, str(result[key])])
    return Table(["", ""], rows)


def _bars(row: dict[str, Any]) -> BarGroup:
    label = f"{row['solved']}/{row['asked']}"
    name = f"{row['type']}, level {row['difficulty']}"
    return BarGroup(name, [Bar("after", row["solved"] / row["asked"], label)])
