"""Runs of stage=teach on three problems of one type."""

from __future__ import annotations

import copy
import functools
from pathlib import Path

import axiom_rl.stages
from axiom_rl.config import load_config
from axiom_rl.core.files import read_jsonl

TEACH = (
    *("stage=teach", "problems.types=[reverse_string]", "problems.levels=[1]"),
    *("problems.sizes.train=3", "sandbox.servers=1", "teacher.check=never"),
    "teacher.reasoning=before",
)
composed = functools.cache(load_config)


class Teaching:
    """Runs stages in folders of a test."""

    def __init__(self, model: Path, folder: Path) -> None:
        self.model, self.folder = model, folder

    def __call__(self, name: str, *overrides: str) -> Path:
        model = (f"model.path={self.model}", "model.dtype=float32", "model.device=cpu")
        config = copy.deepcopy(composed(*model, *TEACH, *overrides))
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        axiom_rl.stages.run_stage(config, folder)
        return folder

    def api(self, name: str, url: str, *overrides: str) -> Path:
        return self(
            name,
            *("teacher=api", f"teacher.url={url}", "teacher.name=wise", "teacher.samples=1"),
            *(f"teacher.cache={self.folder / 'cache'}", "teacher.timeout_s=5", *overrides),
        )


def rows(path: Path) -> list[dict[str, object]]:
    return list(read_jsonl(path))
