"""An evaluation with search beside it: choose, score, write search/, say it in a line each."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from axiom_rl.config import SelectConfig
from axiom_rl.context.run_context import Policy, RunContext
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import write_json, write_jsonl
from axiom_rl.core.text import percent
from axiom_rl.evaluation.measure import headline_split
from axiom_rl.evaluation.search.scores import (
    Pool,
    SearchScore,
    cost_of,
    make_pool,
    oracle_rates,
    scorer,
    survivors,
    unit_of,
)
from axiom_rl.rollouts.records import Rollout
from axiom_rl.search import registry
from axiom_rl.search.budget import Cost, budgets
from axiom_rl.search.execute import FILE, Executions, Work, gather, shown
from axiom_rl.search.material import Material
from axiom_rl.search.pool import HOW, read_pool
from axiom_rl.search.public import public_side
from axiom_rl.search.replay import choose_all, replay
from axiom_rl.search.selectors.vote import agreement, clusters
from axiom_rl.search.written import FILE as WRITTEN
from axiom_rl.search.written import WrittenTests, draw_written, read_written
from axiom_rl.verify import Verifier

log = logging.getLogger(__name__)

SCHEMA = 1
ORACLE = "oracle"


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """A pool with what a search knows of it."""

    pool: Pool
    materials: Mapping[str, Material]
    work: Work
    written_tokens: int
    """Tokens of the tests that the model wrote."""
    unread_tests: int
    """Lines of them that could not be read."""
    seed: int


def prepare(
    pool: Pool,
    folder: Path,
    verifier: Verifier,
    config: SelectConfig,
    seed: int,
    written: WrittenTests | None = None,
) -> Searched:
    """Run what selectors need, or find it in `folder`/search/executions.jsonl."""
    executions = Executions(folder / FILE, verifier)
    materials = gather(
        executions,
        [public_side(problem) for problem in pool.problems],
        pool.samples,
        inputs=config.inputs,
        time_limit_s=config.time_limit_s,
        seed=seed,
        written=None if written is None else written.tests,
    )
    return Searched(
        pool=pool,
        materials=materials,
        work=executions.work,
        written_tokens=0 if written is None else written.tokens,
        unread_tests=0 if written is None else written.unread,
        seed=seed,
    )


def search_beside(
    context: RunContext, config: SelectConfig, policy: Policy, rollouts: Sequence[Rollout]
) -> None:
    """Search among the samples of an evaluation that has just been made, on its headline split."""
    folder = context.run.folder
    problems = getattr(context.splits, headline_split(context.splits))
    pool = make_pool(problems, rollouts)
    written = None
    if config.written_tests:
        public = [public_side(problem) for problem in pool.problems]
        stream = f"{context.seed}/written"
        written = draw_written(folder / WRITTEN, public, config.written_tests, policy, stream)
    searched = prepare(pool, folder, context.verifier, config, context.seed, written)
    score_live(searched, folder, config.selector)


def replay_pool(
    place: Path, folder: Path, verifier: Verifier, config: SelectConfig, seed: int
) -> None:
    """Replay every selector at every budget on the samples of the run in `place`.

    Executions are stored there, beside the samples; the result goes to `folder`.

    Raises:
        AxiomError: if there is no finished evaluation with texts.
    """
    splits, rollouts = read_pool(place)
    pool = make_pool(getattr(splits, headline_split(splits)), rollouts)
    if not pool.problems:
        raise AxiomError(f"stage.pool={place}: no sample of it has a verdict; {HOW}")
    written = None
    if (place / WRITTEN).exists():
        written = read_written(place / WRITTEN, [public_side(p) for p in pool.problems])
    score_replay(prepare(pool, place, verifier, config, seed, written), folder)


def score_live(searched: Searched, folder: Path, name: str) -> dict[str, Any]:
    """Score one selector on all samples, write search/ and say it; returns the document."""
    selector = registry.get(name)
    lacking = registry.missing(selector, searched.materials.values())
    pool, size = searched.pool, searched.pool.size
    oracle = [float(any(pool.passed[problem.id])) for problem in pool.problems]
    at = scorer(pool, size, oracle)
    scores = {ORACLE: {size: at.score(oracle, _cost(searched, size, ORACLE))}}
    if not lacking:
        choices = choose_all(selector, searched.materials)
        rates = [float(pool.passed[p.id][choices[p.id].place]) for p in pool.problems]
        scores = {name: {size: at.score(rates, _cost(searched, size, name))}} | scores
        _write_choices(folder, searched, {name: choices})
    document = _document(searched, scores, {name: lacking} if lacking else {})
    _write(folder, document, searched)
    return document


def score_replay(searched: Searched, folder: Path) -> dict[str, Any]:
    """Score every selector at every budget, write search/ and say it; returns the document."""
    pool = searched.pool
    steps = budgets(pool.size)
    oracles = {n: oracle_rates(pool, n, searched.seed) for n in steps}
    at = {n: scorer(pool, n, oracles[n]) for n in steps}
    scores: dict[str, dict[int, SearchScore]] = {}
    lacking: dict[str, str] = {}
    live = {}
    for name in registry.names():
        selector = registry.get(name)
        why = registry.missing(selector, searched.materials.values())
        if why:
            lacking[name] = why
            continue
        chosen = {
            problem.id: replay(selector, searched.materials[problem.id], steps, searched.seed)
            for problem in pool.problems
        }
        scores[name] = {
            n: at[n].score(_rates(pool, chosen, n), _cost(searched, n, name)) for n in steps
        }
        live[name] = choose_all(selector, searched.materials)
    scores[ORACLE] = {n: at[n].score(oracles[n], _cost(searched, n, ORACLE)) for n in steps}
    _write_choices(folder, searched, live)
    document = _document(searched, scores, lacking)
    _write(folder, document, searched)
    return document


def _rates(pool: Pool, chosen: Mapping[str, Mapping[int, Sequence[int]]], n: int) -> list[float]:
    rates = []
    for problem in pool.problems:
        passed, places = pool.passed[problem.id], chosen[problem.id][n]
        rates.append(sum(passed[place] for place in places) / len(places))
    return rates


def _cost(searched: Searched, n: int, name: str) -> Cost:
    """What drawing n samples and choosing among them costs; the controls run nothing."""
    work = searched.work
    cpu_s = 0.0 if name in ("random", "logprob", ORACLE) else work.cpu_s
    if name == "public":
        cpu_s = work.public_cpu_s
    share = n / max(1, searched.pool.size)
    written = searched.written_tokens if name in ("vote", "codet", "vote_value") else 0
    return cost_of(searched.pool, n, cpu_s=cpu_s * share, written=written)


def _document(
    searched: Searched, scores: Mapping[str, Mapping[int, SearchScore]], lacking: Mapping[str, str]
) -> dict[str, Any]:
    pool = searched.pool
    at = scorer(pool, pool.size, [1.0] * len(pool.problems))
    votes = choose_all(registry.get("vote"), searched.materials).values()
    return {
        "schema": SCHEMA,
        "seed": searched.seed,
        "samples": pool.size,
        "problems": len(pool.problems),
        "units": len({unit_of(problem) for problem in pool.problems}),
        "faults": pool.faults,
        "policy": plain(asdict(at.policy_score())),
        "selectors": {
            name: {str(n): plain(asdict(score)) for n, score in rows.items()}
            for name, rows in scores.items()
        },
        "not_available": dict(lacking),
        "survivors": survivors(pool, searched.materials),
        "votes": {
            "problems": sum(choice.voters > 0 for choice in votes),
            "tied": sum(choice.tied for choice in votes),
            "no_majority": sum(choice.voters > 0 and not choice.majority for choice in votes),
        },
        "unread_examples": sum(m.problem.unread_examples for m in searched.materials.values()),
        "unread_tests": searched.unread_tests,
        "work": asdict(searched.work) | {"written_tokens": searched.written_tokens},
    }


def plain(value: Any) -> Any:
    """Return a document without NaN, which JSON does not have."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value


def _write(folder: Path, document: dict[str, Any], searched: Searched) -> None:
    write_json(folder / "search" / "result.json", document)
    for line in lines(document):
        log.info("%s", line)
    work = searched.work
    log.info(
        "ran %d programs in %.1f s (%d found stored); %s",
        work.programs,
        work.seconds,
        work.stored,
        folder / "search" / "result.json",
    )


def lines(document: Mapping[str, Any]) -> list[str]:
    """Return a document in words, one line for the policy and one for each selector."""
    size = document["samples"]
    rows = [
        f"{document['problems']} problems ({document['units']} different questions), "
        f"{size} samples each; policy alone: {shown_interval(document['policy'])}"
    ]
    for name, scores in document["selectors"].items():
        last = scores[str(size)]
        curve = "  ".join(f"{n}: {percent(score['score']['value'])}" for n, score in scores.items())
        rows.append(
            f"{name:11} {curve}  | gain {shown_interval(last['gain'])}, oracle gap closed "
            f"{shown_interval(last['gap_closed'])}, {last['cost']['generated']:.0f} tokens and "
            f"{last['cost']['cpu_s']:.2f} CPU s a problem"
        )
    rows += [f"{name:11} not available: {why}" for name, why in document["not_available"].items()]
    return rows


def shown_interval(interval: Mapping[str, float | None]) -> str:
    """Write a value of a document with its interval, where it has one."""
    if interval["value"] is None:
        return "none to close"
    if interval["low"] is None:
        return percent(interval["value"])
    return (
        f"{percent(interval['value'])} ({percent(interval['low'])} to {percent(interval['high'])})"
    )


def _write_choices(
    folder: Path, searched: Searched, choices: Mapping[str, Mapping[str, registry.Choice]]
) -> None:
    """Write what was chosen of all samples, and what the survivors returned, for the browser."""
    pool = searched.pool
    write_jsonl(
        folder / "search" / "choices.jsonl",
        (
            {
                "schema": SCHEMA,
                "problem_id": key,
                "selector": name,
                "sample": pool.samples[key][choice.place].sample,
                "passed": pool.passed[key][choice.place],
                "agreeing": choice.agreeing,
                "voters": choice.voters,
                "tied": choice.tied,
                "majority": choice.majority,
            }
            for name, chosen in choices.items()
            for key, choice in chosen.items()
        ),
    )
    rows = (_cluster_row(each, pool.passed[key]) for key, each in searched.materials.items())
    write_jsonl(folder / "search" / "clusters.jsonl", rows)


def _cluster_row(material: Material, passed: Sequence[bool]) -> dict[str, Any]:
    voters = list(agreement(material, range(len(material.samples))))
    groups = [
        {
            "samples": [material.samples[place].sample for place in places],
            "right": sum(passed[place] for place in places),
            "outputs": [answer.shown for answer in material.answers[places[0]] or ()],
        }
        for places in clusters(material, voters).values()
    ]
    return {
        "schema": SCHEMA,
        "problem_id": material.problem.id,
        "inputs": [", ".join(map(shown, args)) for args in material.inputs],
        "clusters": groups,
    }
