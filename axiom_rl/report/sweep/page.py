"""The page of a sweep: which setting is best, what mattered, which jobs failed.

Written to the sweep's own folder as sweep.html, sweep.md and sweep.json, at the end of a sweep and
any time by `stage=compare stage.sweep=FOLDER`, also while jobs are missing.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from axiom_rl.core.files import write_json, write_text
from axiom_rl.core.text import points
from axiom_rl.report.blocks import Page, Section, Text, with_interval
from axiom_rl.report.render import to_html, to_markdown
from axiom_rl.report.sweep.as_json import to_json
from axiom_rl.report.sweep.blocks import (
    failed_blocks,
    jobs_table,
    name_of,
    settings_blocks,
    shares_blocks,
)
from axiom_rl.report.sweep.folder import Sweep, read_sweep
from axiom_rl.report.sweep.scores import Setting


def write_sweep(folder: Path) -> str:
    """Write sweep.html, sweep.md and sweep.json to a sweep's folder; return the headline.

    Raises:
        AxiomError: if the folder holds no jobs, or a file of a job is damaged.
    """
    sweep = read_sweep(folder)
    page = build_page(sweep)
    write_text(folder / "sweep.html", to_html(page))
    write_text(folder / "sweep.md", to_markdown(page))
    write_json(
        folder / "sweep.json",
        to_json(sweep.jobs, sweep.scores, sweep.settings, sweep.shares, sweep.importance),
    )
    return page.headline


def build_page(sweep: Sweep) -> Page:
    """Return the content of the page."""
    sections = [
        Section("Settings", settings_blocks(sweep)),
        Section("What mattered", shares_blocks(sweep)),
        Section("Failed jobs", failed_blocks(sweep)),
        Section("Jobs", [jobs_table(sweep), Text(_rebuild(sweep))]),
    ]
    return Page(
        title=f"Sweep {sweep.folder.resolve().name}",
        headline=headline(sweep),
        tone="",
        weights="",
        sections=[section for section in sections if section.blocks],
    )


def headline(sweep: Sweep) -> str:
    """Say in a few sentences which setting is best, and what the sweep lacks."""
    counts = Counter(job.status for job in sweep.jobs)
    lacking = ", ".join(f"{counts[s]} {s}" for s in ("failed", "running", "waiting") if counts[s])
    state = f"{counts['done']} of {len(sweep.jobs)} jobs are done" + (lacking and f", {lacking}")
    if not sweep.settings:
        return f"No job has a score. {state}."
    best, *others = sweep.settings
    what = f"{with_interval(best.rate)} on {sweep.measured}, {_seeds(best)}"
    if not others:
        return f"{name_of(best)}: {what}. {state}."
    return f"Best of {len(sweep.settings)}: {name_of(best)}, {what}. {_second(sweep)} {state}."


def _second(sweep: Sweep) -> str:
    best, second, *_ = sweep.settings
    gap = sweep.difference(best, second)
    if gap.low > 0:
        return f"It is better than the second, {name_of(second)}, by {points(gap.value)}."
    return f"Whether it is better than the second, {name_of(second)}, cannot be told from this."


def _seeds(setting: Setting) -> str:
    count = len(setting.scores)
    return "one run" if count == 1 else f"mean of {count} seeds"


def _rebuild(sweep: Sweep) -> str:
    return f"This page again: python launch.py stage=compare stage.sweep={sweep.folder}"
