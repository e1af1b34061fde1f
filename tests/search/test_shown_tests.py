"""A test that a statement shows leaves those that searches are scored by."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from axiom_rl.config import load_config
from axiom_rl.core.files import read_json, write_jsonl
from axiom_rl.core.types import Completion, Problem, Status, TestCase, Verdict
from axiom_rl.evaluation.search.scores import make_pool, passes_unseen
from axiom_rl.evaluation.search.searched import prepare, score_live, score_replay
from axiom_rl.evaluation.search.words import lines
from axiom_rl.rollouts.records import Rollout, read_rollouts, rollout_row
from axiom_rl.verify import Verifier

TESTS = tuple(TestCase(args=(n,), expected=n + 1) for n in range(3))
PROBLEM = Problem(
    **{"id": "p", "type": "mbpp", "difficulty": 1, "split": "test", "title": "f"},
    **{"statement": "Add one.", "entry_point": "f", "signature": "(x)"},
    public_tests=TESTS[:1],
    hidden_tests=TESTS,
)
RIGHT = "def f(x): return x + 1"
ALL_BUT_SHOWN = "def f(x): return x + 1 if x else 7"
SHOWN_ALONE = "def f(x): return 1"
PROGRAMS = (RIGHT, ALL_BUT_SHOWN, SHOWN_ALONE, "def f(x: return")


@pytest.fixture(scope="module")
def rollouts() -> list[Rollout]:
    with Verifier(load_config().sandbox) as verifier:
        verdicts = verifier.verify([(PROBLEM, code) for code in PROGRAMS])
    return [
        Rollout(completion=completion(n, code), code=code, hidden=verdict, fresh=None)
        for n, (code, verdict) in enumerate(zip(PROGRAMS, verdicts, strict=True))
    ]


def completion(sample: int, text: str) -> Completion:
    known: dict[str, Any] = {"prompt_tokens": 5, "completion_tokens": 9, "truncated": False}
    return Completion(problem_id="p", sample=sample, text=text, **known)


def test_scores_are_over_the_tests_that_search_does_not_see(rollouts: list[Rollout]) -> None:
    pool = make_pool([PROBLEM], rollouts)
    assert pool.seen == {"p": frozenset({0})}
    assert pool.passed["p"] == (True, True, False, False)
    assert pool.passed_all["p"] == (True, False, False, False)
    fresh = make_pool([replace(PROBLEM, type="two_sum")], rollouts)  # judged by other tests
    assert fresh.seen == {} and fresh.passed["p"] == (True, False, False, False)


def test_a_problem_of_shown_tests_alone_is_left_out(rollouts: list[Rollout]) -> None:
    shown = replace(PROBLEM, id="q", hidden_tests=TESTS[:1])
    others = [replace(r, completion=replace(r.completion, problem_id="q")) for r in rollouts]
    pool = make_pool([PROBLEM, shown], [*rollouts, *others])
    assert [problem.id for problem in pool.problems] == ["p"] and pool.all_seen == 1


def test_which_tests_failed_comes_back_from_disk(rollouts: list[Rollout], tmp_path: Path) -> None:
    path = tmp_path / "before.jsonl"
    rows = [rollout_row(item, "before", 0) for item in rollouts]
    write_jsonl(path, rows)
    want = [(), (0,), (1, 2), ()]  # a program that does not compile ran none
    assert [item.hidden and item.hidden.failed_tests for item in rollouts] == want
    assert make_pool([PROBLEM], read_rollouts(path)) == make_pool([PROBLEM], rollouts)
    for row in rows:
        del row["hidden"]["failed_tests"]  # as older versions wrote it
    write_jsonl(path, rows)
    assert make_pool([PROBLEM], read_rollouts(path)).passed["p"] == (True, True, False, False)


def test_more_failures_than_a_verdict_names_are_no_pass() -> None:
    failed = Verdict(
        **{"status": Status.WRONG_ANSWER, "passed": False, "pass_fraction": 0.5},
        total_tests=40,
        failed_tests=tuple(range(16)),
    )
    assert not passes_unseen(failed, frozenset(range(20)))
    assert passes_unseen(replace(failed, failed_tests=(3, 4)), frozenset(range(20)))


@pytest.mark.parametrize("whole", [False, True], ids=["live", "replay"])
def test_the_score_over_all_tests_stands_beside(
    rollouts: list[Rollout], tmp_path: Path, whole: bool
) -> None:
    config = load_config("search=public")
    pool = make_pool([PROBLEM], rollouts[1:])
    with Verifier(config.sandbox) as verifier:
        searched = prepare(pool, tmp_path, verifier, config.search, 0)  # type: ignore[arg-type]
        document = (score_replay if whole else score_live)(searched, tmp_path, "public")
    assert document["policy"]["value"] == pytest.approx(1 / 3)
    beside = document["over_all_tests"]
    assert beside["shown_tests"] == 1 and beside["policy"]["value"] == 0
    assert beside["selectors"]["oracle"]["value"] == 0
    assert document["selectors"]["oracle"]["3"]["score"]["value"] == 1
    assert read_json(tmp_path / "search" / "result.json") == document
    said = [line for line in lines(document) if line.startswith("over all tests, the 1 that")]
    assert said and "policy 0.0 %" in said[0]
