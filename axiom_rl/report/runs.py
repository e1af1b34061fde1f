"""Two or more runs side by side: the first against each of the others, as a page of its own."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import write_text
from axiom_rl.evaluation.comparable import differences_on_purpose
from axiom_rl.evaluation.compare import Comparison, compare
from axiom_rl.evaluation.score import Evaluation, read_evaluation
from axiom_rl.report.blocks import (
    Block,
    Cell,
    Code,
    Page,
    Section,
    Table,
    Text,
    harmless,
    link_to,
    with_interval,
)
from axiom_rl.report.comparison.curves import shared_curves
from axiom_rl.report.comparison.samples import MOST_PROBLEMS, Side, pair_links, pairs_of
from axiom_rl.report.render import save_charts, to_html, to_markdown
from axiom_rl.report.run_folder import RunFolder, read_run
from axiom_rl.report.sections import result as answers
from axiom_rl.report.sections.pipeline.bought import bought_blocks

ADAPTER = "adapter_config.json"
"""What PEFT writes beside the weights of an adapter."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing compared: its name, its evaluation, its configuration where it is known."""

    name: str
    evaluation: Evaluation
    config: str
    run: RunFolder | None = None
    """The run it belongs to; None for an evaluation file that lies alone."""
    phase: str = ""
    """Of the completions that it was scored on."""

    @property
    def side(self) -> Side | None:
        """Its samples, where they are known."""
        return Side(self.name, self.run, self.phase) if self.run and self.phase else None


def compare_runs(paths: Sequence[Path], output: Path, across: Sequence[str] = ()) -> str:
    """Compare runs and write comparison.md and comparison.html to `output`.

    Args:
        paths: run folders (their last evaluation counts), adapters in run folders (the evaluation
            of that adapter counts) or evaluation files; the first one is the base that every other
            is compared with.
        output: folder for the two pages.
        across: what is meant to differ, of axiom_rl.evaluation.comparable.ACROSS.

    Returns:
        The answers, one line per comparison, for the terminal.

    Raises:
        AxiomError: for fewer than two, the same one twice, a folder without an evaluation, or
            evaluations that measured different things.
    """
    if len(paths) < 2:
        raise AxiomError(
            "stage.runs needs two or more runs: stage=compare 'stage.runs=[outputs/a,outputs/b]'"
        )
    places = [path.resolve() for path in paths]
    for number, path in enumerate(paths):
        if places[number] in places[:number]:
            raise AxiomError(f"stage.runs names {path} twice: give another run to compare it with")
    base, *others = _entries(paths)
    comparisons = _compare_all(base, others, across)
    page = build_page(base, others, comparisons, output)
    taught = bought_blocks([(e.name, read_run(p)) for e, p in _run_folders([base, *others], paths)])
    if taught:
        page = replace(page, sections=[*page.sections, Section("What the teacher bought", taught)])
    save_charts(page)
    write_text(output / "comparison.html", to_html(page))
    write_text(output / "comparison.md", to_markdown(page))
    return page.headline


def build_page(
    base: Entry, others: Sequence[Entry], comparisons: Sequence[Comparison], output: Path
) -> Page:
    """Return the content of the comparison page.

    Args:
        base: what the others are compared with.
        others: one or more.
        comparisons: of the base with each of them.
        output: folder of the page.
    """
    pairs = list(zip(others, comparisons, strict=True))
    sentences = [answers.answer_sentence(c, base.name, other.name) for other, c in pairs]
    named = [(base.name, "before", base.evaluation)]
    named += [(other.name, "after", other.evaluation) for other in others]
    entries = [base, *others]
    result: list[Block] = [answers.overall_bars(named), _runs_table(entries, output)]
    if len(others) > 1:
        result.append(
            Text(
                f"{len(others)} models are compared with {base.name}; the intervals of the "
                "differences are widened (Bonferroni), so that all of them together hold the "
                "truth in 95 % of cases."
            )
        )
    result += [
        Text(answers.scope_text(base.evaluation)),
        Text(answers.method_text(base.evaluation)),
    ]
    sections = [Section("Result", result)]
    curves = shared_curves([(e.name, e.run) for e in entries if e.run is not None], output)
    sections.append(Section("Curves", curves))
    for number, (other, comparison) in enumerate(pairs):
        title = f"{other.name} against {base.name}"
        sections.append(Section(title, _pair(base, other, comparison, number)))
        sections.append(_beside(base, other, comparison, number))
    diffs = [_config_diff(base, other) for other in others]
    sections.append(Section("Differences in configuration", [d for d in diffs if d is not None]))
    tones = {answers.tone(c) for c in comparisons}
    return Page(
        title=f"Comparison: {', '.join(entry.name for entry in entries)}",
        headline="\n".join(sentences),
        tone=tones.pop() if len(tones) == 1 else "",
        weights=answers.weights_text(base.evaluation),
        sections=[section for section in sections if section.blocks],
    )


def _runs_table(entries: Sequence[Entry], output: Path) -> Table:
    """What is compared, each with a link to its own report."""
    rows: list[list[Cell]] = []
    for entry in entries:
        of, report = entry.evaluation, entry.run.path / "report.html" if entry.run else None
        linked = report is not None and report.is_file()
        rows.append(
            [
                link_to(report, entry.name, output) if report and linked else entry.name,
                with_interval(of.pass_at_1),
                f"{of.solved} of {of.problems}",
                str(of.model.get("name", "")),
                entry.phase.replace("_", " "),
                str(entry.run.setting("seed", "") if entry.run else of.seed),
            ]
        )
    return Table(["run", "samples that pass", "solved", "model", "scored on", "seed"], rows, key=1)


def _beside(base: Entry, other: Entry, comparison: Comparison, number: int) -> Section:
    """The same sample of each problem from both, side by side."""
    title = f"Samples: {other.name} beside {base.name}"
    if base.side is None or other.side is None:
        return Section(title, [])
    pairs = pairs_of(base.side, other.side, comparison, number)
    note = (
        f"One sample of each of {len(pairs)} problems, of at most {MOST_PROBLEMS}: the first that "
        "one passes and the other fails, where there is one. Largest losses first."
    )
    return Section(title, [Text(note), *pairs] if pairs else [], screen_only=True, filtered=True)


def _run_folders(entries: Sequence[Entry], paths: Sequence[Path]) -> list[tuple[Entry, Path]]:
    """Return the entries that are whole run folders, with their folders."""
    pairs = zip(entries, paths, strict=True)
    return [(entry, path) for entry, path in pairs if path.is_dir() and _is_run(path)]


def _pair(base: Entry, other: Entry, comparison: Comparison, number: int) -> list[Block]:
    blocks: list[Block] = []
    if meant := differences_on_purpose(comparison.before, comparison.after):
        names = [str(e.model.get("name")) for e in (comparison.before, comparison.after)]
        text = (
            f"{names[0]} against {names[1]}, not only before against after: they differ in "
            f"{'; '.join(meant)}. Which of the differences does it, the figures do not say."
        )
        blocks.append(Text(text, warning=True))
    blocks.append(Text(answers.power_text(comparison)))
    both = (base.name, other.name)
    links = pair_links(base.side, other.side, comparison, number)
    blocks += answers.group_blocks(comparison, both)
    blocks += answers.problem_blocks(comparison, links, both)
    verdicts = answers.verdict_blocks([comparison.before, comparison.after], both)
    return [*blocks, *([Text("Verdicts of the samples:"), *verdicts] if verdicts else [])]


def _compare_all(base: Entry, others: Sequence[Entry], across: Sequence[str]) -> list[Comparison]:
    """Compare every entry with the base; where some cannot be, say so of all of them at once."""
    comparisons, refusals = [], []
    for other in others:
        try:
            comparisons.append(compare(base.evaluation, other.evaluation, len(others), across))
        except AxiomError as error:
            refusals.append(f"{other.name} against {base.name}: {error}")
    if refusals:
        raise AxiomError("\n".join(refusals))
    return comparisons


def _entries(paths: Sequence[Path]) -> list[Entry]:
    names = _short_names(paths)
    return [find_entry(path, name) for path, name in zip(paths, names, strict=True)]


def _short_names(paths: Sequence[Path]) -> list[str]:
    """Drop the leading folders that all paths share; a job of a sweep is called one."""
    parts = [path.resolve().with_suffix("").parts for path in paths]
    shared = 0
    while all(len(p) > shared + 1 for p in parts) and len({p[shared] for p in parts}) == 1:
        shared += 1
    names = ["/".join(p[shared:]) for p in parts]
    return [f"job {name}" if name.isdigit() else name for name in names]


def _config_diff(base: Entry, other: Entry) -> Code | None:
    old, new = base.config.splitlines(), other.config.splitlines()
    lines = list(difflib.unified_diff(old, new, base.name, other.name, lineterm="", n=2))
    if not (old and new and lines):
        return None
    return Code(f"{other.name} against {base.name}", harmless("\n".join(lines)))


def find_entry(path: Path, name: str) -> Entry:
    """Return the evaluation that a path stands for.

    Args:
        path: an evaluation file; a run folder, whose last evaluation counts; or an adapter in a
            run folder (adapter, checkpoints/iter_K/adapter), whose own evaluation counts.
        name: for the page.

    Raises:
        AxiomError: if there is no such evaluation, saying what to type.
    """
    if path.is_file():
        return _file_entry(path, name)
    if (path / ADAPTER).is_file():
        return _adapter_entry(path, name)
    run = read_run(path)
    evaluation = run.after or run.before
    if evaluation is None:
        raise AxiomError(f"{path} holds no evaluation; finish it with resume={path}")
    if run.after is None and run.setting("stage.kind", "") == "train":
        raise AxiomError(
            f"{path} was not evaluated after training; finish it with resume={path}, or compare "
            f"the model that it begins with: {path}/evaluation/before.json"
        )
    return Entry(name, evaluation, run.config, run, _last_phase(run))


def _last_phase(run: RunFolder) -> str:
    """Phase of the completions that a run's last evaluation was scored on."""
    return run.after_phase if run.after else next(iter(run.completions), "")


def _file_entry(path: Path, name: str) -> Entry:
    """An evaluation file; one in a run folder has that run's samples and curves."""
    evaluation, folder = read_evaluation(path), path.resolve().parent.parent
    if path.resolve().parent.name != "evaluation" or not _is_run(folder):
        return Entry(name, evaluation, "")
    run = read_run(folder)
    phase = run.after_phase if path.stem == "after" else path.stem
    return Entry(name, evaluation, "", run, phase if phase in run.completions else "")


def _adapter_entry(path: Path, name: str) -> Entry:
    place = path.resolve()
    run = next(
        (read_run(p) for p in (place.parent, place.parent.parent.parent) if _is_run(p)), None
    )
    evaluation = _evaluation_of(run, place) if run else None
    if run is None or evaluation is None:
        raise AxiomError(
            f"{path}: this adapter was not evaluated yet; run python launch.py stage=evaluate "
            f"model.adapter={path} with the problems of the others, and give the folder that it "
            "writes in the place of the adapter"
        )
    phase = run.after_phase if place.parent == run.path else place.parent.name
    return Entry(name, evaluation, run.config, run, phase)


def _evaluation_of(run: RunFolder, adapter: Path) -> Evaluation | None:
    """RUN/adapter is the last one; RUN/checkpoints/iter_K/adapter that of iteration K."""
    if adapter.parent == run.path:
        return run.after
    name = adapter.parent.name
    for step, numbers in run.numbers.items():  # a pipeline names its evaluations by step
        if name == f"iter_{numbers[-1]}":
            return run.evaluations.get(f"after_{step}")
    return run.evaluations.get(name)


def _is_run(folder: Path) -> bool:
    return (folder / "config.yaml").is_file()
