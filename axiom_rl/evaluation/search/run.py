"""What the stages that search do, once problems, model and sandbox stand."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from axiom_rl.config import (
    Config,
    JsonlConfig,
    ProceduralConfig,
    RepairConfig,
    SearchConfig,
    SearchStageConfig,
    SelectConfig,
    composed_option,
    saved_yaml,
)
from axiom_rl.context.run_context import Policy, RunContext
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import write_text
from axiom_rl.core.types import Problem
from axiom_rl.evaluation.measure import headline_split
from axiom_rl.evaluation.search.choosing import check_other, choose_selectors
from axiom_rl.evaluation.search.repaired import repair_beside
from axiom_rl.evaluation.search.replayed import check_search, pool_at, replayed_pool
from axiom_rl.evaluation.search.scores import Pool, make_pool
from axiom_rl.evaluation.search.searched import (
    PolicyKnown,
    Searched,
    pool_items,
    prepare,
    score_replay,
    search_beside,
)
from axiom_rl.evaluation.search.sharing.compared import check_shareable
from axiom_rl.evaluation.search.words import chosen_line
from axiom_rl.problems.splits import import_types
from axiom_rl.rollouts.draw import cost
from axiom_rl.rollouts.records import Rollout
from axiom_rl.sampling import Sampler
from axiom_rl.search.pool import HOW, read_pool
from axiom_rl.search.public import public_side
from axiom_rl.search.solve import Solving, solve
from axiom_rl.search.written import FILE as WRITTEN
from axiom_rl.search.written import draw_written, read_written
from axiom_rl.value.recipe import frozen_policy
from axiom_rl.verify import Verifier

if TYPE_CHECKING:
    from axiom_rl.evaluation.search.valued import HeadInUse
    from axiom_rl.value.stopping import StopsByHead

log = logging.getLogger(__name__)

SOLVED = "solve/0"
"""The phase of stage=solve."""


def run_beside(
    context: RunContext,
    search: SearchConfig,
    policy: Policy,
    rollouts: Sequence[Rollout],
    known: PolicyKnown,
) -> None:
    """Search among the samples of an evaluation, or repair them, where the config asks for it."""
    if isinstance(search, SelectConfig):
        search_beside(context, search, policy, rollouts, known)
    elif isinstance(search, RepairConfig):
        repair_beside(context, search, policy, rollouts, known.parameters)


Knowing = Callable[[Config, SelectConfig, Path], PolicyKnown]
"""Of a pool's config, the search asked for and the pool's folder."""
Opening = Callable[[Config, Path, ExitStack], Callable[[], Sampler]]
"""Opens what samples from a pool's model: its config, this run's folder, what closes it."""


def run_replay(config: Config, folder: Path, known: Knowing, open_sampler: Opening) -> None:
    """Replay every selector at every budget on the samples of a finished evaluation.

    With stage.extend, what the pool lacks is drawn first and stored beside it.

    Args:
        config: of this run.
        folder: of this run.
        known: says what is known of the pool's model.
        open_sampler: opens the pool's model, for what is to be drawn.

    Raises:
        AxiomError: if there is none, or what was typed differs from it.
    """
    stage = config.stage
    assert isinstance(stage, SearchStageConfig)
    pool = replayed_pool(config, stage)
    asked = next(
        part
        for part in (config.search, pool.search, composed_option("search", "vote"))
        if isinstance(part, SelectConfig)
    )
    if stage.extend and not asked.written_tests:
        asked = replace(asked, written_tests=composed_option("search", "codet").written_tests)
    check_search(asked)
    assert stage.pool is not None
    run = replace(pool, name=config.name, stage=stage, search=asked, sandbox=config.sandbox)
    # What can be refused is, before a file is written.
    test = _read(pool, stage.pool, "stage.pool", asked, known)
    val = None
    if stage.choose_on is not None:
        other = pool_at(stage.choose_on, "stage.choose_on")
        val = _read(other, stage.choose_on, "stage.choose_on", asked, known)
        policies = frozen_policy(other, val.place), frozen_policy(pool, test.place)
        check_other(stage.choose_on, val.pool, policies[0], test.pool, policies[1])
    if asked.allocation == "need":
        check_shareable(test.pool, stage.pool)
    with ExitStack() as resources:
        verifier = resources.enter_context(Verifier(config.sandbox))
        sampler = open_sampler(pool, folder, resources) if stage.extend else None
        settings = asdict(replace(run, resume=None))
        write_text(folder / "config.yaml", saved_yaml(settings))
        searched = _searched(test, verifier, asked, sampler)
        chosen = None
        if val is not None:
            beside = _searched(val, verifier, replace(asked, allocation="even"), sampler)
            chosen = choose_selectors(beside, searched, val.place)
            log.info("%s", chosen_line(chosen))
        score_replay(searched, folder, asked.selector, chosen)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stored:
    """A finished evaluation as a replay reads it."""

    place: Path
    config: Config
    pool: Pool
    rollouts: Sequence[Rollout]
    known: PolicyKnown


def _read(config: Config, place: str, key: str, search: SelectConfig, known: Knowing) -> _Stored:
    """Read the samples of a finished evaluation.

    Args:
        config: of that run.
        place: its folder.
        key: that names it, for errors.
        search: asked for.
        known: says what is known of the model that drew it.

    Raises:
        AxiomError: if it has not finished or holds no texts, or the head does not fit.
    """
    if isinstance(config.problems, ProceduralConfig | JsonlConfig):
        import_types(config.problems.imports)
    folder = Path(place)
    of_model = known(config, search, folder)
    splits, rollouts = read_pool(folder, key)
    pool = make_pool(getattr(splits, headline_split(splits)), rollouts)
    if not pool.problems:
        raise AxiomError(f"{key}={place}: no sample of it has a verdict; {HOW}")
    if of_model.head is not None:
        try:
            of_model.head.check(pool.problems)
        except AxiomError as error:
            raise AxiomError(f"{key}={place}: {error}") from None
    return _Stored(place=folder, config=config, pool=pool, rollouts=rollouts, known=of_model)


def _searched(
    stored: _Stored,
    verifier: Verifier,
    config: SelectConfig,
    sampler: Callable[[], Sampler] | None,
) -> Searched:
    """Return what selectors need; executions, features and drawn tests are stored in the pool.

    Args:
        stored: the pool.
        verifier: runs programs.
        config: of the search.
        sampler: draws tests that the pool lacks; None draws nothing.
    """
    pool, place, seed = stored.pool, stored.place, stored.config.seed
    public = [public_side(problem) for problem in pool.problems]
    written = None
    if sampler is not None:
        count, stream = config.written_tests, f"{seed}/written"
        written = draw_written(place / WRITTEN, public, count, sampler, stream)
    elif (place / WRITTEN).exists():
        written = read_written(place / WRITTEN, public)
        if written.lacking:
            log.warning(
                "%s has tests of %d of %d problems, so they take no part: stage.extend=true draws "
                "the others", place / WRITTEN, len(public) - written.lacking, len(public),
            )  # fmt: skip
            written = None
    known, items = stored.known, pool_items(pool, stored.rollouts)
    values = None if known.head is None else known.head.values(place, items)
    return prepare(pool, place, verifier, config, seed, written, values, known.parameters)


def checked_choice(search: SearchConfig) -> SelectConfig:
    """Return the search that stage=solve chooses by.

    Raises:
        AxiomError: if there is none, or it could not choose.
    """
    if not isinstance(search, SelectConfig):
        raise AxiomError("stage=solve chooses by a search: add search=vote")
    check_search(search)
    return search


def run_solve(
    context: RunContext,
    config: Config,
    search: SelectConfig,
    output: Path,
    head: HeadInUse | None,
    early: StopsByHead | None,
) -> None:
    """Draw programs for the context's problems, and write the chosen ones to `output`."""
    splits, policy = context.splits, context.policy(config.model.adapter)

    def valued(items: Sequence[tuple[Problem, Rollout]]) -> Mapping[tuple[str, int], float]:
        assert head is not None
        policy.close()  # its memory goes to the policy that is read again
        return head.values(context.run.folder, items).at_end

    solving = Solving(
        sampler=policy,
        early=early,
        valued=None if head is None else valued,
        calibrated_on=None if head is None else head.calibrated_on,
        verifier=context.verifier,
        search=search,
        style=context.style,
        samples=config.sampler.n,
        seed=config.seed,
        model_name=config.model.name,
    )
    if early is not None:
        log.info("samples are stopped where their probability to pass is below %s", early.below)
    problems, finished = (*splits.train, *splits.val, *splits.test), context.run.is_finished(SOLVED)
    with context.run.timed("solve", 0, log=not finished) as columns:
        columns.update(cost(solve(context.run.folder, problems, solving, output)))
    if not finished:
        context.run.finish(SOLVED)
