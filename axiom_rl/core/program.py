"""What a user types to start this program again, for messages and pages."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path


def command(*arguments: str) -> str:
    """Return a command line as it was begun (launch.py, axiom-rl or -m), ready for a shell."""
    name = Path(sys.argv[0]).name
    begun = {"axiom-rl": "axiom-rl", "__main__.py": "python -m axiom_rl"}
    return " ".join([begun.get(name, "python launch.py"), *map(shlex.quote, arguments)])


def override(key: str, value: object) -> str:
    """Return `key=value` as Hydra reads it; quoted where its grammar would take the text apart."""
    text = str(value)
    if re.fullmatch(r"[\w./:%@?|+-]+|.*\$\{.*|'.*'|\".*\"", text, re.ASCII):
        return f"{key}={text}"
    # In quotes Hydra reads a backslash as itself, unless it stands before a quote or at the end.
    escaped = re.sub(r"(\\*)('|$)", lambda m: m[1] * 2 + ("\\'" if m[2] else ""), text)
    return f"{key}='{escaped}'"


def program() -> list[str]:
    """Return what a child process runs to be this program, by the same interpreter."""
    if Path(sys.argv[0]).name == "__main__.py":  # as a script it would shadow modules like types
        return [sys.executable, "-m", "axiom_rl"]
    return [sys.executable, sys.argv[0]]
