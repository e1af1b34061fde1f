"""The page of a sweep: which setting is best, what mattered, which jobs failed.

Written to the sweep's own folder as sweep.html, sweep.md and sweep.json, at the end of a sweep and
any time by `stage=compare stage.sweep=FOLDER`, also while jobs are missing; sweep.html alone, with
a note that it is not final, each time that a job ends.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean
from typing import Any

from axiom_rl.core.files import write_json, write_text
from axiom_rl.core.program import command
from axiom_rl.core.text import duration, percent, points
from axiom_rl.evaluation.statistics import Interval
from axiom_rl.report.blocks import (
    Bar,
    BarGroup,
    Bars,
    Block,
    Cell,
    Page,
    Section,
    Table,
    Text,
    harmless,
    link_to,
    table_of,
)
from axiom_rl.report.blocks import with_interval as rated
from axiom_rl.report.render import to_html, to_markdown
from axiom_rl.report.sections.result import brief_difference
from axiom_rl.report.sweep.neighbours import neighbour_blocks
from axiom_rl.report.sweep.scores import (
    Score,
    Setting,
    changing,
    difference,
    job_score,
    settings_of,
    short_names,
)
from axiom_rl.run.sweep_jobs import Job, read_jobs
from axiom_rl.run.sweep_study import study_importance

SCHEMA = 2
"""Of sweep.json."""
BARS = 12
"""Settings drawn as bars; all of them are in the table."""
MOST_JOBS = 12
"""In sight; more are folded."""
MOST_VALUES = 8
"""Values of a parameter in the table of what mattered; a search draws more than can be read."""
METHOD = (
    "A setting is what its jobs were asked, the seed apart; its interval is Student's t over its "
    "seeds, with a variance at least as large as the samples of each run allow. With one seed "
    "it is the interval over that run's samples, which says nothing about other seeds. Differences "
    "are paired by seed and widened (Bonferroni) for all pairs of settings, since the best was "
    "picked by these very figures; for a figure without that favour, run the best again "
    "with new seeds."
)
MEANS = (
    "Mean score of the jobs that were asked each value, over everything else that differs. What is "
    "more than chance, the intervals of the settings say."
)
FANOVA = (
    "Importance by fANOVA (Hutter et al. 2014) as Optuna computes it from a forest fitted to the "
    "trials; the values add up to 1 even where nothing matters, and with fewer than some "
    "dozens of trials they are unstable."
)
MIXED = (
    "The jobs were scored on different problems, so their scores are not comparable: read "
    "what each run gained in its own report, and not this ranking."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """A sweep's jobs and what they came to."""

    folder: Path
    jobs: Sequence[Job]
    scores: Mapping[int, Score]
    """By number of the job."""
    settings: Sequence[Setting]
    """The best first."""
    importance: Mapping[str, float]
    """Optuna's fANOVA by parameter; empty for other sweeps."""

    @property
    def measured(self) -> str:
        """What the scores are pass rates of."""
        kinds = {f"{score.split} ({score.tests})" for score in self.scores.values()}
        return " and ".join(sorted(kinds))

    def difference(self, one: Setting, other: Setting) -> Interval:
        """Return how much better `one` is, widened for all pairs of settings."""
        return difference(one, other, math.comb(len(self.settings), 2))


def read_sweep(folder: Path) -> Sweep:
    """Read a sweep's folder.

    Raises:
        AxiomError: if it holds no jobs, or a file of a job is damaged.
    """
    jobs = read_jobs(folder)
    found = {job.number: job_score(job.folder) for job in jobs if job.status == "done"}
    scores = {number: score for number, score in found.items() if score is not None}
    return Sweep(
        folder=folder,
        jobs=jobs,
        scores=scores,
        settings=settings_of(jobs, scores),
        importance=study_importance(folder),
    )


def write_sweep(folder: Path) -> str:
    """Write sweep.html, sweep.md and sweep.json to a sweep's folder; return the headline.

    Raises:
        AxiomError: if the folder holds no jobs, or a file of a job is damaged.
    """
    sweep = read_sweep(folder)
    page = build_page(sweep)
    write_text(folder / "sweep.html", to_html(page))
    write_text(folder / "sweep.md", to_markdown(page))
    write_json(folder / "sweep.json", _as_json(sweep))
    return page.headline


def write_sweep_so_far(folder: Path) -> None:
    """Write sweep.html alone, of a sweep that goes on, with a note that it is not final.

    Raises:
        AxiomError: as `write_sweep`.
    """
    now = datetime.now(UTC)
    note = (
        f"Not final: the sweep goes on. Written on {now:%Y-%m-%d at %H:%M:%S} UTC, when a job had "
        f"ended. If it was stopped, go on with: {command(f'resume={folder}')}"
    )
    page = replace(build_page(read_sweep(folder)), live=note)
    write_text(folder / "sweep.html", to_html(page))


def build_page(sweep: Sweep) -> Page:
    """Return the content of the page."""
    rebuild = f"This page again: python launch.py stage=compare stage.sweep={sweep.folder}"
    sections = [
        Section("Settings", _settings(sweep)),
        Section("Neighbours", neighbour_blocks(sweep.jobs)),
        Section("What mattered", _what_mattered(sweep)),
        Section("Failed jobs", _failed(sweep)),
        Section("Jobs", [*_jobs(sweep), Text(rebuild)]),
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
    seeds = "one run" if len(best.scores) == 1 else f"mean of {len(best.scores)} seeds"
    what = f"{rated(best.rate)} on {sweep.measured}, {seeds}"
    if not others:
        return f"{_name(best)}: {what}. {state}."
    gap, second = sweep.difference(best, others[0]), f"the second, {_name(others[0])},"
    told = (
        f"It is better than {second} by {points(gap.value)}."
        if gap.low > 0
        else f"Whether it is better than {second} cannot be told from this."
    )
    return f"Best of {len(sweep.settings)}: {_name(best)}, {what}. {told} {state}."


def _name(setting: Setting) -> str:
    """Write what tells a setting from the others, `learning_rate=1e-5 r=8`."""
    names = short_names([*setting.parameters])
    asked = " ".join(f"{names[key]}={value}" for key, value in setting.parameters.items())
    return asked or "the one setting"


def _as_typed(setting: Setting) -> str:
    return " ".join(f"{key}={value}" for key, value in setting.parameters.items())


def _settings(sweep: Sweep) -> list[Block]:
    """Bars and a table of the settings, the best first, and how they were computed."""
    if not sweep.settings:
        return []
    best = sweep.settings[0]
    columns: dict[str, Callable[[Setting], str]] = {
        "setting": _name,
        sweep.measured: lambda setting: rated(setting.rate),
        "against the best": lambda setting: _against(sweep, setting),
        "seeds": lambda setting: str(len(setting.scores)),
    }
    if any(setting.before is not None for setting in sweep.settings):
        columns["before"] = lambda s: "" if s.before is None else percent(s.before)
    columns["by seed"] = lambda s: ", ".join(percent(x.rate.value) for x in s.scores.values())
    bars = [
        BarGroup(_name(one), [Bar("after", one.rate.value, rated(one.rate), one.rate)])
        for one in sweep.settings[:BARS]
    ]
    table = table_of(sweep.settings, columns, key=1)
    mixed = len({score.tests_sha256 for score in sweep.scores.values()}) > 1
    warnings = [Text(MIXED, warning=True)] if mixed else []
    shortened = best.parameters and _as_typed(best) != _name(best)
    typed = [Text(f"The best, as it is typed: {_as_typed(best)}")] if shortened else []
    return [*warnings, Bars(bars), table, *typed, Text(METHOD)]


def _against(sweep: Sweep, setting: Setting) -> str:
    """Say how much a setting is below the best, and whether that can be told."""
    if setting is sweep.settings[0]:
        return ""
    gap = sweep.difference(setting, sweep.settings[0])
    if math.isnan(gap.value):
        return "no seed in common"
    return f"{brief_difference(gap)}, {'worse' if gap.high < 0 else 'cannot tell'}"


def _what_mattered(sweep: Sweep) -> list[Block]:
    """Mean score by value, where more than one parameter differs, and Optuna's importance."""
    scored = [job for job in sweep.jobs if job.number in sweep.scores]
    rates: dict[str, dict[str, list[float]]] = {k: {} for k in changing(scored) if k != "seed"}
    for job in scored:
        for key, by_value in rates.items():
            rate = sweep.scores[job.number].rate.value
            by_value.setdefault(job.parameters.get(key, ""), []).append(rate)
    names = short_names([*rates])
    rows = [
        [names[key], value, str(len(found)), percent(fmean(found))]
        for key, by_value in rates.items()
        if len(by_value) <= MOST_VALUES
        for value, found in by_value.items()
    ]
    blocks: list[Block] = []
    if len(rates) > 1 and rows:
        blocks += [Table(["parameter", "value", "jobs", "mean score"], rows), Text(MEANS)]
    if sweep.importance:
        rows = [[key, f"{value:.2f}"] for key, value in sweep.importance.items()]
        blocks += [Table(["parameter", "importance"], rows), Text(FANOVA)]
    return blocks


def _failed(sweep: Sweep) -> list[Block]:
    failed = [job for job in sweep.jobs if job.status == "failed"]
    columns: dict[str, Callable[[Job], Cell]] = {
        "job": lambda job: str(job.number),
        "error": lambda job: harmless(job.error),
        "asked": lambda job: _asked(sweep, job),
        "log": lambda job: (
            link_to(job.log, job.log.name, sweep.folder) if job.log.is_file() else str(job.log)
        ),
    }
    return [table_of(failed, columns, left=True)] if failed else []


def _jobs(sweep: Sweep) -> list[Block]:
    """All jobs with what varies between them, and once what they share."""
    rows: list[list[Cell]] = []
    for job in sweep.jobs:
        score, report = sweep.scores.get(job.number), job.folder / "report.html"
        shown = [rated(score.rate), rated(score.headline)] if score else ["", ""]
        name, number = f"job {job.number}", str(job.number)
        linked = link_to(report, name, sweep.folder) if report.is_file() else number
        rows.append([linked, shown[0], _asked(sweep, job), job.status, shown[1]])
        rows[-1].append(duration(job.seconds))
    headers = ["job", "score", "asked", "status", "its report's headline", "time"]
    folded = f"All {len(rows)} jobs" if len(rows) > MOST_JOBS else ""
    varying = changing(sweep.jobs)
    alike = [o for o in sweep.jobs[0].overrides if _key(o) not in varying]
    same = [Text(f"Every job was asked: {' '.join(alike)}")] if alike else []
    return [*same, Table(headers, rows, folded, left=True)]


def _asked(sweep: Sweep, job: Job) -> str:
    """Return what a job was asked that others were not; all of it where nothing differs."""
    varying = changing(sweep.jobs)
    names = short_names(varying)
    asked = [f"{names[key]}={job.parameters[key]}" for key in varying if key in job.parameters]
    return " ".join(asked or job.overrides)


def _key(override: str) -> str:
    return override.partition("=")[0].lstrip("+~")


def _as_json(sweep: Sweep) -> dict[str, Any]:
    """Return the settings, the best first, with their scores; jobs have a job.json each."""
    return {
        "schema": SCHEMA,
        "measured": sweep.measured,
        "settings": [
            {
                "parameters": dict(setting.parameters),
                "before": setting.before,
                "score": {part: getattr(setting.rate, part) for part in ("value", "low", "high")},
                "by_seed": {seed: score.rate.value for seed, score in setting.scores.items()},
            }
            for setting in sweep.settings
        ],
        "fanova": dict(sweep.importance),
        "jobs": {job.number: job.status for job in sweep.jobs},
    }
