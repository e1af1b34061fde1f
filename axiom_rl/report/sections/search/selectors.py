"""Policy, policy with search, oracle; what it cost; and how the vote came about."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from axiom_rl.core.files import read_jsonl
from axiom_rl.core.text import percent
from axiom_rl.evaluation.search.words import mark, minus_lines, over_all_lines
from axiom_rl.evaluation.statistics import Interval
from axiom_rl.report.blocks import (
    Bar,
    BarGroup,
    Bars,
    Block,
    Code,
    Sample,
    Samples,
    Section,
    Table,
    Text,
    harmless,
    with_interval,
)
from axiom_rl.report.run_folder import Row, RunFolder
from axiom_rl.report.sections.search.sharing import chosen_blocks, sharing_blocks
from axiom_rl.report.sections.search.value import stopping_blocks

MOST_CLUSTERS = 6
"""Of one problem in the browser."""
MOST_PROBLEMS = 60


def search_section(run: RunFolder) -> Section:
    """What search made of the samples; empty where the run did not search."""
    result = _result(run)
    if result is None:
        return Section("Search", _repair_blocks(run))
    blocks: list[Block] = [
        Text(_sentence(result)),
        *chosen_blocks(result.get("chosen_on")),
        Bars(_bars(result)),
        _scores(result),
    ]
    curve = _curve(result)
    blocks += [curve] if curve is not None else []
    blocks += [Text(f"{text[0].upper()}{text[1:]}.") for text in over_all_lines(result)]
    blocks += [Text(f"{text}.") for text in minus_lines(result)]
    blocks += [Text(text) for text in _notes(result)]
    blocks += stopping_blocks(result.get("early_stopping"))
    blocks += sharing_blocks(result.get("allocation"))
    return Section("Search", blocks)


def _result(run: RunFolder) -> Row | None:
    return run.document("search/result.json")


def _repair_blocks(run: RunFolder) -> list[Block]:
    """Repair against drawing again with the same tokens, and what it mends."""
    result = run.document("search/repair.json")
    if result is None:
        return []
    text = (
        f"Up to {result['turns']} repairs of each sample that fails a public test, with that "
        f"test's failure as the only feedback. Repair minus drawing again with the same tokens: "
        f"{_shown(_interval(result['difference']))}."
    )
    tokens = f"{result['first_tokens']:.0f}"
    policy = ["policy", _shown(_interval(result["policy"])), "", tokens, "", "", ""]
    rows = [
        [name, *(_shown(_interval(score[key])) for key in ("score", "gain")), *_cost(score)]
        for name, score in result["scores"].items()
    ]
    kinds = [
        [status.replace("_", " "), *(str(count[key]) for key in ("samples", "public", "passed"))]
        for status, count in result["by_status"].items()
    ]
    return [
        Text(text),
        Table(["", "passes", "gain", "tokens a sample", "read", "CPU s", "TFLOP"], [policy, *rows]),
        Table(
            ["first program, on the public tests", "samples", "pass them at the end", "pass"], kinds
        ),
    ]


def search_headline(run: RunFolder) -> str:
    """Return the first sentence of a page about a search alone; '' where there was none."""
    solved, result = run.path / "solved.jsonl", _result(run)
    if solved.exists():
        rows = list(read_jsonl(solved))
        done = sum(0 < row["public_tests"] == row["public_passed"] for row in rows)
        return f"Programs that pass all examples were found for {done} of {len(rows)} problems."
    if result is None:
        return ""
    policy = _shown(_interval(result["policy"]))
    return f"The policy alone passes {policy} per sample. {_choice(result)}"


def search_beside(run: RunFolder) -> str:
    """Return what the search beside an evaluation made of its samples; '' where there was none."""
    result = _result(run)
    return "" if result is None else f" {_choice(result)}"


def solved_section(run: RunFolder) -> Section:
    """The programs that stage=solve chose; empty in other runs."""
    path = run.path / "solved.jsonl"
    rows = list(read_jsonl(path)) if path.exists() else []
    cells = [
        [
            row["problem_id"],
            f"{row['public_passed']} of {row['public_tests']}",
            f"{row['survivors']} of {row['samples']}"
            + (f", {row['stopped']} stopped early" if row.get("stopped") else ""),
            f"{row['agreeing']} of {row['voters']}" + (", tied" if row["tied"] else ""),
        ]
        for row in rows
    ]
    headers = ["problem", "examples passed", "programs that pass all", "agree with the choice"]
    programs = [
        Code(row["problem_id"], harmless(row["code"]), python=True) for row in rows if row["code"]
    ]
    blocks: list[Block] = [*_stopped_blocks(run), Table(headers, cells), *programs]
    return Section("Chosen programs", blocks if rows else [])


def _stopped_blocks(run: RunFolder) -> list[Block]:
    """Say what early stopping saved; nothing where no sample was stopped."""
    row = next((row for row in reversed(run.rows("timing")) if row.get("stopped_samples")), None)
    if row is None:
        return []
    return [
        Text(
            f"{row['stopped_samples']} samples were stopped early by the value head, after "
            f"{row['stopped_tokens']:,} of the {row['tokens']:,} tokens drawn. Some "
            f"{row['saved_tokens']:,} more are saved, if they had become as long as those that "
            "went on."
        )
    ]


def vote_section(run: RunFolder) -> Section:
    """Who agreed with whom, problem by problem: those whose choice fails first."""
    folder = run.path / "search"
    if not (folder / "clusters.jsonl").exists():
        return Section("How the vote came about", [])
    choices = {
        row["problem_id"]: row
        for row in read_jsonl(folder / "choices.jsonl")
        if row["selector"] == "vote"
    }
    rows = [row for row in read_jsonl(folder / "clusters.jsonl") if row["problem_id"] in choices]
    rows.sort(key=lambda row: choices[row["problem_id"]]["passed"])
    note = (
        f"{min(len(rows), MOST_PROBLEMS)} of {len(rows)} problems, those whose choice fails first. "
        "Programs of one group return the same on every input; only those that pass the public "
        "tests vote."
    )
    blocks: list[Block] = [Text(note)]
    blocks += [_votes(row, choices[row["problem_id"]]) for row in rows[:MOST_PROBLEMS]]
    return Section("How the vote came about", blocks if rows else [], screen_only=True)


def _sentence(result: Mapping[str, Any]) -> str:
    policy = _shown(_interval(result["policy"]))
    return (
        f"The policy alone passes {policy} of {result['problems']} problems per sample. "
        f"{_choice(result)} The oracle is told the verdicts: it is the most that any choice among "
        f"these samples can reach. Intervals count {result['units']} different questions as their "
        "unit."
    )


def _choice(result: Mapping[str, Any]) -> str:
    """Say what the selector that was asked for, or chosen elsewhere, makes of all samples."""
    size, scores = str(result["samples"]), result["selectors"]
    chosen = result.get("chosen_on")
    asked = result.get("selector") if chosen is None else chosen["by_budget"][size]["selector"]
    names = [asked] if asked in scores else [n for n in scores if n not in ("oracle", "random")]
    parts = []
    for name in names:
        last = scores[name][size]
        gap = _interval(last["gap_closed"])
        closed = "" if math.isnan(gap.value) else f", {_shown(gap)} of the oracle gap"
        score = _shown(_interval(last["score"]))
        parts.append(f"Choosing among {size} samples by {name}: {score}{closed}.")
    oracle = _interval(scores["oracle"][size]["score"])
    return " ".join([*parts, f"The oracle: {percent(oracle.value)}."])


def _bars(result: Mapping[str, Any]) -> list[BarGroup]:
    size = str(result["samples"])
    policy = _interval(result["policy"])
    groups = [BarGroup("policy", [_bar("before", policy)])]
    for name, scores in result["selectors"].items():
        score = _interval(scores[size]["score"])
        gain = scores[size]["gain"]["value"]
        change = "" if name == "random" else f"{100 * gain:+.1f} points"
        groups.append(BarGroup(name, [_bar("after", score)], change))
    return groups


def _bar(series: str, interval: Interval) -> Bar:
    known = None if math.isnan(interval.low) else interval
    return Bar(series, interval.value, percent(interval.value), known)


def _scores(result: Mapping[str, Any]) -> Table:
    size = str(result["samples"])
    headers = ["choice", "passes", "gain", "oracle gap closed", "tokens", "read", "CPU s", "TFLOP"]
    rows = [["policy", _shown(_interval(result["policy"])), "", "", "", "", "", ""]]
    for name, scores in result["selectors"].items():
        last = scores[size]
        shown = [_shown(_interval(last[key])) for key in ("score", "gain")]
        closed = _closed(last["gap_closed"])
        rows.append([name + mark(result, size, name), *shown, closed, *_cost(last)])
    rows += [
        [name, f"not available: {why}", "", "", "", "", "", ""]
        for name, why in result["not_available"].items()
    ]
    return Table(headers, rows)


def _cost(score: Mapping[str, Any]) -> list[str]:
    """Tokens drawn, tokens read, CPU seconds and TFLOP, where these are known."""
    cost = score["cost"]
    tera = "" if cost.get("flops") is None else f"{cost['flops'] / 1e12:.2f}"
    return [f"{cost['generated']:.0f}", f"{cost['forward']:.0f}", f"{cost['cpu_s']:.2f}", tera]


def _closed(interval: Mapping[str, float | None]) -> str:
    return _shown(_interval(interval)) if interval["value"] is not None else "none to close"


def _curve(result: Mapping[str, Any]) -> Table | None:
    """Scores by the number of samples, which is by tokens; None where there is one budget."""
    budgets = list(next(iter(result["selectors"].values())))
    if len(budgets) < 2:
        return None
    rows = [
        [name, *(percent(scores[n]["score"]["value"]) + mark(result, n, name) for n in budgets)]
        for name, scores in result["selectors"].items()
    ]
    oracle = result["selectors"]["oracle"]
    tokens = ["tokens drawn a problem", *(f"{oracle[n]['cost']['generated']:.0f}" for n in budgets)]
    return Table(["samples", *budgets], [tokens, *rows])


def _notes(result: Mapping[str, Any]) -> list[str]:
    there, votes, work = result["survivors"], result["votes"], result["work"]
    kept = there["survivors"]
    notes = [
        f"Public tests: {kept} of {there['programs']} programs pass all of their problem's; "
        f"{there['false']} of these are wrong ({percent(there['false'] / kept) if kept else '-'}), "
        f"{there['hard_coded']} pass not one other test.",
        f"Votes: taken on {votes['problems']} problems, tied on {votes['tied']}, without a "
        f"majority on {votes['no_majority']}.",
        f"Cost beside the samples: {work['cpu_s']:.1f} CPU seconds of running programs, "
        f"{work['written_tokens']} tokens of tests written by the model. Tokens in the table are "
        "means per problem; 'read' are those of prompts. TFLOP is 2 x parameters x (tokens + "
        "read), a problem.",
    ]
    if work.get("value_tokens"):
        notes.append(
            f"The value head read {work['value_tokens']} tokens in {work['value_seconds']:.1f} s, "
            "once; they are in the column 'read' of the choices that use it."
        )
    if result["unread_examples"] or result["unread_tests"]:
        notes.append(
            f"Left out, since they could not be read: {result['unread_examples']} examples of "
            f"statements, {result['unread_tests']} tests written by the model."
        )
    return notes


def _votes(row: Row, choice: Row) -> Samples:
    tie = ", tied" if choice["tied"] else ""
    outcome = "passes" if choice["passed"] else "FAILS"
    title = (
        f"{row['problem_id']}: the choice {outcome}; {choice['agreeing']} of {choice['voters']} "
        f"voters agree{tie}"
    )
    groups = [_group(each, choice, row["inputs"]) for each in row["clusters"][:MOST_CLUSTERS]]
    return Samples(harmless(title), f"{len(row['inputs'])} inputs", groups)


def _group(cluster: Row, choice: Row, inputs: Sequence[str]) -> Sample:
    size, right = len(cluster["samples"]), cluster["right"]
    chosen = " (chosen)" if choice["sample"] in cluster["samples"] else ""
    text = "\n".join(f"({i}) -> {o}" for i, o in zip(inputs, cluster["outputs"], strict=True))
    return Sample(
        title=f"{size} programs, {right} of them right{chosen}",
        tone="good" if right else "bad",
        detail=f"samples {', '.join(map(str, cluster['samples']))}",
        text=harmless(text),
    )


def _shown(interval: Interval) -> str:
    """Write a value with its interval, where it has one: a single question gives none."""
    return percent(interval.value) if math.isnan(interval.low) else with_interval(interval)


def _interval(document: Mapping[str, float | None]) -> Interval:
    ends = (document[key] for key in ("value", "low", "high"))
    return Interval(*(math.nan if end is None else end for end in ends))
