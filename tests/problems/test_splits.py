"""Splits from config, and problems on disk."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from axiom_rl.config import ProceduralConfig, load_config
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_jsonl, write_jsonl
from axiom_rl.core.types import Problem, TestCase
from axiom_rl.problems import make_problem, problem_types, registry, with_fresh_tests
from axiom_rl.problems.splits import (
    Splits,
    build_splits,
    content_hash,
    read_problems,
    write_problems,
)


def splits(*overrides: str) -> Splits:
    config = load_config(*overrides).problems
    assert isinstance(config, ProceduralConfig)
    return build_splits(config)


def test_basic_is_one_problem_per_type() -> None:
    drawn = splits("problems=basic")
    assert [problem.type for problem in drawn.train] == problem_types()["basic"]
    assert {problem.difficulty for problem in drawn.train} == {1}
    assert drawn.val == drawn.test == ()


@pytest.mark.parametrize("option", ["easy", "hard", "memorisable", "mixed"])
def test_options_draw_every_split(option: str) -> None:
    drawn = splits(f"problems={option}", "problems.levels=[1,2]")
    assert drawn.train and drawn.val and drawn.test
    everything = [*drawn.train, *drawn.val, *drawn.test]
    assert len({problem.id for problem in everything}) == len(everything)
    if option != "hard":  # n_queens has too few inputs for problems to differ
        assert len({content_hash(problem) for problem in everything}) == len(everything)


def test_sizes_levels_weights_and_seed() -> None:
    drawn = splits(
        "problems=easy",
        "problems.types=[rpn,list_sort]",
        "problems.levels=[2,7]",
        "problems.sizes={train:3,val:2,test:1}",
        "+problems.weights={rpn:2}",
        "problems.seed=9",
    )
    ids = [problem.id for problem in drawn.train]
    assert ids == [
        *(f"rpn/d{level}/train/s9/{index}" for index, level in enumerate([2, 7, 2, 7, 2, 7])),
        *(f"list_sort/d{level}/train/s9/{index}" for index, level in enumerate([2, 7, 2])),
    ]
    assert (len(drawn.val), len(drawn.test)) == (6, 3)


def test_held_out_types_are_not_in_train() -> None:
    drawn = splits("problems=easy", "problems.holdout_types=[rpn]", "problems.levels=[1]")
    assert "rpn" not in {problem.type for problem in drawn.train}
    assert "rpn" in {problem.type for problem in drawn.val}
    assert "rpn" in {problem.type for problem in drawn.test}


def test_no_family_means_types_of_all() -> None:
    drawn = splits("problems=basic", "problems.family=null", "problems.types=[rpn,fizzbuzz]")
    assert [problem.type for problem in drawn.train] == ["rpn", "fizzbuzz"]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["problems.types=[two_sun]"], "problems.types.*did you mean two_sum"),
        (["problems.types=[rpn]"], "rpn is a type of problems=easy.*or problems.family=null"),
        (["problems.holdout_types=[fizbuzz]"], "problems.holdout_types.*fizzbuzz"),
        (["+problems.weights={fibonaci:2}"], "problems.weights.*fibonacci"),
        (["+problems.weights={fibonacci:-2}"], "problems.weights.fibonacci must be 0 or more"),
        (["problems.family=basics"], "problems.family.*did you mean basic"),
        (["problems.levels=[0]"], "problems.levels: 0"),
        (["problems.levels=[11]"], "choose 1 to 10"),
        (["problems.levels=[]"], "problems.levels is empty"),
        (["problems.types=[]"], "problems.types is empty"),
        (["problems.seed=-1"], "problems.seed=-1: must be 0 or more"),
        (["problems.sizes.val=-1"], "problems.sizes.val"),
        (["problems.sizes.train=0"], "no problems"),
        (["problems.holdout_types=[two_sum]"], "problems.sizes.test=1"),
        (["problems.imports=[no_such_module_at_all]"], "problems.imports.*no_such_module"),
    ],
)
def test_errors_name_the_key_and_the_cure(overrides: list[str], message: str) -> None:
    with pytest.raises(AxiomError, match=message):
        splits("problems=basic", *overrides)


def test_types_of_the_users_own_are_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_own_types.py").write_text(
        "from dataclasses import replace\n"
        "from axiom_rl.problems import register\n"
        "from axiom_rl.problems.registry import get_type\n"
        "register(replace(get_type('fizzbuzz'), name='my_fizzbuzz', family='mine'))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "_TYPES", dict(registry._TYPES))
    drawn = splits("problems=basic", "problems.imports=[my_own_types]", "problems.family=mine")
    sys.modules.pop("my_own_types")
    assert [problem.type for problem in drawn.train] == ["my_fizzbuzz"]


def test_own_types_need_no_family(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """problems=own takes all of them, problems.types single ones; ignored ones are refused."""
    (tmp_path / "my_new_types.py").write_text(
        "from dataclasses import replace\n"
        "from axiom_rl.problems import register\n"
        "from axiom_rl.problems.registry import get_type\n"
        "register(replace(get_type('fizzbuzz'), name='own_one', family='own'))\n"
        "register(replace(get_type('fizzbuzz'), name='own_two', family='mine'))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "_TYPES", dict(registry._TYPES))
    with pytest.raises(AxiomError, match=r"problems=own .*problems.imports=\[my_problems\]"):
        splits("problems=own")
    own = "problems.imports=[my_new_types]"

    def types(*given: str) -> set[str]:
        return {problem.type for problem in splits(*given, own).train}

    assert types("problems=own") == {"own_one", "own_two"}
    assert types("problems=own", "problems.types=[own_two]") == {"own_two"}
    assert types("problems=basic", "problems.types=[own_one,fizzbuzz]") == {"own_one", "fizzbuzz"}
    for family in ("basic", "easy"):
        with pytest.raises(AxiomError, match=r"registers own_one, own_two.*type problems=own"):
            splits(f"problems={family}", own)
    with pytest.raises(AxiomError, match="did you mean"):
        splits("problems=own", own, "problems.types=[own_on]")
    sys.modules.pop("my_new_types")


ODD_VALUES = Problem(
    id="odd",
    type="odd",
    difficulty=1,
    split="train",
    title="Odd",
    statement="Return é.",
    entry_point="odd",
    public_tests=(TestCase(args=((1, 2), {3, 4}, {"a": None}), expected=float("inf")),),
    hidden_tests=(TestCase(args=(b"\x00", 10**40, 1.5, frozenset({1})), expected=(True, [])),),
    time_limit_s=1.5,
)


def test_problems_survive_the_disk(tmp_path: Path) -> None:
    problems = (
        ODD_VALUES,
        *(make_problem(name, difficulty=3) for names in problem_types().values() for name in names),
    )
    path = tmp_path / "problems.jsonl"
    write_problems(path, problems)
    assert read_problems(path) == problems
    checkers = {row["type"]: row["checker"] for row in read_jsonl(path)}
    assert (checkers["two_sum"], checkers["fizzbuzz"]) == ("two_sum", None)
    fresh = [with_fresh_tests(problem, 3) for problem in problems[1:]]
    write_problems(path, fresh)
    assert list(read_problems(path)) == fresh


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"type": "mine", "id": "mine/d1/train/s0/0"}, "type 'mine' is not registered.*imports"),
        ({"checker": "mine"}, "unknown checker 'mine'.*problems.imports"),
    ],
)
def test_a_problem_is_never_judged_by_another_rule(
    tmp_path: Path, change: dict[str, str], message: str
) -> None:
    path = tmp_path / "problems.jsonl"
    problem = replace(make_problem("two_sum", difficulty=1), **change)
    write_problems(path, [problem])
    with pytest.raises(AxiomError, match=f"problem 1.*{message}"):
        read_problems(path)
    assert read_problems(path, judged=False) == (problem,)
    write_problems(path, [replace(problem, id="own", type="mine", checker=None)])
    assert len(read_problems(path)) == 1, "no problem of a generator: judged by equality"


def test_files_of_version_1_name_no_checker(tmp_path: Path) -> None:
    path = tmp_path / "problems.jsonl"
    problems = [make_problem(name, difficulty=1) for name in ("two_sum", "fizzbuzz")]
    write_problems(path, [replace(problem, checker=None) for problem in problems])
    rows = [
        {key: row[key] for key in row if key not in ("checker", "fresh_tests")} | {"schema": 1}
        for row in read_jsonl(path)
    ]
    write_jsonl(path, rows)
    assert list(read_problems(path)) == problems


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 99}, "problem 1: schema version 99"),
        ({"statement": "Another."}, "content and hash differ"),
        ({"hidden_tests": [[[1], 2]]}, "content and hash differ"),
        ({"hidden_tests": [3]}, "problem 1: not a problem"),
        ({"hidden_tests": [[[{"q": 1}], 2]]}, "problem 1: not a problem"),
        ({"colour": "blue"}, "problem 1: not a problem"),
    ],
)
def test_changed_files_are_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    path = tmp_path / "problems.jsonl"
    write_problems(path, [make_problem("fizzbuzz", difficulty=1)])
    row = json.loads(path.read_text())
    path.write_text(json.dumps({**row, **change}) + "\n")
    with pytest.raises(AxiomError, match=message):
        read_problems(path)


def test_content_hash_is_of_the_content() -> None:
    problem = make_problem("fizzbuzz", difficulty=1)
    assert content_hash(problem) == content_hash(replace(problem, id="x", split="val", index=7))
    assert content_hash(problem) != content_hash(replace(problem, statement="Other."))
    assert content_hash(problem) != content_hash(
        replace(problem, hidden_tests=problem.hidden_tests[:-1])
    )
