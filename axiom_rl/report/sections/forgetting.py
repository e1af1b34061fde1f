"""What was forgotten: types and families outside training, before it and after it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from axiom_rl.core.errors import AxiomError
from axiom_rl.core.text import percent, points
from axiom_rl.evaluation.compare import POWER, Comparison, compare
from axiom_rl.evaluation.forgetting import (
    LOST_FALL,
    TypeBaseline,
    TypeChange,
    read_trained_on,
    read_types,
    trained_on_text,
    type_changes,
)
from axiom_rl.report.blocks import Bar, BarGroup, Bars, Block, Table, Text, table_of
from axiom_rl.report.run_folder import RunFolder
from axiom_rl.report.sections import result as answers


def forgetting_blocks(run: RunFolder) -> list[Block]:
    """Compare each family by the method of the headline; what got worse stands first."""
    compared, notes = _compare_all(run)
    blocks: list[Block] = [Text(note, warning=True) for note in [*_trained_on(run), *notes]]
    blocks += _left_out(run)
    if not compared:
        return blocks
    ordered = sorted(compared.items(), key=lambda item: item[1].difference.value)
    return [*blocks, Text(_sentence(compared)), _bars(ordered), _table(ordered)]


def lost_sentence(run: RunFolder) -> str:
    """Name the types that passed more than half before training and are lost; '' if none is."""
    trained = read_types(run.path)
    lost = [
        f"{change.name} ({_count(change.before)} before, {_count(change.after)} after"
        f"{_part(change, trained)})"
        for change in _changes(run)
        if change.is_lost
    ]
    return f" Lost: {', '.join(lost)}." if lost else ""


def _part(change: TypeChange, trained: Mapping[str, TypeBaseline]) -> str:
    """Say what part a type had in training."""
    if change.family:
        return f"; of {change.family}, not in training"
    if change.name not in trained:
        return ""
    return "; trained on" if trained[change.name].trained else "; left out of training"


def _changes(run: RunFolder) -> list[TypeChange]:
    """Compare the types of the run's own problems and of the watched families, all together."""
    pairs = {family: (old, new) for family, (old, new) in run.forgetting.items() if new}
    if run.before and run.after and run.before.tests_sha256 == run.after.tests_sha256:
        pairs = {"": (run.before, run.after)} | pairs
    return type_changes(pairs)


def _left_out(run: RunFolder) -> list[Block]:
    """Compare the run's own types that training left out."""
    trained = read_types(run.path)
    rows = [
        change
        for change in _changes(run)
        if not change.family and change.name in trained and not trained[change.name].trained
    ]
    if not rows:
        return []
    text = (
        "Types of these problems that are left out of training, on the test problems. The answer "
        "is about these samples (Fisher's exact test, corrected by Holm); lost is what passed more "
        f"than half before and fell by more than {100 * LOST_FALL:.0f} points for sure."
    )
    columns: dict[str, Callable[[TypeChange], str]] = {
        "type left out": lambda row: row.name,
        "passed in the choice": lambda row: _count(
            (trained[row.name].passed, trained[row.name].samples)
        ),
        "before": lambda row: _count(row.before),
        "after": lambda row: _count(row.after),
        "change": lambda row: points(row.difference),
        "answer": _answer,
    }
    return [Text(text), table_of(rows, columns)]


def _answer(change: TypeChange) -> str:
    if change.is_lost:
        return "lost"
    if not change.is_told:
        return "cannot tell"
    return "better" if change.difference > 0 else "worse"


def _count(passed: tuple[int, int]) -> str:
    return f"{passed[0]} of {passed[1]}"


def _trained_on(run: RunFolder) -> list[str]:
    """Name the families that the run trains on, wholly or in part."""
    known = read_trained_on(run.path)
    if known is not None:
        return [f"{trained_on_text(name, row)}." for name, row in known.items() if row]
    trained = {problem.type for problem in run.problems.values() if problem.split == "train"}
    notes = []
    for family, (before, _after) in run.forgetting.items():  # folders of older versions
        common = sorted(trained & {row.type for row in before.per_problem.values()})
        if common:
            notes.append(f"{family}: {', '.join(common)}: trained on; no measure of forgetting.")
    return notes


def _compare_all(run: RunFolder) -> tuple[dict[str, Comparison], list[str]]:
    """Return the comparisons by family, and why some families have none."""
    compared, notes = {}, []
    for family, (before, after) in run.forgetting.items():
        if after is None:
            notes.append(f"{family}: not evaluated after training yet.")
            continue
        try:
            compared[family] = compare(before, after, comparisons=len(run.forgetting))
        except AxiomError as error:
            notes.append(f"{family}: {error}")
    return compared, notes


def _sentence(compared: dict[str, Comparison]) -> str:
    lost = [name for name, c in compared.items() if c.answer == "worse"]
    unsure = [name for name, c in compared.items() if c.answer.startswith("cannot")]
    text = f"Worse than before: {', '.join(lost)}." if lost else "No family is shown to be worse."
    for name in unsure:
        size = points(compared[name].detectable).lstrip("+")
        text += (
            f" {name}: whether anything was lost cannot be told; these samples find a loss of "
            f"{size} in {100 * POWER:.0f} % of cases."
        )
    if len(compared) > 1:
        text += (
            f" The intervals are widened for {len(compared)} families (Bonferroni), so that all "
            "of them together hold the truth in 95 % of cases."
        )
    return text


def _bars(ordered: list[tuple[str, Comparison]]) -> Bars:
    groups = []
    for family, comparison in ordered:
        before, after = (e.pass_at_1.value for e in (comparison.before, comparison.after))
        bars = [Bar("before", before, percent(before)), Bar("after", after, percent(after))]
        change = points(comparison.difference.value).removesuffix(" points")
        groups.append(BarGroup(family, bars, change, answers.tone(comparison)))
    return Bars(groups)


def _table(ordered: list[tuple[str, Comparison]]) -> Table:
    rows = [
        [
            family,
            str(comparison.before.problems),
            percent(comparison.before.pass_at_1.value),
            percent(comparison.after.pass_at_1.value),
            answers.brief_difference(comparison.difference),
            comparison.answer,
        ]
        for family, comparison in ordered
    ]
    headers = ["family", "problems", "before", "after", "difference (95 % interval)", "answer"]
    return Table(headers, rows, key=5)
