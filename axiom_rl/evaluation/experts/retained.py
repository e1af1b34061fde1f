"""From search to weights: policy and search before and after training, on the same problems.

Each evaluation of a run that trains is scored with search beside it (search/<phase>.json: rates by
problem and budget); search/retention.json puts the first and the last side by side.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from axiom_rl.config import CONTROLS, SELECTORS, SelectConfig
from axiom_rl.context.run_context import Policy, RunContext
from axiom_rl.core.files import read_json, write_json
from axiom_rl.core.text import percent
from axiom_rl.core.types import Solution
from axiom_rl.evaluation.experts.opened import SearchInUse, written_by
from axiom_rl.evaluation.experts.retention import Retention, format_gain, retention
from axiom_rl.evaluation.measure import headline_split
from axiom_rl.evaluation.search.scores import Pool, make_pool, oracle_rates, unit_of
from axiom_rl.evaluation.search.searched import ORACLE, pool_items, prepare
from axiom_rl.evaluation.search.words import plain, shown_interval
from axiom_rl.evaluation.statistics import pass_at_k
from axiom_rl.rollouts.records import Rollout
from axiom_rl.run.tracking import read_metrics
from axiom_rl.search import registry
from axiom_rl.search.budget import budgets
from axiom_rl.search.public import public_side
from axiom_rl.search.replay import replay

log = logging.getLogger(__name__)

SCHEMA = 1
FILE = Path("search") / "retention.json"
EVERY_BUDGET = 8
"""Samples up to which every budget is scored; of more, the powers of two."""
BEFORE = "before"
SEVERAL = " + "
"""Between the names where a file of gold holds that of several experts."""


def expert_of_gold(solutions: Iterable[Solution]) -> str:
    """Name the expert of gold from a file: `vote`, or `public + vote`."""
    return SEVERAL.join(sorted({solution.expert for solution in solutions}))


def learned_from(expert: str) -> str | None:
    """Return the search that an expert's gold comes from; None for a control or several experts.

    The hidden tests choose like the oracle: a sample that passes, if there is one.
    """
    if expert in CONTROLS or SEVERAL in expert:
        return None
    return expert if expert in SELECTORS else ORACLE


def score_phase(
    context: RunContext,
    expert: str,
    search: SearchInUse,
    policy: Policy,
    phase: str,
    rollouts: Sequence[Rollout],
) -> None:
    """Score search beside an evaluation on its headline split; write search/<phase>.json once.

    Args:
        context: of the run.
        expert: of the run's gold.
        search: its settings and its head; with kind none the oracle alone is scored.
        policy: that was evaluated; it writes tests where the search has some.
        phase: of the evaluation.
        rollouts: its samples, of all splits.
    """
    path = context.run.folder / "search" / f"{phase}.json"
    if path.exists():
        return
    pool = make_pool(getattr(context.splits, headline_split(context.splits)), rollouts)
    steps = budgets(pool.size) if pool.size > EVERY_BUDGET else list(range(1, pool.size + 1))
    rates = {ORACLE: {str(n): oracle_rates(pool, n, context.seed) for n in steps}}
    spent, lacking = {"written": 0.0, "cpu_s": 0.0, "value": 0.0}, dict[str, str]()
    if isinstance(search.config, SelectConfig) and pool.problems:
        names = dict.fromkeys([*([expert] if expert in SELECTORS else []), search.config.selector])
        found, lacking, spent = _searched(
            context, search, policy, phase, pool, rollouts, steps, [*names]
        )
        rates = found | rates
    count = max(1, len(pool.problems))
    document = {
        "schema": SCHEMA,
        "phase": phase,
        "samples": pool.size,
        "problems": [problem.id for problem in pool.problems],
        "units": [unit_of(problem) for problem in pool.problems],
        "passed": [sum(pool.passed[problem.id]) for problem in pool.problems],
        "judged": [len(pool.passed[problem.id]) for problem in pool.problems],
        "coded": [sum(s.code is not None for s in pool.samples[p.id]) for p in pool.problems],
        "tokens": sum(
            float(np.mean([sample.tokens for sample in pool.samples[problem.id]]))
            for problem in pool.problems
        )
        / count,
        "written_tokens": spent["written"] / count,
        "value_tokens": spent["value"] / count,
        "cpu_s": spent["cpu_s"] / count,
        "searches": rates,
        "not_available": lacking,
    }
    write_json(path, document)


def _searched(
    context: RunContext,
    search: SearchInUse,
    policy: Policy,
    phase: str,
    pool: Pool,
    rollouts: Sequence[Rollout],
    steps: Sequence[int],
    names: Sequence[str],
) -> tuple[dict[str, dict[str, list[float]]], dict[str, str], dict[str, float]]:
    """Return rates by selector and budget, what selectors lack, and what was spent in all."""
    settings, written = search.config, None
    assert isinstance(settings, SelectConfig)
    if settings.written_tests:
        public = [public_side(problem) for problem in pool.problems]
        written = written_by(context, public, settings, policy, f"{phase}_scored")
    values = search.values(context, policy, pool_items(pool, rollouts))
    searched = prepare(
        pool, context.run.folder, context.verifier, settings, context.seed, written, values
    )
    rates: dict[str, dict[str, list[float]]] = {}
    lacking: dict[str, str] = {}
    for name in names:
        selector = registry.get(name)
        if why := registry.missing(selector, searched.materials.values()):
            lacking[name] = why
            continue
        chosen = {
            problem.id: replay(selector, searched.materials[problem.id], steps, context.seed)
            for problem in pool.problems
        }
        rates[name] = {
            str(n): [
                sum(pool.passed[p.id][place] for place in chosen[p.id][n]) / len(chosen[p.id][n])
                for p in pool.problems
            ]
            for n in steps
        }
    spent = {
        "written": float(searched.written_tokens),
        "value": 0.0 if values is None else float(values.forward),
        "cpu_s": searched.work.cpu_s,
    }
    return rates, lacking, spent


def write_retention(context: RunContext, expert: str, iteration: int, phase: str) -> None:
    """Put the policy before training and that of `phase` side by side: search/retention.json."""
    folder = context.run.folder
    before, after = (read_json(folder / "search" / f"{name}.json") for name in (BEFORE, phase))
    document = retention_document(before, after, expert) | {
        "iteration": iteration,
        "split": headline_split(context.splits),
        "training": _training(folder, iteration),
    }
    write_json(folder / FILE, document)
    for line in retention_lines(document):
        log.info("%s", line)


def retention_document(
    before: Mapping[str, Any], after: Mapping[str, Any], expert: str
) -> dict[str, Any]:
    """Return retention, the numbers at equal tokens, the part of format, and pass@k.

    Args:
        before: search/before.json.
        after: search/<phase>.json of a later model.
        expert: of the run.
    """
    shared = [key for key in before["problems"] if key in set(after["problems"])]
    old, new = _Phase(before, shared), _Phase(after, shared)
    units = [before["units"][before["problems"].index(key)] for key in shared]
    size = min(before["samples"], after["samples"])
    names = [name for name in before["searches"] if name in after["searches"]]
    shares: dict[str, Any] = {}
    if shared and size:
        for name in names:
            last = str(before["samples"])
            found = retention(old.rates, old.search(name, last), new.rates, units)
            shares[name] = plain(_as_json(found))
    parts = format_gain(_mean(old.rates), _mean(new.rates), _mean(old.coded), _mean(new.coded))
    return {
        "schema": SCHEMA,
        "expert": expert,
        "learned_from": learned_from(expert),
        "samples": before["samples"],
        "problems": len(shared),
        "units": len(set(units)),
        "retention": shares,
        "format": {
            "no_code_before": 1 - _mean(old.coded),
            "no_code_after": 1 - _mean(new.coded),
            "gain": parts[0],
            "rest": parts[1],
        },
        "equal_tokens": _equal_tokens(old, new, names) if shared and size else [],
        "pass_at_k": {
            str(k): plain({"before": old.pass_at(k), "after": new.pass_at(k)})
            for k in (range(1, size + 1) if size <= EVERY_BUDGET else budgets(size))
        },
        "not_available": {**before["not_available"], **after["not_available"]},
    }


class _Phase:
    """One evaluation's rates on the problems that both evaluations have."""

    def __init__(self, document: Mapping[str, Any], shared: Sequence[str]) -> None:
        self.document = document
        self.places = [document["problems"].index(key) for key in shared]
        counts = list(
            zip(*(self._of(document[k]) for k in ("passed", "judged", "coded")), strict=True)
        )
        self.counts = [(passed, judged) for passed, judged, _coded in counts]
        self.rates = [passed / judged for passed, judged, _coded in counts]
        self.coded = [coded / judged for _passed, judged, coded in counts]

    def _of(self, values: Sequence[Any]) -> list[Any]:
        return [values[place] for place in self.places]

    def search(self, name: str, budget: str) -> list[float]:
        return self._of(self.document["searches"][name][budget])

    def pass_at(self, k: int) -> float:
        return _mean([pass_at_k(judged, passed, k) for passed, judged in self.counts])

    def budget(self, tokens: float, name: str) -> int:
        """Return how many samples the tokens buy, of the budgets that were scored; at least 1."""
        left = tokens - self.extra(name)
        scored = [int(n) for n in self.document["searches"][name]]
        fitting = [n for n in scored if n * self.document["tokens"] <= left * (1 + 1e-9)]
        return max(fitting, default=min(scored))

    def extra(self, name: str) -> float:
        """Return the tokens of tests that the model wrote; the oracle reads none."""
        return 0.0 if name == ORACLE else float(self.document["written_tokens"])

    def cost(self, samples: int, name: str) -> float:
        return samples * float(self.document["tokens"]) + self.extra(name)


def _equal_tokens(old: _Phase, new: _Phase, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return rows: each policy alone, and each with each search at the same drawn tokens.

    The tokens are those of all samples of the phase that needs fewer of them.
    """
    policies = {"policy": old, "trained policy": new}
    keys = ("name", "search", "samples", "tokens", "score")
    rows: list[tuple[Any, ...]] = [
        (who, None, 1, phase.document["tokens"], _mean(phase.rates))
        for who, phase in policies.items()
    ]
    for name in names:
        tokens = min(phase.cost(phase.document["samples"], name) for phase in (old, new))
        for who, phase in policies.items():
            n = phase.budget(tokens, name)
            score = _mean(phase.search(name, str(n)))
            rows.append((who, name, n, phase.cost(n, name), score))
    return [dict(zip(keys, row, strict=True)) for row in rows]


def _training(folder: Path, iteration: int) -> dict[str, float | None]:
    """Return what came before the trained policy: tokens drawn for gold, trained on, seconds.

    Gold of a file was drawn elsewhere: None.
    """
    every = [row for row in read_metrics(folder) if row["iteration"] <= iteration]
    rows = [row for row in every if row["iteration"] >= 1]
    # The tries of an iteration may have begun in the evaluation before it.
    begun = [row.get("ahead_seconds") or 0.0 for row in every if row["iteration"] < iteration]
    timings = [row for row in rows if row["phase"] == "timing"]
    timed = [row for row in timings if row["name"] in ("collect", "train")]
    trained = [row for row in timed if row["name"] == "train"]
    gathered = [row for row in rows if row["phase"] == "collect"]
    drawn = [row.get(key) or 0 for row in gathered for key in ("drawn_tokens", "discarded_tokens")]
    return {
        "drawn_tokens": sum(drawn) if gathered else None,
        "row_tokens": sum(row.get("row_tokens") or 0 for row in trained),
        "steps": sum(row.get("steps") or 0 for row in trained),
        "seconds": round(sum([*begun, *(row["seconds"] for row in timed)]), 1),
    }


def _as_json(found: Retention) -> dict[str, Any]:
    return {
        "trained_gain": asdict(found.trained),
        "search_gain": asdict(found.search),
        "over_search": asdict(found.over),
        "share": None if found.share is None else asdict(found.share),
        "why": found.why,
    }


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def retention_lines(document: Mapping[str, Any]) -> list[str]:
    """Return a document in words, one line for each search."""
    rows = []
    for name, found in document["retention"].items():
        share = found["share"]
        what = shown_share(share) if share else f"not defined: {found['why']}"
        own = " (the search it learned from)" if name == document["learned_from"] else ""
        rows.append(
            f"retention of {name}{own}: {what}; gain of the trained policy "
            f"{shown_interval(found['trained_gain'])}, of the search at n = {document['samples']} "
            f"{shown_interval(found['search_gain'])}"
        )
    return [*rows, format_text(document["format"])]


def format_text(part: Mapping[str, float]) -> str:
    """Say how much of a gain is that answers hold a program at all."""
    before, after = percent(part["no_code_before"]), percent(part["no_code_after"])
    return (
        f"of the gain, {100 * part['gain']:+.1f} points come from format (answers without a "
        f"program: {before} before, {after} after), {100 * part['rest']:+.1f} from better programs"
    )


def shown_share(share: Mapping[str, float]) -> str:
    """Write a retention with its interval, `0.84 (0.61 to 1.12)`."""
    return f"{share['value']:.2f} ({share['low']:.2f} to {share['high']:.2f})"
