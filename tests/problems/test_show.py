"""`stage=list` in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from axiom_rl.config import load_config
from axiom_rl.core.errors import AxiomError
from axiom_rl.problems import make_problem
from axiom_rl.problems.show import describe_problem, describe_problems, problem_of


def test_list_counts_problems_by_type_and_split() -> None:
    text = describe_problems(
        load_config(
            "problems=easy", "problems.types=[rpn]", "problems.sizes={train:3,val:2,test:1}"
        ).problems
    )
    row = next(line for line in text.splitlines() if line.startswith("rpn "))
    assert row.split()[1:4] == ["3", "2", "1"]
    assert "3 train, 2 val, 1 test" in text
    assert "basic (10): two_sum" in text
    assert "stage.show=rpn/d1/train/s0/0" in text


@pytest.mark.parametrize("problem_id", ["rpn/d4/val/s0/3", "rpn/d4/val/3"])
def test_any_problem_can_be_shown_with_its_tests(problem_id: str) -> None:
    problem = make_problem("rpn", difficulty=4, split="val", index=3)
    assert problem_of(problem_id) == problem
    text = describe_problem(problem_id)
    assert problem.statement in text
    assert f"{len(problem.hidden_tests)} hidden tests" in text
    assert text.count(f"{problem.entry_point}(") >= len(problem.hidden_tests)


@pytest.mark.parametrize(
    ("problem_id", "message"),
    [
        ("edit_distance/d5", "e.g. edit_distance/d5/train/3"),
        ("rpn/d11/val/3", "1 to 10"),
        ("rpnn/d1/val/3", "did you mean rpn"),
        ("rpn/d1/vali/3", "did you mean val"),
    ],
)
def test_ids_that_are_none(problem_id: str, message: str) -> None:
    with pytest.raises(AxiomError, match=message):
        describe_problem(problem_id)


def test_long_tests_are_shortened() -> None:
    assert all(len(line) < 2000 for line in describe_problem("fizzbuzz/d10/train/0").splitlines())


def test_problems_of_a_file_are_counted_and_shown(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text(
        '{"statement": "Return twice n.", "entry_point": "double", "id": "mine/1", "split": "val", '
        '"tests": [{"args": [3], "expected": 6}]}\n'
    )
    config = load_config("problems=jsonl", f"problems.path={path}").problems
    text = describe_problems(config)
    assert "jsonl: 0 train problems" in text and "jsonl: 1 val problems" in text
    assert "the same command with stage.show=mine/1" in text
    assert "double(3) == 6" in describe_problem("mine/1", config)
    with pytest.raises(AxiomError, match="did you mean mine/1"):
        describe_problem("mine/2", config)
