"""Which settings a search has: checked before anything is sampled, or taken from a pool."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig

from axiom_rl.config import (
    SELECTORS,
    CollectConfig,
    Config,
    ExpertIterConfig,
    RepairConfig,
    SearchConfig,
    SearchStageConfig,
    SelectConfig,
    SftTrainerConfig,
    pool_config,
)
from axiom_rl.core.errors import AxiomError
from axiom_rl.problems.splits import import_modules
from axiom_rl.search import registry
from axiom_rl.search.pool import HOW, typed_differences
from axiom_rl.value.recipe import head_file

OF_THE_POOL = ("problems", "sampler", "model", "seed")
"""What a replay takes from the pool; the rest (search, sandbox, stage) is its own."""
IDENTITY = {"model": ("path", "name"), "problems": ("family", "source"), "sampler": ("backend",)}
"""Keys of a group of which the first that has a value tells its options apart."""


def check_search(search: SearchConfig) -> None:
    """Refuse a search that could not choose, before anything is sampled.

    Raises:
        AxiomError: for a selector that does not exist, or that lacks what it needs.
    """
    if not isinstance(search, SelectConfig):
        return
    if search.head is not None:
        head_file(search.head)
    elif search.stop_below is not None or search.cross_fit:
        key = "cross_fit" if search.cross_fit else "stop_below"
        raise AxiomError(f"search.{key} is of a value head: give search.head=outputs/.../value")
    import_modules("search.imports", search.imports)
    selector = registry.get(search.selector)
    lacking = {
        "head": search.head is None,
        "written": search.written_tests == 0,
        "inputs": search.inputs == 0,
    }
    cures = {
        "head": "",
        "written": ": set search.written_tests=1 or more",
        "inputs": ": set search.inputs=1 or more",
    }
    for need in selector.needs:
        if lacking.get(need):
            raise AxiomError(f"search.selector={selector.name} {registry.NEEDS[need]}{cures[need]}")


def refuse_search(config: Config) -> None:
    """Refuse search= where nothing would be searched.

    Raises:
        AxiomError: for a stage, trainer or expert that does not search.
    """
    if isinstance(config.search, SelectConfig) and config.search.allocation == "need":
        _check_sharing(config)
    if isinstance(config.search, SelectConfig) and config.search.stop_below is not None:
        _check_stopping(config, config.search.stop_below)  # of other stages search= is refused
    if config.stage.kind == "search" and isinstance(config.search, RepairConfig):
        raise AxiomError(
            "search=repair draws further programs and a replay draws none: leave it out, or use "
            "stage=evaluate search=repair"
        )
    if config.search.kind == "none" or config.stage.kind in ("evaluate", "search", "solve"):
        return
    instead = "leave search= out, or use stage=evaluate"
    if isinstance(config.stage, CollectConfig):
        expert = config.stage.expert
        if expert in SELECTORS and isinstance(config.search, SelectConfig):
            return
        instead = "leave search= out, or name an expert that searches, as stage.expert=vote"
        if expert in SELECTORS:
            instead = f"stage.expert={expert} chooses by a search: give search={expert}"
    elif config.stage.kind == "train":
        if not isinstance(config.trainer, ExpertIterConfig | SftTrainerConfig):
            raise AxiomError(f"trainer={config.trainer.kind} does not search: {instead}")
        if isinstance(config.search, SelectConfig):
            return
        raise AxiomError("search=repair stands beside stage=evaluate alone: leave it out")
    raise AxiomError(f"stage={config.stage.kind} does not search: {instead}")


def _check_sharing(config: Config) -> None:
    """Refuse uneven shares where they would bias what is measured, or where nothing is shared."""
    if config.stage.kind not in ("search", "solve"):
        raise AxiomError(
            "search.allocation=need draws less where samples pass, so that pass rates over them "
            "would be wrong: use it with stage=solve, or draw evenly and see what it is worth by "
            "stage=search stage.pool=outputs/evaluate/<run> search.allocation=need"
        )
    if config.stage.kind == "solve" and config.sampler.n < 2:
        raise AxiomError(
            f"search.allocation=need shares sampler.n={config.sampler.n} samples a problem: give "
            "sampler.n=2 or more"
        )


def _check_stopping(config: Config, below: float | str) -> None:
    """Refuse a threshold where it would change nothing, or bias what is measured."""
    if config.stage.kind == "solve":
        check_stopping_sampler(config)
    elif config.stage.kind in ("collect", "train"):
        raise AxiomError(
            f"search.stop_below={below}: stage={config.stage.kind} counts which samples pass, so "
            "all are drawn to their end; leave it out, use it with stage=solve, or see what it "
            "would save by stage=search stage.pool=outputs/evaluate/<run> "
            f"search.head=outputs/.../value search.stop_below={below}"
        )


def check_stopping_sampler(config: Config) -> None:
    """Refuse early stopping with a sampler that does not show its hidden states.

    Raises:
        AxiomError: saying what to type instead; sampler=auto is refused once it is known to be one.
    """
    below = config.search.stop_below if isinstance(config.search, SelectConfig) else None
    if below is not None and config.sampler.backend not in ("transformers", "auto"):
        raise AxiomError(
            f"search.stop_below={below}: sampler={config.sampler.backend} cannot stop "
            "samples while it draws them; add sampler=transformers, or leave it out"
        )


def pool_at(place: str, key: str) -> Config:
    """Return the config of a pool.

    Args:
        place: its folder.
        key: that names it, for errors.

    Raises:
        AxiomError: if there is none.
    """
    if not (Path(place) / "config.yaml").is_file():
        raise AxiomError(f"{key}={place}: there is no config.yaml; {HOW}")
    pool = pool_config(Path(place))
    if pool.stage.kind != "evaluate":
        raise AxiomError(f"{key}={place}: it is a run of stage={pool.stage.kind}; {HOW}")
    return pool


def replayed_pool(config: Config, stage: SearchStageConfig) -> Config:
    """Return the config of the pool that is replayed.

    Raises:
        AxiomError: if there is none, or what was typed differs from it.
    """
    if stage.pool is None:
        raise AxiomError(f"stage=search needs stage.pool: {HOW}")
    pool = pool_at(stage.pool, "stage.pool")
    if different := differing(config, pool, OF_THE_POOL):
        raise AxiomError(
            f"a replay takes problems, model, sampler and seed from the pool; leave out "
            f"{', '.join(different)}"
        )
    return pool


def differing(config: Config, pool: Config, groups: Collection[str]) -> list[str]:
    """Return what was typed of these groups and has another value in the pool's config."""
    typed = [key for key in _typed_keys() if key.partition(".")[0] in groups]
    return typed_differences(typed, _by_key(config), _by_key(pool)) if typed else []


def refuse_of_pools(config: Config) -> None:
    """Refuse what trainer=value takes from its pools; model.device is its own.

    Raises:
        AxiomError: naming what was typed.
    """
    groups = ("problems", "sampler", "model")
    typed = [key for key in _typed_keys() if key.partition(".")[0] in groups]
    typed = [key for key in typed if key != "model.device"]
    if typed and config.resume is None:
        raise AxiomError(
            "trainer=value takes problems, model and sampler from trainer.pools; leave out "
            f"{', '.join(typed)}"
        )


def _typed_keys() -> list[str]:
    return [override.lstrip("+").partition("=")[0] for override in _typed()]


def _typed() -> list[str]:
    """Return what was typed on the command line, as Hydra has it."""
    return list(HydraConfig.get().overrides.task) if HydraConfig.initialized() else []


def _by_key(config: Config) -> dict[str, Any]:
    """Return values by dotted key, and by each group's name what tells its options apart."""
    values = dict(_flat(asdict(config), ""))
    named = {
        group: next(filter(None, (values.get(f"{group}.{key}") for key in keys)), None)
        for group, keys in IDENTITY.items()
    }
    return values | named


def _flat(values: Mapping[str, Any], prefix: str) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in values.items():
        found.append((f"{prefix}{key}", value))
        if isinstance(value, dict):
            found += _flat(value, f"{prefix}{key}.")
    return found
