from __future__ import annotations

import json
import math

import pytest
from fake_run import MODEL, SAMPLER, evaluation, problem, verdict

from axiom_rl.core.errors import AxiomError
from axiom_rl.core.types import Completion, Problem, Status, TestCase, Verdict
from axiom_rl.evaluation.score import (
    Evaluation,
    hash_of_tests,
    read_evaluation,
    scope_of,
    score,
    write_evaluation,
)

OPTIONS = {"split": "train", "model": MODEL, "sampler": SAMPLER, "seed": 0}
PASS, FAIL, FAULT = Status.ACCEPTED, Status.WRONG_ANSWER, Status.SANDBOX_FAULT


def completion(one: Problem, sample: int) -> Completion:
    return Completion(
        problem_id=one.id,
        sample=sample,
        text="",
        prompt_tokens=1,
        completion_tokens=1,
        truncated=False,
    )


def scored(
    fresh: list[list[Status]], hidden: list[list[Status]] | None = None
) -> tuple[Evaluation, list[Problem]]:
    problems = [problem(f"type_{i}") for i in range(len(fresh))]
    completions = [
        completion(one, sample)
        for one, row in zip(problems, fresh, strict=True)
        for sample in range(len(row))
    ]

    def flat(rows: list[list[Status]]) -> list[Verdict]:
        return [verdict(status) for row in rows for status in row]

    judged = None if hidden is None else flat(hidden)
    return score(problems, completions, flat(fresh), judged, **OPTIONS), problems


def test_counts_rates_and_solved_problems():
    result, problems = scored([[PASS, PASS, FAIL, FAIL], [FAIL] * 4])
    assert result.pass_at_1.value == 0.25
    assert result.pass_at_k == pytest.approx({1: 0.25, 2: 5 / 12, 4: 0.5})
    assert (result.solved, result.problems, result.samples) == (1, 2, 8)
    assert result.per_problem[problems[0].id].passed == 2
    assert result.verdicts == {"accepted": 2, "wrong_answer": 6}


def test_the_sandbox_s_own_faults_are_counted_but_in_no_denominator():
    result, problems = scored([[PASS, FAULT, FAULT, PASS], [PASS, FAIL, PASS, FAIL]])
    assert result.faults == 2
    assert result.samples == 6
    assert result.per_problem[problems[0].id].rate == 1.0
    assert result.pass_at_1.value == 0.75
    assert math.isnan(result.pass_at_k[4])


def test_overfit_gap_is_the_share_of_hidden_passes_that_fail_fresh_tests():
    result, _ = scored([[PASS, FAIL, FAIL, FAULT]], [[PASS, PASS, FAIL, PASS]])
    assert result.overfit_gap == 0.5
    assert scored([[PASS]])[0].overfit_gap is None
    assert scored([[FAIL]], [[FAIL]])[0].overfit_gap is None


def test_json_round_trip_is_exact_and_strict_json(tmp_path):
    result, _ = scored([[PASS, FAULT], [FAIL, PASS]])
    path = tmp_path / "evaluation" / "before.json"
    write_evaluation(path, result)
    document = json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(name))
    assert document["schema"] == 1
    assert document["solved"] == {"value": 2, "problems": 2}
    assert document["pass_at_k"] == {"1": 0.75, "2": None}
    back = read_evaluation(path)
    assert back.to_json() == result.to_json()
    assert back.per_problem == result.per_problem


def test_a_damaged_document_is_an_error_that_names_the_file(tmp_path):
    path = tmp_path / "after.json"
    path.write_text('{"schema": 1}')
    with pytest.raises(AxiomError, match=r"after\.json.*incomplete"):
        read_evaluation(path)
    path.write_text('{"schema": 99}')
    with pytest.raises(AxiomError, match="schema 99"):
        read_evaluation(path)


def test_scope_depends_on_whether_a_type_has_several_problems():
    assert scope_of([problem("a"), problem("b")]) == "fixed"
    assert scope_of([problem("a"), problem("a", index=1)]) == "sampled"
    assert evaluation({"a": 0.5, "b": 0.5}).scope == "fixed"


def test_hash_depends_on_the_tests_and_not_on_the_order():
    one, two = problem("a"), problem("b", index=1)
    assert hash_of_tests([one, two]) == hash_of_tests([two, one])
    other = Problem(
        **{name: getattr(one, name) for name in Problem.__slots__}
        | {"hidden_tests": (TestCase(args=({1, 2},), expected=float("nan")),)}
    )
    assert hash_of_tests([other, two]) != hash_of_tests([one, two])


def test_impossible_input_is_refused():
    one = problem("a")
    with pytest.raises(AxiomError, match="no problems"):
        score([], [], [], **OPTIONS)
    with pytest.raises(AxiomError, match="belongs to no problem"):
        score([one], [completion(problem("b"), 0)], [verdict(PASS)], **OPTIONS)
    with pytest.raises(AxiomError, match="share an id"):
        score([one, one], [], [], **OPTIONS)
    with pytest.raises(ValueError, match="zip"):
        score([one], [completion(one, 0)], [], **OPTIONS)


def test_a_problem_without_completions_is_not_counted_as_failed():
    one, two = problem("a"), problem("b")
    result = score([one, two], [completion(one, 0)], [verdict(PASS)], **OPTIONS)
    assert result.pass_at_1.value == 1.0
    assert result.per_problem[two.id].samples == 0
