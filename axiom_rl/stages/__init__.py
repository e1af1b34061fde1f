"""The wiring: one short function per stage. Everything heavy is imported where it is used."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from pathlib import Path

from hydra.core.hydra_config import HydraConfig

from axiom_rl.config import KINDS, Config, DistillConfig, GrpoConfig
from axiom_rl.config.parts import has_teacher, trainings
from axiom_rl.core.errors import AxiomError
from axiom_rl.evaluation.search.replayed import refuse_search
from axiom_rl.stages.reading import compare, export, list_problems, replay, watch
from axiom_rl.stages.sampling import collect, evaluate, solve, teach
from axiom_rl.stages.training import train

log = logging.getLogger(__name__)


STAGES: dict[str, Callable[[Config, Path], None]] = {
    "train": train,
    "evaluate": evaluate,
    "collect": collect,
    "search": replay,
    "solve": solve,
    "teach": teach,
    "export": export,
    "compare": compare,
    "list": lambda config, _folder: list_problems(config),
    "watch": lambda config, _folder: watch(config),
}
READ = {
    "train": {"model", "problems", "sampler", "sandbox", "search", "trainer", "tracking"},
    "evaluate": {"model", "problems", "sampler", "sandbox", "search", "tracking"},
    "collect": {"model", "problems", "sampler", "sandbox", "search", "tracking"},
    "search": {"model", "problems", "sampler", "sandbox", "search"},
    "teach": {"model", "problems", "sampler", "sandbox", "search", "teacher", "tracking"},
    "solve": {"model", "problems", "sampler", "sandbox", "search", "tracking"},
    "export": {"model"},
    "list": {"problems"},
    "compare": set[str](),
}
"""Groups that a stage reads, beside its own; the others check theirs by themselves."""
WHOLE_MODEL = ("kind", "model", "adapter", "dtype", "device", "quantization")
"""What trainer=distill reads of a teacher: it asks it nothing."""


def uncounted(config: Config, overrides: Iterable[str]) -> list[str]:
    """Return what was typed and does not count with a stage, such as trainer= with evaluate.

    Args:
        config: of the run.
        overrides: `key=value`s of the command line.
    """
    read = READ.get(config.stage.kind, {*KINDS}) | {"stage"}
    if config.stage.kind == "train" and has_teacher(config.trainer):
        read = read | {"teacher"}
    keys = [override.lstrip("+~").partition("=")[0] for override in overrides]
    groups = [key.partition(".")[0] for key in keys]
    idle = [key for key, group in zip(keys, groups, strict=True) if group in {*KINDS} - read]
    return idle + [key for key in keys if config.stage.kind == "train" and _is_idle(config, key)]


def _is_idle(config: Config, key: str) -> bool:
    """Tell whether a key of a group that counts is one that another choice leaves unused."""
    if isinstance(config.trainer, DistillConfig):
        group, _, name = key.partition(".")
        return group == "teacher" and bool(name) and name not in WHOLE_MODEL
    return key in ("trainer.k", "trainer.grpo.k") and any(
        isinstance(own.trainer, GrpoConfig) and own.trainer.objective == "mean"
        for _step, own in trainings(config)
    )


def run_stage(config: Config, folder: Path) -> None:
    """Run the stage that the config names.

    Args:
        config: the whole typed configuration.
        folder: the run folder.

    Raises:
        AxiomError: for whatever the user can repair.
    """
    refuse_search(config)
    typed = HydraConfig.get().overrides.task if HydraConfig.initialized() else []
    for key in uncounted(config, typed if config.resume is None else []):
        log.warning("%s does not count with stage=%s", key, config.stage.kind)
    if config.stage.kind not in STAGES:
        raise AxiomError(f"stage.kind={config.stage.kind}: no such stage; see conf/stage/")
    STAGES[config.stage.kind](config, folder)
