"""Settings of a sweep in the order typed, each against the next: paired by problem.

Two settings are compared on the same problems and tests; runs of several seeds are put together,
problem by problem, over the seeds that both have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from axiom_rl.core.files import read_json
from axiom_rl.core.text import percent
from axiom_rl.evaluation.compare import answer_of, difference_interval
from axiom_rl.evaluation.experts.retained import FILE as RETENTION
from axiom_rl.evaluation.experts.retained import shown_share
from axiom_rl.evaluation.score import Evaluation, ProblemScore, read_evaluation
from axiom_rl.evaluation.statistics import CONFIDENCE, Interval
from axiom_rl.report.blocks import Block, Table, Text, table_of
from axiom_rl.report.sections.result import brief_difference
from axiom_rl.report.sweep.scores import changing
from axiom_rl.run.sweep_jobs import Job
from axiom_rl.run.tracking import read_metrics

MOST = 16
"""Settings of one parameter that are compared in a row; a search draws more."""
METHOD = (
    "Neighbours in the order typed, paired by problem over the seeds that both have. The intervals "
    "are widened (Bonferroni) for the number of pairs, so that all of them together hold the truth "
    "in 95 % of cases; they cover the problems and their samples, not the chance in training, "
    "which more seeds show."
)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two neighbours and the difference of the second to the first."""

    first: str
    second: str
    rates: tuple[float, float]
    difference: Interval
    seeds: int


def neighbour_blocks(jobs: Sequence[Job]) -> list[Block]:
    """Compare neighbours, where one parameter differs beside the seed; empty elsewhere."""
    pairs = neighbours(jobs)
    if not pairs:
        return []
    columns: dict[str, Callable[[Pair], str]] = {
        "neighbours": lambda pair: f"{pair.first} → {pair.second}",
        "first": lambda pair: percent(pair.rates[0]),
        "second": lambda pair: percent(pair.rates[1]),
        "difference": lambda pair: brief_difference(pair.difference),
        "the second is": lambda pair: answer_of(pair.difference).removesuffix(
            " from this much data"
        ),
        "seeds": lambda pair: str(pair.seeds),
    }
    blocks: list[Block] = [table_of(pairs, columns), Text(METHOD)]
    return [*blocks, *_gold(jobs)]


def neighbours(jobs: Sequence[Job]) -> list[Pair]:
    """Return each setting of the one parameter that differs, against the next one typed."""
    done = [job for job in jobs if job.status == "done"]
    keys = [key for key in changing(jobs) if key != "seed"]
    if len(keys) != 1:
        return []
    found: dict[str, dict[str, Evaluation]] = {}
    for job in done:
        path = job.folder / "evaluation" / "after.json"
        if path.exists():
            value = job.parameters.get(keys[0], "")
            seeds = found.setdefault(value, {})
            seeds[job.parameters.get("seed", "")] = read_evaluation(path)
    couples = list(pairwise(found.items()))
    confidence = 1 - (1 - CONFIDENCE) / max(1, len(couples))
    pairs = (_pair(one, other, confidence) for one, other in couples)
    return [pair for pair in pairs if pair] if len(found) <= MOST else []


Named = tuple[str, Mapping[str, Evaluation]]
"""A value, and its evaluations by seed."""


def _pair(one: Named, other: Named, confidence: float) -> Pair | None:
    """Compare two values; None where they share no seed, or were measured by other tests."""
    seeds = [seed for seed in one[1] if seed in other[1]]
    hashes = {side[1][seed].tests_sha256 for side in (one, other) for seed in seeds}
    if not seeds or len(hashes) != 1:
        return None
    first, second = (_together([side[1][seed] for seed in seeds]) for side in (one, other))
    ids = [key for key, row in first.items() if row.samples and second[key].samples]
    old, new = [first[key] for key in ids], [second[key] for key in ids]
    scope = one[1][seeds[0]].scope
    difference, _error = difference_interval(old, new, scope, confidence)
    rates = tuple(sum(row.rate for row in side) / len(side) for side in (old, new))
    return Pair(one[0], other[0], (rates[0], rates[1]), difference, len(seeds))


def _together(evaluations: Sequence[Evaluation]) -> dict[str, ProblemScore]:
    """Add the samples of several seeds, problem by problem."""
    return {
        key: ProblemScore(
            type=row.type,
            difficulty=row.difficulty,
            title=row.title,
            passed=sum(each.per_problem[key].passed for each in evaluations),
            samples=sum(each.per_problem[key].samples for each in evaluations),
        )
        for key, row in evaluations[0].per_problem.items()
    }


def _gold(jobs: Sequence[Job]) -> list[Block]:
    """What each job was trained on: rows, steps, tokens, false gold, retention."""
    rows = [row for job in jobs if job.status == "done" and (row := _gold_row(job))]
    headers = ["job", "expert", "rows", "steps", "tokens in rows", "false gold", "retention"]
    return [Table(headers, rows)] if rows else []


def _gold_row(job: Job) -> list[str] | None:
    path = job.folder / RETENTION
    if not path.exists():
        return None
    found = read_json(path)
    trained = [row for row in read_metrics(job.folder, "timing") if row["name"] == "train"]
    collected = read_metrics(job.folder, "collect")
    own = found["retention"].get(found["learned_from"] or "", {}).get("share")
    return [
        str(job.number),
        str(found["expert"]),
        ", ".join(str(row.get("solutions", "?")) for row in trained),
        ", ".join(str(row.get("steps", "?")) for row in trained),
        ", ".join(f"{row.get('row_tokens') or 0:,.0f}" for row in trained),
        ", ".join(percent(row.get("false_gold_total")) for row in collected),
        shown_share(own) if own else "not defined",
    ]
