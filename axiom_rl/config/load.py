"""The one conversion from Hydra's DictConfig to typed config, for a new run or a resumed one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from axiom_rl.config.checks import check_values
from axiom_rl.config.explain import explain, unknown_key
from axiom_rl.config.lora_options import check_lora_options
from axiom_rl.config.schema import CONF_DIR, SCHEMAS, Config, GrpoConfig
from axiom_rl.config.trl_options import check_trl_options
from axiom_rl.core.errors import AxiomError


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
    try:
        with initialize_config_dir(config_dir=str(CONF_DIR), version_base="1.3"):
            return to_config(compose("config", overrides=list(overrides)))
    except (HydraException, OmegaConfBaseException) as error:
        raise AxiomError(explain(error)) from error


def to_config(composed: DictConfig) -> Config:
    """Convert once, at the door: resolve interpolations, check types, keys and values.

    Raises:
        AxiomError: for an impossible value, naming the key.
    """
    config = OmegaConf.to_object(composed)
    if not isinstance(config, Config):
        raise TypeError(f"expected a composed Config, got {type(config).__name__}")
    for key in _extra_keys(config):
        raise AxiomError(unknown_key(key))
    check_values(config)
    check_lora_options(config.model.lora)
    trl_class = "GRPOConfig" if isinstance(config.trainer, GrpoConfig) else "SFTConfig"
    check_trl_options(trl_class, config.trainer.args)
    return config


RESUME_MAY_CHANGE = frozenset(
    [
        "resume",
        "trainer.iterations",
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
        "sandbox.servers",
        "tracking",
    ]
)
"""Keys that may be given beside resume=; everything else comes from the saved config."""


def resumed_config(given: Config, overrides: list[str]) -> Config:
    """Return the config saved in the run folder `given.resume`, with the few keys that may change.

    Raises:
        AxiomError: if the folder has no config.yaml, or an override is not among those keys.
    """
    path = Path(str(given.resume)) / "config.yaml"
    if not path.is_file():
        raise AxiomError(f"resume={given.resume}: no config.yaml there; give a run folder")
    saved = OmegaConf.load(path)
    if not isinstance(saved, DictConfig):
        raise AxiomError(f"{path} is not a saved config")
    new = OmegaConf.structured(given)
    for override in overrides:
        key = override.partition("=")[0]
        if key.startswith("tracking."):
            key = "tracking"
        if key not in RESUME_MAY_CHANGE:
            allowed = ", ".join(sorted(RESUME_MAY_CHANGE - {"resume"}))
            raise AxiomError(f"{key} cannot change on resume; only these can: {allowed}")
        OmegaConf.update(saved, key, OmegaConf.select(new, key), merge=False)
    merged = OmegaConf.merge(_schema_of(saved), saved)
    assert isinstance(merged, DictConfig)
    return to_config(merged)


def _schema_of(saved: DictConfig) -> DictConfig:
    """Find each group's schema by its field names."""
    schema: DictConfig = OmegaConf.structured(Config)
    for group in {group for group, _name in SCHEMAS if group}:
        keys = set(saved[group])
        fitting = [
            node
            for (of, _name), node in SCHEMAS.items()
            if of == group and {field.name for field in fields(node)} == keys
        ]
        if not fitting:
            raise AxiomError(f"the saved config's {group} fits no schema of this version")
        schema[group] = OmegaConf.structured(fitting[0])
    return schema


def _extra_keys(part: Any, prefix: str = "") -> Iterator[str]:
    """Yield keys that no schema has: `+key=value` on the command line adds whatever it says."""
    if is_dataclass(part):
        known = {field.name for field in fields(part)}
        for name, value in vars(part).items():
            if name not in known:
                yield prefix + name
            yield from _extra_keys(value, f"{prefix}{name}.")
