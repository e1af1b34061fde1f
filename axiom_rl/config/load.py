"""The one conversion from Hydra's DictConfig to typed config, for a new run or a resumed one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass, replace
from functools import cache
from math import lcm
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from axiom_rl.config.checks import check_values
from axiom_rl.config.explain import check_choices, explain, unknown_key
from axiom_rl.config.lora_options import check_lora_options
from axiom_rl.config.parts import check_steps, named, trainings
from axiom_rl.config.schema import (
    CONF_DIR,
    KINDS,
    SCHEMAS,
    Config,
    ExpertIterConfig,
    GrpoConfig,
    TrainerConfig,
)
from axiom_rl.config.secrets import check_secrets
from axiom_rl.config.trl_options import check_trl_options, trl_class
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_json


@cache
def register_schemas() -> None:
    """Make the schemas known to Hydra; each YAML option names its own in its defaults list."""
    store = ConfigStore.instance()
    for (group, name), schema in SCHEMAS.items():
        store.store(group=group, name=name, node=schema)


def load_config(*overrides: str) -> Config:
    """Compose `conf/` with command-line overrides, as `python launch.py ...` would.

    Raises:
        AxiomError: for an unknown option or key, or an impossible value, naming it.
    """
    register_schemas()
    GlobalHydra.instance().clear()
    with initialize_config_dir(config_dir=str(CONF_DIR), version_base="1.3"):
        return _composed(overrides)


def _composed(overrides: Sequence[str]) -> Config:
    check_choices(overrides)
    try:
        return to_config(compose("config", overrides=list(overrides)))
    except (HydraException, OmegaConfBaseException) as error:
        raise AxiomError(explain(error)) from error


def to_config(composed: DictConfig) -> Config:
    """Convert once, at the door: resolve interpolations, check types, keys and values.

    Raises:
        AxiomError: for an impossible or missing value, naming the key.
    """
    try:
        config = OmegaConf.to_object(composed)
    except OmegaConfBaseException as error:  # a group that was deleted (~sampler), ${nothing}
        raise AxiomError(explain(error)) from error
    if not isinstance(config, Config):
        raise TypeError(f"expected a composed Config, got {type(config).__name__}")
    for key in _extra_keys(config):
        raise AxiomError(unknown_key(key))
    check_secrets(config)
    check_lora_options(config.model.lora)
    check_steps(config)
    for step, own in trainings(config):
        with named(step):
            check_values(own)
            check_trl_options(trl_class(own.trainer.kind), own.trainer.args)
    return config


def composed_option(group: str, name: str) -> Any:
    """Return the values of one option of a group as it stands in conf/, such as search, vote.

    Raises:
        AxiomError: for an unknown option, naming it.
    """
    option = f"{group}={name}"
    inside = GlobalHydra.instance().is_initialized()  # launch.py's, with the folders it was given
    return getattr(_composed([option]) if inside else load_config(option), group)


def saved_yaml(values: Any) -> str:
    """Return plain values as YAML that OmegaConf reads back as they stand, `${` in text included.

    A chat template may hold it; unescaped it would be taken for a reference to another key.
    """
    return OmegaConf.to_yaml(OmegaConf.create(_escaped(values)))


def _escaped(value: Any) -> Any:
    match value:
        case str():
            return re.sub(r"(\\*)\$\{", lambda found: rf"{found[1] * 2}\${{", value)
        case list() | tuple():
            return list(map(_escaped, value))
        case dict():
            return {key: _escaped(item) for key, item in value.items()}
        case _:
            return value


RESUME_MAY_CHANGE = (
    "trainer.iterations",
    "trainer.max_attempts",
    "trainer.max_retries",
    "trainer.args.max_steps",
    "sampler.memory_gb",
    "sampler.max_batch",
    "sampler.gpu_memory_utilization",
    "sampler.start_timeout_s",
    "sampler.answer_timeout_s",
    "sampler.url",
    "sampler.in_flight",
    "sampler.timeout_s",
    "sampler.retries",
    "teacher.samples",
    "teacher.max_traces",
    "teacher.min_yield",
    "teacher.url",
    "teacher.in_flight",
    "teacher.timeout_s",
    "teacher.retries",
    "teacher.max_cost",
    "sandbox.servers",
    "tracking",
)
"""Keys that may be given beside resume=, where the saved config has them, and what is below them;
everything else comes from the saved config. `tracking` is also a choice, as in tracking=wandb."""
ADDED = {
    "search.allocation": "even",
    "search.cross_fit": False,
    "search.stop_below": None,
    "stage.choose_on": None,
    "stage.extend": False,
    "teacher.reasoning": "before",
}
"""Keys that configs of older runs lack, and what these runs did: they go on, and their pools can be
searched."""
OPTIONAL = {"trainer.args.max_steps": "grpo"}
"""Keys of TRL that a saved config may lack, and the one trainer that goes on further by them."""


def pool_config(folder: Path) -> Config:
    """Return the config saved with a pool of samples, whose trainer and teacher drew none of them.

    These are read as they are in this version, so that a pool serves versions with more keys.

    Raises:
        AxiomError: as `resumed_config`.
    """
    return resumed_config(folder, [], instead={"trainer": "expert_iter", "teacher": "local"})


def resumed_config(
    folder: Path, overrides: Sequence[str], *, instead: Mapping[str, str] | None = None
) -> Config:
    """Return the config saved in a run folder, with the few keys that may change.

    Args:
        folder: of the run.
        overrides: `key=value` as typed beside resume=.
        instead: groups whose options take the place of what is saved.

    Raises:
        AxiomError: if the folder has no config.yaml or one of another version, or if an override
            is not among the keys that may change or has an impossible value.
    """
    path = folder / "config.yaml"
    if not path.is_file():
        raise AxiomError(f"resume={folder}: {_no_run(folder)}")
    try:
        saved = OmegaConf.load(path)
        if not isinstance(saved, DictConfig):
            raise AxiomError(f"{path} is not a saved config")
        for group, option in (instead or {}).items():
            saved[group] = OmegaConf.create(asdict(composed_option(group, option)))
        was = OmegaConf.select(saved, "trainer.args.max_steps")
        for override in sorted(overrides, key=lambda given: not given.startswith("tracking=")):
            _change(saved, override)
        merged = OmegaConf.merge(_schema_of(saved, path), saved)
        assert isinstance(merged, DictConfig)
        for key, meant in ADDED.items():
            if key in OmegaConf.missing_keys(merged):
                OmegaConf.update(merged, key, meant)
    except YAMLError as error:
        raise AxiomError(f"{path} is damaged: {str(error).splitlines()[0]}") from error
    except OmegaConfBaseException as error:
        raise AxiomError(_older(path, str(error).splitlines()[0])) from error
    missing = sorted(map(str, OmegaConf.missing_keys(merged)))
    if missing:
        raise AxiomError(_older(path, f"it has no {', '.join(missing)}"))
    config = replace(to_config(merged), resume=str(folder))
    if instead is None:  # a pool's run does not go on
        _check_not_less(folder, config.trainer, was)
    return config


def _no_run(folder: Path) -> str:
    """Say what a folder is that holds no run, and name the newest run near it."""
    inside = [*folder.glob("*/config.yaml"), *folder.glob("*/*/config.yaml")]
    newest = max(inside, key=lambda path: path.stat().st_mtime, default=None)
    if newest is not None:
        return f"no config.yaml there; its newest run is resume={newest.parent}"
    what = "no config.yaml there" if folder.is_dir() else "there is no such folder"
    if folder.is_file():
        what = "that is a file"
    return f"{what}; give a run folder, as in resume=outputs/latest"


def _check_not_less(folder: Path, trainer: TrainerConfig, was: int | None) -> None:
    """Refuse fewer steps or iterations than are done, and more steps where none can follow.

    Args:
        folder: of the run.
        trainer: as it is to go on.
        was: max_steps as it is saved.
    """
    state = folder / "checkpoints" / "state.json"
    finished = read_json(state)["finished"] if state.exists() else []
    if isinstance(trainer, ExpertIterConfig):
        begun = [int(p.partition("/")[2]) for p in finished if p.startswith(("collect/", "train/"))]
        if trainer.iterations < max(begun, default=0):
            raise AxiomError(
                f"trainer.iterations={trainer.iterations}: this run has come to iteration "
                f"{max(begun)}; give {max(begun)} or more"
            )
    if not isinstance(trainer, GrpoConfig):
        return
    args, kept = trainer.args, (folder / "checkpoints" / "iter_1").glob("checkpoint-*/axiom_*.json")
    done, steps = max([0, *(int(read_json(path)["step"]) for path in kept)]), args.get("max_steps")
    if not isinstance(steps, int):
        return  # whoever checks trl's options says so
    if steps < done:
        raise AxiomError(
            f"trainer.args.max_steps={steps}: this run has done {done} steps; give {done} or more"
        )
    if "train/1" not in finished or steps in (done, was):
        return
    if not done:
        raise AxiomError(
            f"trainer.args.max_steps={steps}: this run was finished by an older version, which "
            "kept no checkpoint to go on from; start a new run with model.adapter="
            f"{folder / 'adapter'}"
        )
    batch = _steps_of_a_batch(args)
    if done % batch:
        raise AxiomError(
            f"trainer.args.max_steps={steps}: this run ended after step {done}, amid {batch} steps "
            "that share their completions, so that it cannot go further; start a new run"
        )


def _steps_of_a_batch(args: Mapping[str, Any]) -> int:
    """Return after how many steps completions are drawn and no old ones are left, as in TRL."""
    size = args.get("per_device_train_batch_size", 8)
    accumulated = args.get("gradient_accumulation_steps", 1)
    slices = args.get("steps_per_generation") or (args.get("generation_batch_size") or 0) // size
    uses = (slices or accumulated) * args.get("num_iterations", 1)
    return int(lcm(uses, accumulated) // accumulated)


def _change(saved: DictConfig, override: str) -> None:
    """Apply one `key=value` to a saved config."""
    given, equals, text = override.partition("=")
    key = given.lstrip("+")
    allowed = any(key == may or key.startswith(may + ".") for may in RESUME_MAY_CHANGE)
    if not (equals and allowed):
        there = ", ".join(may for may in RESUME_MAY_CHANGE if _has(saved, may))
        raise AxiomError(f"{given} cannot change on resume; only these can: {there}")
    if key == "tracking":
        saved.tracking = OmegaConf.create(asdict(composed_option("tracking", text)))
        return
    if not _has(saved, key):
        raise AxiomError(
            f"{key}: this run has no such key to change (see {saved.name}'s config.yaml)"
        )
    try:
        value = OverridesParser.create().parse_override(f"key={text}").value()
    except HydraException as error:
        raise AxiomError(f"{override}: {str(error).splitlines()[0]}") from error
    OmegaConf.update(saved, key, value, merge=False)


def _has(saved: DictConfig, key: str) -> bool:
    if key in OPTIONAL:
        return bool(OmegaConf.select(saved, "trainer.kind") == OPTIONAL[key])
    parent, _, name = key.rpartition(".")
    group = OmegaConf.select(saved, parent) if parent else saved
    return isinstance(group, DictConfig) and name in group


def _schema_of(saved: DictConfig, path: Path) -> DictConfig:
    """Find each group's schema by its kind, which is one value of the group."""
    schema: DictConfig = OmegaConf.structured(Config)
    for group, (key, schemas) in KINDS.items():
        part = OmegaConf.select(saved, group)
        kind = str(part.get(key)) if isinstance(part, DictConfig) and key else ""
        if not isinstance(part, DictConfig) or kind not in schemas:
            raise AxiomError(_older(path, f"its {group} is none of this version"))
        schema[group] = OmegaConf.structured(schemas[kind])
    return schema


def _older(path: Path, why: str) -> str:
    environment = path.parent / "environment.json"
    return (
        f"{path} was made by another version of axiom-rl ({why}): go on with the version that "
        f"began it ({environment} names its commit), or start the run anew"
    )


def _extra_keys(part: Any, prefix: str = "") -> Iterator[str]:
    """Yield keys that no schema has: `+key=value` on the command line adds whatever it says."""
    if is_dataclass(part):
        known = {field.name for field in fields(part)}
        for name, value in vars(part).items():
            if name not in known:
                yield prefix + name
            yield from _extra_keys(value, f"{prefix}{name}.")
    elif isinstance(part, dict):
        for name, value in part.items():
            if is_dataclass(value):
                yield from _extra_keys(value, f"{prefix}{name}.")
