"""What a comparison says, in words: the headline, the change per problem, what would tell more."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from axiom_rl.core.text import MINUS, percent, points
from axiom_rl.evaluation.compare import Comparison, GroupChange, ProblemChange
from axiom_rl.evaluation.score import BENCHMARK_TESTS, FRESH_TESTS, Evaluation, ProblemScore
from axiom_rl.evaluation.statistics import Interval
from axiom_rl.report.blocks import (
    Bar,
    BarGroup,
    Bars,
    Block,
    HeatMap,
    Table,
    Text,
    linked,
    with_interval,
)

MOST_NAMES = 20
"""Tasks named in one sentence."""
MOST_BARS = 40
"""Above this many problems the bars are folded into a table."""
NAMES = ("before", "after")
NOWHERE: Mapping[str, str] = {}


def answer_sentence(comparison: Comparison, old: str = "model N", new: str = "model N+1") -> str:
    """Say whether the new model is better, with both rates and the difference."""
    before, after = comparison.before.pass_at_1, comparison.after.pass_at_1
    rates = f"{percent(before.value)} → {percent(after.value)} of samples pass"
    gain = difference_text(comparison.difference)
    if comparison.answer.startswith("cannot"):
        return (
            f"Cannot tell from this much data whether {new} is better than {old}: {rates} ({gain})."
        )
    name = "Model N+1" if new == "model N+1" else new
    return f"{name} is {comparison.answer} than {old}: {rates} ({gain})."


def difference_text(difference: Interval) -> str:
    """Write a difference with its interval, `+33.8 points, 95 % interval +22.0 to +45.1`."""
    low, high = (points(v).removesuffix(" points") for v in (difference.low, difference.high))
    return f"{points(difference.value)}, 95 % interval {low} to {high}"


def brief_difference(difference: Interval) -> str:
    """Write the same for a table, `+33.8 points (+22.0 to +45.1)`."""
    return difference_text(difference).replace(", 95 % interval ", " (") + ")"


def tone(comparison: Comparison) -> str:
    """Return good, bad or '' for the headline."""
    return {"better": "good", "worse": "bad"}.get(comparison.answer, "")


def power_text(comparison: Comparison) -> str:
    """Say how small a difference these data can tell, and how much more data would tell."""
    fixed = comparison.scope == "fixed"
    unit = "samples per problem" if fixed else "problems like these"
    if comparison.detectable > 1:  # of pass rates that differ by 1 at most
        more = "samples (sampler.n)" if fixed else "problems (problems.sizes)"
        text = f"Data as few as these find no difference: take more {more}."
    else:
        size = points(comparison.detectable).lstrip("+")
        text = f"Data like these find a difference of {size} in 80 % of cases."
    if comparison.needed is not None:
        text += (
            f" To tell a difference as large as the one seen, about {comparison.needed} {unit} "
            "would be needed."
        )
    return text


def method_text(evaluation: Evaluation) -> str:
    """Say what the interval covers."""
    if evaluation.scope == "fixed":
        return (
            f"The {evaluation.problems} problems are a fixed set, so the 95 % intervals cover the "
            "chance in the samples alone, stratified by problem (Wilson; Newcombe for the "
            "difference). Each problem counts alike."
        )
    return (
        f"The {evaluation.problems} problems stand for more like them, so the 95 % intervals cover "
        "the choice of problems as well as the samples (Wilson at the effective sample size; "
        "paired t interval over problems for the difference). Each problem counts alike."
    )


def weights_text(evaluation: Evaluation | None) -> str:
    """Name the weights: model, source, format and hash."""
    if evaluation is None:
        return ""
    model = evaluation.model
    parts = [model.get("name"), model.get("format"), model.get("source")]
    parts.append(f"SHA-256 {str(model['sha256'])[:12]}…" if model.get("sha256") else None)
    return "Weights: " + ", ".join(str(part) for part in parts if part)


def scope_text(evaluation: Evaluation) -> str:
    """Say what the score shows and what it does not."""
    match evaluation.tests, evaluation.split:
        case t, _ if t == FRESH_TESTS:
            text = (
                "other inputs of the same tasks, which training never rewarded. They show that the "
                "programs work beyond the tests that selected them. They do not show that the "
                "model solves tasks it has not seen: that takes new variants, new types or outside "
                "benchmarks."
            )
        case t, _ if t == BENCHMARK_TESTS:
            text = (
                "a public benchmark's own, on tasks that this training did not use; whether the "
                "base model met them before, nobody can tell."
            )
        case _, "train":
            text = (
                "the tests of the train problems themselves, which training rewards: they show "
                "what was learned there, and nothing beyond these problems and tests."
            )
        case _:
            text = "the tests of problems that training did not use."
    shared = [
        f"Not so for {name}, whose fresh tests repeat inputs of the hidden ones: {reason}."
        for name, reason in evaluation.shared_inputs.items()
    ]
    return " ".join(
        [
            f"Scores are on {evaluation.tests}: {text}",
            *shared,
            *_left_out(evaluation),
            *_weak(evaluation),
        ]
    )


def _left_out(evaluation: Evaluation) -> list[str]:
    if not evaluation.left_out:
        return []
    trained = sum(reason.startswith("trained on") for reason in evaluation.left_out.values())
    return [
        f"Tasks left out: {len(evaluation.left_out)}, {trained} of them because training overlaps "
        f"with them ({_named(list(evaluation.left_out))})."
    ]


def _weak(evaluation: Evaluation) -> list[str]:
    """Name the problems that a trivial program passes, and the score without them."""
    if not evaluation.weak:
        return []
    named = _named([f"{key}: {program}" for key, program in evaluation.weak.items()])
    rates = [row.rate for key, row in evaluation.per_problem.items() if key not in evaluation.weak]
    judged = [rate for rate in rates if not math.isnan(rate)]
    without = f"; without them {percent(math.fsum(judged) / len(judged))} pass" if judged else ""
    return [
        f"Weak tests: {len(evaluation.weak)} of the {evaluation.problems} problems are passed by a "
        f"program that does nothing ({named}){without}."
    ]


def _named(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def problem_blocks(
    comparison: Comparison, links: Mapping[str, str] = NOWHERE, names: tuple[str, str] = NAMES
) -> list[Block]:
    """Before and after by problem, largest losses first.

    Args:
        comparison: of two evaluations.
        links: where a problem's name leads, by its id.
        names: of the two.
    """
    changes = comparison.problems
    lost = sum(change.difference < 0 for change in changes)
    gained = sum(change.difference > 0 for change in changes)
    told = [change for change in changes if not change.answer.startswith("cannot")]
    text = (
        f"{gained} problems gained, {lost} lost, {len(changes) - gained - lost} stayed the same. "
        f"One problem has few samples: after Holm's correction for {len(changes)} problems, "
        f"{len(told) or 'none'} of these changes can be told from chance"
    ) + (" (marked *)." if told else ".")
    if len(changes) <= MOST_BARS:
        titles = Counter(change.before.title for change in changes)
        bars = [_change_bars(c, titles[c.before.title], links) for c in changes]
        return [Text(text), Bars(bars, names)]
    return [Text(text), _change_table(changes, links, names)]


def _change_bars(change: ProblemChange, same_title: int, links: Mapping[str, str]) -> BarGroup:
    title = change.before.title or change.id
    return BarGroup(
        name=title if same_title == 1 else change.id,
        bars=[problem_bar("before", change.before), problem_bar("after", change.after)],
        change=change_text(change),
        tone="bad" if change.difference < 0 else "good" if change.difference > 0 else "",
        href=links.get(change.id, ""),
    )


def change_text(change: ProblemChange) -> str:
    """Write a problem's change in passing samples, or in points where their numbers differ."""
    star = "" if change.answer.startswith("cannot") else " *"
    if change.difference == 0:
        return "same"
    arrow = "▲" if change.difference > 0 else "▼"
    if change.before.samples != change.after.samples:
        return f"{arrow} {points(change.difference)}{star}"
    gain = change.after.passed - change.before.passed
    return f"{arrow} {'+' if gain > 0 else MINUS}{abs(gain)}{star}"


def problem_bar(series: str, row: ProblemScore) -> Bar:
    """One problem's bar, labelled `5/8`; empty where no sample was judged."""
    share = row.passed / row.samples if row.samples else 0.0
    return Bar(series, share, f"{row.passed}/{row.samples}")


def _change_table(
    changes: Sequence[ProblemChange], links: Mapping[str, str], names: tuple[str, str]
) -> Table:
    rows = [
        [
            linked(change.before.title or change.id, links, change.id),
            change.id,
            f"{change.before.passed}/{change.before.samples}",
            f"{change.after.passed}/{change.after.samples}",
            change_text(change),
        ]
        for change in changes
    ]
    headers = ["problem", "id", *names, "change"]
    folded = f"All {len(rows)} problems, largest losses first"
    return Table(headers, rows, folded, key=4)


def group_blocks(comparison: Comparison, names: tuple[str, str] = NAMES) -> list[Block]:
    """Types and difficulties before and after, where they group several problems."""
    scores = [change.before for change in comparison.problems]
    blocks: list[Block] = []
    if len({row.type for row in scores}) < len(scores):
        types = comparison.groups(lambda row: row.type)
        blocks.append(Bars([_group_bars(group) for group in types], names))
        blocks.append(group_table("type", types, names))
    if len({row.difficulty for row in scores}) > 1:
        levels = comparison.groups(lambda row: f"level {row.difficulty}")
        blocks.append(group_table("difficulty", levels, names))
    return blocks


def _group_bars(group: GroupChange) -> BarGroup:
    gain = group.difference.value
    sure = group.difference.low > 0 or group.difference.high < 0
    return BarGroup(
        group.name,
        [
            Bar("before", group.before, percent(group.before)),
            Bar("after", group.after, percent(group.after)),
        ],
        change=points(gain).removesuffix(" points"),
        tone=("good" if gain > 0 else "bad") if sure else "",
    )


def group_table(name: str, groups: Sequence[GroupChange], names: tuple[str, str] = NAMES) -> Table:
    """Types or difficulties before and after, largest losses first."""
    rows = [
        [
            group.name,
            str(group.problems),
            percent(group.before),
            percent(group.after),
            brief_difference(group.difference),
        ]
        for group in groups
    ]
    headers = [name, "problems", *names, "difference (95 % intervals, all together)"]
    return Table(headers, rows, key=4)


def heat_map(evaluation: Evaluation, caption: str) -> HeatMap:
    """Mean pass rate by type and difficulty."""
    scores = list(evaluation.per_problem.values())
    levels = sorted({row.difficulty for row in scores})
    cells: dict[tuple[str, int], list[float]] = {}
    for row in scores:
        cells.setdefault((row.type, row.difficulty), []).append(row.rate)
    means = {key: sum(rates) / len(rates) for key, rates in cells.items()}
    rows = [
        (kind, [means.get((kind, level)) for level in levels])
        for kind in sorted({row.type for row in scores})
    ]
    return HeatMap("type", [f"level {level}" for level in levels], rows, caption)


def overall_bars(named: Sequence[tuple[str, str, Evaluation]]) -> Bars:
    """The mean pass rates with their intervals: (name, series, evaluation) each."""
    return Bars(
        [
            BarGroup(
                name, [Bar(series, e.pass_at_1.value, with_interval(e.pass_at_1), e.pass_at_1)]
            )
            for name, series, e in named
        ]
    )


def verdict_blocks(
    evaluations: Sequence[Evaluation], names: tuple[str, str] = NAMES
) -> list[Block]:
    """What became of the samples of one evaluation or two, the most frequent of the last first."""
    found = {status for evaluation in evaluations for status in evaluation.verdicts}
    if not found:
        return []
    back = evaluations[::-1]
    ordered = sorted(found, key=lambda status: ([-e.verdicts.get(status, 0) for e in back], status))
    return [Bars([_status_bars(status, evaluations) for status in ordered], names)]


def _status_bars(status: str, evaluations: Sequence[Evaluation]) -> BarGroup:
    counts = [(e.verdicts.get(status, 0), sum(e.verdicts.values())) for e in evaluations]
    bars = [
        Bar(series, count / total if total else 0.0, str(count))
        for series, (count, total) in zip(NAMES, counts, strict=False)
    ]
    gain, change = counts[-1][0] - counts[0][0], ""
    if len(counts) > 1:
        change = f"{'+' if gain > 0 else MINUS}{abs(gain)}" if gain else "same"
    return BarGroup(status.replace("_", " "), bars, change)
