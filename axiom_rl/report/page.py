"""The report of a run: report.md and report.html, written from the run folder alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import write_text
from axiom_rl.core.text import percent
from axiom_rl.evaluation.compare import Comparison, compare
from axiom_rl.evaluation.score import Evaluation
from axiom_rl.report.blocks import (
    BarGroup,
    Bars,
    Block,
    Page,
    Section,
    Table,
    Text,
    linked,
    with_interval,
)
from axiom_rl.report.render import save_charts, to_html, to_markdown
from axiom_rl.report.run_folder import RunFolder, read_run
from axiom_rl.report.sections import result as answers
from axiom_rl.report.sections.claims import claim_blocks
from axiom_rl.report.sections.curves import bounds, curve_blocks
from axiom_rl.report.sections.forgetting import forgetting_blocks, lost_sentence
from axiom_rl.report.sections.grpo import policy_blocks, step_time_blocks
from axiom_rl.report.sections.pipeline.steps import step_blocks
from axiom_rl.report.sections.pipeline.tables import table_blocks
from axiom_rl.report.sections.provenance import changes_section, provenance_section, raw_section
from axiom_rl.report.sections.samples import sample_links, sample_section
from axiom_rl.report.sections.search.retention import retention_section
from axiom_rl.report.sections.search.selectors import (
    search_beside,
    search_headline,
    search_section,
    solved_section,
    vote_section,
)
from axiom_rl.report.sections.search.value import value_headline, value_section
from axiom_rl.report.sections.suspects import suspect_blocks
from axiom_rl.report.sections.teacher import teacher_headline, teacher_section
from axiom_rl.report.sections.timing import timing_blocks, training_section


def write_report(run_folder: Path) -> str:
    """Write report.md, report.html and charts/*.png; reads nothing outside the run folder.

    Returns the report's first sentence.

    A run without training, or one that was interrupted, gets a report of what there is.

    Raises:
        AxiomError: if the folder does not exist, or a file in it is damaged.
    """
    run = read_run(run_folder)
    page = build_page(run)
    save_charts(page)
    write_text(run_folder / "report.html", to_html(page))
    write_text(run_folder / "report.md", to_markdown(page))
    return page.headline


def build_page(run: RunFolder) -> Page:
    """Return the report's content."""
    comparison, refusal = _compared(run)
    sections = [
        Section("Result", _result(run, comparison, refusal)),
        value_section(run),
        search_section(run),
        retention_section(run),
        solved_section(run),
        teacher_section(run),
        Section("Step by step", step_blocks(run)),
        Section("Problem by problem", _problems(run, comparison)),
        Section("Learning curves", curve_blocks(run)),
        Section("GRPO step by step", policy_blocks(run)),
        Section("What was forgotten", forgetting_blocks(run)),
        Section("Verdicts of the samples", _verdicts(run)),
        Section("Tables of answers", table_blocks(run)),
        Section("Tests in doubt", suspect_blocks(run)),
        Section("Claimed passes, checked again", claim_blocks(run)),
        training_section(run),
        Section("Time and tokens", [*timing_blocks(run), *step_time_blocks(run)]),
        changes_section(run),
        provenance_section(run),
        vote_section(run),
        sample_section(run),
        raw_section(run),
    ]
    return Page(
        title=f"Run report: {run.path.resolve().parent.name}/{run.path.resolve().name}",
        headline=_cut_off(run) + _headline(run, comparison) + lost_sentence(run),
        tone=answers.tone(comparison) if comparison else "",
        weights=answers.weights_text(run.after or run.before),
        sections=[section for section in sections if section.blocks],
    )


def _compared(run: RunFolder) -> tuple[Comparison | None, str]:
    if run.before is None or run.after is None:
        return None, ""
    try:
        return compare(run.before, run.after), ""
    except AxiomError as error:
        return None, str(error)


def _headline(run: RunFolder, comparison: Comparison | None) -> str:
    if comparison:
        return answers.answer_sentence(comparison)
    only = run.after or run.before
    if only is None:
        return (
            search_headline(run)
            or value_headline(run)
            or teacher_headline(run)
            or "No evaluation has finished in this run yet."
        )
    name = only.model.get("name", "The model")
    rate = with_interval(only.pass_at_1)
    text = (
        f"{name} passes {rate} of its samples and solves {only.solved} of {only.problems} problems"
    )
    ended = "." if run.finished else "; the run has not finished."
    return text + ended + search_beside(run)


def _cut_off(run: RunFolder) -> str:
    """Say first of all if the token limit ended every answer: then no rate means anything."""
    phase = run.after_phase if run.after else "before"
    rows = run.completions.get(phase, [])
    if not rows or not all(row["truncated"] for row in rows):
        return ""
    limit = run.setting("sampler.max_new_tokens", "?")
    return (
        f"Every one of the {len(rows)} answers was cut off by the token limit "
        f"(sampler.max_new_tokens={limit}; give more). "
    )


def _result(run: RunFolder, comparison: Comparison | None, refusal: str) -> list[Block]:
    blocks: list[Block] = []
    if not run.finished:
        blocks.append(Text(_unfinished(run), warning=True))
    if refusal:
        blocks.append(Text(refusal, warning=True))
    named = _named(run)
    if not named:
        return blocks
    blocks += [answers.overall_bars(named), _score_table(named)]
    blocks += [Text(_faults(name, e), warning=True) for name, _series, e in named if e.faults]
    if run.plan is not None:
        blocks.append(Text(f"Stated before the run: {run.plan}"))
    if comparison:
        blocks.append(Text(answers.power_text(comparison)))
    evaluation = named[-1][2]
    blocks += [Text(answers.scope_text(evaluation)), Text(answers.method_text(evaluation))]
    return blocks


def _named(run: RunFolder) -> list[tuple[str, str, Evaluation]]:
    rows: list[tuple[str, str, Evaluation]] = []
    if run.before:
        rows.append(("Before (model N)" if run.after else "The model", "before", run.before))
    if run.after:
        rows.append(("After (model N+1)", "after", run.after))
    return rows


def _unfinished(run: RunFolder) -> str:
    if run.after and run.steps:
        return (
            f"The run has not finished: 'after' is the model of {run.after_phase.replace('_', ' ')}"
            f", the last that was measured; the steps are {', '.join(run.steps)}."
        )
    if run.after:
        return (
            f"The run has not finished: 'after' is iteration {run.last_iteration}, its last so far."
        )
    return (
        "The run has not finished: there is no evaluation after training, so nothing is compared."
    )


def _faults(name: str, evaluation: Evaluation) -> str:
    return (
        f"{name}: the sandbox itself failed on {evaluation.faults} samples; they are left out of "
        "every rate."
    )


def _score_table(named: list[tuple[str, str, Evaluation]]) -> Table:
    gaps = any(e.overfit_gap is not None for *_n, e in named)
    thinks = any(e.truncated_thinking is not None for *_n, e in named)
    ks = sorted({k for _name, _series, e in named for k in e.pass_at_k if k > 1})
    rows = [
        ["pass rate per sample", *(percent(e.pass_at_1.value) for *_n, e in named)],
        ["its 95 % interval", *(bounds(e.pass_at_1.low, e.pass_at_1.high) for *_n, e in named)],
        ["problems solved at least once", *(f"{e.solved} of {e.problems}" for *_n, e in named)],
        *[[f"pass@{k}", *(percent(e.pass_at_k.get(k)) for *_n, e in named)] for k in ks],
        ["judged samples", *(str(e.samples) for *_n, e in named)],
        ["failed samples", *(str(_failed(e)) for *_n, e in named)],
        *([["cut off while thinking", *(_thinking(e) for *_n, e in named)]] if thinks else []),
        *([["overfit gap", *(_gap(e) for *_n, e in named)]] if gaps else []),
        ["split, seed", *(f"{e.split}, {e.seed}" for *_n, e in named)],
    ]
    return Table(["", *_short(named)], rows)


def _short(named: list[tuple[str, str, Evaluation]]) -> list[str]:
    """Column headings that fit a phone: Before, After."""
    return [name.partition(" (")[0] for name, *_rest in named]


def _failed(evaluation: Evaluation) -> int:
    return evaluation.samples - sum(row.passed for row in evaluation.per_problem.values())


def _thinking(evaluation: Evaluation) -> str:
    count = evaluation.truncated_thinking
    return "not asked to" if count is None else f"{count} of {evaluation.samples}"


def _gap(evaluation: Evaluation) -> str:
    return "not measured" if evaluation.overfit_gap is None else percent(evaluation.overfit_gap)


def _problems(run: RunFolder, comparison: Comparison | None) -> list[Block]:
    evaluation = run.after or run.before
    if evaluation is None:
        return []
    links = sample_links(run)
    cells = {(row.type, row.difficulty) for row in evaluation.per_problem.values()}
    grouped = len(cells) < evaluation.problems
    blocks: list[Block] = []
    if comparison and grouped:
        blocks += answers.group_blocks(comparison)
    if grouped:
        blocks.append(answers.heat_map(evaluation, "Pass rate by type and level, latest model."))
    if comparison:
        return blocks + answers.problem_blocks(comparison, links)
    return [*blocks, _single_bars(evaluation, links)]


def _single_bars(evaluation: Evaluation, links: Mapping[str, str]) -> Block:
    rows = sorted(evaluation.per_problem.items(), key=lambda item: (item[1].rate, item[0]))
    if len(rows) <= answers.MOST_BARS:
        titles = Counter(row.title for _key, row in rows)
        return Bars(
            [
                BarGroup(
                    row.title if row.title and titles[row.title] == 1 else key,
                    [answers.problem_bar("before", row)],
                    href=links.get(key, ""),
                )
                for key, row in rows
            ]
        )
    cells = [
        [linked(row.title or key, links, key), key, f"{row.passed}/{row.samples}"]
        for key, row in rows
    ]
    return Table(["problem", "id", "passed"], cells, f"All {len(cells)} problems", key=2)


def _verdicts(run: RunFolder) -> list[Block]:
    """What became of the samples, by status: the most frequent after training first."""
    return answers.verdict_blocks([evaluation for *_names, evaluation in _named(run)])
