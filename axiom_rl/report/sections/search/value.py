"""What a value head is worth: order within problems, and how probabilities are meant."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from axiom_rl.core.text import percent, with_ends
from axiom_rl.report.blocks import Block, Section, Table, Text, table_of
from axiom_rl.report.run_folder import RunFolder

Columns = dict[str, Callable[[Mapping[str, Any]], str]]
WHERE: Columns = {
    "pool": lambda entry: f"{entry['pool']} ({entry['split']})",
    "new are": lambda entry: str(entry["how"]),
}
WITHIN: Columns = WHERE | {
    "problems with both": lambda entry: "{with_both} of {problems} ({units} questions)".format_map(
        entry
    ),
    "value": lambda entry: _auc(entry["auc_within"], "value"),
    "logprob": lambda entry: _auc(entry["auc_within"], "logprob"),
    "length": lambda entry: _auc(entry["auc_within"], "length"),
    "value minus logprob": lambda entry: _auc(entry["minus"], "logprob", "{:+.3f}"),
}
ACROSS: Columns = WHERE | {
    "AUC across": lambda entry: _auc(entry["auc_across"], "value"),
    "chosen by value": lambda entry: with_ends(entry["chosen"]["value"]),
    "by logprob": lambda entry: (
        with_ends(entry["chosen"]["logprob"]) if "logprob" in entry["chosen"] else ""
    ),
    "pass rate": lambda entry: percent(entry["pass_rate"]),
    "Brier skill": lambda entry: with_ends(entry["brier_skill"]),
    "calibration error": lambda entry: with_ends(entry["calibration_error"]),
}
SAVED: Columns = {
    "tokens saved": lambda row: percent(row["tokens_saved"]),
    "samples stopped": lambda row: percent(row["stopped"]),
    "of those that pass": lambda row: percent(row["passing_stopped"]),
}
"""Of a threshold of early stopping."""


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
        table_of(measured, WITHIN),
        Text(
            "Across problems, difficulty alone can make the AUC high. Chosen: the share of "
            "problems whose sample of the highest value passes, with no public test looked at. "
            "Brier skill is against the pass rate of the family; above 0 is better than it."
        ),
        table_of(measured, ACROSS),
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
    return (
        "The value head orders the samples of a problem with an AUC of "
        f"{_auc(last['auc_within'], 'value')} on "
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
    columns: Columns = {
        "below": lambda row: f"{row['below']}" + _chosen(row["below"], asked, own),
        **SAVED,
        "loss": lambda row: with_ends(row["loss"]),
        "problems changed": lambda row: str(row["changed"]),
        "oracle's loss": lambda row: with_ends(row["oracle_loss"]),
    }
    return [Text(text), table_of(stopping["thresholds"], columns)]


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
    columns: Columns = {
        "below": lambda row: f"{row['below']}",
        **SAVED,
        "oracle's loss": lambda row: with_ends(row["oracle_loss"]),
    }
    return [Text(text), table_of(stopping["thresholds"], columns)]


def _report(run: RunFolder) -> dict[str, Any] | None:
    return run.document("value/report.json")


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


def _auc(found: Mapping[str, Any], name: str, form: str = "{:.3f}") -> str:
    """Write one of several AUCs with its interval; '' for a score that the pool does not have."""
    return with_ends(found[name], form.format) if name in found else ""


def _early(entry: Mapping[str, Any]) -> list[str]:
    where = [show(entry) for show in WHERE.values()]
    return [*where, *(_auc(entry["prefixes"], share) for share in entry["prefixes"])]


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
