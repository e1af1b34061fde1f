"""Runs of stage=teach on three problems of one type."""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import axiom_rl.stages
from axiom_rl.config import load_config
from axiom_rl.core.files import read_jsonl
from axiom_rl.core.types import Completion
from axiom_rl.gold.teacher.asking import Failure, TeacherAnswer

TEACH = (
    *("stage=teach", "problems.types=[reverse_string]", "problems.levels=[1]"),
    *("problems.sizes.train=3", "sandbox.servers=1", "teacher.check=never"),
)
composed = functools.cache(load_config)


class Teaching:
    """Runs stages in folders of a test."""

    def __init__(self, model: Path, folder: Path) -> None:
        self.model, self.folder = model, folder

    def __call__(self, name: str, *overrides: str) -> Path:
        model = (f"model.path={self.model}", "model.dtype=float32", "model.device=cpu")
        # Scripted answers hold reasoning and program; test_explained.py asks for them apart.
        local = not any(each.startswith("teacher=") for each in overrides)
        together = ("teacher.reasoning=before",) if local else ()
        config = copy.deepcopy(composed(*model, *TEACH, *together, *overrides))
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


class Scripted:
    """A teacher that answers by a function of problem number and sample; stops when told to."""

    name, exhausted, least = "script", "", 1

    def __init__(self, say: Any) -> None:
        self.say, self.drawn, self.stop_at, self.closed = say, [], None, 0

    def answers(self, requests: Any) -> Iterator[TeacherAnswer | Failure]:
        for request in requests:
            for sample in request.samples:
                if len(self.drawn) == self.stop_at:
                    self.stop_at = None
                    raise KeyboardInterrupt
                self.drawn.append((request.problem_id, sample))
                text = self.say(request, sample)
                if isinstance(text, Failure):
                    yield text
                    continue
                yield TeacherAnswer(
                    completion=Completion(
                        problem_id=request.problem_id,
                        sample=sample,
                        text=text,
                        prompt_tokens=7,
                        completion_tokens=11,
                        truncated=text.endswith("..."),
                    )
                )

    def close(self) -> None:
        self.closed += 1


def by_sample(*texts: str) -> Any:
    return lambda _request, sample: texts[sample % len(texts)]


def rows(path: Path) -> list[dict[str, object]]:
    return list(read_jsonl(path))
