"""What a value head is worth: order within problems, and how probabilities are meant."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from axiom_rl.core.files import read_json
from axiom_rl.core.text import percent
from axiom_rl.report.blocks import Block, Section, Table, Text
from axiom_rl.report.run_folder import RunFolder

NAMES = ("value", "logprob", "length")


def value_section(run: RunFolder) -> Section:
    """A head's report; empty in other runs."""
    report = _report(run)
    if report is None:
        return Section("Value head", [])
    measured = report["measured"]
    blocks: list[Block] = [
        Text(_about(report)),
        Text(
            "AUC within problems: the chance that a passing sample of a problem has the higher "
            "value than a failing one, a mean over the problems with both outcomes. It is what "
            "choosing among samples can use. Intervals draw questions, not samples."
        ),
        Table(
            [
                "pool",
                "new are",
                "problems with both",
                "value",
                "logprob",
                "length",
                "value minus logprob",
            ],
            [_within(entry) for entry in measured],
        ),
        Text(
            "Across problems, difficulty alone can make the AUC high. Chosen: the share of "
            "problems whose sample of the highest value passes, with no public test looked at. "
            "Brier skill is against the pass rate of the family; above 0 is better than it."
        ),
        Table(
            [
                "pool",
                "new are",
                "AUC across",
                "chosen by value",
                "by logprob",
                "pass rate",
                "Brier skill",
                "calibration error",
            ],
            [_across(entry) for entry in measured],
        ),
    ]
    early = [_early(entry) for entry in measured if entry["prefixes"]]
    if early:
        shares = list(next(e for e in measured if e["prefixes"])["prefixes"])
        headers = ["AUC within problems after", "new are", *(percent(float(s)) for s in shares)]
        blocks.append(Table(headers, early))
    if "early_stopping" in report:  # heads of older versions have none
        blocks += _own_threshold(report["early_stopping"])
    blocks += [_reliability(entry) for entry in measured]
    blocks += [_types(entry) for entry in measured if len(entry["by_type"]) > 1]
    return Section("Value head", blocks)


def value_headline(run: RunFolder) -> str:
    """Return the first sentence of a page about a head; '' for other runs."""
    report = _report(run)
    if report is None:
        return ""
    last = report["measured"][-1]
    auc = last["auc_within"]["value"]
    return (
        f"The value head orders the samples of a problem with an AUC of {_number(auc)} on "
        f"{last['how']} ({last['with_both']} problems of {last['pool']} with both outcomes)."
    )


def stopping_blocks(stopping: Mapping[str, Any] | None) -> list[Block]:
    """Return what early stopping would save on a pool, and lose; [] without a head."""
    if stopping is None:
        return []
    asked, proposed = stopping["asked"], stopping["proposed"]
    own = stopping.get("of_head")
    if asked is not None:
        which = f"The threshold {asked} was chosen on another pool (search.stop_below)."
    elif own is not None:
        which = f"The threshold {own} was chosen on the head's own pools, and is stored in it."
    elif proposed is not None:
        which = (
            f"{proposed} saves most with an upper bound of the loss within 2 points; it is chosen "
            f"on this pool, so report it on another by search.stop_below={proposed}."
        )
    else:
        which = "No threshold keeps the upper bound of the loss within 2 points."
    text = (
        "Early stopping, replayed: a sample is stopped at the first prefix whose probability to "
        "pass is below the threshold, and then holds no program. The loss is that of "
        f"{stopping['selector']} over all samples, paired by problem; an interval of a loss that "
        f"no problem shows is no proof. {which}"
    )
    rows = [
        [
            f"{row['below']}" + _chosen(row["below"], asked, own),
            percent(row["tokens_saved"]),
            percent(row["stopped"]),
            percent(row["passing_stopped"]),
            _share(row["loss"]),
            str(row["changed"]),
            _share(row["oracle_loss"]),
        ]
        for row in stopping["thresholds"]
    ]
    headers = [
        "below",
        "tokens saved",
        "samples stopped",
        "of those that pass",
        "loss",
        "problems changed",
        "oracle's loss",
    ]
    return [Text(text), Table(headers, rows)]


def _chosen(below: float, asked: float | None, own: float | None) -> str:
    if below == asked:
        return " (asked)"
    return " (the head's)" if below == own else ""


def _own_threshold(stopping: Mapping[str, Any]) -> list[Block]:
    """Return which threshold of early stopping the head is stored with, and why."""
    below = stopping["proposed"]
    stored = "None is stored." if below is None else f"{below} is stored in the head."
    text = (
        "Early stopping on the problems that the head was fitted on, each judged by heads fitted "
        "without it: a sample is stopped at the first prefix whose probability is below the "
        "threshold. Stored is the one that saves most with an upper bound of the oracle's loss "
        f"within 2 points. {stored}"
    )
    rows = [
        [
            f"{row['below']}",
            percent(row["tokens_saved"]),
            percent(row["stopped"]),
            percent(row["passing_stopped"]),
            _share(row["oracle_loss"]),
        ]
        for row in stopping["thresholds"]
    ]
    headers = ["below", "tokens saved", "samples stopped", "of those that pass", "oracle's loss"]
    return [Text(text), Table(headers, rows)]


def _report(run: RunFolder) -> dict[str, Any] | None:
    path = run.path / "value" / "report.json"
    return read_json(path) if path.exists() else None


def _about(report: Mapping[str, Any]) -> str:
    fitted, recipe, options = report["fitted_on"], report["recipe"], report["options"]
    layers = f"two layers of {options['hidden']}" if options["hidden"] else "one linear layer"
    return (
        f"Fitted on {fitted['samples']} samples of {fitted['problems']} problems "
        f"({len(fitted['types'])} types) of {report['base']['name']}, {report['base']['format']}: "
        f"{layers} on {', '.join(report['inputs'])}; hidden states are the mean over the "
        f"completion at {percent(recipe['layer'])} of the depth, and every {recipe['every']} "
        f"tokens. Features: {report['forward_tokens']} tokens read, once, in "
        f"{report['features_s']:.1f} s; fitting with cross-validation {report['fit_s']:.1f} s."
    )


def _where(entry: Mapping[str, Any]) -> list[str]:
    return [f"{entry['pool']} ({entry['split']})", entry["how"]]


def _within(entry: Mapping[str, Any]) -> list[str]:
    aucs = entry["auc_within"]
    both = f"{entry['with_both']} of {entry['problems']} ({entry['units']} questions)"
    values = [_number(aucs[name]) if name in aucs else "" for name in NAMES]
    minus = entry["minus"].get("logprob")
    return [*_where(entry), both, *values, _number(minus, sign="+") if minus else ""]


def _across(entry: Mapping[str, Any]) -> list[str]:
    chosen = entry["chosen"]
    return [
        *_where(entry),
        _number(entry["auc_across"]["value"]),
        _share(chosen["value"]),
        _share(chosen["logprob"]) if "logprob" in chosen else "",
        percent(entry["pass_rate"]),
        _share(entry["brier_skill"]),
        _share(entry["calibration_error"]),
    ]


def _early(entry: Mapping[str, Any]) -> list[str]:
    return [*_where(entry), *(_number(each) for each in entry["prefixes"].values())]


def _reliability(entry: Mapping[str, Any]) -> Table:
    rows = [
        [str(part["samples"]), percent(part["predicted"]), percent(part["observed"])]
        for part in entry["reliability"]
    ]
    folded = f"Reliability on {entry['pool']}, {entry['how']}"
    return Table(["samples", "predicted", "passed"], rows, folded=folded)


def _types(entry: Mapping[str, Any]) -> Table:
    rows = [
        [name, str(each["problems"]), f"{each['auc_within']:.3f}"]
        for name, each in entry["by_type"].items()
    ]
    folded = f"By type on {entry['pool']}, {entry['how']}"
    return Table(["type", "problems with both", "AUC within"], rows, folded=folded)


def _number(interval: Mapping[str, float | None], sign: str = "") -> str:
    value, low, high = (interval[key] for key in ("value", "low", "high"))
    if value is None:
        return "none"
    shown = f"{value:{sign}.3f}"
    if low is None or high is None or math.isnan(low):
        return shown
    return f"{shown} ({low:{sign}.3f} to {high:{sign}.3f})"


def _share(interval: Mapping[str, float | None]) -> str:
    value, low, high = (interval[key] for key in ("value", "low", "high"))
    if value is None:
        return "none"
    if low is None or high is None:
        return percent(value)
    return f"{percent(value)} ({percent(low)} to {percent(high)})"
