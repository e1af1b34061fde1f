"""Traces: gold records with the reasoning before the program, and the file they stand in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_jsonl, write_jsonl
from axiom_rl.core.types import Solution
from axiom_rl.gold.rows import in_one_form
from axiom_rl.gold.store import check_passed, check_whole, program_of

SCHEMA = 1
RIGHT_FILE = "what is right stands in traces.jsonl beside it"


WRONG = "why"
"""Column of the files of wrong traces alone: why each is not trained on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace(Solution):
    """A verified program, and the reasoning that led to it. The fields are the file's columns."""

    teacher: str
    """local, api or file, and the model's name."""
    sample: int
    """Index of the answer among those to the problem."""
    prompt_tokens: int
    tokens: int
    """Of the answer, reasoning included."""
    seconds: float
    """Between the answer before it and this one, which other answers were written beside."""


OF_EXPERTS = ("completion", "expert", "hidden_passed")
COLUMNS = tuple(field.name for field in fields(Trace) if field.name not in OF_EXPERTS)
"""A trace is gold by the hidden tests, and its answer stands in two parts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TeachResult:
    """What a teacher was asked, what came back, and what it cost."""

    path: Path
    """The traces file."""
    traces: tuple[Trace, ...]
    asked: int
    """Problems."""
    solved: int
    """Problems with a trace."""
    answers: int
    right: int
    """Answers whose program passes all hidden tests."""
    prompt_tokens: int
    tokens: int
    """Of all answers, the wrong ones included."""
    cost: float
    """In the unit of the prices; 0 where nothing is paid."""
    seconds: float
    counts: Mapping[str, int]
    """How often what went wrong: wrong answers by kind, failed requests by kind."""

    @property
    def share(self) -> float:
        """The yield: right answers of all answers; 0 without any."""
        return self.right / self.answers if self.answers else 0.0


def write_traces(path: Path, traces: Iterable[Trace]) -> None:
    """Write a traces file, whole or not at all."""
    write_jsonl(path, ({"schema": SCHEMA} | asdict(item) for item in traces))


def read_traces(path: Path) -> list[Trace]:
    """Read a traces file.

    Raises:
        AxiomError: if the file is missing or empty, is one of wrong traces, or a row lacks a
            column, holds no program or no reasoning, or one with tags in it, or is of a program
            that did not pass all its tests; naming file and row.
    """
    traces = [
        _trace(row, f"{path}, row {number}") for number, row in enumerate(read_jsonl(path), 1)
    ]
    if not traces:
        raise AxiomError(f"{path} holds no traces; stage=teach writes them")
    return traces


def _trace(row: dict[str, Any], where: str) -> Trace:
    if WRONG in row:
        raise AxiomError(f"{where}: it is wrong ({row[WRONG]}), and never trained on; {RIGHT_FILE}")
    missing = [column for column in COLUMNS if column not in row]
    if missing:
        raise AxiomError(
            f"{where}: no {', '.join(missing)}; stage=teach teacher=file judges traces of others "
            "and writes a file that can be trained on (docs/guides/teacher.md)"
        )
    for column in ("problem_id", "solution_code", "reasoning"):
        if not isinstance(row[column], str) or not row[column].strip():
            raise AxiomError(f"{where}: {column} must be text, and not empty")
    check_whole(row, where)
    check_passed(row, where)
    code, reasoning = program_of(row["solution_code"]), str(row["reasoning"])
    if not code.strip():
        raise AxiomError(f"{where}: solution_code holds no program")
    if not in_one_form(reasoning, code):
        raise AxiomError(
            f"{where}: reasoning holds a tag such as </think>, which would end it early; take the "
            "tag out"
        )
    return Trace(**{column: row[column] for column in COLUMNS} | {"solution_code": code})
