"""Benchmarks and own problems in every stage: sampled, judged, kept, truthfully named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from scripted_run import Stage, Stopped, fenced

from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_jsonl
from axiom_rl.evaluation.score import read_evaluation
from axiom_rl.gold.store import read_solutions
from axiom_rl.report.page import write_report
from axiom_rl.run.tracking import read_metrics
from axiom_rl.sampling import SampleRequest

TASKS: list[dict[str, Any]] = [
    {
        "task_id": 11 + place,
        "text": f"Write a function to multiply by {factor}.",
        "code": f"def times(k):\n    return {factor} * k",
        "test_list": [
            f"assert times(10) == {10 * factor}",
            f"assert abs(times(1.5) - {1.5 * factor}) < 1e-6",
        ],
    }
    for place, factor in enumerate((2, 3))
]
HALF = {
    "task_id": "HumanEval/0",
    "prompt": "from typing import List\nimport math\n\n\ndef floor(x):\n    return math.floor(x)\n"
    '\n\ndef halves(xs: List[int]) -> List[int]:\n    """ Halve each. """\n',
    "canonical_solution": "    return [floor(x / 2) for x in xs]\n",
    "test": "def check(candidate):\n    assert candidate([5, 4]) == [2, 2]\n",
    "entry_point": "halves",
}
OWN = [
    {
        "statement": f"Return {factor} times n.",
        "entry_point": "times",
        "id": f"times/{factor}",
        "split": split,
        "tests": [{"args": [n], "expected": factor * n} for n in range(3)],
    }
    for factor, split in ((2, "train"), (3, "train"), (4, "test"))
]


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return f"problems.path={path}"


def doubles(_request: SampleRequest, sample: int) -> str:
    """Right for the first of the tasks alone, in every second sample."""
    return fenced(f"def times(k):\n    return {2 + sample % 2} * k")


@pytest.fixture
def other(stage: Stage) -> Stage:
    stage.overrides = tuple(o for o in stage.overrides if not o.startswith("problems."))
    stage.script = doubles
    return stage


def accepted(folder: Path, phase: str) -> dict[str, int]:
    passed: dict[str, int] = {}
    for row in read_jsonl(folder / "completions" / f"{phase}.jsonl"):
        passed[row["problem_id"]] = passed.get(row["problem_id"], 0) + row["hidden"]["passed"]
    return passed


@pytest.mark.usefixtures("recwarn")
def test_a_benchmark_is_evaluated_and_goes_on_from_the_disk(other: Stage, tmp_path: Path) -> None:
    path = write(tmp_path / "mbpp.jsonl", TASKS)
    other.stops = ["draw 0/before MBPP 3"]
    options = ("stage=evaluate", "problems=mbpp", path)
    with pytest.raises(Stopped):
        other.run(tmp_path / "run", *options)
    (tmp_path / "mbpp.jsonl").unlink()
    folder = other.run(tmp_path / "run", *options)
    found = read_evaluation(folder / "evaluation" / "before.json")
    assert (found.tests, found.split, found.samples) == ("benchmark tests", "test", 8)
    assert {key: row.passed for key, row in found.per_problem.items()} == {
        "MBPP/11": 2,
        "MBPP/12": 2,
    }
    assert found.overfit_gap is None
    assert all(row["fresh"] is None for row in read_jsonl(folder / "completions/before.jsonl"))
    write_report(folder)
    page = (folder / "report.md").read_text()
    assert "Scores are on benchmark tests" in page
    assert "on fresh tests" not in page


@pytest.mark.usefixtures("recwarn")
def test_a_completion_may_use_what_the_program_to_complete_gives(
    other: Stage, tmp_path: Path
) -> None:
    function = "def halves(xs: List[int]) -> List[int]:\n    return [floor(x / 2) for x in xs]"
    other.script = lambda _request, _sample: fenced(function)
    path = write(tmp_path / "humaneval.jsonl", [HALF])
    folder = other.run(tmp_path / "run", "stage=evaluate", "problems=humaneval", path)
    assert accepted(folder, "before") == {"HumanEval/0": 4}
    (row, *_) = read_jsonl(folder / "completions" / "before.jsonl")
    assert row["code"].startswith("from typing import List\nimport math\ndef floor")


@pytest.mark.parametrize("kind", ["train", "collect"])
def test_human_eval_is_not_trained_on(other: Stage, tmp_path: Path, kind: str) -> None:
    path = write(tmp_path / "humaneval.jsonl", [HALF])
    with pytest.raises(AxiomError, match="HumanEval is for evaluation"):
        other.run(tmp_path / "run", f"stage={kind}", "problems=humaneval", path)


@pytest.mark.usefixtures("recwarn")
@pytest.mark.slow
def test_own_problems_are_collected_and_trained_on(other: Stage, tmp_path: Path) -> None:
    path = write(tmp_path / "mine.jsonl", OWN)
    folder = other.run(tmp_path / "collect", "stage=collect", "problems=jsonl", path)
    gold = read_solutions(folder / "solutions" / "collected.jsonl")
    assert {item.problem_id for item in gold} == {"times/2", "times/3"}

    folder = other.run(tmp_path / "train", "problems=jsonl", path, "trainer.iterations=1")
    for name in ("before", "after"):
        found = read_evaluation(folder / "evaluation" / f"{name}.json")
        assert (found.tests, found.split) == ("hidden tests", "test")
    logged = {
        (row["split"], row["tests"]) for row in read_metrics(folder) if row["phase"] == "evaluate"
    }
    assert logged == {("train", "hidden tests"), ("test", "hidden tests")}
    write_report(folder)
    assert "problems that training did not use" in (folder / "report.md").read_text()


@pytest.mark.usefixtures("recwarn")
def test_train_problems_alone_are_never_called_held_out(other: Stage, tmp_path: Path) -> None:
    path = write(tmp_path / "mine.jsonl", OWN[:2])
    folder = other.run(tmp_path / "run", "stage=evaluate", "problems=jsonl", path)
    found = read_evaluation(folder / "evaluation" / "before.json")
    assert (found.tests, found.split) == ("hidden tests", "train")
    write_report(folder)
    assert "and nothing beyond these problems" in (folder / "report.md").read_text()
