"""An evaluation with search beside it: choose, score, write search/, say it in a line each."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from axiom_rl.config import SelectConfig
from axiom_rl.context.run_context import Policy, RunContext
from axiom_rl.core.files import write_json
from axiom_rl.core.types import Problem
from axiom_rl.evaluation.measure import headline_split
from axiom_rl.evaluation.search.browser import write_choices
from axiom_rl.evaluation.search.scores import (
    Pool,
    Scorer,
    SearchScore,
    cost_of,
    make_pool,
    oracle_rates,
    scorer,
    survivors,
    unit_of,
)
from axiom_rl.evaluation.search.sharing.compared import Shareable, compare_shares
from axiom_rl.evaluation.search.stopping import Stoppable, early_stopping
from axiom_rl.evaluation.search.words import lines, plain
from axiom_rl.evaluation.statistics import Interval
from axiom_rl.rollouts.records import Rollout
from axiom_rl.search import registry
from axiom_rl.search.budget import Cost, budgets
from axiom_rl.search.execute import FILE, Executions, Work, gather
from axiom_rl.search.material import Material, with_values
from axiom_rl.search.public import public_side
from axiom_rl.search.registry import Choice
from axiom_rl.search.replay import choose_all, replay
from axiom_rl.search.written import FILE as WRITTEN
from axiom_rl.search.written import WrittenTests, draw_written
from axiom_rl.verify import Verifier

if TYPE_CHECKING:
    from axiom_rl.evaluation.search.valued import HeadInUse
    from axiom_rl.value.values import Values

log = logging.getLogger(__name__)

SCHEMA = 1
ORACLE = "oracle"
VOTE = "vote"
SIMPLER = ("random", "logprob", "public")
"""Selectors that ask for less than the vote, and are not compared with it."""


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
    values: Values | None = None
    """Of a head, where the search has one."""
    parameters: int | None = None
    """Of the model that drew the samples, where they are known."""
    stop_below: float | None = None
    by_need: bool = False
    """Whether sharing samples by need is compared with even shares."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyKnown:
    """What a search knows of the model that drew the samples, beside the samples."""

    head: HeadInUse | None
    parameters: int | None
    """Number of the model's parameters; None where the weights are not here."""


def prepare(
    pool: Pool,
    folder: Path,
    verifier: Verifier,
    config: SelectConfig,
    seed: int,
    written: WrittenTests | None = None,
    values: Values | None = None,
    parameters: int | None = None,
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
    if values is not None:
        materials = {key: with_values(each, values.at_end) for key, each in materials.items()}
    return Searched(
        pool=pool,
        materials=materials,
        values=values,
        parameters=parameters,
        # A replay looks at the head's own threshold anyhow.
        stop_below=None if isinstance(config.stop_below, str) else config.stop_below,
        by_need=config.allocation == "need",
        work=executions.work,
        written_tokens=0 if written is None else written.tokens,
        unread_tests=0 if written is None else written.unread,
        seed=seed,
    )


def search_beside(
    context: RunContext,
    config: SelectConfig,
    policy: Policy,
    rollouts: Sequence[Rollout],
    known: PolicyKnown,
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
    values = None
    if known.head is not None:
        policy.close()  # its memory goes to the policy that is read again
        values = known.head.values(folder, pool_items(pool, rollouts))
    searched = prepare(
        pool, folder, context.verifier, config, context.seed, written, values, known.parameters
    )
    score_live(searched, folder, config.selector)


def pool_items(pool: Pool, rollouts: Sequence[Rollout]) -> list[tuple[Problem, Rollout]]:
    """Return the samples of a pool with their problems."""
    problems = {problem.id: problem for problem in pool.problems}
    known = {(key, sample.sample) for key, each in pool.samples.items() for sample in each}
    return [
        (problems[item.completion.problem_id], item)
        for item in rollouts
        if (item.completion.problem_id, item.completion.sample) in known
    ]


def score_live(searched: Searched, folder: Path, name: str) -> dict[str, Any]:
    """Score one selector on all samples, write search/ and say it; returns the document."""
    selector = registry.get(name)
    lacking = registry.missing(selector, searched.materials.values())
    pool, size = searched.pool, searched.pool.size
    oracle = [float(any(pool.passed[problem.id])) for problem in pool.problems]
    at = scorer(pool, size, oracle)
    scores = {ORACLE: {size: at.score(oracle, _cost(searched, size, ORACLE))}}
    choices: Mapping[str, Choice] = {}
    if not lacking:
        choices = choose_all(selector, searched.materials)
        rates = [float(pool.passed[p.id][choices[p.id].place]) for p in pool.problems]
        scores = {name: {size: at.score(rates, _cost(searched, size, name))}} | scores
        write_choices(folder, pool, searched.materials, {name: choices})
    document = _document(searched, scores, {name: lacking} if lacking else {}, name)
    document["over_all_tests"] = _over_all(pool, {} if lacking else {name: choices})
    _write(folder, document, searched)
    return document


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """Every selector at every budget, with the oracle, and what each chose of all samples."""

    scores: Mapping[str, Mapping[int, SearchScore]]
    lacking: Mapping[str, str]
    """What selectors lack that are not available."""
    choices: Mapping[str, Mapping[str, Choice]]
    minus_vote: Mapping[str, Mapping[int, Interval]]
    """How much better than the vote, paired by problem; none where no vote could be taken."""


def replay_scores(searched: Searched) -> Replayed:
    """Score every selector at every budget."""
    pool = searched.pool
    steps = budgets(pool.size)
    oracles = {n: oracle_rates(pool, n, searched.seed) for n in steps}
    at = {n: scorer(pool, n, oracles[n]) for n in steps}
    scores: dict[str, dict[int, SearchScore]] = {}
    lacking: dict[str, str] = {}
    rates: dict[str, dict[int, list[float]]] = {}
    live = {}
    for each in registry.names():
        selector = registry.get(each)
        why = registry.missing(selector, searched.materials.values())
        if why:
            lacking[each] = why
            continue
        chosen = {
            problem.id: replay(selector, searched.materials[problem.id], steps, searched.seed)
            for problem in pool.problems
        }
        rates[each] = {n: _rates(pool, chosen, n) for n in steps}
        scores[each] = {n: at[n].score(rates[each][n], _cost(searched, n, each)) for n in steps}
        live[each] = choose_all(selector, searched.materials)
    scores[ORACLE] = {n: at[n].score(oracles[n], _cost(searched, n, ORACLE)) for n in steps}
    others = [each for each in rates if each not in (*SIMPLER, VOTE)] if VOTE in rates else []
    minus = {
        each: {n: at[n].difference(rates[each][n], rates[VOTE][n]) for n in steps}
        for each in others
    }
    return Replayed(scores=scores, lacking=lacking, choices=live, minus_vote=minus)


def score_replay(
    searched: Searched, folder: Path, name: str = "vote", chosen_on: Any = None
) -> dict[str, Any]:
    """Score every selector at every budget, write search/ and say it; returns the document.

    Args:
        searched: the pool.
        folder: of this run.
        name: of the selector that early stopping and sharing are looked at with.
        chosen_on: see `axiom_rl.evaluation.search.choosing`.
    """
    replayed = replay_scores(searched)
    write_choices(folder, searched.pool, searched.materials, replayed.choices)
    minus = {
        each: {str(n): plain(asdict(interval)) for n, interval in rows.items()}
        for each, rows in replayed.minus_vote.items()
    }
    document = _document(searched, replayed.scores, replayed.lacking, name)
    document |= {"minus_vote": minus, "chosen_on": chosen_on}
    document["over_all_tests"] = _over_all(searched.pool, replayed.choices)
    _write(folder, document, searched)
    return document


def _over_all(pool: Pool, choices: Mapping[str, Mapping[str, Choice]]) -> dict[str, Any] | None:
    """Score what was chosen of all samples over all tests; None where search sees none of them."""
    if not pool.seen:
        return None
    of_all = replace(pool, passed=pool.passed_all)
    oracle = [float(any(of_all.passed[problem.id])) for problem in pool.problems]
    at = scorer(of_all, pool.size, oracle)
    rates = {
        name: [float(of_all.passed[p.id][chosen[p.id].place]) for p in pool.problems]
        for name, chosen in choices.items()
        if name != "random"
    } | {ORACLE: oracle}
    return {
        "shown_tests": sum(map(len, pool.seen.values())),
        "policy": plain(asdict(at.policy_score())),
        "selectors": {name: plain(asdict(at.mean(each))) for name, each in rates.items()},
    }


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
    judged = searched.values is not None and name in ("value", "vote_value")
    read = searched.values.forward * share if judged and searched.values else 0.0
    return cost_of(
        searched.pool,
        n,
        cpu_s=cpu_s * share,
        written=written,
        read=read,
        parameters=searched.parameters,
    )


def _stopping(searched: Searched, at: Scorer, name: str) -> dict[str, Any] | None:
    """Look at early stopping with a selector."""
    if searched.values is None:
        return None
    of = Stoppable(
        pool=searched.pool, materials=searched.materials, prefixes=searched.values.prefixes
    )
    own = searched.values.stop_below
    return early_stopping(of, _chooser(searched, name), at, searched.stop_below, own)


def _sharing(searched: Searched, name: str) -> dict[str, Any] | None:
    """Compare sharing by need with even shares, where it was asked for."""
    pool, seed = searched.pool, searched.seed
    if not searched.by_need:
        return None
    of = Shareable(
        pool=pool, materials=searched.materials, selector=_chooser(searched, name), seed=seed
    )
    return compare_shares(of, lambda n: scorer(pool, n, oracle_rates(pool, n, seed)))


def _chooser(searched: Searched, name: str) -> registry.Selector:
    """Return a selector, or, where it lacks something, the filter."""
    selector = registry.get(name)
    lacking = registry.missing(selector, searched.materials.values())
    return registry.get("public") if lacking else selector


def _work(searched: Searched) -> dict[str, Any]:
    values = searched.values
    return asdict(searched.work) | {
        "written_tokens": searched.written_tokens,
        "value_tokens": 0 if values is None else values.forward,
        "value_seconds": 0.0 if values is None else round(values.seconds, 3),
        "value_computed": 0 if values is None else values.computed,
    }


def _document(
    searched: Searched,
    scores: Mapping[str, Mapping[int, SearchScore]],
    lacking: Mapping[str, str],
    name: str,
) -> dict[str, Any]:
    pool = searched.pool
    at = scorer(pool, pool.size, [1.0] * len(pool.problems))
    votes = choose_all(registry.get(VOTE), searched.materials).values()
    return {
        "schema": SCHEMA,
        "seed": searched.seed,
        "samples": pool.size,
        "problems": len(pool.problems),
        "units": len({unit_of(problem) for problem in pool.problems}),
        "faults": pool.faults,
        "all_tests_shown": pool.all_seen,
        "selector": name,
        "policy": plain(asdict(at.policy_score())),
        "selectors": {
            each: {str(n): plain(asdict(score)) for n, score in rows.items()}
            for each, rows in scores.items()
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
        "parameters": searched.parameters,
        "early_stopping": plain(_stopping(searched, at, name)),
        "allocation": plain(_sharing(searched, name)),
        "work": _work(searched),
    }


def _write(folder: Path, document: dict[str, Any], searched: Searched) -> None:
    write_json(folder / "search" / "result.json", document)
    for line in lines(document):
        log.info("%s", line)
    work, values = searched.work, searched.values
    if values is not None:
        log.info(
            "values: %d samples read now, %d found stored; %d tokens and %.1f s for all of them",
            values.computed,
            len(values.at_end) - values.computed,
            values.forward,
            values.seconds,
        )
    log.info(
        "ran %d programs in %.1f s (%d found stored); %s",
        work.programs,
        work.seconds,
        work.stored,
        folder / "search" / "result.json",
    )
