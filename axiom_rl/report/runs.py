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
from axiom_rl.report.blocks import Block, Code, Page, Section, Text, harmless
from axiom_rl.report.render import to_html, to_markdown
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
        AxiomError: for fewer than two, a folder without an evaluation, or evaluations that
            measured different things.
    """
    if len(paths) < 2:
        raise AxiomError(
            "stage.runs needs two or more runs: stage=compare stage.runs=[outputs/a,outputs/b]"
        )
    base, *others = _entries(paths)
    comparisons = _compare_all(base, others, across)
    page = build_page(base, others, comparisons)
    taught = bought_blocks([(e.name, read_run(p)) for e, p in _run_folders([base, *others], paths)])
    if taught:
        page = replace(page, sections=[*page.sections, Section("What the teacher bought", taught)])
    write_text(output / "comparison.html", to_html(page))
    write_text(output / "comparison.md", to_markdown(page))
    return page.headline


def build_page(base: Entry, others: Sequence[Entry], comparisons: Sequence[Comparison]) -> Page:
    """Return the content of the comparison page."""
    pairs = list(zip(others, comparisons, strict=True))
    sentences = [answers.answer_sentence(c, base.name, other.name) for other, c in pairs]
    named = [(base.name, "before", base.evaluation)]
    named += [(other.name, "after", other.evaluation) for other in others]
    result: list[Block] = [answers.overall_bars(named)]
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
    sections += [Section(f"{other.name} against {base.name}", _pair(c)) for other, c in pairs]
    diffs = [_config_diff(base, other) for other in others]
    sections.append(Section("Differences in configuration", [d for d in diffs if d is not None]))
    tones = {answers.tone(c) for c in comparisons}
    return Page(
        title=f"Comparison with {base.name}",
        headline="\n".join(sentences),
        tone=tones.pop() if len(tones) == 1 else "",
        weights=answers.weights_text(base.evaluation),
        sections=[section for section in sections if section.blocks],
    )


def _run_folders(entries: Sequence[Entry], paths: Sequence[Path]) -> list[tuple[Entry, Path]]:
    """Return the entries that are whole run folders, with their folders."""
    pairs = zip(entries, paths, strict=True)
    return [(entry, path) for entry, path in pairs if path.is_dir() and _is_run(path)]


def _pair(comparison: Comparison) -> list[Block]:
    blocks: list[Block] = []
    if meant := differences_on_purpose(comparison.before, comparison.after):
        names = [str(e.model.get("name")) for e in (comparison.before, comparison.after)]
        text = (
            f"{names[0]} against {names[1]}, not only before against after: they differ in "
            f"{'; '.join(meant)}. Which of the differences does it, the figures do not say."
        )
        blocks.append(Text(text, warning=True))
    blocks.append(Text(answers.power_text(comparison)))
    return blocks + answers.group_blocks(comparison) + answers.problem_blocks(comparison)


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
    """Drop the leading folders that all paths share."""
    parts = [path.resolve().with_suffix("").parts for path in paths]
    shared = 0
    while all(len(p) > shared + 1 for p in parts) and len({p[shared] for p in parts}) == 1:
        shared += 1
    return ["/".join(p[shared:]) for p in parts]


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
        return Entry(name, read_evaluation(path), "")
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
    return Entry(name, evaluation, run.config)


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
    return Entry(name, evaluation, run.config)


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
