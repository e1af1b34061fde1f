"""The pools that a head is fitted on and measured on, checked before anything is computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from axiom_rl.config import Config, ValueConfig, pool_config
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.types import Problem, Status
from axiom_rl.problems.splits import import_types_of
from axiom_rl.rollouts.records import Rollout
from axiom_rl.search.pool import HOW, read_pool
from axiom_rl.value.recipe import FrozenPolicy, frozen_policy


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedSample:
    """One sample of a pool with its problem and verdict."""

    pool: str
    """Run folder, as it was typed."""
    problem: Problem
    rollout: Rollout
    passed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ValuePool:
    """A finished evaluation."""

    name: str
    config: Config
    frozen: FrozenPolicy
    samples: tuple[JudgedSample, ...]
    """In order of problem and draw; those that the sandbox failed on are left out."""


def read_value_pools(trainer: ValueConfig, device: str) -> list[ValuePool]:
    """Read all pools.

    Raises:
        AxiomError: if there are none, one is no finished evaluation with texts, they are of
            different models, or there is nothing to fit a head on.
    """
    if not trainer.pools:
        raise AxiomError(f"trainer=value needs trainer.pools=[...]: {HOW}, drawn by stage.split=")
    places = [Path(name).resolve() for name in trainer.pools]
    twice = [n for n, place in zip(trainer.pools, places, strict=True) if places.count(place) > 1]
    if twice:
        raise AxiomError(f"trainer.pools names {twice[0]} twice")
    pools = [_read(name, device) for name in trainer.pools]
    for pool in pools[1:]:
        _same_policy(pools[0], pool)
    types = {sample.problem.type for pool in pools for sample in pool.samples}
    for name in trainer.holdout_types:
        if name not in types:
            raise AxiomError(
                f"trainer.holdout_types: no problem of the pools is of type {name}; there are "
                f"{', '.join(sorted(types))}"
            )
    outcomes = {sample.passed for sample in fitted_on(pools, trainer.holdout_types)}
    if not outcomes:
        raise AxiomError(
            "trainer.pools hold no problem of the train split to fit a head on (or only of "
            "trainer.holdout_types): draw one by stage=evaluate stage.split=train"
        )
    if len(outcomes) == 1:
        what = "pass" if outcomes.pop() else "fail"
        raise AxiomError(
            f"all samples of the train problems in trainer.pools {what}: there is nothing to "
            "tell apart; draw pools of other problems or levels"
        )
    if "logprob" in trainer.inputs:
        bare = [p.name for p in pools if any(not s.rollout.completion.logprobs for s in p.samples)]
        if bare:
            raise AxiomError(
                f"trainer.inputs: {bare[0]} has samples without log-probabilities; type "
                "trainer.inputs=[hidden,length]"
            )
    return pools


def fitted_on(pools: Sequence[ValuePool], holdout_types: Sequence[str]) -> list[JudgedSample]:
    """Return the samples that a head is fitted on."""
    return [
        sample
        for pool in pools
        for sample in pool.samples
        if sample.problem.split == "train" and sample.problem.type not in holdout_types
    ]


def _read(name: str, device: str) -> ValuePool:
    folder = Path(name)
    if not (folder / "config.yaml").is_file():
        raise AxiomError(f"trainer.pools={name}: there is no config.yaml; {HOW}")
    config = pool_config(folder)
    if config.stage.kind != "evaluate":
        raise AxiomError(f"trainer.pools={name}: it is a run of stage={config.stage.kind}; {HOW}")
    import_types_of(config.problems)
    splits, rollouts = read_pool(folder, "trainer.pools")
    by_id: dict[str, list[Rollout]] = {}
    for item in sorted(rollouts, key=lambda item: item.completion.sample):
        by_id.setdefault(item.completion.problem_id, []).append(item)
    samples = [
        JudgedSample(pool=name, problem=problem, rollout=item, passed=verdict.passed)
        for problem in splits.all
        for item in by_id.get(problem.id, ())
        if (verdict := item.fresh or item.hidden) is not None
        and verdict.status is not Status.SANDBOX_FAULT
    ]
    if not samples:
        raise AxiomError(f"trainer.pools={name}: no sample of it has a verdict; {HOW}")
    frozen = frozen_policy(config, folder)
    if device != "auto":
        frozen = frozen.on(device)
    return ValuePool(name=name, config=config, frozen=frozen, samples=tuple(samples))


def _same_policy(first: ValuePool, other: ValuePool) -> None:
    """Refuse pools of two policies: their hidden states are not the same thing."""
    one, two = first.frozen, other.frozen
    if one.base["sha256"] != two.base["sha256"]:
        raise AxiomError(
            f"trainer.pools: {first.name} is of {one.base['name']} ({one.base['format']}) and "
            f"{other.name} of {two.base['name']} ({two.base['format']}): a head reads one model"
        )
    if one.adapter_sha256 != two.adapter_sha256:
        raise AxiomError(
            f"trainer.pools: {first.name} and {other.name} were drawn with different adapters: a "
            "head reads one policy"
        )
