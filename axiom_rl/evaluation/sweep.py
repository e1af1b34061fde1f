"""The page of a sweep: which setting is best, what mattered, which jobs failed.

Written to the sweep's own folder as sweep.html, sweep.md and sweep.json, at the end of a sweep and
any time by `stage=compare stage.sweep=FOLDER`, also while jobs are missing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from axiom_rl.evaluation.blocks import (
    Bar,
    BarGroup,
    Bars,
    Block,
    Page,
    Section,
    Table,
    Text,
    duration,
    percent,
    points,
    with_interval,
)
from axiom_rl.evaluation.metrics import Interval
from axiom_rl.evaluation.pages import to_html, to_markdown
from axiom_rl.evaluation.sweep_json import to_json
from axiom_rl.evaluation.sweep_scores import (
    SHUFFLES,
    Score,
    Setting,
    Share,
    difference,
    job_score,
    settings_of,
    shares_of,
)
from axiom_rl.files import write_json, write_text
from axiom_rl.sweeps.job import Job, read_jobs
from axiom_rl.sweeps.study import study_importance

BARS = 12
"""Settings drawn as bars; all of them are in the table."""
METHOD = (
    "A setting is what its jobs were asked, the seed apart; its interval is Student's t over its "
    "seeds, with a variance at least as large as the samples of each run allow. With one seed "
    "it is the interval over that run's samples, which says nothing about other seeds. Differences "
    "are paired by seed and widened (Bonferroni) for all pairs of settings, since the best was "
    "picked by these very figures; for a figure without that favour, run the best again "
    "with new seeds."
)
SHARES = (
    "Share of the variance between jobs that a parameter's values explain by themselves (eta "
    "squared); numbers with a value of their own in most jobs are cut into three parts. "
    f"'By chance' is what 95 % of {SHUFFLES:,} shuffles of the scores stay below: a share under it "
    "may be nothing at all, and with few jobs most are. What parameters do only together is in "
    "none of the shares."
)
FANOVA = (
    "Importance by fANOVA (Hutter et al. 2014) as Optuna computes it from a forest fitted to the "
    "trials; the values add up to 1 even where nothing matters, and with fewer than some "
    "dozens of trials they are unstable."
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
    shares: Sequence[Share]
    importance: Mapping[str, float]
    """Optuna's fANOVA by parameter; empty for other sweeps."""

    @property
    def failed(self) -> list[Job]:
        """Jobs that ended with an error."""
        return [job for job in self.jobs if job.status == "failed"]


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
        shares=shares_of(jobs, scores),
        importance=study_importance(folder),
    )


def build_page(sweep: Sweep) -> Page:
    """Return the content of the page."""
    sections = [
        Section("Settings", _settings(sweep)),
        Section("What mattered", _shares(sweep)),
        Section("Failed jobs", _failed(sweep)),
        Section("Jobs", [_jobs(sweep), Text(_rebuild(sweep))]),
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
    what = f"{with_interval(best.rate)} on {_measured(sweep)}, {_seeds(best)}"
    if not others:
        return f"{name_of(best)}: {what}. {state}."
    return f"Best of {len(sweep.settings)}: {name_of(best)}, {what}. {_second(sweep)} {state}."


def name_of(setting: Setting) -> str:
    """Write a setting as it is typed."""
    asked = " ".join(f"{key}={value}" for key, value in setting.parameters.items())
    return asked or "the one setting"


def _second(sweep: Sweep) -> str:
    best, second, *_ = sweep.settings
    gap = _difference(sweep, best, second)
    if gap.low > 0:
        return f"It is better than the second, {name_of(second)}, by {points(gap.value)}."
    return f"Whether it is better than the second, {name_of(second)}, cannot be told from this."


def _settings(sweep: Sweep) -> list[Block]:
    if not sweep.settings:
        return []
    keys = list(sweep.settings[0].parameters)
    rows = [_row(sweep, keys, setting) for setting in sweep.settings]
    headers = [*(keys or ["setting"]), "seeds", _measured(sweep), "by seed", "against the best"]
    blocks: list[Block] = [_bars(sweep.settings[:BARS]), Table(headers, rows)]
    if len({score.tests_sha256 for score in sweep.scores.values()}) > 1:
        warning = (
            "The jobs were scored on different problems, so their scores are not comparable: read "
            "what each run gained in its own report, and not this ranking."
        )
        blocks.insert(0, Text(warning, warning=True))
    return [*blocks, Text(METHOD)]


def _row(sweep: Sweep, keys: Sequence[str], setting: Setting) -> list[str]:
    best = sweep.settings[0]
    against = "" if setting is best else _difference_text(_difference(sweep, setting, best))
    by_seed = ", ".join(percent(score.rate.value) for score in setting.scores.values())
    named = [setting.parameters[key] for key in keys] or [name_of(setting)]
    return [*named, str(len(setting.scores)), with_interval(setting.rate), by_seed, against]


def _difference(sweep: Sweep, one: Setting, other: Setting) -> Interval:
    pairs = len(sweep.settings) * (len(sweep.settings) - 1) // 2
    return difference(one, other, pairs)


def _difference_text(gap: Interval) -> str:
    if gap.value != gap.value:
        return "no seed in common"
    answer = "worse" if gap.high < 0 else "cannot tell"
    return f"{points(gap.value)} ({points(gap.low)} to {points(gap.high)}), {answer}"


def _bars(settings: Sequence[Setting]) -> Bars:
    return Bars(
        [
            BarGroup(
                name_of(setting),
                [Bar("after", setting.rate.value, with_interval(setting.rate), setting.rate)],
            )
            for setting in settings
        ]
    )


def _shares(sweep: Sweep) -> list[Block]:
    blocks: list[Block] = []
    if sweep.shares:
        rows = [
            [
                share.parameter,
                str(share.values),
                percent(share.explained),
                percent(share.by_chance),
                "more than chance" if share.explained > share.by_chance else "cannot tell",
            ]
            for share in sweep.shares
        ]
        headers = ["parameter", "values", "variance explained", "by chance", ""]
        blocks += [Table(headers, rows), Text(f"{SHARES} Jobs scored: {len(sweep.scores)}.")]
    if sweep.importance:
        rows = [[key, f"{value:.2f}"] for key, value in sweep.importance.items()]
        blocks += [Table(["parameter", "importance"], rows), Text(FANOVA)]
    return blocks


def _failed(sweep: Sweep) -> list[Block]:
    rows = [
        [str(job.number), " ".join(job.overrides), job.error, str(job.log)] for job in sweep.failed
    ]
    return [Table(["job", "asked", "error", "log"], rows, left=True)] if rows else []


def _jobs(sweep: Sweep) -> Table:
    rows = []
    for job in sweep.jobs:
        score = sweep.scores.get(job.number)
        rate = with_interval(score.rate) if score else ""
        shown = with_interval(score.headline) if score else ""
        asked = " ".join(job.overrides)
        rows.append([str(job.number), asked, job.status, rate, shown, duration(job.seconds)])
    headers = ["job", "asked", "status", "score", "its report's headline", "time"]
    return Table(headers, rows, folded=f"All {len(rows)} jobs", left=True)


def _measured(sweep: Sweep) -> str:
    """Say what the scores are pass rates of."""
    kinds = {f"{score.split} ({score.tests})" for score in sweep.scores.values()}
    return " and ".join(sorted(kinds))


def _seeds(setting: Setting) -> str:
    count = len(setting.scores)
    return "one run" if count == 1 else f"mean of {count} seeds"


def _rebuild(sweep: Sweep) -> str:
    return f"This page again: python launch.py stage=compare stage.sweep={sweep.folder}"
