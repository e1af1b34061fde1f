"""Answers that were paid for, on disk: nothing is paid twice, whatever stops a run."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import cache_dir, read_json, write_json

log = logging.getLogger(__name__)

SCHEMA = 1
NEEDED = {
    **dict.fromkeys(("text", "finish_reason", "paid_by"), str),
    **dict.fromkeys(("prompt_tokens", "completion_tokens"), int),
    "estimated": bool,
}
"""What an answer has, and of which kind."""


class AnswerCache:
    """One file per answer, named by the hash of what was asked; no key or password is in it."""

    def __init__(self, folder: str | None) -> None:
        """Keep answers in a folder; None means teacher/ in this project's cache."""
        self._folder = Path(folder).expanduser() if folder else cache_dir() / "teacher"

    def path(self, asked: Mapping[str, Any]) -> Path:
        """Return the file of an answer.

        Args:
            asked: endpoint, request, random stream and sample; two answers to one request differ
                in their sample.
        """
        name = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
        return self._folder / name[:2] / f"{name}.json"

    def find(self, path: Path) -> dict[str, Any] | None:
        """Return an answer; None where there is none."""
        if not path.exists():
            return None
        try:
            found = read_json(path)
        except AxiomError as error:
            found = error
        if (
            isinstance(found, dict)
            and found.get("schema") == SCHEMA
            and all(isinstance(found.get(key), kind) for key, kind in NEEDED.items())
        ):
            return found
        log.warning("%s is damaged: it is asked for again", path)
        return None

    def keep(self, path: Path, answer: Mapping[str, Any]) -> None:
        """Write an answer, whole or not at all."""
        write_json(path, {"schema": SCHEMA, **answer})
