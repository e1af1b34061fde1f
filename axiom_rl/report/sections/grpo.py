"""What GRPO did, step by step: reward, signal, entropy, lengths, verdicts, levels, seconds."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from axiom_rl.core.text import duration, percent
from axiom_rl.evaluation.compare import standard_error
from axiom_rl.evaluation.score import Evaluation
from axiom_rl.evaluation.statistics import Interval, pass_at_k, t_quantile
from axiom_rl.report.blocks import Block, Chart, Table, Text
from axiom_rl.report.charts import Series, line_chart, stack_chart
from axiom_rl.report.run_folder import Row, RunFolder
from axiom_rl.report.sections.result import brief_difference
from axiom_rl.report.sections.timing import known, written

LEVEL, STAGE = "level_", "stage"
"""Columns of the curriculum: a level for each type, or one for all."""
PARTS = ("generation", "verification", "training", "rest")
"""Of a step's seconds, as columns <part>_seconds."""
MOST_LINES = 4
NUMBERS = (
    ("reward", "mean reward", ".3f"),
    ("pass_rate", "samples that pass", "%"),
    ("zero_variance_share", "groups without signal", "%"),
    ("extra_groups", "groups drawn in their place", ".1f"),
    ("entropy", "entropy (nats per token)", ".3f"),
    ("kl", "KL to the start (nats per token)", ".4f"),
    ("rehearsal_loss", "rehearsed answers, -log p (nats per token)", ".4f"),
    ("completion_length", "tokens per completion", ".1f"),
    ("truncated_share", "cut off by the token limit", "%"),
    ("logprob_gap", "sampler against trainer (nats)", ".4f"),
    ("tokens", "tokens", ",.0f"),
    ("tokens_per_second", "tokens per second", ",.0f"),
    ("seconds", "seconds", ".1f"),
)
"""Column of metrics.jsonl, its name in the table, and how it is written."""


def policy_blocks(run: RunFolder) -> list[Block]:
    """Charts and tables of the steps of GRPO; nothing for other trainers."""
    rows = steps(run)
    if not rows:
        return []
    drawn: list[Block] = [_line(run.path, rows, *c) for c in CHARTS if _has(rows, c[2])]
    drawn += [*_verdicts(run.path, rows), *_levels(run)]
    charts = [block for block in drawn if isinstance(block, Chart)]
    tables = [block for block in drawn if not isinstance(block, Chart)]
    return [Text(_signal(rows)), *_best_of_k(run), _summary(rows), *charts, *tables]


def step_time_blocks(run: RunFolder) -> list[Block]:
    """Where the seconds of a step went."""
    rows = [row for row in steps(run) if known(row.get("seconds"))]
    parts = [part for part in PARTS if _has(rows, [f"{part}_seconds"])]
    rows = [row for row in rows if all(known(row.get(f"{part}_seconds")) for part in parts)]
    if not (parts and rows):
        return []
    totals = {part: math.fsum(_values(rows, f"{part}_seconds")) for part in parts}
    whole = math.fsum(_values(rows, "seconds"))
    cells = [
        [part, duration(total), duration(total / len(rows)), percent(total / whole)]
        for part, total in totals.items()
    ]
    cells.append(["all", duration(whole), duration(whole / len(rows)), ""])
    chart = stack_chart(
        run.path,
        "step_seconds",
        [_series(rows, f"{part}_seconds", part) for part in parts],
        x_label="step",
        y_label="seconds",
        caption="Seconds of each GRPO step, by what they were spent on.",
        title="Seconds of a step",
    )
    return [chart, Table(["part of a step", "in all", "per step", "share"], cells)]


def steps(run: RunFolder) -> list[Row]:
    """Rows of training steps with rollouts, in order.

    A step whose samples all fell to the sandbox has a row without a number for its reward.
    """
    return [row for row in run.rows("train") if "reward" in row]


ChartSpec = tuple[str, str, Sequence[tuple[str, str]], str, bool, str]
CHARTS: tuple[ChartSpec, ...] = (
    (
        "reward",
        "Mean reward",
        [("reward", "mean reward")],
        "reward",
        False,
        "Mean reward of the rollouts by step. It is the hidden tests' word on train problems, "
        "while the headline is about fresh tests.",
    ),
    (
        "signal",
        "Pass rate and signal",
        [("pass_rate", "samples that pass"), ("zero_variance_share", "groups without signal")],
        "share",
        True,
        "Pass rate of the rollouts, and share of the groups from which nothing is learnt: their "
        "samples all got the same reward, or, with max_at_k, none of them adds to the best of k.",
    ),
    (
        "entropy",
        "Entropy",
        [
            ("entropy", "entropy"),
            ("kl", "KL to the start"),
            ("rehearsal_loss", "-log p of rehearsed answers"),
        ],
        "nats per token",
        False,
        "Entropy of the policy; near 0 it no longer explores. Rehearsed answers that become less "
        "likely are of a type that is being forgotten.",
    ),
    (
        "lengths",
        "Length of the completions",
        [("completion_length", "tokens per completion")],
        "tokens",
        False,
        "Mean length of the completions.",
    ),
    (
        "truncated",
        "Cut off by the token limit",
        [("truncated_share", "cut off by the token limit")],
        "share",
        True,
        "Share of the completions that the token limit ended.",
    ),
    (
        "logprob_gap",
        "Sampler against trainer",
        [("logprob_gap", "mean difference")],
        "nats per token",
        False,
        "How far the sampler's and the trainer's log-probabilities of the same tokens lie apart.",
    ),
)
"""File name, title, columns with their names, y axis, whether it is a share, caption."""


def _line(
    folder: Path,
    rows: list[Row],
    name: str,
    heading: str,
    columns: Sequence[tuple[str, str]],
    y_label: str,
    share: bool,
    caption: str,
) -> Chart:
    lines = [_series(rows, column, title) for column, title in columns if _has(rows, [column])]
    return line_chart(
        folder, name, lines, x_label="step", y_label=y_label, share=share, caption=caption,
        title=heading,
    )  # fmt: skip


def _signal(rows: list[Row]) -> str:
    text = f"{len(rows)} steps of GRPO."
    idle = _values(rows, "zero_variance_share")
    if idle:
        text += f" On average {percent(_mean(idle))} of the groups gave no signal."
    extra = _values(rows, "extra_groups")
    if extra:
        text += f" {sum(extra):,.0f} groups were drawn in their place."
    return text


def _best_of_k(run: RunFolder) -> list[Block]:
    """pass@k before and after for every k up to n: training may raise one and lower the other."""
    before, after = run.before, run.after
    if not before or not after or before.tests_sha256 != after.tests_sha256:
        return []
    most = min(row.samples for e in (before, after) for row in e.per_problem.values())
    cells = []
    for k in range(1, most + 1):
        old, new = _best(before, k), _best(after, k)
        change = [new[key] - old[key] for key in old]
        mean = math.fsum(change) / len(change)
        half = t_quantile(0.975, len(change) - 1) * standard_error(change)
        told = Interval(mean, max(-1.0, mean - half), min(1.0, mean + half))
        rates = [math.fsum(rates.values()) / len(rates) for rates in (old, new)]
        cells.append([f"pass@{k}", *map(percent, rates), brief_difference(told)])
    if not cells:
        return []
    text = (
        "Best of k: the chance that one of k samples passes, without bias, before and after. The "
        "intervals are paired t intervals over the problems, each for its own k."
    )
    return [Text(text), Table(["", "before", "after", "difference (95 % interval)"], cells)]


def _best(evaluation: Evaluation, k: int) -> dict[str, float]:
    rows = evaluation.per_problem.items()
    return {key: pass_at_k(row.samples, row.passed, k) for key, row in rows}


def _summary(rows: list[Row]) -> Table:
    """First and last tenth of the steps, since single steps are noise."""
    part = max(1, len(rows) // 10)
    each = [row.get("rewards") or {} for row in rows]
    names = dict.fromkeys(name for row in each for name in row)
    wanted = [(rows, *number) for number in NUMBERS]
    if len(names) > 1:
        wanted[1:1] = [(each, name, f"of it {name}, before its weight", ".3f") for name in names]
    cells = []
    for of, column, title, form in wanted:
        values = _values(of, column)
        if values:
            ends = (_mean(values[:part]), _mean(values[-part:]), _mean(values))
            cells.append([title, *(written(value, form) for value in ends)])
    unit = "step" if part == 1 else f"{part} steps"
    return Table(["mean of", f"first {unit}", f"last {unit}", "all steps"], cells)


def _verdicts(folder: Path, rows: list[Row]) -> list[Block]:
    """Shares of the most frequent verdicts over the steps."""
    counted = [row for row in rows if isinstance(row.get("verdicts"), dict) and row["verdicts"]]
    if not counted:
        return []
    totals = Counter[str]()
    for row in counted:
        totals.update(row["verdicts"])
    usual = [status for status, _count in totals.most_common()]
    x = [float(row["step"]) for row in counted]
    lines = [
        Series(status.replace("_", " "), x, [_share(row["verdicts"], status) for row in counted])
        for status in usual[:MOST_LINES]
    ]
    caption = "Verdicts of the rollouts by step, the most frequent ones."
    chart = line_chart(
        folder, "rollout_verdicts", lines, x_label="step", y_label="share", share=True,
        caption=caption, title="Verdicts of the rollouts",
    )  # fmt: skip
    whole = totals.total()
    cells = [[s.replace("_", " "), f"{totals[s]:,}", percent(totals[s] / whole)] for s in usual]
    return [chart, Table(["verdict of a rollout", "rollouts", "share"], cells)]


def _levels(run: RunFolder) -> list[Block]:
    """The curriculum: the level of each type over the steps."""
    rows = steps(run)
    keys = {key for row in rows for key in row if key.startswith(LEVEL) or key == STAGE}
    columns = sorted(key for key in keys if _has(rows, [key]))
    if not columns:
        return []
    names = {STAGE: "all types"}
    lines = [_series(rows, key, names.get(key, key.removeprefix(LEVEL))) for key in columns]
    cells = [[s.name, f"{s.y[0]:g}", f"{s.y[-1]:g}", f"{max(s.y):g}"] for s in lines]
    table = Table(["type", "first level", "last level", "highest"], cells)
    if len(lines) > MOST_LINES:
        return [table]
    chart = line_chart(
        run.path, "levels", lines, x_label="step", y_label="level", share=False,
        caption="Level of the problems that each type is trained on.", title="Levels",
    )  # fmt: skip
    return [chart, table]


def _series(rows: list[Row], column: str, title: str) -> Series:
    shown = [row for row in rows if known(row.get(column))]
    return Series(title, [float(r["step"]) for r in shown], [float(r[column]) for r in shown])


def _has(rows: list[Row], columns: Sequence[Any]) -> bool:
    names = [column if isinstance(column, str) else column[0] for column in columns]
    return any(known(row.get(name)) for row in rows for name in names)


def _values(rows: list[Row], column: str) -> list[float]:
    return [float(row[column]) for row in rows if known(row.get(column))]


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _share(verdicts: dict[str, int], status: str) -> float:
    return float(verdicts.get(status, 0) / sum(verdicts.values()))
