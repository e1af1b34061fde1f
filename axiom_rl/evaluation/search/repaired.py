"""Repair against drawing again with the same tokens, from the same samples."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from axiom_rl.config import RepairConfig
from axiom_rl.context.run_context import Policy, RunContext
from axiom_rl.core.files import write_json
from axiom_rl.core.text import percent
from axiom_rl.core.types import Status
from axiom_rl.evaluation.measure import headline_split
from axiom_rl.evaluation.search.scores import Pool, make_pool, passes_unseen, scorer
from axiom_rl.evaluation.search.words import plain, shown_interval
from axiom_rl.rollouts.judge import task_for
from axiom_rl.rollouts.records import Rollout
from axiom_rl.search.budget import Cost, compute, orders
from axiom_rl.search.execute import FILE, Executions, name_of
from axiom_rl.search.public import public_side
from axiom_rl.search.repair import Chain, repair_once, start_chains

log = logging.getLogger(__name__)

SCHEMA = 1


Cpu = Mapping[tuple[str, str], float]
"""CPU seconds of a program on its problem's public tests, by problem id and name."""


def repair_beside(
    context: RunContext,
    config: RepairConfig,
    policy: Policy,
    rollouts: Sequence[Rollout],
    parameters: int | None = None,
) -> None:
    """Repair the samples of an evaluation that has just been made, on its headline split.

    `parameters` are the model's, None where they are not known.
    """
    folder = context.run.folder
    pool = make_pool(getattr(context.splits, headline_split(context.splits)), rollouts)
    executions = Executions(folder / FILE, context.verifier)
    known = {(key, sample.sample) for key, each in pool.samples.items() for sample in each}
    items = [r for r in rollouts if (r.completion.problem_id, r.completion.sample) in known]
    chains = start_chains(executions, [public_side(p) for p in pool.problems], items)
    tasks = {p.id: task_for(p, context.fresh_seed) for p in pool.problems}
    for turn in range(1, config.turns + 1):
        chains = repair_once(
            folder / "completions" / f"repair_{turn}.jsonl",
            turn,
            chains,
            executions=executions,
            tasks=tasks,
            sampler=policy,
            verifier=context.verifier,
            style=context.style,
            stream=f"{context.seed}/repair_{turn}",
        )
    rows = executions.public((c.problem, s.code) for c in chains for s in c.steps if s.code)
    cpu = {key: float(row["cpu_s"]) for key, row in rows.items()}
    document = repair_document(pool, chains, config.turns, context.seed, cpu, parameters)
    write_json(folder / "search" / "repair.json", document)
    for line in repair_lines(document):
        log.info("%s", line)


def repair_document(
    pool: Pool,
    chains: Sequence[Chain],
    turns: int,
    seed: int,
    cpu: Cpu,
    parameters: int | None = None,
) -> dict[str, Any]:
    """Score the chains, and what the same tokens give when they are spent on further samples."""
    by_problem = {
        p.id: [chain for chain in chains if chain.problem.id == p.id] for p in pool.problems
    }
    at = scorer(pool, pool.size, [float(any(pool.passed[p.id])) for p in pool.problems])
    repaired = [
        _mean([_right(chain.steps[-1], pool) for chain in by_problem[p.id]]) for p in pool.problems
    ]
    redrawn = {p.id: _redraws(by_problem[p.id], seed) for p in pool.problems}
    again = [_mean([_right(taken[-1], pool) for taken in redrawn[p.id]]) for p in pool.problems]
    looked_at = [taken for each in redrawn.values() for taken in each]
    scores = {
        "repair": at.score(repaired, _cost([chain.steps for chain in chains], cpu, parameters)),
        "draw again": at.score(again, _cost(looked_at, cpu, parameters)),
    }
    return {
        "schema": SCHEMA,
        "turns": turns,
        "problems": len(pool.problems),
        "units": len(set(at.units)),
        "samples": len(chains),
        "policy": plain(asdict(at.policy_score())),
        "scores": {name: plain(asdict(score)) for name, score in scores.items()},
        "difference": plain(asdict(at.difference(repaired, again))),
        "first_tokens": _mean([chain.steps[0].completion.completion_tokens for chain in chains]),
        "by_status": _by_status(chains, pool),
    }


def _right(item: Rollout, pool: Pool) -> bool:
    verdict = item.fresh or item.hidden
    seen = pool.seen.get(item.completion.problem_id, frozenset())
    return verdict is not None and passes_unseen(verdict, seen)


def _redraws(chains: Sequence[Chain], seed: int) -> list[list[Rollout]]:
    """For each chain, the samples that its tokens buy instead; the last of them is chosen.

    They are taken from the same pool in a seeded order until one passes the public tests, and one
    more is begun only if its tokens still fit; of samples that all fail a public test the first is
    chosen, as in a chain.
    """
    results = []
    in_order = orders(chains[0].problem.id, len(chains), seed) if chains else []
    for place, chain in enumerate(chains):
        order = [place, *(n for n in in_order[place % len(in_order)] if n != place)]
        left, taken, found = chain.tokens, list[Rollout](), False
        for n in order:
            first = chains[n].steps[0]
            left -= first.completion.completion_tokens
            if left < 0 or found:
                break
            taken.append(first)
            found = chains[n].statuses[0] is Status.ACCEPTED
        results.append(taken if found else [*taken[1:], taken[0]])
    return results


def _by_status(chains: Sequence[Chain], pool: Pool) -> dict[str, dict[str, int]]:
    """Count chains by what the first program did on the public tests."""
    counts: dict[str, Counter[str]] = {}
    for chain in chains:
        count = counts.setdefault(str(chain.statuses[0]), Counter(samples=0, public=0, passed=0))
        count["samples"] += 1
        count["public"] += chain.statuses[-1] is Status.ACCEPTED
        count["passed"] += _right(chain.steps[-1], pool)
    return {status: dict(count) for status, count in sorted(counts.items())}


def _cost(drawn: Sequence[Sequence[Rollout]], cpu: Cpu, parameters: int | None) -> Cost:
    """Means per sample of what was drawn in its place, itself included."""
    items = [item for each in drawn for item in each]
    count = max(1, len(drawn))
    generated = sum(item.completion.completion_tokens for item in items) / count
    forward = sum(item.completion.prompt_tokens for item in items) / count
    seconds = sum(
        cpu.get((item.completion.problem_id, name_of(item.code)), 0.0)
        for item in items
        if item.code
    )
    return Cost(
        generated=generated,
        forward=forward,
        cpu_s=round(seconds / count, 6),
        flops=compute(parameters, generated + forward),
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def repair_lines(document: Mapping[str, Any]) -> list[str]:
    """Return a document in words."""
    tokens = document["scores"]["repair"]["cost"]["generated"]
    rows = [
        f"{document['samples']} samples of {document['problems']} problems, up to "
        f"{document['turns']} repairs each: {document['first_tokens']:.0f} tokens a sample without "
        f"repair, {tokens:.0f} with it; policy alone: {shown_interval(document['policy'])}"
    ]
    for name, score in document["scores"].items():
        rows.append(
            f"{name:11} {percent(score['score']['value'])}, gain {shown_interval(score['gain'])}"
        )
    rows.append(f"repair minus drawing again: {shown_interval(document['difference'])}")
    for status, count in document["by_status"].items():
        rows.append(
            f"  {status}: {count['samples']} samples; at the end {count['public']} pass the public "
            f"tests, {count['passed']} pass"
        )
    return rows
