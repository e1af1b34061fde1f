"""Traces that somebody has, in the place of a teacher's answers."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from axiom_rl.config import FileTeacherConfig
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_jsonl
from axiom_rl.core.text import whole_text
from axiom_rl.core.types import Completion, Problem
from axiom_rl.gold.teacher.asking import TeacherAnswer
from axiom_rl.problems.prompts import thought_answer
from axiom_rl.sampling import SampleRequest

log = logging.getLogger(__name__)

TEXTS = ("text", "completion", "response")
PROGRAMS = ("solution_code", "code")
FORM = "a row needs problem_id, and text (the whole answer) or reasoning and solution_code"


class FileTeacher:
    """Answers from a file: the first trace of a problem is sample 0, and so on."""

    exhausted = ""
    least = 1

    def __init__(self, config: FileTeacherConfig, problems: Sequence[Problem]) -> None:
        """Read the file.

        Args:
            config: names the file.
            problems: all of the split, also those that are not asked for.

        Raises:
            AxiomError: if there is no file, a row has another form, or no row is of the problems.
        """
        self._texts = read_texts(config)
        self.name = Path(str(config.traces)).name
        known = {problem.id for problem in problems}
        others = [problem_id for problem_id in self._texts if problem_id not in known]
        if len(others) == len(self._texts):
            raise AxiomError(
                f"teacher.traces={config.traces}: the traces are of {others[0]} and others, none "
                "of which is asked for: choose the problems= (with its seed and sizes) and the "
                "stage.split they were written for"
            )
        if others:
            log.warning(
                "traces of %d problems, such as %s, are left out: they are not asked for",
                len(others), others[0],
            )  # fmt: skip

    def answers(self, requests: Sequence[SampleRequest]) -> Iterator[TeacherAnswer]:
        """Yield the traces there are."""
        for request in requests:
            texts = self._texts.get(request.problem_id, [])
            for sample in request.samples:
                if sample < len(texts):
                    text, tokens = texts[sample]
                    yield TeacherAnswer(
                        completion=Completion(
                            problem_id=request.problem_id,
                            sample=sample,
                            text=text,
                            prompt_tokens=0,
                            completion_tokens=tokens,
                            truncated=False,
                        )
                    )

    def close(self) -> None:
        """Nothing is held."""


def read_texts(config: FileTeacherConfig) -> dict[str, list[tuple[str, int]]]:
    """Return text and tokens (0 where the file does not say) of the traces, by problem id.

    Raises:
        AxiomError: if no file is named, it is missing or empty, or a row has another form.
    """
    if config.traces is None:
        raise AxiomError("teacher=file needs teacher.traces=FILE.jsonl")
    path = Path(config.traces).expanduser()
    texts: dict[str, list[tuple[str, int]]] = {}
    for number, row in enumerate(read_jsonl(path), 1):
        problem_id, text = row.get("problem_id"), _text(row)
        if not isinstance(problem_id, str) or text is None:
            raise AxiomError(f"teacher.traces={path}, row {number}: {FORM}")
        tokens = row.get("tokens")
        count = int(tokens) if type(tokens) is int and tokens >= 0 else 0
        texts.setdefault(problem_id, []).append((whole_text(text), count))
    if not texts:
        raise AxiomError(f"teacher.traces={path} holds no traces; {FORM}")
    return texts


def _text(row: Mapping[str, Any]) -> str | None:
    for column in TEXTS:
        if isinstance(row.get(column), str):
            return str(row[column])
    code = next((row[column] for column in PROGRAMS if isinstance(row.get(column), str)), None)
    reasoning = row.get("reasoning")
    if code is None or not isinstance(reasoning, str):
        return None
    return (
        thought_answer(reasoning, code)
        if "```" not in code
        else f"<think>\n{reasoning}\n</think>\n\n{code}"
    )
