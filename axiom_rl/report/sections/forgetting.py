"""What was forgotten: families of problems outside training, before it and after it."""

from __future__ import annotations

from axiom_rl.core.errors import AxiomError
from axiom_rl.core.text import percent, points
from axiom_rl.evaluation.compare import POWER, Comparison, compare
from axiom_rl.evaluation.forgetting import read_trained_on, trained_on_text
from axiom_rl.report.blocks import Bar, BarGroup, Bars, Block, Table, Text
from axiom_rl.report.run_folder import RunFolder
from axiom_rl.report.sections import result as answers


def forgetting_blocks(run: RunFolder) -> list[Block]:
    """Compare each family by the method of the headline; what got worse stands first."""
    compared, notes = _compare_all(run)
    blocks: list[Block] = [Text(note, warning=True) for note in [*_trained_on(run), *notes]]
    if not compared:
        return blocks
    ordered = sorted(compared.items(), key=lambda item: item[1].difference.value)
    return [*blocks, Text(_sentence(compared)), _bars(ordered), _table(ordered)]


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
    groups = [
        BarGroup(
            family,
            [
                Bar(series, rate.value, percent(rate.value))
                for series, rate in (
                    ("before", comparison.before.pass_at_1),
                    ("after", comparison.after.pass_at_1),
                )
            ],
            change=points(comparison.difference.value).removesuffix(" points"),
            tone=answers.tone(comparison),
        )
        for family, comparison in ordered
    ]
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
