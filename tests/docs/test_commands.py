"""No command in README, manual, options or notebook can rot: each one composes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from axiom_rl.config import CONF_DIR, RESUME_MAY_CHANGE, load_config
from axiom_rl.config.describe import GROUPS, keys_of
from axiom_rl.core.errors import AxiomError

ROOT = CONF_DIR.parent
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted(CONF_DIR.rglob("*.yaml")),
]
FIRST_PAGES = [
    *(ROOT / name for name in ("README.md", "docs/index.md")),
    *sorted((ROOT / "docs" / "start").glob("*.md")),
]
FLAGS = ("-m", "--multirun")
OF_HYDRA = ("hydra.", "hydra/")


def commands(text: str) -> list[list[str]]:
    """The arguments of every `python launch.py ...` and `axiom-rl ...` line, comments left out.

    What stands behind four blanks or more is a table's next column, as in what `--help` prints.
    """
    joined = text.replace("\\\n", " ")
    found = re.findall(
        r"^(?:[# >]+|    )(?:uv run --no-sync )?(?:python launch\.py|axiom-rl)( .*)?$",
        joined,
        flags=re.MULTILINE,
    )
    firsts = [re.split(r" {4,}", line)[0] for line in found]
    plain = [re.sub(r"<([\w ]+)>", r"\1", line) for line in firsts]  # <run> stands for a folder
    return [shlex.split(line, comments=True) for line in plain]


def jobs(arguments: list[str]) -> Iterator[tuple[str, ...]]:
    """Jobs of a sweep that have every value once: `seed=0,1` is two; a list in brackets is one."""
    own = [a for a in arguments if a not in FLAGS and not a.startswith(OF_HYDRA)]
    choices = [
        [argument]
        if re.search(r"[\[({]", argument)
        else [f"{key}={value}" for value in argument[len(key) + 1 :].split(",")]
        for argument in own
        for key in [argument.partition("=")[0]]
    ]
    most = max(map(len, choices), default=1)
    return (tuple(values[n % len(values)] for values in choices) for n in range(most))


def fault(arguments: list[str]) -> str:
    """Return why a command is none; '' for a good one."""
    if "--help" in arguments or any(argument.startswith("--") for argument in arguments):
        shown = [argument.partition("=") for argument in arguments if "=" in argument]
        return "" if all(keys_of(group, option) for group, _, option in shown) else "no such option"
    if any(argument.startswith("hydra.searchpath=") for argument in arguments):
        return ""  # options of the reader's own: tests/docs/test_examples.py runs the page's
    if any(argument.startswith("resume=") for argument in arguments):
        keys = [a.partition("=")[0].lstrip("+") for a in arguments if not a.startswith("resume=")]
        other = [k for k in keys if not any(f"{k}.".startswith(f"{m}.") for m in RESUME_MAY_CHANGE)]
        return f"may not change: {other}" if other else ""
    try:
        for overrides in jobs(arguments):
            load_config(*(value for value in overrides if "=tag(" not in value))
    except AxiomError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("pages", "least"),
    [
        pytest.param(FIRST_PAGES, 15, id="first_pages"),
        pytest.param(PAGES, 60, id="every_page", marks=pytest.mark.slow),
    ],
)
def test_every_command_composes(pages: list[Path], least: int) -> None:
    faults, seen = [], 0
    checked: dict[str, str] = {}
    for page in pages:
        for arguments in commands(page.read_text(encoding="utf-8")):
            key = shlex.join(arguments)
            checked.setdefault(key, fault(arguments))
            seen += 1
            if checked[key]:
                faults.append(f"{page.relative_to(ROOT)}: {key}: {checked[key]}")
    assert seen >= least and GROUPS
    assert not faults, "\n".join(faults)


def test_links_of_the_readme_lead_somewhere() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)#\s]+)", text)
    missing = [t for t in targets if not t.startswith("http") and not Path(ROOT, t).exists()]
    assert not missing
