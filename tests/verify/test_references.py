"""References are judged at load, trivial programs are tried, and the outcome is kept."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from axiom_rl.config import load_config
from axiom_rl.core.types import Problem, Status, TestCase
from axiom_rl.problems.sources.load import load_splits
from axiom_rl.problems.splits import Splits, read_splits, write_splits
from axiom_rl.verify import Verifier, references
from axiom_rl.verify.references import check_references

SANDBOX = load_config("sandbox.servers=1", "sandbox.time_limit_s=0.3").sandbox
ROW: dict[str, Any] = {
    "statement": "Return twice n.",
    "entry_point": "double",
    "tests": [{"args": [0], "expected": 0}, {"args": [-3], "expected": -6}],
}
RIGHT = "def double(n):\n    return 2 * n\n"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AXIOM_RL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def load(tmp_path: Path, kind: str, rows: list[dict[str, Any]]) -> Splits:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return load_splits(load_config(f"problems={kind}", f"problems.path={path}").problems)


def mbpp(task_id: int, function: str, *asserts: str) -> dict[str, Any]:
    return {"task_id": task_id, "text": "A task.", "code": function, "test_list": list(asserts)}


def test_a_solution_that_fails_leaves_its_row_out_with_the_reason(tmp_path: Path) -> None:
    solutions = {
        "right": RIGHT,
        "wrong": "def double(n):\n    return 2 * n if n else 1\n",
        "slow": "def double(n):\n    while True: pass\n",
        "broken": "def double(n)\n",
        "raises": "def double(n):\n    raise ValueError('m' * 10**6)\n",
        "other": "def twice(n):\n    return 2 * n\n",
        "exits": "import os\nos._exit(0)\n",
        "none": None,
    }
    rows = [{**ROW, "id": name, "solution": code} for name, code in solutions.items()]
    splits = check_references(load(tmp_path, "jsonl", rows), SANDBOX)
    assert [problem.id for problem in splits.train] == ["right", "none"]
    reasons = {
        "wrong": "wrong answer on test 1 of 2 (returned 1)",
        "slow": "time limit on test 1 of 2",
        "broken": "syntax error",
        "raises": "runtime error on test 1 of 2 (ValueError: mm",
        "other": "no code (the code defines no function double)",
        "exits": "runtime error",
    }
    assert splits.left_out.keys() == reasons.keys()
    for name, reason in reasons.items():
        assert f"its own reference fails: {reason}" in splits.left_out[name]
        assert len(splits.left_out[name]) < 500


@pytest.mark.slow
def test_the_outcome_is_kept_until_something_changes(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{**ROW, "id": str(n), "solution": RIGHT + f"# {n}"} for n in range(3)]
    splits = load(tmp_path, "jsonl", rows)
    judged: list[int] = []
    verify = Verifier.verify

    def counting(self: Verifier, candidates: Any, **options: Any) -> Any:
        judged.append(len(candidates))
        return verify(self, candidates, **options)

    monkeypatch.setattr(Verifier, "verify", counting)
    assert check_references(splits, SANDBOX) == check_references(splits, SANDBOX)
    assert judged == [3, 0]
    (kept,) = (cache / "references").iterdir()
    assert json.loads(kept.read_text()) == {"failed": {}, "weak": {}}
    kept.write_text("{")
    check_references(splits, SANDBOX)
    assert judged == [3, 0, 3, 0], "a damaged file is made again"
    judged[2:] = []
    check_references(replace(splits, solutions={"0": RIGHT}), SANDBOX)
    check_references(splits, replace(SANDBOX, time_limit_s=2.0))
    monkeypatch.setattr(references, "_sources", lambda: "another version")
    check_references(splits, SANDBOX)
    assert judged == [3, 0, 1, 0, 3, 0, 3, 0]


def test_a_fault_of_the_sandbox_blames_no_reference_and_is_not_kept(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    splits = load(tmp_path, "jsonl", [{**ROW, "solution": RIGHT}])
    verify = Verifier.verify

    def failing(self: Verifier, candidates: Any, **options: Any) -> Any:
        verdicts = verify(self, candidates, **options)
        return [replace(v, status=Status.SANDBOX_FAULT, passed=False) for v in verdicts]

    monkeypatch.setattr(Verifier, "verify", failing)
    assert check_references(splits, SANDBOX).left_out == {}
    assert not cache.exists()


def test_a_cache_that_cannot_be_written_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("AXIOM_RL_CACHE", str(tmp_path / "file" / "cache"))
    splits = check_references(load(tmp_path, "jsonl", [{**ROW, "solution": RIGHT}]), SANDBOX)
    assert len(splits.train) == 1


WEAK = {
    "an empty body": mbpp(520, "def f(x):\n  pass", "assert f(1) is None", "assert f(2) is None"),
    "the constant True": mbpp(
        521, "def f(x):\n  return True", "assert f(1)", "assert f(2) == True"
    ),
    "the constant that test 1 expects": mbpp(
        522, "def f(x):\n  return 'yes'", "assert f(1) == 'yes'", "assert f(2) == 'yes'"
    ),
    "returning argument 1": mbpp(
        523, "def f(d):\n  return dict(sorted(d.items()))", "assert f({2: 1, 1: 1}) == {1: 1, 2: 1}"
        , "assert f({}) == {}",
    ),
    "returning argument 3": mbpp(
        524, "def f(a, b, n):\n  return len(b)", "assert f([1], [2, 3], 2) == 2",
        "assert f([], [], 0) == 0",
    ),
    "not argument 1": mbpp(525, "def f(x):\n  return x == 0", "assert f(0)", "assert not f(3)"),
    "returning item 1 of argument 1": mbpp(
        526, "def f(x):\n  return all(x)", "assert f((True, True)) == True",
        "assert f((True, False, True)) == False",
    ),
    "returning argument 2": mbpp(
        527, "def f(x, y):\n  x.append(y)\n  return y",
        "v = [1]\nassert f(v, 2) == 2 and len(v) < 3", "assert f([], 5) < 6",
    ),
}  # fmt: skip


def test_trivial_programs_that_pass_are_named(tmp_path: Path) -> None:
    good = mbpp(530, "def f(x):\n  return x * x", "assert f(3) == 9", "assert f(-1) == 1")
    rows = [*WEAK.values(), good]
    splits = check_references(load(tmp_path, "mbpp", rows), SANDBOX)
    assert dict(splits.weak) == {f"MBPP/{row['task_id']}": name for name, row in WEAK.items()}
    assert len(splits.val) == len(rows), "they are scored, and named with the score"
    write_splits(tmp_path / "problems", splits)
    assert read_splits(tmp_path / "problems") == splits


def test_weak_tests_of_a_benchmark_are_not_trained_on(tmp_path: Path) -> None:
    row = WEAK["returning argument 3"]
    rows = [row | {"task_id": 890}, mbpp(891, "def f(x):\n  return x + 1", "assert f(3) == 4",
                                         "assert f(5) == 6")]  # fmt: skip
    splits = check_references(load(tmp_path, "mbpp", rows), SANDBOX)
    assert [problem.id for problem in splits.train] == ["MBPP/891"]
    reason = "weak tests, not trained on: returning argument 3 passes them"
    assert splits.left_out == {"MBPP/890": reason}
    assert splits.weak == {}


def test_own_problems_with_weak_tests_stay(tmp_path: Path) -> None:
    rows = [{**ROW, "tests": [{"args": [0], "expected": 0}]}]
    splits = check_references(load(tmp_path, "jsonl", rows), SANDBOX)
    assert len(splits.train) == 1
    assert splits.weak == {"jsonl/1": "the constant False"}


def test_problems_of_any_kind_can_be_tried() -> None:
    problem = Problem(
        id="x", type="x", difficulty=1, split="val", title="", statement="", entry_point="f",
        public_tests=(), hidden_tests=(TestCase(args=(), expected=10**5000),),
    )  # fmt: skip
    splits = check_references(Splits((), (problem,), ()), SANDBOX)
    assert splits.weak == {"x": "the constant that test 1 expects"}
