"""Problems of the user's own, one JSON object per line.

    {"statement": "Return twice n.", "entry_point": "double", "signature": "(n)",
     "examples": [{"args": [2], "expected": 4}],
     "tests": [{"args": [0], "expected": 0}, {"args": [-3], "expected": -6}]}

`statement`, `entry_point` and `tests` (at least one) are needed; `examples` are shown in the prompt
and must not be among the tests; stage=solve needs examples and no tests. Optional: `id` (default
jsonl/<line>), `title`, `split` (train by default, val or test), `difficulty` and `time_limit_s`.
Values are plain JSON, so a tuple that a program returns equals a list.
"""

from __future__ import annotations

import gzip
import json
import math
import zlib
from keyword import iskeyword
from pathlib import Path
from typing import Any

from axiom_rl.core.errors import AxiomError
from axiom_rl.core.types import Problem, TestCase
from axiom_rl.problems.base import LEVEL_COUNT
from axiom_rl.problems.generate import SPLITS, input_key
from axiom_rl.problems.registry import unknown_name

FIELDS: dict[str, type | tuple[type, ...]] = {
    "statement": str,
    "entry_point": str,
    "tests": list,
    "signature": str,
    "examples": list,
    "id": str,
    "title": str,
    "split": str,
    "difficulty": int,
    "time_limit_s": (int, float),
}
NEEDED = ("statement", "entry_point", "tests")


def read_user_problems(path: str, *, tested: bool = True) -> tuple[Problem, ...]:
    """Read the file, checking every line.

    Args:
        path: of the file.
        tested: whether problems must have tests; without, examples are enough.

    Raises:
        AxiomError: naming the line and field that is wrong, or an id that occurs twice.
    """
    problems: dict[str, Problem] = {}
    for number, line in enumerate(read_lines(path), start=1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        problem = _problem(_row(line, where, tested), number, where)
        if problem.id in problems:
            raise AxiomError(f"{where}: the id {problem.id!r} occurs twice")
        problems[problem.id] = problem
    if not problems:
        raise AxiomError(f"problems.path={path}: no problems in the file")
    return tuple(problems.values())


def read_lines(path: str) -> list[str]:
    """Read a JSON Lines file, gzipped where its name ends in .gz.

    Raises:
        AxiomError: if it is missing, or is not UTF-8 text (or gzip).
    """
    try:
        data = Path(path).read_bytes()
        text = (gzip.decompress(data) if path.endswith(".gz") else data).decode("utf-8")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise AxiomError(f"{path}, line {line}: not UTF-8 text") from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise AxiomError(f"problems.path={path}: not a whole gzip file: {error}") from error
    except OSError as error:
        raise AxiomError(f"problems.path={path}: {error.strerror}") from error
    return text.split("\n")  # and not at the line separators that a JSON string may hold


def _row(line: str, where: str, tested: bool) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise AxiomError(f"{where}: not valid JSON: {error}") from error
    if not isinstance(row, dict):
        raise AxiomError(f"{where}: expected a JSON object")
    for key, value in row.items():
        if key not in FIELDS:
            raise AxiomError(f"{where}: {unknown_name('field', key, FIELDS)}")
        if not isinstance(value, FIELDS[key]) or isinstance(value, bool):
            raise AxiomError(f"{where}: {key} has a value of type {type(value).__name__}")
    needed = NEEDED if tested or not row.get("examples") else NEEDED[:-1]
    missing = [key for key in needed if not row.get(key)]
    if missing:
        if not tested and missing == ["tests"]:
            raise AxiomError(f"{where}: give examples, by which a program can be chosen")
        raise AxiomError(f"{where}: {' and '.join(missing)} must not be missing or empty")
    return row


def _problem(row: dict[str, Any], number: int, where: str) -> Problem:
    if not row["entry_point"].isidentifier() or iskeyword(row["entry_point"]):
        raise AxiomError(f"{where}: entry_point {row['entry_point']!r} is no function name")
    if row.get("split", "train") not in SPLITS:
        raise AxiomError(f"{where}: {unknown_name('split', row['split'], SPLITS)}")
    if not 1 <= row.get("difficulty", 1) <= LEVEL_COUNT:
        raise AxiomError(f"{where}: difficulty {row['difficulty']}: must be 1 to {LEVEL_COUNT}")
    if not 0 < row.get("time_limit_s", 1) < math.inf:
        raise AxiomError(f"{where}: time_limit_s {row['time_limit_s']}: must be above 0")
    examples = _tests(row.get("examples", []), f"{where}: examples")
    tests = _tests(row.get("tests", []), f"{where}: tests")
    shown = {input_key(test.args) for test in examples}
    if any(input_key(test.args) in shown for test in tests):
        raise AxiomError(f"{where}: an example is also a test; the prompt would give it away")
    names = ", ".join(f"argument_{place + 1}" for place in range(len((*tests, *examples)[0].args)))
    return Problem(
        id=row.get("id", f"jsonl/{number}"),
        type="jsonl",
        difficulty=row.get("difficulty", 1),
        split=row.get("split", "train"),
        title=row.get("title", row["entry_point"]),
        statement=row["statement"],
        entry_point=row["entry_point"],
        signature=row.get("signature", f"({names})"),
        public_tests=examples,
        hidden_tests=tests,
        time_limit_s=row.get("time_limit_s"),
        from_json=True,
    )


def _tests(rows: list[Any], where: str) -> tuple[TestCase, ...]:
    tests = []
    for row in rows:
        match row:
            case {"args": list(args), "expected": expected} if len(row) == 2:
                tests.append(TestCase(args=tuple(args), expected=expected))
            case _:
                raise AxiomError(
                    f'{where}: each is {{"args": [...], "expected": ...}}, not {row!r}'
                )
    return tuple(tests)
