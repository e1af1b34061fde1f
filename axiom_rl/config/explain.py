"""Errors of composition in words: what is unknown, and what to type instead."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields

from axiom_rl.config import lora_options, trl_options
from axiom_rl.config.schema import CONF_DIR, SCHEMAS
from axiom_rl.core.errors import AxiomError

PLUGINS = {"hydra/launcher/submitit_slurm": "slurm", "hydra/launcher/ray": "ray"}
"""Options that packages of others bring, and the extra that installs them."""

FREE = ("args", "lora", "chat_template_kwargs", "extra")
"""Keys whose own keys are not ours: options of TRL and PEFT, values of a chat template, fields of a
request."""

WANTED = (
    ("to Integer", "a whole number"),
    ("to Float", "a number"),
    ("to Boolean", "true or false"),
    ("ListConfig", "a list in brackets"),
    ("not Optional", "a value; null is none"),
    ("Dict[", "its keys one by one, as in {key}.NAME=VALUE"),
    ("not a subclass of", "its keys one by one, as in {key}.NAME=VALUE"),
)
"""What OmegaConf says of a value of the wrong type, and what the key wants."""


def check_choices(overrides: Sequence[str]) -> None:
    """Refuse `group=value` where the value cannot name an option, such as experiment=10.

    Raises:
        AxiomError: naming the group, with the options that there are.
    """
    groups = {path.name for path in CONF_DIR.iterdir() if path.is_dir()} - {"hydra"}
    optional = {"experiment", "hparams_search", "debug"}
    for override in overrides:
        group, _, value = override.partition("=")
        if group not in groups or (value in ("null", "") and group in optional):
            continue
        if re.fullmatch(r"null|true|false|[\d._]+|\{.*|", value, re.IGNORECASE):
            there = sorted(path.stem for path in (CONF_DIR / group).glob("*.yaml"))
            near = [option for option in there if value and option.startswith(value)]
            hint = f"did you mean {group}={near[0]}? " if near else ""
            raise AxiomError(f"{override}: no such option; {hint}there are {', '.join(there)}")


def explain(error: Exception) -> str:
    """Return the message of a composition error, with the near misses of an unknown key."""
    text = str(error).strip()
    if "Error merging override" in text and error.__cause__ is not None:
        return _wrong_value(text.partition("override ")[2].splitlines()[0], str(error.__cause__))
    ambiguous = re.match(r"Ambiguous value for argument '([^=]+)=(.*)'", text)
    if ambiguous is not None:
        key, value = ambiguous.groups()
        return (
            f"{key}={value} is several values: for a list type '{key}=[{value}]', for a sweep over "
            "them add -m"
        )
    for name, extra in PLUGINS.items():
        if f"Could not load '{name}'" in text:
            return f"this launcher needs a plugin of Hydra: pip install 'axiom-rl[{extra}]'"
    option = re.search(r"Could not find '([^']+)/([^'/]+)'", text)
    if option is not None:
        group, name = option.groups()
        there = [o for o in re.findall(r"^\t(\S+)$", text, re.MULTILINE) if o[:5] != "base_"]
        near = difflib.get_close_matches(name, there, n=3)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        return f"unknown option {group}={name}: {hint}there are {', '.join(there) or 'none'}"
    unknown = re.search(
        r"Could not override '([^']+)'|Key '[^']+' (?:is )?not in[^:]+: (\S+)", text
    )
    if unknown is None:
        return re.sub(r"\n\tbase_\w+|\nConfig search path:[^$]*", "", text)
    return unknown_key(unknown.group(1) or unknown.group(2))


def unknown_key(key: str) -> str:
    """Return the message for a key that no schema has, with the near misses."""
    parent, _, name = key.rpartition(".")
    allowed, refused = _verbatim(parent)
    if name in allowed:
        return f"conf/ does not list {key}: type +{key}=VALUE"
    if name in refused:
        return f"{key} cannot be given: {refused[name]}"
    near = difflib.get_close_matches(name, sorted(_all_keys()), n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else "see conf/ for the keys there are"
    options = _options_with(parent, name)
    if options:
        return f"{key} is a key of {options[0]}: type {options[0]} too, or leave it out"
    adding = "an option of TRL or PEFT not listed in conf/ needs a +"
    if name in FREE:
        hint, adding = "not all of its keys are there", f"type +{key}.NAME=VALUE to add one"
    elif parent.rpartition(".")[2] in FREE:
        adding = f"type +{key}=VALUE to add it"
    return f"unknown key {key}: {hint} ({adding})"


def _wrong_value(override: str, reason: str) -> str:
    """Say what a key wants that got a value of another type."""
    key, _, value = override.partition("=")
    wanted = next((what for mark, what in WANTED if mark in reason), "")
    if not wanted:
        return f"{override}: {reason.splitlines()[0]}"
    example = f", as in '{key}=[{value}]'" if "ListConfig" in reason else ""
    return f"{override}: {key.lstrip('+')} wants {wanted.format(key=key)}{example}"


def _options_with(group: str, name: str) -> list[str]:
    """Return the choices of a group, such as sampler=vllm_server, whose schema has a key."""
    schemas = [
        base
        for (of, base), schema in SCHEMAS.items()
        if of == group and name in {field.name for field in fields(schema)}
    ]
    return [
        f"{group}={path.stem}"
        for path in sorted((CONF_DIR / group).glob("*.yaml"))
        if any(re.search(rf"- {base}$", path.read_text("utf-8"), re.MULTILINE) for base in schemas)
    ]


def _verbatim(group: str) -> tuple[Collection[str], Mapping[str, str]]:
    """Return the options of TRL or PEFT that a group takes, and why it does not take the others."""
    if re.fullmatch(r"trainer\.(\w+\.)?args", group):
        return frozenset().union(*trl_options.ALLOWED.values()), trl_options.REFUSED["GRPOConfig"]
    if group == "model.lora":
        reasons = {key: reason for key, (_default, reason) in lora_options.REFUSED.items()}
        return lora_options.ALLOWED.keys(), reasons
    return (), {}


def _all_keys() -> set[str]:
    """Every key that some schema or YAML file names."""
    files = " ".join(path.read_text(encoding="utf-8") for path in CONF_DIR.rglob("*.yaml"))
    names = {field.name for schema in SCHEMAS.values() for field in fields(schema)}
    return names | set(re.findall(r"^ *(\w+):", files, flags=re.MULTILINE))
