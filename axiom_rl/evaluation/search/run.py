"""What the stages that search do, once problems, model and sandbox stand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
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
from axiom_rl.evaluation.search.repaired import repair_beside
from axiom_rl.evaluation.search.replayed import check_search, replayed_pool
from axiom_rl.evaluation.search.searched import (
    PolicyKnown,
    read_replayed,
    replay_pool,
    search_beside,
)
from axiom_rl.problems.splits import import_types
from axiom_rl.rollouts.records import Rollout
from axiom_rl.sampling import Sampler
from axiom_rl.search.solve import Solving, solve
from axiom_rl.verify import Verifier

if TYPE_CHECKING:
    from axiom_rl.evaluation.search.valued import HeadInUse


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
        repair_beside(context, search, policy, rollouts)


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
    if isinstance(pool.problems, ProceduralConfig | JsonlConfig):
        import_types(pool.problems.imports)
    run = replace(pool, name=config.name, stage=stage, search=asked, sandbox=config.sandbox)
    place = Path(stage.pool)
    of_model = known(pool, asked, place)
    samples = read_replayed(place, of_model)  # what can be refused is, before a file is written
    with ExitStack() as resources:
        verifier = resources.enter_context(Verifier(config.sandbox))
        sampler = open_sampler(pool, folder, resources) if stage.extend else None
        settings = asdict(replace(run, resume=None))
        write_text(folder / "config.yaml", saved_yaml(settings))
        replay_pool(place, samples, folder, verifier, asked, pool.seed, of_model, sampler)


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
) -> None:
    """Draw programs for the context's problems, and write the chosen ones to `output`."""
    splits, policy = context.splits, context.policy(config.model.adapter)

    def valued(items: Sequence[tuple[Problem, Rollout]]) -> Mapping[tuple[str, int], float]:
        assert head is not None
        policy.close()  # its memory goes to the policy that is read again
        return head.values(context.run.folder, items).at_end

    solving = Solving(
        sampler=policy,
        valued=None if head is None else valued,
        calibrated_on=None if head is None else head.calibrated_on,
        verifier=context.verifier,
        search=search,
        style=context.style,
        samples=config.sampler.n,
        seed=config.seed,
        model_name=config.model.name,
    )
    solve(context.run.folder, (*splits.train, *splits.val, *splits.test), solving, output)
