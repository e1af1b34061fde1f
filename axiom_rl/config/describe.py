"""What every key means, read from the schema: for --help and for docs/reference/options.md."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from itertools import takewhile
from typing import Any, get_type_hints

from omegaconf import OmegaConf

from axiom_rl.config.explain import FREE
from axiom_rl.config.load import load_config
from axiom_rl.config.schema import CONF_DIR, KINDS, Config

GROUPS = tuple(KINDS)
OVERLAYS = ("experiment", "hparams_search")
EXAMPLES = """\
  python launch.py                                    expert iteration on ten basic problems
  python launch.py trainer=grpo problems=hard         GRPO with execution reward
  python launch.py stage=evaluate problems=humaneval  score a model
  python launch.py stage=collect stage.output=gold.jsonl
  python launch.py -m seed=0,1,2 problems=easy        a sweep, with one page at its end
  python launch.py experiment=10_grpo_hard            an experiment of the manual
  python launch.py resume=outputs/train/<run>         go on after Ctrl-C, a crash or a power cut"""


@dataclass(frozen=True, slots=True)
class Key:
    """One key of the configuration."""

    name: str
    """As it is typed, such as sampler.n."""
    type: str
    value: Any
    """Of the option that it is shown for."""
    meaning: str


def options(group: str) -> list[str]:
    """Return the names of a group's options, files that others build on included."""
    return sorted(path.stem for path in (CONF_DIR / group).glob("*.yaml"))


def keys_of_run() -> list[Key]:
    """Return the keys that belong to no group: name, seed, resume."""
    config = load_config()
    plain = [field.name for field in fields(Config) if field.name not in GROUPS]
    return [_key(Config, config, name, "") for name in plain]


def keys_of(group: str, option: str) -> list[Key]:
    """Return the keys of one option of a group with their values there.

    Args:
        group: such as trainer.
        option: a file of conf/<group>/.

    Raises:
        AxiomError: if there is no such option.
    """
    needed = ("problems.path=problems.jsonl",) if (group, option) == ("problems", "jsonl") else ()
    part = getattr(load_config(f"{group}={option}", *needed), group)
    return list(_walk(part, f"{group}."))


def summary(group: str, option: str) -> str:
    """Return the first sentence of the comment at the top of an option's file."""
    lines = (CONF_DIR / group / f"{option}.yaml").read_text(encoding="utf-8").splitlines()
    comment = " ".join(line.lstrip("# ") for line in takewhile(lambda x: x.startswith("#"), lines))
    return re.split(r"(?<=[.;:]) (?=[A-Z]|python )", comment)[0].rstrip(" :;")


def help_text() -> str:
    """Return what --help prints."""
    rows = [f"  {group:16}{', '.join(options(group))}" for group in (*GROUPS, *OVERLAYS)]
    own = [f"  {key.name:16}{key.meaning}" for key in keys_of_run()]
    return "\n".join(
        [
            "axiom-rl: self-improving code models by verification",
            "",
            "Examples:",
            EXAMPLES,
            "",
            "Choices, one of each group (group=option):",
            *rows,
            "",
            "Keys of the run:",
            *own,
            "",
            "The keys of an option and what they mean: --help GROUP=OPTION, as in",
            "  python launch.py --help trainer=grpo",
            "Any key is set by key=value; one of TRL's or PEFT's that is not listed is added with",
            "+trainer.args.KEY=VALUE or +model.lora.KEY=VALUE. Hydra's own flags: --hydra-help",
        ]
    )


def help_of(group: str, option: str) -> str:
    """Return what --help GROUP=OPTION prints."""
    keys = keys_of(group, option)
    lines = [f"{group}={option}: {summary(group, option)}", ""]
    for key in keys:
        lines.append(f"  {key.name}" + (f"={_shown(key.value)}" if key.value != "" else ""))
        if key.meaning:
            lines.append(f"      {key.meaning}")
    return "\n".join(lines)


def options_page() -> str:
    """Return docs/reference/options.md."""
    parts = [
        "# Options",
        "",
        "Written from the schema by `python -m axiom_rl.config.describe`; a test fails where page "
        "and schema differ, so edit `axiom_rl/config/schema/` and not this page. Values are "
        "those of the option named; any of them is set on the command line by `key=value`.",
        "",
        "## The run",
        "",
        *_table(keys_of_run()),
    ]
    for group in GROUPS:
        parts += ["", f"## {group}", ""]
        seen: set[str] = set()
        for option in options(group):
            keys = keys_of(group, option)
            new = [key for key in keys if key.name not in seen]
            seen |= {key.name for key in keys}
            parts += [f"`{group}={option}`: {summary(group, option)}", ""]
            if new:
                parts += [*_table(new), ""]
    return "\n".join(parts).rstrip() + "\n"


def _walk(part: Any, prefix: str) -> Iterator[Key]:
    """Yield the keys of one group's values, those of nested parts included."""
    for field in fields(part):
        value = getattr(part, field.name)
        if is_dataclass(value):
            yield from _walk(value, f"{prefix}{field.name}.")
        elif isinstance(value, dict) and any(map(is_dataclass, value.values())):
            yield Key(prefix + field.name, "dict", "", _meaning(type(part), field.name))
            for key, inner in value.items():
                yield from _walk(inner, f"{prefix}{field.name}.{key}.")
        elif isinstance(value, dict) and value and field.name in FREE:
            yield Key(prefix + field.name, "dict", "", _meaning(type(part), field.name))
            for key, inner in value.items():
                yield Key(f"{prefix}{field.name}.{key}", type(inner).__name__, inner, "")
        else:
            yield _key(type(part), part, field.name, prefix)


def _key(schema: type, part: Any, name: str, prefix: str) -> Key:
    hints = get_type_hints(schema)
    kind = hints[name].__name__ if isinstance(hints[name], type) else str(hints[name])
    kind = re.sub(r"\b[a-z_.]+\.(?=[A-Z])", "", kind)  # without the module's name
    return Key(prefix + name, kind, getattr(part, name), _meaning(schema, name))


def _meaning(schema: type, name: str) -> str:
    """Return the sentence under a field, of the class that declares it."""
    for declared in schema.__mro__:
        found = _sentences(declared).get(name)
        if found:
            return found
    return ""


@cache
def _sentences(schema: type) -> Mapping[str, str]:
    """Read the strings that stand under the fields of a class; Python does not keep them."""
    if not is_dataclass(schema):
        return {}
    (node,) = ast.parse(inspect.cleandoc(inspect.getsource(schema))).body
    assert isinstance(node, ast.ClassDef)
    found = {}
    for field, after in zip(node.body, node.body[1:], strict=False):
        is_text = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and is_text:
            found[field.target.id] = " ".join(str(ast.literal_eval(ast.unparse(after))).split())
    return found


def _table(keys: list[Key]) -> list[str]:
    rows = [
        f"| `{key.name}` | {_cell(key.type)} | {_cell(_code(key.value))} | {_cell(key.meaning)} |"
        for key in keys
    ]
    return ["| key | type | value | meaning |", "| --- | --- | --- | --- |", *rows]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _code(value: Any) -> str:
    text = _shown(value)
    return f"`{text}`" if text else ""


def _shown(value: Any) -> str:
    """Write a value as YAML would, in one line."""
    if isinstance(value, list) and any(is_dataclass(item) for item in value):
        return f"({len(value)} entries)"
    if isinstance(value, list):
        return "[" + ", ".join(map(_shown, value)) + "]"
    if isinstance(value, dict) and value:
        return "{" + ", ".join(f"{key}: {_shown(item)}" for key, item in value.items()) + "}"
    return OmegaConf.to_yaml(OmegaConf.create({"v": value}))[3:].strip() if value != "" else ""


if __name__ == "__main__":
    page = CONF_DIR.parent / "docs" / "reference" / "options.md"
    page.write_text(options_page(), encoding="utf-8")
