"""The document of a search in words, and as JSON can hold it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from axiom_rl.core.text import count, percent


def plain(value: Any) -> Any:
    """Return a document without NaN, which JSON does not have."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def lines(document: Mapping[str, Any]) -> list[str]:
    """Return a document in words, one line for the policy and one for each selector."""
    size = document["samples"]
    rows = [
        f"{document['problems']} problems ({document['units']} different questions), "
        f"{size} samples each; policy alone: {shown_interval(document['policy'])}"
    ]
    for name, scores in document["selectors"].items():
        last = scores[str(size)]
        curve = "  ".join(
            f"{n}: {percent(score['score']['value'])}{mark(document, n, name)}"
            for n, score in scores.items()
        )
        rows.append(
            f"{name:11} {curve}  | gain {shown_interval(last['gain'])}, oracle gap closed "
            f"{shown_interval(last['gap_closed'])}, {last['cost']['generated']:.0f} tokens and "
            f"{last['cost']['cpu_s']:.2f} CPU s a problem"
        )
    rows += [f"{name:11} not available: {why}" for name, why in document["not_available"].items()]
    rows += over_all_lines(document) + minus_lines(document)
    if document.get("chosen_on") is not None:
        rows.append(f"*: the selector chosen on {document['chosen_on']['pool']}")
    rows += stopping_lines(document["early_stopping"])
    return rows + sharing_lines(document["allocation"])


def over_all_lines(document: Mapping[str, Any]) -> list[str]:
    """Say the scores over all tests where statements show some of them, else nothing."""
    found, left_out = document.get("over_all_tests"), document.get("all_tests_shown")
    rows = []
    if found is not None:
        scores = {"policy": found["policy"]} | found["selectors"]
        each = ", ".join(f"{name} {percent(score['value'])}" for name, score in scores.items())
        rows.append(
            f"over all tests, the {found['shown_tests']} that statements show included: {each}"
        )
    if left_out:
        rows.append(f"left out, since every test is shown: {count(left_out, 'problem')}")
    return rows


def minus_lines(document: Mapping[str, Any]) -> list[str]:
    """Say how much better than the vote other selectors are, paired by problem."""
    size = str(document["samples"])
    return [
        f"{name} minus vote, paired: "
        + "  ".join(
            f"{n}: {percent(each['value'])}" for n, each in rows.items() if n not in ("1", size)
        )
        + f"  {size}: {shown_interval(rows[size])}"
        for name, rows in document.get("minus_vote", {}).items()
    ]


def mark(document: Mapping[str, Any], n: str, name: str) -> str:
    """Return * for the selector that was chosen for a budget, else nothing."""
    chosen = document.get("chosen_on")
    return "*" if chosen is not None and chosen["by_budget"][n]["selector"] == name else ""


def chosen_line(chosen: Mapping[str, Any]) -> str:
    """Say which selector was chosen for each budget, before there is a score to report."""
    each = "  ".join(
        f"{n}: {row['selector']} ({percent(row['score'])} there"
        + (f", at {row['samples']})" if str(row["samples"]) != n else ")")
        for n, row in chosen["by_budget"].items()
    )
    return (
        f"selectors chosen on {chosen['pool']} ({chosen['problems']} problems, {chosen['units']} "
        f"different questions): {each}"
    )


def sharing_lines(sharing: Mapping[str, Any] | None) -> list[str]:
    """Return in words what sharing by need is worth; [] where it was not asked for."""
    if sharing is None:
        return []
    by = "examples, votes and the value head" if sharing["by_head"] else "examples and votes"
    return [
        f"shared by need ({by}), {row['samples']} samples a problem: {sharing['selector']} "
        f"{percent(row['need']['score']['value'])}, evenly {percent(row['even']['score']['value'])}"
        f" (difference {shown_interval(row['difference'])}); {row['need']['tokens']:.0f} and "
        f"{row['even']['tokens']:.0f} tokens, {row['need']['least']:.1f} to "
        f"{row['need']['most']:.1f} samples a problem"
        for row in sharing["rows"]
    ]


def stopping_lines(stopping: Mapping[str, Any] | None) -> list[str]:
    """Return in words what early stopping would save; [] without a head."""
    if stopping is None:
        return []
    asked, own = stopping["asked"], stopping["of_head"]
    below = next((b for b in (asked, own, stopping["proposed"]) if b is not None), None)
    if below is None:
        return ["early stopping: no threshold keeps the upper bound of the loss within 2 points"]
    row = next(row for row in stopping["thresholds"] if row["below"] == below)
    if asked is not None:
        chosen = "chosen on another pool"
    elif own is not None:
        chosen = "chosen on the head's own pools"
    else:
        chosen = f"chosen on this pool: report it on another by search.stop_below={below}"
    return [
        f"early stopping below {below} ({chosen}): {percent(row['tokens_saved'])} of the tokens "
        f"saved, {stopping['selector']} loses {shown_interval(row['loss'])}, "
        f"{row['changed']} problems change"
    ]


def shown_interval(interval: Mapping[str, float | None]) -> str:
    """Write a value of a document with its interval, where it has one."""
    if interval["value"] is None:
        return "none to close"
    if interval["low"] is None:
        return percent(interval["value"])
    return (
        f"{percent(interval['value'])} ({percent(interval['low'])} to {percent(interval['high'])})"
    )
