"""Which options a run chose, and what it changed beyond them.

A saved config holds every value and does not say which ones somebody typed. So a run writes beside
it the options that its values belong to and what these options hold when nothing else is set; the
report shows the difference. It is written when the run starts, because the files in conf/ may be
others by the time that somebody reads the report.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from axiom_rl.config import CONF_DIR, Config, load_config, to_config
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import write_text

FILE = "defaults.yaml"
IDENTITY = {
    "model": ("name",),
    "problems": ("source", "family"),
    "sampler": ("backend",),
    "search": ("kind", "selector"),
}
"""Keys that tell the options of a group apart; `kind` in the other groups."""
NOT_TYPED = ("name", "resume")
"""Keys that say where a run is, not what it is."""


@dataclass(frozen=True, slots=True)
class Change:
    """One value that is not the default."""

    key: str
    default: str
    value: str


def write_defaults(folder: Path, asked: Config, used: Config) -> None:
    """Write defaults.yaml: the options asked for, and the values that they alone would give.

    Args:
        folder: of the run.
        asked: as it was composed.
        used: as it is saved in config.yaml, with sampler=auto replaced by what it stands for here.
            Nobody typed what this replaced, so it counts as a default.
    """
    options = chosen_options(asked)
    typed, saved = _flat(asdict(asked)), _flat(asdict(used))
    values = _flat(_values_of(tuple(sorted(options.items()))))
    values |= {key: value for key, value in saved.items() if typed.get(key, ...) != value}
    values = {key: value for key, value in values.items() if key in saved or key not in typed}
    document = {"options": options, "values": values}
    write_text(folder / FILE, OmegaConf.to_yaml(OmegaConf.create(document)))


def read_changes(folder: Path) -> list[Change] | None:
    """Return what a run's config changes: options first, then values; None if it is not known.

    Raises:
        AxiomError: if defaults.yaml is damaged, naming it.
    """
    config, defaults = folder / "config.yaml", folder / FILE
    if not (config.exists() and defaults.exists()):
        return None
    document = OmegaConf.to_container(OmegaConf.load(defaults))
    values = OmegaConf.to_container(OmegaConf.load(config))
    if not (isinstance(document, dict) and {"options", "values"} <= document.keys()):
        raise AxiomError(f"{defaults} is not as this program writes it; delete it")
    usual = _usual_options()
    options = [
        Change(group, usual[group], option)
        for group, option in document["options"].items()
        if usual.get(group, option) != option
    ]
    return options + _changed(_flat(document["values"]), _flat(values))


def chosen_options(config: Config) -> dict[str, str]:
    """Return the option of each group that the config's values belong to, such as trainer: grpo.

    A group is left out where no file in conf/ fits, as for a model that has no file of its own.
    """
    groups = [f.name for f in fields(config) if is_dataclass(getattr(config, f.name))]
    found = {group: _option_of(group, getattr(config, group)) for group in groups}
    return {group: option for group, option in found.items() if option is not None}


def _option_of(group: str, part: Any) -> str | None:
    """Return the option with the same identity; of several, the one with most values in common."""
    options = [path.stem for path in sorted((CONF_DIR / group).glob("*.yaml"))]
    fitting = [option for option in options if _may_be(group, option, part)]
    if len(fitting) == 1 and _identity(group, part).items() <= _raw(group, fitting[0]).items():
        return fitting[0]
    values = _flat(asdict(part))
    composed = {option: _flat(_values_of(((group, option),))[group]) for option in fitting}
    same = {o: v for o, v in composed.items() if _identity(group, part).items() <= v.items()}
    return min(same, key=lambda o: (len(_changed(same[o], values)), len(o)), default=None)


def _identity(group: str, part: Any) -> dict[str, Any]:
    keys = IDENTITY.get(group, ("kind",))
    return {key: getattr(part, key) for key in keys if hasattr(part, key)}


def _may_be(group: str, option: str, part: Any) -> bool:
    """Whether no key of the file contradicts; a file built on another one may have none."""
    identity = _identity(group, part)
    keys = IDENTITY.get(group, ("kind",))
    raw = _raw(group, option)
    return all(key in identity and raw[key] == identity[key] for key in keys if key in raw)


def _raw(group: str, option: str) -> dict[str, Any]:
    raw = OmegaConf.to_container(OmegaConf.load(CONF_DIR / group / f"{option}.yaml"))
    assert isinstance(raw, dict)
    return {str(key): value for key, value in raw.items()}


@lru_cache(maxsize=64)
def _values_of(options: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    overrides = [f"{group}={option}" for group, option in options]
    if GlobalHydra.instance().is_initialized():  # inside launch.py, which may compose once more
        return asdict(to_config(compose("config", overrides=overrides)))
    return asdict(load_config(*overrides))


def _usual_options() -> dict[str, str]:
    """Options that `python launch.py` takes when nothing is typed."""
    raw = OmegaConf.to_container(OmegaConf.load(CONF_DIR / "config.yaml"))
    assert isinstance(raw, dict)
    chosen = [item for item in raw["defaults"] if isinstance(item, dict)]
    return {group: option for item in chosen for group, option in item.items() if option}


def _changed(defaults: Mapping[str, Any], values: Mapping[str, Any]) -> list[Change]:
    keys = [key for key in {**defaults, **values} if key not in NOT_TYPED]
    return [
        Change(key, _shown(defaults, key), _shown(values, key))
        for key in keys
        if defaults.get(key, ...) != values.get(key, ...)
    ]


def _shown(values: Mapping[str, Any], key: str) -> str:
    if key not in values:
        return "not set"
    value = values[key]
    if value is None or isinstance(value, bool):  # as YAML writes them
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def _flat(values: Any, prefix: str = "") -> dict[str, Any]:
    return dict(_leaves(values, prefix))


def _leaves(values: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    if not isinstance(values, dict) or not values:
        yield prefix.removesuffix("."), values
        return
    for key, value in values.items():
        yield from _leaves(value, f"{prefix}{key}.")
