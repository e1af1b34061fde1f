"""What the stages that search do, once problems, model and sandbox stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

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
from axiom_rl.evaluation.search.repaired import repair_beside
from axiom_rl.evaluation.search.replayed import check_search, replayed_pool
from axiom_rl.evaluation.search.searched import replay_pool, search_beside
from axiom_rl.problems.splits import import_types
from axiom_rl.rollouts.records import Rollout
from axiom_rl.search.solve import Solving, solve
from axiom_rl.verify import Verifier


def run_beside(
    context: RunContext, search: SearchConfig, policy: Policy, rollouts: Sequence[Rollout]
) -> None:
    """Search among the samples of an evaluation, or repair them, where the config asks for it."""
    if isinstance(search, SelectConfig):
        search_beside(context, search, policy, rollouts)
    elif isinstance(search, RepairConfig):
        repair_beside(context, search, policy, rollouts)


def run_replay(config: Config, folder: Path) -> None:
    """Replay every selector at every budget on the samples of a finished evaluation.

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
    check_search(asked)
    assert stage.pool is not None
    if isinstance(pool.problems, ProceduralConfig | JsonlConfig):
        import_types(pool.problems.imports)
    run = replace(pool, name=config.name, stage=stage, search=asked, sandbox=config.sandbox)
    with Verifier(config.sandbox) as verifier:
        settings = asdict(replace(run, resume=None))
        write_text(folder / "config.yaml", saved_yaml(settings))
        replay_pool(Path(stage.pool), folder, verifier, asked, pool.seed)


def checked_choice(search: SearchConfig) -> SelectConfig:
    """Return the search that stage=solve chooses by.

    Raises:
        AxiomError: if there is none, or it could not choose.
    """
    if not isinstance(search, SelectConfig):
        raise AxiomError("stage=solve chooses by a search: add search=vote")
    check_search(search)
    return search


def run_solve(context: RunContext, config: Config, search: SelectConfig, output: Path) -> None:
    """Draw programs for the context's problems, and write the chosen ones to `output`."""
    splits = context.splits
    solving = Solving(
        sampler=context.policy(config.model.adapter),
        verifier=context.verifier,
        search=search,
        style=context.style,
        samples=config.sampler.n,
        seed=config.seed,
        model_name=config.model.name,
    )
    solve(context.run.folder, (*splits.train, *splits.val, *splits.test), solving, output)
