"""What overlaps with training is left out of a benchmark, and every score says what it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from axiom_rl.config import load_config
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import write_text
from axiom_rl.core.types import Completion, Status, Verdict
from axiom_rl.evaluation.score import Evaluation, score
from axiom_rl.problems import make_problem
from axiom_rl.problems.sources.load import load_splits, require_problems
from axiom_rl.problems.sources.trained_on import training_problems
from axiom_rl.problems.splits import Splits, read_splits, write_problems, write_splits
from axiom_rl.report.sections.result import scope_text

FIBONACCI: dict[str, Any] = {
    "task_id": 511,
    "text": "Write a function for the n-th number of the sequence of rabbits.",
    "code": "def rabbits(k):\n    return k if k < 2 else rabbits(k - 1) + rabbits(k - 2)",
    "test_list": ["assert rabbits(10) == 55", "assert rabbits(1) == 1", "assert rabbits(8) == 21"],
}
DOUBLE: dict[str, Any] = {
    "task_id": 512,
    "text": "Write a function to double a number and to return what came out of that.",
    "code": "def double(k):\n    return 2 * k",
    "test_list": ["assert double(10) == 20", "assert abs(double(1.5) - 3.0) < 1e-6"],
}


def write_mbpp(path: Path, *rows: dict[str, Any]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return f"problems.path={path}"


def run_of(folder: Path, *types: str, start: str | None = None) -> Path:
    """A training run's folder, as far as it matters here; returns its adapter."""
    problems = [make_problem(name, difficulty=1) for name in types]
    write_problems(folder / "problems" / "train.jsonl", problems)
    settings = json.dumps({"model": {"adapter": start}, "problems": {"imports": []}})
    write_text(folder / "config.yaml", settings)
    (folder / "adapter").mkdir()
    return folder / "adapter"


def test_tasks_trained_on_are_left_out_with_the_reason(tmp_path: Path) -> None:
    path = write_mbpp(tmp_path / "mbpp.jsonl", FIBONACCI, DOUBLE)
    config = load_config("problems=mbpp", path).problems
    assert len(load_splits(config).val) == 2
    splits = load_splits(config, [make_problem("fibonacci", difficulty=1)])
    assert [problem.id for problem in splits.val] == ["MBPP/512"]
    assert splits.left_out == {"MBPP/511": "trained on fibonacci (same behaviour)"}
    write_splits(tmp_path / "problems", splits)
    assert read_splits(tmp_path / "problems") == splits


def test_the_run_s_own_train_split_counts_where_it_is_trained_on(tmp_path: Path) -> None:
    again = {**DOUBLE, "task_id": 601}
    path = write_mbpp(tmp_path / "mbpp.jsonl", FIBONACCI, DOUBLE, again)
    config = load_config("problems=mbpp", path).problems
    assert len(load_splits(config).val) == 2
    splits = load_splits(config, trains=True)
    assert [problem.id for problem in splits.val] == ["MBPP/511"]
    assert [problem.id for problem in splits.train] == ["MBPP/601"]
    assert splits.left_out == {"MBPP/512": "trained on MBPP/601 (same text)"}


def test_an_adapter_stands_for_its_run_and_the_runs_before(tmp_path: Path) -> None:
    first = run_of(tmp_path / "first", "fibonacci")
    second = run_of(tmp_path / "second", "lis", "rpn", start=str(first))
    for place in (second, second.parent):
        found = [problem.type for problem in training_problems(str(place))]
        assert found == ["fibonacci", "lis", "rpn"]
    inside = first.parent / "checkpoints" / "iter_1" / "adapter"
    inside.mkdir(parents=True)
    assert [problem.type for problem in training_problems(str(inside))] == ["fibonacci"]
    file = first.parent / "problems" / "train.jsonl"
    assert [problem.type for problem in training_problems(str(file))] == ["fibonacci"]


def test_an_adapter_from_elsewhere_is_refused_with_the_cure(tmp_path: Path) -> None:
    with pytest.raises(AxiomError, match=r"in no run folder.*problems\.trained_on"):
        training_problems(str(tmp_path))


@pytest.mark.parametrize(
    ("options", "split", "message"),
    [
        (["problems=humaneval"], "train", "HumanEval is for evaluation.*never for training"),
        (["problems=mbpp"], "test", "mbpp has 0 train, 0 val, 0 test"),
        (["problems=jsonl", "problems.path=x"], "val", '"split": "val"'),
        (["problems=basic"], "val", r"problems\.sizes\.val=1"),
    ],
)
def test_an_empty_split_says_what_to_do(options: list[str], split: str, message: str) -> None:
    with pytest.raises(AxiomError, match=f"the {split} split is empty: .*{message}"):
        require_problems(load_config(*options).problems, Splits((), (), ()), split)


def test_a_score_names_the_problems_that_a_trivial_program_passes() -> None:
    problems = [make_problem("fizzbuzz", difficulty=1, index=index) for index in (1, 2)]
    completions = [
        Completion(
            problem_id=problem.id, sample=0, text="", prompt_tokens=1, completion_tokens=1,
            truncated=False,
        )
        for problem in problems
    ]  # fmt: skip
    verdicts = [
        Verdict(status=Status.ACCEPTED, passed=True, pass_fraction=1.0),
        Verdict(status=Status.WRONG_ANSWER, passed=False, pass_fraction=0.0),
    ]
    evaluation = score(
        problems, completions, verdicts, split="test", model={}, sampler={}, seed=0,
        weak={problems[0].id: "not argument 1", "of another split": "an empty body"},
    )  # fmt: skip
    assert evaluation.weak == {problems[0].id: "not argument 1"}
    text = scope_text(evaluation)
    assert (
        f"1 of the 2 problems are passed by a program that does nothing ({problems[0].id}" in text
    )
    assert "not argument 1); without them 0.0 % pass" in text
    document = evaluation.to_json()
    assert Evaluation.from_json(document) == evaluation
    del document["weak"]
    assert Evaluation.from_json(document).weak == {}, "written by an older version"


def test_an_evaluation_says_which_types_repeat_inputs_and_what_is_left_out() -> None:
    problems = [make_problem(name, difficulty=1) for name in ("n_queens", "lis")]
    settings: dict[str, Any] = {"split": "test", "model": {}, "sampler": {}, "seed": 0}
    completions = [
        Completion(
            problem_id=problem.id,
            sample=0,
            text="",
            prompt_tokens=1,
            completion_tokens=1,
            truncated=False,
        )
        for problem in problems
    ]
    verdicts = [Verdict(status=Status.ACCEPTED, passed=True, pass_fraction=1.0)] * 2
    found = score(
        problems, completions, verdicts, left_out={"MBPP/1": "trained on lis"}, **settings
    )
    assert list(found.shared_inputs) == ["n_queens"]
    assert Evaluation.from_json(found.to_json()) == found
    text = scope_text(found)
    assert "Not so for n_queens" in text
    assert "Tasks left out: 1, 1 of them because training overlaps with them (MBPP/1)." in text
