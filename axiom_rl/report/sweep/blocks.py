"""The sections of a sweep's page."""

from __future__ import annotations

from collections.abc import Sequence

from axiom_rl.core.text import duration, percent
from axiom_rl.evaluation.statistics import Interval
from axiom_rl.report.blocks import Bar, BarGroup, Bars, Block, Table, Text, with_interval
from axiom_rl.report.sections.result import difference_text
from axiom_rl.report.sweep.folder import Sweep
from axiom_rl.report.sweep.scores import Setting
from axiom_rl.report.sweep.shares import SHUFFLES

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


def name_of(setting: Setting) -> str:
    """Write a setting as it is typed."""
    asked = " ".join(f"{key}={value}" for key, value in setting.parameters.items())
    return asked or "the one setting"


def settings_blocks(sweep: Sweep) -> list[Block]:
    """Bars and a table of the settings, the best first, and how they were computed."""
    if not sweep.settings:
        return []
    keys = list(sweep.settings[0].parameters)
    rows = [_row(sweep, keys, setting) for setting in sweep.settings]
    before = ["before"] if _has_before(sweep) else []
    headers = [
        *(keys or ["setting"]),
        "seeds",
        *before,
        sweep.measured,
        "by seed",
        "against the best",
    ]
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
    against = "" if setting is best else _difference_text(sweep.difference(setting, best))
    by_seed = ", ".join(percent(score.rate.value) for score in setting.scores.values())
    named = [setting.parameters[key] for key in keys] or [name_of(setting)]
    before = [_percent(setting.before)] if _has_before(sweep) else []
    rate = with_interval(setting.rate)
    return [*named, str(len(setting.scores)), *before, rate, by_seed, against]


def _has_before(sweep: Sweep) -> bool:
    return any(setting.before is not None for setting in sweep.settings)


def _percent(rate: float | None) -> str:
    return "" if rate is None else percent(rate)


def _difference_text(gap: Interval) -> str:
    if gap.value != gap.value:
        return "no seed in common"
    answer = "worse" if gap.high < 0 else "cannot tell"
    return f"{difference_text(gap)}, {answer}"


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


def shares_blocks(sweep: Sweep) -> list[Block]:
    """What each parameter explains, and what that is worth; nothing where only seeds differ."""
    blocks: list[Block] = []
    if sweep.shares and len(sweep.settings) > 1:
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


def failed_blocks(sweep: Sweep) -> list[Block]:
    """The failed jobs with their errors."""
    rows = [
        [str(job.number), " ".join(job.overrides), job.error, str(job.log)] for job in sweep.failed
    ]
    return [Table(["job", "asked", "error", "log"], rows, left=True)] if rows else []


def jobs_table(sweep: Sweep) -> Table:
    """All jobs, folded."""
    rows = []
    for job in sweep.jobs:
        score = sweep.scores.get(job.number)
        rate = with_interval(score.rate) if score else ""
        shown = with_interval(score.headline) if score else ""
        asked = " ".join(job.overrides)
        rows.append([str(job.number), asked, job.status, rate, shown, duration(job.seconds)])
    headers = ["job", "asked", "status", "score", "its report's headline", "time"]
    return Table(headers, rows, folded=f"All {len(rows)} jobs", left=True)
