"""From search to weights: whose gold it was, how true, and how much of the search it brought."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from axiom_rl.core.text import duration, percent
from axiom_rl.evaluation.experts.retained import FILE, SEVERAL, format_text, shown_share
from axiom_rl.evaluation.search.words import shown_interval
from axiom_rl.report.blocks import Block, Section, Table, Text, table_of
from axiom_rl.report.run_folder import Row, RunFolder

EQUAL = (
    "The budget is the drawn tokens of all samples of the phase that needs fewer; 'samples' is "
    "what they buy. A policy alone draws one and gains nothing from more. The last columns are "
    "what training cost once, before the first answer: tokens drawn for gold, and tokens of the "
    "rows of all iterations, each counted once (an epoch reads them all)."
)


def retention_section(run: RunFolder) -> Section:
    """Gold by its expert, retention, the numbers at equal tokens, pass@k; empty without them."""
    blocks = _gold(run) + _arms(run)
    if (found := run.document(str(FILE))) is not None:
        blocks += _retention(found)
    return Section("From search to weights", blocks)


def _gold(run: RunFolder) -> list[Block]:
    """Whose gold it was, and how much of it fails hidden or fresh tests."""
    rows = [row for row in run.rows("collect") if row.get("expert")]
    if not rows:
        return []
    columns: dict[str, Callable[[Row], str]] = {
        "iteration": lambda row: str(row["iteration"]),
        "expert": lambda row: str(row["expert"]),
        "samples": lambda row: str(row.get("samples", "?")),
        "taken": lambda row: str(row.get("taken", "?")),
        "false gold, new": lambda row: percent(row.get("false_gold")),
        "false gold, all": lambda row: percent(row.get("false_gold_total")),
    }
    note = "False gold fails a hidden or a fresh test. Neither chose it unless the expert is hidden"
    return [table_of(rows, columns), Text(f"{note} (or a control); they only report here.")]


def _arms(run: RunFolder) -> list[Block]:
    found = run.document("arms.json")
    if found is None:
        return []
    counts = ", ".join(f"{name} {count}" for name, count in found["arms"].items())
    text = f"Every arm trains on {found['rows']} rows, as many as the smallest has: {counts}."
    return [Text(text)]


def _retention(found: Mapping[str, Any]) -> list[Block]:
    blocks: list[Block] = [Text(_sentence(found))]
    cells = [
        [
            name + (" (learned from)" if name == found["learned_from"] else ""),
            shown_interval(one["trained_gain"]),
            shown_interval(one["search_gain"]),
            shown_interval(one["over_search"]),
            shown_share(one["share"]) if one["share"] else f"not defined: {one['why']}",
        ]
        for name, one in found["retention"].items()
    ]
    headers = ["search", "gain of the trained policy", "gain of the search"]
    headers += ["trained policy minus policy + search", "retention"]
    part = format_text(found["format"])
    blocks += [Table(headers, cells), Text(f"{part[0].upper()}{part[1:]}.")]
    blocks += [_equal_tokens(found), Text(EQUAL), _pass_at_k(found)]
    blocks += [Text(f"{n}: not available: {why}.") for n, why in found["not_available"].items()]
    return blocks


def _sentence(found: Mapping[str, Any]) -> str:
    learned, lacking = found["learned_from"], found["not_available"]
    own = found["retention"].get(learned or "")
    scope = (
        f"{found['problems']} {found['split']} problems, {found['units']} different questions, "
        f"search at n = {found['samples']}"
    )
    if SEVERAL in found["expert"]:
        text = f"The gold is of several experts ({found['expert']}): no one search was learned from"
    elif learned is None:
        text = f"The expert {found['expert']} is a control: there is no search it learned from"
    elif own is None:
        why = lacking.get(learned, "no problem has samples that were judged both times")
        text = f"Retention of {learned} is not defined: {why}"
    elif own["share"] is None:
        text = f"Retention is not defined: {own['why']}"
    else:
        text = f"Retention: {shown_share(own['share'])} of the gain of {found['learned_from']}"
    about = (
        "Retention is the gain of the trained policy over the gain of the search, both from the "
        "policy before training; its 95 % interval is Fieller's, over questions. The oracle is "
        "told the verdicts: it is what hidden tests can choose."
    )
    return f"{text} ({scope}). {about}"


def _equal_tokens(found: Mapping[str, Any]) -> Table:
    cost = found["training"]
    drawn = cost["drawn_tokens"]
    spent = ["in another run" if drawn is None else f"{drawn:,.0f}", f"{cost['row_tokens']:,.0f}"]
    spent.append(f"{cost['steps']:.0f}, {duration(cost['seconds'])}")
    rows = [
        [
            row["name"] + (f" + {row['search']}" if row["search"] else ""),
            percent(row["score"]),
            str(row["samples"]),
            f"{row['tokens']:.0f}",
            *(spent if row["name"] == "trained policy" else ["0", "0", ""]),
        ]
        for row in found["equal_tokens"]
    ]
    headers = ["", "passes", "samples", "tokens a problem"]
    return Table([*headers, "drawn for training", "in its rows", "steps, time"], rows)


def _pass_at_k(found: Mapping[str, Any]) -> Table:
    ks = found["pass_at_k"]
    rows = [[when, *(percent(ks[k][when]) for k in ks)] for when in ("before", "after")]
    return Table(["pass@k", *ks], rows)
