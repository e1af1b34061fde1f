"""EvalPlus's own files: inputs that JSON cannot say, and tasks without one right answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from axiom_rl.config import load_config
from axiom_rl.problems.sources.benchmarks import load_benchmark
from axiom_rl.verify import Verifier

WRITTEN: dict[int, tuple[str, list[Any], tuple[Any, ...]]] = {
    143: ("xs", [[[1, 2], [3, 4]]], (([1, 2], [3, 4]),)),
    120: ("xs", [[[1, 2], [3]]], ([(1, 2), (3,)],)),
    444: ("xs, k", [[[1, 2], [3, 4]], 1], ([(1, 2), (3, 4)], 1)),
    750: ("xs, t", [[5], [1, 2]], ([5], (1, 2))),
    115: ("xs", [[[1, 2], []]], ([{1, 2}, {}],)),
    124: ("a, b", ["0", "1j"], (0.0, 1j)),
    252: ("z", ["1+2j"], (1 + 2j,)),
    307: ("t, m, n", [["a", []], [1], 50], (("a", []), [1], 50)),
    401: ("a, b", [[[1, 3]], [[4, 5]]], (((1, 3),), ((4, 5),))),
    722: ("d, h", [{"Ann": [6.2, 70]}, 6.0], ({"Ann": (6.2, 70)}, 6.0)),
    791: ("t", [[4, [1, [2]]]], ((4, (1, (2,))),)),
    600: ("xs", [[[1, 2]]], ([[1, 2]],)),
}
"""By the number of the task: parameters, what the file holds, what the task takes."""


def plus_row(number: int, code: str, inputs: list[Any], **more: Any) -> dict[str, Any]:
    return {
        "task_id": f"Mbpp/{number}",
        "prompt": '"""\nDo it.\nassert f((1, 2)) == 1\n"""\n',
        "entry_point": "f",
        "contract": "",
        "canonical_solution": code,
        "base_input": inputs,
        "plus_input": [],
        "atol": 0,
    } | more


def write(folder: Path, rows: list[dict[str, Any]]) -> str:
    path = folder / "MbppPlus.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def test_inputs_are_read_as_the_tasks_take_them(tmp_path: Path) -> None:
    """JSON writes a tuple as a list; `f` of a list may be another value than `f` of a tuple."""
    rows = [
        plus_row(number, f"def f({parameters}):\n    return 'done'\n", [held])
        for number, (parameters, held, _args) in WRITTEN.items()
    ]
    found = load_benchmark("mbpp", write(tmp_path, rows))
    assert not found.left_out
    for problem, (_parameters, _held, args) in zip(found.problems, WRITTEN.values(), strict=True):
        assert repr(problem.hidden_tests[0].args) == repr(args), problem.id


def test_inputs_of_another_task_are_left_out_by_name(tmp_path: Path) -> None:
    good = plus_row(600, "def f(x):\n    return x\n", [[1]])
    rows = [
        plus_row(115, "def f(x):\n    return x\n", [[[3]]]),
        plus_row(252, "def f(x):\n    return x\n", [["word"]]),
        good,
    ]
    found = load_benchmark("mbpp", write(tmp_path, rows))
    assert [problem.id for problem in found.problems] == ["MBPP/600"]
    for name in ("MBPP/115", "MBPP/252"):
        assert f"its inputs are not those of EvalPlus's {name}" in found.left_out[name]


OPEN: dict[int, tuple[str, list[Any], list[str], list[str]]] = {
    579: ("tuple(set(a) ^ set(b))", [[1, 2], [2, 3]], ["[3, 1]", "{1, 3}"], ["(1,)", "None"]),
    769: ("list(set(a) ^ set(b))", [[1, 2], [2, 3]], ["[3, 1]"], ["[1]"]),
    295: ("a + b", [2, 3], ["5", "0"], ["4"]),
    558: ("1", [12, 345], ["1", "3 + 3 + 3"], ["4"]),
    581: ("33", [3, 4], ["33", "35"], ["34", "None"]),
    164: ("a == b", [6, 4], ["True", "False"], []),
}
"""By the number of the task: the reference's answer, an input, right answers and wrong ones."""


def test_tasks_without_one_right_answer_are_judged_as_the_harness_does(tmp_path: Path) -> None:
    rows = [
        plus_row(number, f"def f(a, b):\n    return {answer}\n", [args])
        for number, (answer, args, _right, _wrong) in OPEN.items()
    ]
    found = load_benchmark("mbpp", write(tmp_path, rows))
    assert not found.left_out
    pairs, wanted = [], []
    for problem, (answer, _args, right, wrong) in zip(found.problems, OPEN.values(), strict=True):
        for value in (answer, *right, *wrong):
            pairs.append((problem, f"def f(a, b):\n    return {value}\n"))
            wanted.append((problem.id, value, value not in wrong))
    with Verifier(load_config().sandbox) as verifier:
        verdicts = verifier.verify(pairs)
    for verdict, (name, value, passes) in zip(verdicts, wanted, strict=True):
        assert verdict.passed == passes, (name, value, verdict.detail)


@pytest.mark.parametrize("indent", [None, 2])
def test_a_benchmark_may_be_a_json_array(tmp_path: Path, indent: int | None) -> None:
    """Sanitised MBPP is published so."""
    rows = [
        {
            "source_file": "x.ipynb", "task_id": number, "prompt": "Add one.",
            "code": "def f(x):\n    return x + 1", "test_imports": [],
            "test_list": ["assert f(1) == 2", "assert f(2) == 3"],
        }
        for number in (3, 602, 603)
    ]  # fmt: skip
    path = tmp_path / "sanitized-mbpp.json"
    path.write_text(json.dumps(rows, indent=indent), encoding="utf-8")
    found = load_benchmark("mbpp", str(path))
    assert [problem.id for problem in found.problems] == ["MBPP/602", "MBPP/603"]
    assert list(found.left_out) == ["MBPP/3"]
