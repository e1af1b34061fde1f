"""Errors of composition in words: what is unknown, and what to type instead."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from typing import get_type_hints

from axiom_rl.config import lora_options, trl_options
from axiom_rl.config.schema import CONF_DIR, SCHEMAS
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.text import did_you_mean

PLUGINS = {"hydra/launcher/submitit_slurm": "slurm", "hydra/launcher/ray": "ray"}
"""Options that packages of others bring, and the extra that installs them."""

FREE = ("args", "lora", "chat_template_kwargs", "extra")
"""Keys whose own keys are not ours: options of TRL and PEFT, values of a chat template, fields of a
request."""

RENAMED = {"trainer.reward": "give names with weights, as in 'trainer.rewards={fraction: 1.0}'"}
"""Keys of older versions, and what to type in their place."""

WHOLE = {"trainer.rewards": "'trainer.rewards={binary: 1.0, mine: 0.2}'"}
"""Keys whose value is given at once and not key by key, with an example."""

ROOT = "base_config"

WANTED = (
    ("to Integer", "a whole number"),
    ("to Float", "a number"),
    ("to Boolean", "true or false"),
    ("ListConfig", "a list in brackets"),
    ("not Optional", "a value; null is none"),
    ("Dict[", "its keys one by one, as in {key}.NAME=VALUE"),
    ("Union[float, str]", "a decimal number, such as 0.05, or a word"),
    ("Union[str, float]", "a decimal number, such as 0.05, or a word"),  # typing keeps the first
    ("not a subclass of", "its keys one by one, as in {key}.NAME=VALUE"),
)
"""What OmegaConf says of a value of the wrong type, and what the key wants."""
OWN_ROUND = (
    "a round of your own is added whole, as in "
    "'+{key}={{hotter: {{how: again, temperature: 1.6, samples: 8}}}}'"
)


def check_choices(overrides: Sequence[str]) -> None:
    """Refuse `group=value` where the value cannot name an option, and parts of what is whole.

    Raises:
        AxiomError: naming the group, with the options that there are.
    """
    groups = {path.name for path in CONF_DIR.iterdir() if path.is_dir()} - {"hydra"}
    optional = {"experiment", "hparams_search", "debug"}
    for override in overrides:
        group, _, value = override.partition("=")
        for whole, example in WHOLE.items():
            if group.lstrip("+~").startswith(f"{whole}."):
                raise AxiomError(f"{override}: give all of {whole} at once, as in {example}")
        if group not in groups or (value in ("null", "") and group in optional):
            continue
        if re.fullmatch(r"null|true|false|[\d._]+|\{.*|", value, re.IGNORECASE):
            there = sorted(path.stem for path in (CONF_DIR / group).glob("*.yaml"))
            near = [option for option in there if value and option.startswith(value)]
            hint = f"did you mean {group}={near[0]}? " if near else ""
            raise AxiomError(f"{override}: no such option; {hint}there are {', '.join(there)}")


SELDOM = "teacher"
"""A group that few runs read, whose keys are often called as those of others."""


def explain(error: Exception) -> str:
    """Return the message of a composition error, with the near misses of an unknown key."""
    text = str(error).strip()
    if "Error merging override" in text and error.__cause__ is not None:
        return _wrong_value(text.partition("override ")[2].splitlines()[0], str(error.__cause__))
    ambiguous = re.match(r"Ambiguous value for argument '([^=]+)=(.*)'", text)
    if ambiguous is not None:
        key, value = ambiguous.groups()
        listed = f"for a list type '{key}=[{value}]', " if _is_list(key) else ""
        return f"{key}={value} is several values: {listed}for a sweep over them add -m"
    grammar = re.match(r"(?:\w+Exception: |mismatched |no viable |extraneous |token recog)", text)
    if grammar is not None or "See https://hydra.cc" in text:
        return _unreadable(text)
    missing = re.search(r"missing mandatory value[^$]*full_key: (\S+)", text)
    if missing is not None:
        return f"{missing[1]}: a value is missing; type it too"
    for name, extra in PLUGINS.items():
        if f"Could not load '{name}'" in text:
            return f"this launcher needs a plugin of Hydra: pip install 'axiom-rl[{extra}]'"
    option = re.search(r"Could not find '([^']+)/([^'/]+)'", text)
    if option is not None:
        group, name = option.groups()
        there = [o for o in re.findall(r"^\t(\S+)$", text, re.MULTILINE) if o[:5] != "base_"]
        hint = did_you_mean(name, there, after=" ")
        return f"unknown option {group}={name}: {hint}there are {', '.join(there) or 'none'}"
    unknown = re.search(
        r"Could not override '([^']+)'|Key '[^']+' (?:is )?not in[^:]+: (\S+)", text
    )
    if unknown is None:
        return re.sub(r"\n\tbase_\w+|\nConfig search path:[^$]*", "", text)
    key = unknown.group(1) or unknown.group(2)
    if key in ("trainer.rounds", "stage.rounds") and "={" in text:
        return f"{key}: {OWN_ROUND.format(key=key)}"
    return unknown_key(key)


def unknown_key(key: str) -> str:
    """Return the message for a key that no schema has, with the near misses."""
    if key in RENAMED:
        return f"there is no {key} any more: {RENAMED[key]}"
    parent, _, name = key.rpartition(".")
    allowed, refused = _verbatim(parent)
    if name in allowed:
        return f"conf/ does not list {key}: type +{key}=VALUE"
    if name in refused:
        return f"{key} cannot be given: {refused[name]}"
    hint, sure = _hint(parent, name)
    options = _options_with(parent, name)
    if options:
        steps = [own for own in _full_keys() if re.fullmatch(rf"{parent}\.\w+\.{name}", own)]
        within = f" ({' or '.join(sorted(steps))} in a pipeline)" if parent == "trainer" else ""
        return (
            f"{key} is a key of {' or '.join(options)}: "
            f"type {options[0] if len(options) == 1 else 'one of them'} too"
            f"{within if steps else ''}, or leave it out"
        )
    if parent.rpartition(".")[2] in FREE:
        return f"unknown key {key}: {hint} (type +{key}=VALUE to add it)"
    if sure:
        return f"unknown key {key}: {hint}"
    adding = "an option of TRL or PEFT not listed in conf/ needs a +"
    if name in FREE:
        hint, adding = "not all of its keys are there", f"type +{key}.NAME=VALUE to add one"
    return f"unknown key {key}: {hint} ({adding})"


def _hint(parent: str, name: str) -> tuple[str, bool]:
    """Name the keys that may have been meant, and say whether they have that very name."""
    full = _full_keys()
    same = sorted(key for key in full if key.rpartition(".")[2] == name)
    own = [key for key in same if not key.startswith(SELDOM) or parent.startswith(SELDOM)]
    near = difflib.get_close_matches(name, sorted(_all_keys()), n=3)
    beside = [word for word in near if word != name and f"{parent}.{word}" in full]
    same = own or ([] if beside else same)
    if same:
        chosen = [f" ({option})" for key in same for option in _only_with(key)][:1]
        return f"did you mean {' or '.join(same[:3])}{''.join(chosen)}?", True
    near = beside[:1] or near
    said = f"did you mean {' or '.join(near)}?" if near else "--help lists the keys there are"
    return said, False


def _only_with(key: str) -> list[str]:
    """Return the one choice whose schema has a key, where it is not what a run has by default."""
    group, _, name = key.rpartition(".")
    there = _options_with(group, name)
    return [f"with {there[0]}"] if len(there) == 1 and group == "tracking" else []


def _unreadable(text: str) -> str:
    """Say in one line that Hydra's grammar cannot take a value apart."""
    first = " ".join(text.partition("See https")[0].replace("^", " ").split())
    return (
        f"cannot be read as key=value: {first}; put a value with spaces, commas or quotes in it "
        "between quotes of its own, as in 'key=\"a, b\"'"
    )


@cache
def _full_keys() -> frozenset[str]:
    """Return every key with its group, such as sampler.n, and trainer.args' and model.lora's."""
    names = {
        f"{group}.{name}" if group else name
        for (group, _base), schema in SCHEMAS.items()
        for name in _names(schema)
    }
    for folder, prefix in (("trainer/args", "trainer.args"), ("model/lora", "model.lora")):
        for path in (CONF_DIR / folder).glob("*.yaml"):
            found = re.findall(r"^(\w+):", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
            names |= {f"{prefix}.{name}" for name in found}
    return frozenset(names)


def _names(schema: type) -> Iterator[str]:
    hints = get_type_hints(schema)
    for field in fields(schema):
        yield field.name
        inner = hints[field.name]
        if is_dataclass(inner) and isinstance(inner, type) and schema is not SCHEMAS[None, ROOT]:
            yield from (f"{field.name}.{name}" for name in _names(inner))


def _is_list(key: str) -> bool:
    """Whether some schema has a key as a list; TRL's and PEFT's own keys may be lists."""
    group, _, name = key.lstrip("+").rpartition(".")
    if group.rpartition(".")[2] in FREE:
        return True
    kinds = [
        str(field.type)
        for (of, _base), schema in SCHEMAS.items()
        for field in fields(schema)
        if (of or "") == group and field.name == name
    ]
    return any(kind.startswith("list") for kind in kinds)


def _wrong_value(override: str, reason: str) -> str:
    """Say what a key wants that got a value of another type."""
    key, _, value = override.partition("=")
    group, within, _name = key.lstrip("+").partition(".rounds.")
    if within and override.startswith("+"):
        return f"{override}: {OWN_ROUND.format(key=f'{group}.rounds')}"
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
