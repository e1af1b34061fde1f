"""Gold solutions: verified programs, de-duplicated, kept as JSON Lines, turned into SFT rows."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from axiom_rl.config import CONTROLS, SELECTORS
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_jsonl, write_jsonl
from axiom_rl.core.text import whole_text
from axiom_rl.core.types import Problem, Solution, Verdict
from axiom_rl.verify import extract_code

SCHEMA = 1
COLUMNS = tuple(Solution.__dataclass_fields__)
REASONING = "reasoning"
LATER = ("completion", "expert", "hidden_passed", REASONING)
"""Columns that files of older versions, and of users, may lack."""


class GoldStore:
    """The distinct solutions found so far, in the order in which they came."""

    def __init__(self, solutions: Iterable[Solution] = ()) -> None:
        """Start with some solutions; duplicates among them are dropped."""
        self._solutions: dict[tuple[str, str], Solution] = {}
        for solution in solutions:
            self.add(solution)

    def __len__(self) -> int:
        return len(self._solutions)

    @property
    def solutions(self) -> tuple[Solution, ...]:
        """All solutions."""
        return tuple(self._solutions.values())

    def add(self, solution: Solution) -> bool:
        """Take a solution unless its program, normalised, is there already for its problem."""
        key = (solution.problem_id, normalise(solution.solution_code))
        if key in self._solutions:
            return False
        self._solutions[key] = solution
        return True

    def solved(self) -> frozenset[str]:
        """Ids of the problems that have a solution."""
        return frozenset(problem_id for problem_id, _code in self._solutions)

    def write(self, path: Path) -> None:
        """Write the solutions file, whole or not at all."""
        write_jsonl(path, map(_row, self.solutions))


def _row(item: Solution) -> dict[str, Any]:
    row = {"schema": SCHEMA} | asdict(item)
    return row if item.reasoning else {key: row[key] for key in row if key != REASONING}


def read_solutions(path: Path) -> list[Solution]:
    """Read a solutions file.

    Raises:
        AxiomError: if the file is missing, or a row lacks a column, holds something else than
            text in it, or is of a program that did not pass all tests of an expert that demands it;
            naming file and row.
    """
    solutions = []
    for number, row in enumerate(read_jsonl(path), start=1):
        missing = [column for column in COLUMNS if column not in row and column not in LATER]
        if missing:
            raise AxiomError(
                f"{path}, row {number}: no {', '.join(missing)}; see docs/guides/gold.md"
            )
        for column in ("problem_id", "solution_code"):
            if not isinstance(row[column], str):
                raise AxiomError(f"{path}, row {number}: {column} must be text")
        check_whole(row, f"{path}, row {number}")
        _check_expert(row, f"{path}, row {number}")
        code = program_of(row["solution_code"])
        if not code.strip():
            raise AxiomError(f"{path}, row {number}: solution_code holds no program")
        columns = {c: row[c] for c in COLUMNS if c in row} | {"solution_code": code}
        reasoning = row.get(REASONING) or ""
        if not isinstance(reasoning, str):
            raise AxiomError(f"{path}, row {number}: reasoning must be text, or null")
        if not (row.get("completion") or "").strip():
            columns["completion"] = None  # an empty answer would be learned as one
        solutions.append(Solution(**columns | {"hidden_passed": None, REASONING: reasoning}))
    return solutions


def check_whole(row: dict[str, Any], where: str) -> None:
    """Refuse text that no tokenizer takes: JSON can hold half of a surrogate pair."""
    for column, value in row.items():
        if isinstance(value, str) and whole_text(value) != value:
            raise AxiomError(
                f"{where}: {column} holds half of a surrogate pair, such as \\ud83d, which is no "
                "character: take it out"
            )


def _check_expert(row: dict[str, Any], where: str) -> None:
    """Refuse a record whose numbers its expert cannot have given, and text that is none."""
    expert, completion = row.get("expert", "hidden"), row.get("completion")
    if not isinstance(expert, str):
        raise AxiomError(f"{where}: expert must be text")
    if completion is not None and not isinstance(completion, str):
        raise AxiomError(f"{where}: completion must be text, or null")
    if expert not in (*SELECTORS, *CONTROLS):
        check_passed(row, where)


def check_passed(row: dict[str, Any], where: str) -> None:
    """Refuse a record that does not say that its program passed all of some tests."""
    passed, total = row["passed_tests"], row["total_tests"]
    for column, value in (("passed_tests", passed), ("total_tests", total)):
        if type(value) is not int:
            raise AxiomError(f"{where}: {column} must be a whole number, not {value!r}")
    if passed != total or total < 1:
        raise AxiomError(
            f"{where}: {passed} of {total} tests passed; only programs that pass all of their "
            "tests are gold, so take the row out"
        )


def program_of(code: str) -> str:
    """Return the program of a row that may hold a whole answer, with its fences."""
    fenced = re.search(r"^\s*(```|~~~)", code, re.MULTILINE) is not None
    return (extract_code(code) or "") if fenced and not _compiles(code) else code


def _compiles(code: str) -> bool:
    """Tell whether a text with fences is a program: they may stand in a docstring of its own."""
    try:
        ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def make_solution(
    problem: Problem,
    code: str,
    verdict: Verdict,
    model_name: str,
    completion: str | None = None,
    reasoning: str = "",
) -> Solution:
    """Return the gold solution of an accepted verdict of the hidden tests.

    Raises:
        ValueError: if the verdict is not a pass; wrong code must never become gold.
    """
    if not verdict.passed:
        raise ValueError(f"{problem.id}: only accepted programs are gold, not {verdict.status}")
    tests = (verdict.total_tests, verdict.total_tests)
    return expert_solution(problem, code, tests, model_name, completion, "hidden", reasoning)


def expert_solution(
    problem: Problem,
    code: str,
    tests: tuple[int, int],
    model_name: str,
    completion: str | None,
    expert: str,
    reasoning: str = "",
) -> Solution:
    """Return what an expert took as a gold solution; `tests` it saw: passed, and all."""
    return Solution(
        problem_id=problem.id,
        problem_title=problem.title,
        solution_code=code,
        passed_tests=tests[0],
        total_tests=tests[1],
        model_name=model_name,
        timestamp=datetime.now(UTC).isoformat(timespec="seconds"),
        completion=completion,
        expert=expert,
        reasoning=reasoning,
    )


def normalise(code: str) -> str:
    """Return a text equal for programs that differ in comments, docstrings and layout alone."""
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return _without_layout(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            node.body = [item for item in node.body if not _is_docstring(item)] or [ast.Pass()]
    try:
        return ast.unparse(tree)
    except RecursionError:  # a sum of a thousand terms is a tree a thousand levels deep
        return _without_layout(code)


def _is_docstring(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _without_layout(code: str) -> str:
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(code).readline))
    except (tokenize.TokenError, SyntaxError):
        return code.strip()
    layout = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE)
    return " ".join(token.string for token in tokens if token.type not in layout)
