"""Gold is what passed, once per program, and readable back."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_jsonl
from axiom_rl.core.types import Problem, Solution, Status, Verdict
from axiom_rl.gold.rows import sft_rows
from axiom_rl.gold.store import COLUMNS, LATER, GoldStore, make_solution, normalise, read_solutions
from axiom_rl.problems import make_problem

PLAIN = "def f(a, b):\n    return a + b\n"
SAME = {
    "comment": "def f(a, b):\n    # adds\n    return a + b  # done\n",
    "docstring": 'def f(a, b):\n    """Add."""\n    return a + b\n',
    "module docstring": '"""A program."""\ndef f(a, b):\n    return a + b\n',
    "layout": "def f( a,b ):\n\n\n  return (a\n          + b)\n\n",
    "semicolon": "def f(a, b): return a + b;\n",
    "windows": "def f(a, b):\r\n    return a + b\r\n",
    "tabs": "def f(a, b):\n\treturn a + b",
    "two strings": 'def f(a, b):\n    "one"\n    "two"\n    return a + b\n',
}
OTHER = {
    "order": "def f(a, b):\n    return b + a\n",
    "name": "def f(x, y):\n    return x + y\n",
    "entry point": "def g(a, b):\n    return a + b\n",
    "value": "def f(a, b):\n    return a - b\n",
    "string kept": 'def f(a, b):\n    c = "doc"\n    return a + b\n',
    "default": "def f(a, b=0):\n    return a + b\n",
    "returned string": 'def f(a, b):\n    return "a + b"\n',
    "annotation": "def f(a: int, b: int) -> int:\n    return a + b\n",
    "import": "import math\ndef f(a, b):\n    return a + b\n",
}


@pytest.mark.parametrize("code", SAME.values(), ids=SAME)
def test_the_same_program_in_another_dress_is_a_duplicate(code: str) -> None:
    assert normalise(code) == normalise(PLAIN)


@pytest.mark.parametrize("code", OTHER.values(), ids=OTHER)
def test_another_program_is_none(code: str) -> None:
    assert normalise(code) != normalise(PLAIN)


def test_indentation_that_matters_is_kept() -> None:
    inside = "def f(n):\n    for i in range(n):\n        n += 1\n        n += 2\n    return n\n"
    outside = "def f(n):\n    for i in range(n):\n        n += 1\n    n += 2\n    return n\n"
    assert normalise(inside) != normalise(outside)


@pytest.mark.parametrize(
    "code",
    [
        "",
        "def f(:",
        "    return 1",
        "'''never closed",
        "x = '\0'",
        "def f():\n    return " + "+".join("1" * 5000),
        "def f():\n    return " + "(" * 500 + ")" * 500,
        "x = " + "-" * 50_000 + "1",
        "def f(s):\n    return s.split('\\d')\n",
        'def f():\n    """only a docstring"""\n',
        "x = '\ud800'",
    ],
    ids=range(11),
)
def test_no_program_is_too_strange(code: str) -> None:
    assert normalise(code) == normalise(code)
    assert isinstance(normalise(code + "\n# the end"), str)


@pytest.fixture(scope="module")
def problems() -> dict[str, Problem]:
    made = [
        make_problem(name, difficulty=1, split="train", seed=0, index=0)
        for name in ("two_sum", "fizzbuzz")
    ]
    return {problem.id: problem for problem in made}


def solution(problem: Problem, code: str = PLAIN) -> Solution:
    return make_solution(problem, code, passed(problem), "tiny")


def passed(problem: Problem) -> Verdict:
    total = len(problem.hidden_tests)
    return Verdict(status=Status.ACCEPTED, passed=True, pass_fraction=1.0, total_tests=total)


def first(problems: dict[str, Problem]) -> Problem:
    return next(iter(problems.values()))


def test_a_failed_verdict_never_becomes_gold(problems: dict[str, Problem]) -> None:
    problem = first(problems)
    for status in Status:
        verdict = replace(passed(problem), status=status, passed=False, pass_fraction=0.99)
        with pytest.raises(ValueError, match="only accepted programs are gold"):
            make_solution(problem, PLAIN, verdict, "tiny")


def test_a_solution_has_the_columns_of_the_file(
    problems: dict[str, Problem], tmp_path: Path
) -> None:
    problem = first(problems)
    store = GoldStore([solution(problem)])
    store.write(tmp_path / "gold.jsonl")
    (row,) = read_jsonl(tmp_path / "gold.jsonl")
    assert row.keys() == {"schema", *COLUMNS} - {"reasoning"}, "only where there is some"
    assert row["problem_id"] == problem.id and row["problem_title"] == problem.title
    assert row["passed_tests"] == row["total_tests"] == len(problem.hidden_tests)
    assert row["model_name"] == "tiny" and "+00:00" in row["timestamp"]
    assert tuple(read_solutions(tmp_path / "gold.jsonl")) == store.solutions


def test_the_store_keeps_the_first_of_equal_programs(problems: dict[str, Problem]) -> None:
    two_sum, fizzbuzz = problems.values()
    store = GoldStore()
    assert store.add(solution(two_sum))
    assert not store.add(solution(two_sum, SAME["comment"]))
    assert store.add(solution(two_sum, OTHER["order"]))
    assert store.add(solution(fizzbuzz)), "the same program for another problem is another one"
    assert len(store) == 3
    assert [item.solution_code for item in store.solutions] == [PLAIN, OTHER["order"], PLAIN]
    assert store.solved() == set(problems)


def damaged(row: dict[str, Any], **changes: Any) -> str:
    kept = {key: value for key, value in (row | changes).items() if value is not ...}
    return json.dumps(kept)


def test_a_bad_row_is_named_with_its_file(problems: dict[str, Problem], tmp_path: Path) -> None:
    path = tmp_path / "gold.jsonl"
    row = asdict(solution(first(problems)))
    for changes, said in (
        ({"solution_code": ..., "timestamp": ...}, "no solution_code, timestamp"),
        ({"solution_code": None}, "solution_code must be text"),
        ({"problem_id": 3}, "problem_id must be text"),
        ({"solution_code": " \n"}, "solution_code holds no program"),
        ({"solution_code": "```python\n```"}, "solution_code holds no program"),
        ({"passed_tests": 3}, r"3 of \d+ tests passed; only programs that pass all"),
        ({"passed_tests": None, "total_tests": None}, "passed_tests must be a whole number, not"),
        ({"passed_tests": 0, "total_tests": 0}, "0 of 0 tests passed"),
        ({"reasoning": 3}, "reasoning must be text, or null"),
        ({"expert": 3}, "expert must be text"),
        ({"completion": 3}, "completion must be text, or null"),
        ({"completion": "a \ud83d"}, "completion holds half of a surrogate pair"),
        ({"solution_code": "x = '\udc00'"}, "solution_code holds half of a surrogate pair"),
    ):
        path.write_text(f"{json.dumps(row)}\n{damaged(row, **changes)}\n", encoding="utf-8")
        with pytest.raises(AxiomError, match=rf"gold\.jsonl, row 2: {said}"):
            read_solutions(path)
    with pytest.raises(AxiomError, match="no such file"):
        read_solutions(tmp_path / "none.jsonl")


def test_records_name_their_expert_and_older_ones_are_read(
    problems: dict[str, Problem], tmp_path: Path
) -> None:
    path = tmp_path / "gold.jsonl"
    row = asdict(solution(first(problems)))
    older = {k: v for k, v in row.items() if k not in LATER}
    wrong = row | {"expert": "wrong", "passed_tests": 1, "hidden_passed": False}
    path.write_text("".join(json.dumps(each) + "\n" for each in (older, row, wrong)))
    read = read_solutions(path)
    assert [item.expert for item in read] == ["hidden", "hidden", "wrong"]
    assert [item.passed_tests for item in read[1:]] == [row["total_tests"], 1]
    assert all(item.hidden_passed is None for item in read), "training reads no verdict"


def test_an_empty_answer_is_none(problems: dict[str, Problem], tmp_path: Path) -> None:
    """As spreadsheets write what is missing: the program is taught, not an answer of no words."""
    path = tmp_path / "gold.jsonl"
    row = asdict(solution(first(problems)))
    rows = [row | {"completion": text} for text in ("", " \n", None, "It is 3.")]
    path.write_text("".join(json.dumps(each) + "\n" for each in rows))
    assert [item.completion for item in read_solutions(path)] == [None, None, None, "It is 3."]


def test_fences_around_a_program_are_taken_off(
    problems: dict[str, Problem], tmp_path: Path
) -> None:
    path = tmp_path / "gold.jsonl"
    row = asdict(solution(first(problems)))
    inside = (
        'def f(a, b):\n    """As in\n    ```\n    f(1, 2)\n    ```\n    """\n    return a + b\n'
    )
    fenced = [f"```python\n{PLAIN}```", f"Here it is:\n\n```\n{PLAIN}```\nDone.", inside]
    path.write_text("".join(damaged(row, solution_code=code) + "\n" for code in fenced))
    codes = [item.solution_code for item in read_solutions(path)]
    assert [code.strip() for code in codes] == [PLAIN.strip(), PLAIN.strip(), inside.strip()]


def test_rows_for_training(problems: dict[str, Problem]) -> None:
    two_sum, fizzbuzz = problems.values()
    codes = [PLAIN, OTHER["order"]]
    solutions = [solution(two_sum, code) for code in codes] + [solution(fizzbuzz)]
    rows = sft_rows(solutions, problems, "direct", "code")
    assert [row["completion"][0]["content"] for row in rows] == [
        f"```python\n{code.strip()}\n```" for code in (*codes, PLAIN)
    ]
    assert rows[0]["completion"][0]["role"] == "assistant"
    assert rows[0]["prompt"][-1]["role"] == "user"
    assert two_sum.statement in rows[0]["prompt"][-1]["content"]
    assert len(sft_rows(solutions, problems, "few_shot", "code")[0]["prompt"]) > 1


REASONED = f"First I add.\n\n```python\n{PLAIN}```\nThat is all."


@pytest.mark.parametrize(
    ("completion", "style", "target", "taught"),
    [
        (REASONED, "direct", "completion", REASONED),
        (REASONED, "chain_of_thought", "completion", REASONED),
        (REASONED, "direct", "code", f"```python\n{PLAIN}```"),
        (REASONED, "chain_of_thought", "code", f"First I add.\n\n```python\n{PLAIN}```"),
        (PLAIN, "chain_of_thought", "code", f"```python\n{PLAIN}```"),
        *(
            (text, "chain_of_thought", "code", f"{before}\n\n```python\n{PLAIN}```")
            for text, before in (
                (f"I add.\n\n~~~python\n{PLAIN}~~~", "I add."),
                (f"As in\n```\n1 2\n```\nso:\n{PLAIN}", "As in\n```\n1 2\n```\nso:"),
                (f"I add.\n````py\n{PLAIN}````", "I add."),
                (f"I add.\n> ```\n> {PLAIN}> ```", "I add."),
            )
        ),
        (None, "direct", "completion", f"```python\n{PLAIN}```"),
        (None, "chain_of_thought", "completion", f"```python\n{PLAIN}```"),
    ],
)
def test_a_target_is_the_answer_or_the_program_in_it(
    problems: dict[str, Problem],
    caplog: pytest.LogCaptureFixture,
    completion: str | None,
    style: str,
    target: str,
    taught: str,
) -> None:
    caplog.set_level("INFO")
    gold = replace(solution(first(problems)), completion=completion)
    (row,) = sft_rows([gold], problems, style, target)
    assert row["completion"][0]["content"] == taught
    assert ("1 of 1 solutions hold no completion" in caplog.text) == (completion is None)


def test_a_solution_of_another_problem_is_refused(problems: dict[str, Problem]) -> None:
    stray = replace(solution(first(problems)), problem_id="lcs/d1/train/s0/0")
    with pytest.raises(AxiomError, match=r"lcs/d1/train/s0/0.*not among the training problems"):
        sft_rows([stray], problems, "direct", "code")
