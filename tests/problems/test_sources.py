"""Problems from files of the user's own."""

from __future__ import annotations

import dataclasses
import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest

from axiom_rl.config import load_config
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.types import TestCase
from axiom_rl.problems import has_fresh_tests, registry
from axiom_rl.problems.prompts import render
from axiom_rl.problems.sources.jsonl import read_user_problems
from axiom_rl.problems.sources.load import load_splits
from axiom_rl.problems.sources.signature import read_signature
from axiom_rl.problems.splits import read_problems, write_problems
from axiom_rl.verify import Verifier

DOUBLE: dict[str, Any] = {
    "statement": "Return twice n.",
    "entry_point": "double",
    "signature": "(n)",
    "examples": [{"args": [2], "expected": 4}],
    "tests": [{"args": [0], "expected": 0}, {"args": [-3], "expected": -6}],
}


def write_rows(path: Path, rows: list[dict[str, Any]]) -> str:
    text = "".join(json.dumps(row) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return str(path)


def test_own_problems(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "mine.jsonl", [DOUBLE, {**DOUBLE, "id": "x", "split": "test"}])
    splits = load_splits(load_config("problems=jsonl", f"problems.path={path}").problems)
    (problem,), (other,) = splits.train, splits.test
    assert (problem.id, other.id) == ("jsonl/1", "x")
    assert problem.public_tests == (TestCase(args=(2,), expected=4),)
    assert problem.hidden_tests[1] == TestCase(args=(-3,), expected=-6)
    assert problem.from_json
    assert not has_fresh_tests(problem)
    assert "def double(n):" in render(problem, "direct")[0]["content"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"statment": "x"}, "unknown field 'statment'; did you mean statement"),
        ({"statement": 3}, "statement has a value of type int"),
        ({"statement": ""}, "statement must not be missing"),
        ({"tests": []}, "tests must not be missing"),
        ({"tests": [{"args": 1, "expected": 1}]}, "tests: each is"),
        ({"tests": [{"args": [1]}]}, "tests: each is"),
        ({"examples": [{"args": [0], "expected": 0}]}, "an example is also a test"),
        ({"entry_point": "two words"}, "entry_point"),
        ({"entry_point": "class"}, "entry_point"),
        ({"difficulty": 11}, "difficulty 11: must be 1 to 10"),
        ({"time_limit_s": 0}, "time_limit_s 0: must be above 0"),
        ({"time_limit_s": float("inf")}, "time_limit_s inf"),
        ({"time_limit_s": 10**400}, "time_limit_s 1000*: must be above 0, 86400 at most"),
        ({"tolerance": 10**400}, "tolerance 1000*: must be a finite number"),
        ({"tolerance": 0.1, "checker": "two_sum"}, "a checker decides by itself"),
        ({"split": "training"}, "unknown split 'training'"),
        ({"difficulty": True}, "difficulty has a value of type bool"),
        ({"id": "jsonl/1"}, "the id 'jsonl/1' occurs twice"),
        ({"entry_point": "f" * 10**6 + " x"}, "entry_point 'ffff"),
        ({"statement": "half a pair: \ud83d"}, "half a surrogate pair"),
        ({"tests": [{"args": [1], "expected": n} for n in (2, 3)]}, "different values, 2 and 3"),
        ({"tests": [{"args": [2], "expected": 5}], "examples": []}, ""),
        ({"signature": "def triple(n)"}, "signature 'def triple.n.' is no parameter list of do"),
        ({"id": "x" * 10**6}, "the id must have 1 to 200 characters"),
        ({"id": "a\nb"}, "the id must have 1 to 200 characters"),
        ({"id": "\x1b[31mred"}, "the id must have 1 to 200 characters"),
        ({"id": ""}, "the id must have 1 to 200 characters"),
        ({"statement": " \n"}, "statement must not be missing or empty"),
        ({"signature": 'def double(n):\n    """Doc."""'}, ""),
        ({"signature": "@cache\ndef double(n: int) -> int:  # n"}, ""),
        ({"signature": "async def double(n)"}, "is no parameter list of double"),
        ({"entry_point": "double", "id": "\u2028"}, ""),
        ({"signature": "(n, m)"}, "a test has 1 arguments, which .n, m. does not take"),
        ({"signature": "(*, n)"}, "a test has 1 arguments"),
        ({"signature": "(n"}, "write e.g. .nums, target."),
        ({"signature": "int -> int: n"}, "is no parameter list"),
        ({"tests": [{"args": [json.loads("[" * 151 + "]" * 151)], "expected": 0}]}, "nested deep"),
        ({"tolerance": -1e-9}, "tolerance -1e-09: must be a finite number, 0 or more"),
        ({"tolerance": float("nan")}, "tolerance nan: must be"),
        ({"tolerance": float("inf")}, "tolerance inf: must be"),
        ({"tolerance": "0.1"}, "tolerance has a value of type str"),
        ({"tolerance": True}, "tolerance has a value of type bool"),
    ],
)
def test_rows_with_mistakes_are_left_out_by_line(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    path = write_rows(tmp_path / "mine.jsonl", [DOUBLE, {**DOUBLE, **change}])
    found = read_user_problems(path)
    if not message:
        assert len(found.problems) == 2
        return
    assert [problem.id for problem in found.problems] == ["jsonl/1"]
    assert found.left_out.keys() == {"line 2"}
    assert re.search(message, found.left_out["line 2"])
    assert len(found.left_out["line 2"]) < 400
    if change != {"id": "jsonl/1"}:
        alone = write_rows(tmp_path / "alone.jsonl", [{**DOUBLE, **change}])
        with pytest.raises(
            AxiomError, match=f"none of its 1 rows can be used: line 1: .*{message}"
        ):
            read_user_problems(alone)


def test_odd_lines_end_nothing(tmp_path: Path) -> None:
    lines = [
        "\ufeff" + json.dumps({**DOUBLE, "id": 7}),
        "null",
        "[1]",
        "{",
        json.dumps(DOUBLE)[:-1] + ', "tests": []}',
        json.dumps(DOUBLE).replace("-6", "9" * 5000),
        "[" * 100_000,
        "",
        json.dumps({**DOUBLE, "title": None, "difficulty": None, "signature": None}),
        json.dumps({**DOUBLE, "tests": [{"args": ["\ud800"], "expected": "\ud800"}]}),
    ]
    path = tmp_path / "mine.jsonl"
    path.write_bytes("\n".join(lines).encode() + b'\n{"statement": "\xff"}')
    config = load_config("problems=jsonl", f"problems.path={path}").problems
    splits = load_splits(config)
    assert [problem.id for problem in splits.train] == ["7", "jsonl/9", "jsonl/10"]
    assert list(splits.left_out) == [f"line {number}" for number in (2, 3, 4, 5, 6, 7, 11)]
    assert "more than 4,300 digits" in splits.left_out["line 6"]
    assert "one key twice" in splits.left_out["line 5"]
    assert splits.left_out["line 11"] == "not UTF-8 text"
    write_problems(tmp_path / "written.jsonl", splits.train)
    assert read_problems(tmp_path / "written.jsonl") == splits.train


@pytest.mark.parametrize(
    ("text", "signature"),
    [
        ("(nums: List[int]) -> int", "(nums: List[int]) -> int"),
        ("(nums:List[int])->int:", "(nums: List[int]) -> int"),
        ("def f(x)", "(x)"),
        ("def f(x):", "(x)"),
        ("def f(x): ...", "(x)"),
        ("def  f ( x, y = 1 ) -> 'int' :", "(x, y=1) -> 'int'"),
        ("f(x)", "(x)"),
        ("x", "(x)"),
        ("x: int, y -> int", "(x: int, y) -> int"),
        ("(x):", "(x)"),
        ("()", "()"),
        ("(\n    x,\n    y,\n)", "(x, y)"),
        ("(*nums)", "(*nums)"),
        ("def g(x)", None),
        ("(x", None),
        ("(x): import os", None),
        ("f", "(f)"),
        ("x) + (y", None),
    ],
)
def test_signatures_in_every_spelling(text: str, signature: str | None) -> None:
    assert read_signature(text, "f") == signature


def test_a_signature_is_made_from_tests_of_two_arities(tmp_path: Path) -> None:
    tests = [{"args": [1], "expected": 1}, {"args": [1, 2, 3], "expected": 6}]
    rows = [
        {"statement": "Add.", "entry_point": "add", "tests": tests, "signature": signature}
        for signature in ("", "(a, *more)", "(a, b=0)")
    ]
    found = read_user_problems(write_rows(tmp_path / "mine.jsonl", rows))
    assert [problem.signature for problem in found.problems] == [
        "(argument_1, argument_2=None, argument_3=None)",
        "(a, *more)",
    ]
    assert "a test has 3 arguments, which (a, b=0) does not take" in found.left_out["line 3"]


def test_a_row_names_its_checker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_CHECKERS", dict(registry._CHECKERS))
    (tmp_path / "my_checkers.py").write_text(
        "from axiom_rl.problems import register_checker\n"
        "register_checker('any_even', lambda args, value, expected: value % 2 == 0)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    path = write_rows(tmp_path / "mine.jsonl", [DOUBLE, {**DOUBLE, "checker": "any_even"}])
    overrides = ("problems=jsonl", f"problems.path={path}")
    with pytest.raises(AxiomError, match=r"line 2: unknown checker 'any_even'.*problems\.imports"):
        load_splits(load_config(*overrides).problems)
    config = load_config(*overrides, "problems.imports=[my_checkers]")
    plain, even = load_splits(config.problems).train
    code = "def double(n):\n    return 8\n"
    with Verifier(config.sandbox) as verifier:
        verdicts = verifier.verify([(plain, code), (even, code)])
    assert [verdict.passed for verdict in verdicts] == [False, True]


def test_a_tolerance_of_a_problems_own_is_kept_and_judged_by(tmp_path: Path) -> None:
    row = {**DOUBLE, "tests": [{"args": [0.5], "expected": 1}, {"args": [3], "expected": 6.0}]}
    path = write_rows(tmp_path / "mine.jsonl", [{**row, "tolerance": 0.25}, row])
    write_problems(tmp_path / "kept.jsonl", read_user_problems(path).problems)
    problems = read_problems(tmp_path / "kept.jsonl")
    assert [problem.tolerance for problem in problems] == [0.25, None]
    near = "def double(n):\n    return 2.0 * n + 0.2"
    far = "def double(n):\n    return 2.0 * n + 0.3"
    exact = "from fractions import Fraction\ndef double(n):\n    return 2 * Fraction(n)"
    candidates = [(problem, code) for problem in problems for code in (near, far, exact)]
    with Verifier(load_config().sandbox) as verifier:
        passed = [verdict.passed for verdict in verifier.verify(candidates)]
    assert passed == [True, False, True, False, False, True]


def test_a_problem_refuses_what_is_no_tolerance(tmp_path: Path) -> None:
    (problem,) = read_user_problems(write_rows(tmp_path / "mine.jsonl", [DOUBLE])).problems
    for wrong in (-1.0, float("nan"), float("inf"), "0.1", True):
        with pytest.raises(ValueError, match="must be a finite number, 0 or more"):
            dataclasses.replace(problem, tolerance=wrong)  # type: ignore[arg-type]


def test_files_that_are_no_problems(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"statement"\n')
    (tmp_path / "b.jsonl").write_text("[1]\n")
    (tmp_path / "c.jsonl").write_text("\n")
    (tmp_path / "e.jsonl").write_bytes(b"\n\n\xff\n")
    (tmp_path / "f.jsonl").write_text("[" * 100_000)
    (tmp_path / "g.gz").write_bytes(b"no gzip")
    (tmp_path / "h.jsonl").write_bytes("{}".encode("utf-16"))
    for name, message in (
        ("e.jsonl", "line 3: not UTF-8"),
        ("f.jsonl", "line 1: not valid JSON"),
        ("h.jsonl", "not UTF-8"),
        ("g.gz", "not a whole gzip file"),
        ("a.jsonl", "line 1: not valid JSON"),
        ("b.jsonl", "line 1: expected a JSON object"),
        ("c.jsonl", "no problems in the file"),
        ("d.jsonl", "No such file"),
    ):
        with pytest.raises(AxiomError, match=message):
            read_user_problems(str(tmp_path / name))


@pytest.mark.parametrize("indent", [None, 2])
def test_a_file_may_be_a_json_array(tmp_path: Path, indent: int | None) -> None:
    """Its rows are named by the lines that they begin in; one on the line of another counts on."""
    rows = [DOUBLE, {**DOUBLE, "split": "dev"}, {**DOUBLE, "tests": [{"args": [7], "expected": 2}]}]
    text = json.dumps(rows, indent=indent)
    (tmp_path / "mine.json").write_text(f"\ufeff\n{text}\n", encoding="utf-8")
    found = read_user_problems(str(tmp_path / "mine.json"))
    lines = text.split("\n")
    begins = [at + 2 for at, line in enumerate(lines) if line == "  {"] or [2, 3, 4]
    assert [problem.id for problem in found.problems] == [f"jsonl/{begins[n]}" for n in (0, 2)]
    assert list(found.left_out) == [f"line {begins[1]}"]
    (tmp_path / "torn.json").write_text(text[:-5], encoding="utf-8")
    with pytest.raises(AxiomError, match="not valid JSON"):
        read_user_problems(str(tmp_path / "torn.json"))


def test_a_file_must_be_named() -> None:
    with pytest.raises(AxiomError, match=r"needs problems\.path="):
        load_splits(load_config("problems=jsonl").problems)


def test_line_separators_inside_a_text_end_no_line(tmp_path: Path) -> None:
    row = {**DOUBLE, "statement": "Return\u2028twice n.\x0c"}
    path = tmp_path / "mine.jsonl"
    path.write_text(json.dumps(row, ensure_ascii=False) + "\n", encoding="utf-8")
    config = load_config("problems=jsonl", f"problems.path={path}").problems
    assert load_splits(config).train[0].statement == row["statement"]
