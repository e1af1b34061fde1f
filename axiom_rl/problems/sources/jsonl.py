"""Problems of the user's own, one JSON object per line.

    {"statement": "Return twice n.", "entry_point": "double", "signature": "(n)",
     "examples": [{"args": [2], "expected": 4}],
     "tests": [{"args": [0], "expected": 0}, {"args": [-3], "expected": -6}]}

`statement`, `entry_point` and `tests` (at least one) are needed; `examples` are shown in the prompt
and must not be among the tests; stage=solve needs examples and no tests. Optional: `signature`,
`id` (default jsonl/<line>), `title`, `split` (train by default, val or test), `difficulty`,
`time_limit_s`, `tolerance` (largest absolute difference of equal numbers), `solution`, a program
that must pass (it is judged when the problems are loaded, and never shown or trained on), and
`checker`, the name of a registered one where several answers are right. Values are plain JSON, so a
tuple that a program returns equals a list.

A row with a mistake is left out by name, with the reason; a file of such rows is an error.
"""

from __future__ import annotations

import gzip
import json
import math
import unicodedata
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from keyword import iskeyword
from pathlib import Path
from typing import Any

from axiom_rl.core.codec import encode
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.types import LONGEST_S, TOLERANCE_RULE, Problem, TestCase, is_tolerance
from axiom_rl.problems.base import LEVEL_COUNT
from axiom_rl.problems.generate import SPLITS, input_key
from axiom_rl.problems.registry import checker_for, unknown_name
from axiom_rl.problems.sources.signature import arity, default_signature, read_signature

FIELDS: dict[str, type | tuple[type, ...]] = {
    "statement": str,
    "entry_point": str,
    "tests": list,
    "signature": str,
    "examples": list,
    "id": (str, int),
    "title": str,
    "split": str,
    "difficulty": int,
    "time_limit_s": (int, float),
    "solution": str,
    "checker": str,
    "tolerance": (int, float),
}
NEEDED = ("statement", "entry_point", "tests")
LONGEST_REASON = 300
"""Characters of what is said about one row."""
LONGEST_ID = 200
NAMED_ROWS = 3
"""Rows named in the error of a file that has no other."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """Problems of a file, with the reference programs that it has (never shown or trained on)."""

    problems: tuple[Problem, ...]
    solutions: dict[str, str]
    """Reference program by problem id."""
    left_out: dict[str, str]
    """Why a row cannot be used, by its id, or by its line where it has none."""


class NoRow(str):
    """Why a line of a file holds no row."""

    __slots__ = ()


class _Mistake(Exception):
    """What is wrong with a row."""


def read_user_problems(path: str, *, tested: bool = True) -> Loaded:
    """Read the file, checking every line.

    Args:
        path: of the file.
        tested: whether problems must have tests; without, examples are enough.

    Raises:
        AxiomError: if the file cannot be read or has no usable row, naming what is wrong with it,
            or if a row names a checker that is not registered.
    """
    problems: dict[str, Problem] = {}
    solutions, left_out = {}, {}
    for number, line in enumerate(read_lines(path), start=1):
        if not line.strip():
            continue
        try:
            row = _row(line, tested)
            problem = _problem(row, number)
            if problem.id in problems:
                raise _Mistake(f"the id {problem.id!r} occurs twice")
        except (_Mistake, AxiomError) as error:
            left_out[f"line {number}"] = shortened(str(error))
            continue
        problems[problem.id] = problem
        try:
            checker_for(problem.checker)
        except AxiomError as error:
            raise AxiomError(f"{path}, line {number}: {error}") from None
        if "solution" in row:
            solutions[problem.id] = row["solution"]
    if not problems:
        raise none_usable(f"path={path}", left_out)
    return Loaded(tuple(problems.values()), solutions, left_out)


def none_usable(source: str, left_out: Mapping[str, str]) -> AxiomError:
    """Return the error for a file or benchmark without a usable row."""
    if not left_out:
        return AxiomError(f"problems.{source}: no problems in the file")
    named = [f"{place}: {reason}" for place, reason in left_out.items()]
    more = f"; and {len(named) - NAMED_ROWS} more" if len(named) > NAMED_ROWS else ""
    return AxiomError(
        f"problems.{source}: none of its {len(named)} rows can be used: "
        f"{'; '.join(named[:NAMED_ROWS])}{more}"
    )


def read_lines(path: str) -> list[str]:
    """Read a JSON Lines file, gzipped where its name ends in .gz, without a byte order mark.

    Of a JSON array the rows come as lines, each in the place of the line that it begins in, or in
    the next free one. Bytes that are no UTF-8 come as surrogates, which `parse_row` refuses in
    their line.

    Raises:
        AxiomError: if it is missing, or is not gzip.
    """
    try:
        data = Path(path).read_bytes()
        whole = gzip.decompress(data) if path.endswith(".gz") else data
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise AxiomError(f"problems.path={path}: not a whole gzip file: {error}") from error
    except OSError as error:
        raise AxiomError(f"problems.path={path}: {error.strerror}") from error
    text = whole.decode("utf-8-sig", errors="surrogateescape")
    if text.lstrip()[:1] == "[" and (rows := _rows_of_array(text)):
        return rows
    return text.split("\n")  # and not at the line separators that a JSON string may hold


def _rows_of_array(text: str) -> list[str]:
    """Return the rows of a JSON array, at the numbers of their lines; none if it is broken."""
    decoder = json.JSONDecoder(parse_int=str, parse_float=str)  # the values are read later
    rows: list[str] = []
    line, at, end = 0, text.index("["), 0
    while text[at : at + 1] in ("[", ","):
        start = _after_space(text, at + 1)
        line += text.count("\n", end, start)
        try:
            _row, after = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            return []
        rows += [""] * (line - len(rows))
        rows.append(text[start:after])
        line, end = line + text.count("\n", start, after), after
        at = _after_space(text, after)
    return rows if text[at:].strip() == "]" else []


def _after_space(text: str, at: int) -> int:
    while text[at : at + 1].isspace():
        at += 1
    return at


def parse_row(line: str) -> dict[str, Any] | NoRow:
    """Return the JSON object of a line, or why it holds none."""
    if lone_surrogate([line]):
        return NoRow("not UTF-8 text")
    try:
        row = json.loads(line, object_pairs_hook=_object)
    except (ValueError, RecursionError, _Mistake) as error:
        if "integer string conversion" in str(error):
            return NoRow("an integer of more than 4,300 digits")
        return NoRow(shortened(f"not valid JSON: {error}"))
    return row if isinstance(row, dict) else NoRow("expected a JSON object")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise _Mistake("an object has one key twice")
    return made


def shortened(text: str) -> str:
    """Return what is said about a row as one short, printable line."""
    cut = text if len(text) <= LONGEST_REASON else f"{text[:LONGEST_REASON]}..."
    return "".join(letter if letter.isprintable() else " " for letter in cut)


def lone_surrogate(texts: Iterable[Any]) -> bool:
    """Tell whether one of these texts, or of lists of texts, holds half a surrogate pair."""
    return any(
        lone_surrogate(text)
        if isinstance(text, list)
        else isinstance(text, str) and any("\ud800" <= letter <= "\udfff" for letter in text)
        for text in texts
    )


def is_id(text: str) -> bool:
    """Tell whether a text can name a problem."""
    odd = any(unicodedata.category(letter) in ("Cc", "Cs") for letter in text[: LONGEST_ID + 1])
    return 0 < len(text) <= LONGEST_ID and not odd  # a terminal obeys control characters


def contradiction(tests: Iterable[TestCase]) -> str:
    """Say which two tests give one input two answers; '' where none do."""
    answers: dict[str, Any] = {}
    for test in tests:
        known = answers.setdefault(input_key(test.args), test.expected)
        if not _agree(known, test.expected):
            return (
                f"two tests with the same arguments expect different values, "
                f"{_brief(known)} and {_brief(test.expected)}"
            )
    return ""


def _agree(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return one == other or math.isclose(one, other) or (one != one and other != other)
    return bool(one == other) or input_key((one,)) == input_key((other,))


def _brief(value: Any) -> str:
    try:
        return f"{value!r:.60}"
    except ValueError:
        return "an integer too long to write"


def _row(line: str, tested: bool) -> dict[str, Any]:
    found = parse_row(line)
    if isinstance(found, NoRow):
        raise _Mistake(str(found))
    row = {key: value for key, value in found.items() if value is not None or key in NEEDED}
    for key, value in row.items():
        if key not in FIELDS:
            raise unknown_name("field", shortened(key), FIELDS)
        if value is not None and (not isinstance(value, FIELDS[key]) or isinstance(value, bool)):
            raise _Mistake(f"{key} has a value of type {type(value).__name__}")
    needed = NEEDED if tested or not row.get("examples") else NEEDED[:-1]
    missing = [key for key in needed if _is_blank(row.get(key))]
    if not tested and missing == ["tests"]:
        raise _Mistake("give examples, by which a program can be chosen")
    if missing:
        raise _Mistake(f"{' and '.join(missing)} must not be missing or empty")
    if lone_surrogate(value for value in row.values() if isinstance(value, str)):
        raise _Mistake("holds half a surrogate pair, which is no text")
    return row


def _is_blank(value: Any) -> bool:
    return not (value.strip() if isinstance(value, str) else value)


def _problem(row: dict[str, Any], number: int) -> Problem:
    row["entry_point"] = unicodedata.normalize("NFKC", row["entry_point"])  # as Python does
    if not row["entry_point"].isidentifier() or iskeyword(row["entry_point"]):
        raise _Mistake(f"entry_point {row['entry_point']!r:.80} is no function name")
    if not is_id(str(row.get("id", number))):
        raise _Mistake(f"the id must have 1 to {LONGEST_ID} characters, none of them a control")
    if row.get("split", "train") not in SPLITS:
        raise unknown_name("split", shortened(row["split"]), SPLITS)
    if not 1 <= row.get("difficulty", 1) <= LEVEL_COUNT:
        raise _Mistake(f"difficulty {row['difficulty']}: must be 1 to {LEVEL_COUNT}")
    if not 0 < row.get("time_limit_s", 1) <= LONGEST_S:
        raise _Mistake(
            f"time_limit_s {row['time_limit_s']!r:.40}: must be above 0, {LONGEST_S} at most"
        )
    if not is_tolerance(row.get("tolerance", 0)):
        raise _Mistake(f"tolerance {row['tolerance']!r:.40}: {TOLERANCE_RULE}")
    if "tolerance" in row and "checker" in row:
        raise _Mistake("a checker decides by itself what is right; leave out tolerance")
    examples = _tests(row.get("examples", []), "examples")
    tests = _tests(row.get("tests") or [], "tests")
    shown = {input_key(test.args) for test in examples}
    if any(input_key(test.args) in shown for test in tests):
        raise _Mistake("an example is also a test; the prompt would give it away")
    if "checker" not in row and (said_twice := contradiction([*examples, *tests])):
        raise _Mistake(said_twice)
    return Problem(
        id=str(row.get("id", f"jsonl/{number}")),
        type="jsonl",
        difficulty=row.get("difficulty", 1),
        split=row.get("split", "train"),
        title=row.get("title", row["entry_point"]),
        statement=row["statement"],
        entry_point=row["entry_point"],
        signature=_signature(row, [*examples, *tests]),
        public_tests=examples,
        hidden_tests=tests,
        time_limit_s=row.get("time_limit_s"),
        from_json=True,
        checker=row.get("checker"),
        tolerance=row.get("tolerance"),
    )


def _signature(row: dict[str, Any], tests: list[TestCase]) -> str:
    """Return the row's parameter list, which every test must fit, or one made from the tests."""
    counts = [len(test.args) for test in tests]
    if not row.get("signature", "").strip():
        return default_signature(min(counts), max(counts))
    signature = read_signature(row["signature"], row["entry_point"])
    if signature is None:
        raise _Mistake(
            f"signature {row['signature']!r:.80} is no parameter list of {row['entry_point']}; "
            "write e.g. (nums, target)"
        )
    least, most = arity(signature)
    for count in counts:
        if not least <= count <= most:
            raise _Mistake(f"a test has {count} arguments, which {signature} does not take")
    return signature


def _tests(rows: list[Any], where: str) -> tuple[TestCase, ...]:
    tests = []
    for row in rows:
        match row:
            case {"args": list(args), "expected": expected} if len(row) == 2:
                tests.append(TestCase(args=tuple(args), expected=expected))
            case _:
                raise _Mistake(
                    f'{where}: each is {{"args": [...], "expected": ...}}, not {row!r:.80}'
                )
        try:
            encode([args, expected])
        except ValueError as error:
            raise _Mistake(f"{where}: {error}") from None
    return tuple(tests)
