"""What is trained on: types with signal in the baseline, and never by a look at the test split."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scripted_run import composed

from axiom_rl.config import Config, GrpoConfig
from axiom_rl.context.run_context import RunContext
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.types import Completion, Problem, Status, Verdict
from axiom_rl.evaluation.measure import held_out
from axiom_rl.problems import problem_types
from axiom_rl.problems.splits import Splits
from axiom_rl.report.page import write_report
from axiom_rl.rollouts.records import Rollout
from axiom_rl.run.folder import Run
from axiom_rl.run.tracking import Tracker
from axiom_rl.stages.training import watched_families
from axiom_rl.trainers.grpo.run import (
    Signal,
    _refuse_hopeless,
    baseline_by_type,
    choose_problems,
    expected_tokens,
    watch,
)


def trainer(**changes: Any) -> GrpoConfig:
    made = composed("trainer=grpo", "trainer.rewards={fraction: 1.0}").trainer
    assert isinstance(made, GrpoConfig)
    return replace(made, **({"signal_low": 0.1, "signal_high": 0.7} | changes))


def problem(of: str, split: str = "val", index: int = 0) -> Problem:
    return Problem(
        id=f"{of}/{split}/{index}",
        type=of,
        difficulty=1,
        split=split,
        title="",
        statement="",
        entry_point="f",
        public_tests=(),
        hidden_tests=(),
    )


def verdict(fraction: float, status: Status | None = None) -> Verdict:
    passed = fraction == 1
    return Verdict(
        status=status or (Status.ACCEPTED if passed else Status.WRONG_ANSWER),
        passed=passed,
        pass_fraction=fraction,
        total_tests=4,
    )


FAULT = verdict(0.0, Status.SANDBOX_FAULT)


def rollout(of: Problem, sample: int, fresh: Verdict | None, hidden: Verdict | None) -> Rollout:
    said = Completion(
        problem_id=of.id,
        sample=sample,
        text="",
        prompt_tokens=1,
        completion_tokens=1,
        truncated=False,
    )
    return Rollout(completion=said, code="", fresh=fresh, hidden=hidden)


def rollouts(of: Problem, *judged: float | Verdict) -> list[Rollout]:
    """Return samples of a problem by passed share of their fresh tests."""
    verdicts = [each if isinstance(each, Verdict) else verdict(each) for each in judged]
    return [rollout(of, sample, each, None) for sample, each in enumerate(verdicts)]


def passing(of: str, passed: int, samples: int = 10, split: str = "val") -> list[Rollout]:
    return rollouts(problem(of, split), *[1.0] * passed, *[0.0] * (samples - passed))


def choose(
    types: Sequence[str], drawn: Sequence[Rollout], measured: Splits | None = None, **changes: Any
) -> list[str]:
    """Return the types that are trained on, out of `types`, in the order of their problems."""
    val = tuple(problem(of) for of in types)
    train = [problem(of, "train", index) for of in types for index in range(2)]
    splits = measured or Splits(train=(), val=val, test=())
    chosen = choose_problems(splits, train, trainer(**changes), drawn, "take a larger model")
    assert [each for each in train if each.type in {item.type for item in chosen}] == chosen
    return list(dict.fromkeys(each.type for each in chosen))


# choose_problems


@pytest.mark.parametrize(
    ("passed", "is_chosen"), [(0, False), (1, True), (5, True), (7, True), (8, False), (10, False)]
)
def test_types_between_the_limits_are_trained_on(passed: int, is_chosen: bool) -> None:
    """10 and 70 % are in."""
    drawn = [*passing("a", passed), *passing("b", 4)]
    assert choose(["a", "b"], drawn) == (["a", "b"] if is_chosen else ["b"])


def test_every_problem_of_a_chosen_type_is_kept_in_its_place() -> None:
    drawn = [*passing("b", 5), *passing("a", 5), *passing("c", 0)]
    assert choose(["c", "b", "a"], drawn) == ["b", "a"]


def test_all_are_trained_on_where_none_has_signal(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert choose(["a", "b"], [*passing("a", 0), *passing("b", 9)]) == ["a", "b"]
    (said,) = [record.getMessage() for record in caplog.records]
    assert "between 10 % and 70 %" in said and "trainer.signal_low" in said


def test_what_the_baseline_said_is_said_of_each_type(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        choose(["a", "b", "c"], [*passing("a", 0), *passing("b", 3)])
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        "baseline of a: 0 of 10 passed: left out",
        "baseline of b: 3 of 10 passed: trained on",
        "baseline of c: not measured: trained on",
    ]


def test_limits_of_0_and_1_train_on_everything() -> None:
    drawn = [*passing("a", 0), *passing("b", 10), *passing("c", 5)]
    assert choose(["a", "b", "c"], drawn, signal_low=0.0, signal_high=1.0) == ["a", "b", "c"]


def test_no_problem_to_train_on_is_named() -> None:
    splits = Splits(train=(), val=(problem("a"),), test=())
    with pytest.raises(AxiomError, match=r"problems\.sizes\.train"):
        choose_problems(splits, [], trainer(), passing("a", 5), "")


def test_types_of_val_that_are_not_trained_on_do_not_matter() -> None:
    """Held-out types are measured as well."""
    val = (problem("a"), problem("held_out"))
    drawn = [*passing("a", 0, samples=64), *passing("held_out", 5)]
    splits = Splits(train=(), val=val, test=())
    with pytest.raises(AxiomError, match="nothing to learn from"):
        choose(["a"], drawn, splits)


def test_a_type_that_was_not_measured_may_have_signal() -> None:
    splits = Splits(train=(), val=(problem("a"),), test=())
    assert choose(["a", "new"], passing("a", 0), splits) == ["new"]
    assert choose(["a", "new"], passing("a", 3), splits) == ["a", "new"]
    assert choose(["a", "new"], passing("a", 0), splits, signal_low=0.0) == ["a", "new"]


def test_val_decides_whatever_test_and_train_say() -> None:
    every = Splits(
        train=(problem("a", "train"),), val=(problem("a"),), test=(problem("a", "test"),)
    )
    drawn = [
        *passing("a", 0),
        *passing("b", 5),
        *passing("a", 5, split="test"),
        *passing("a", 5, split="train"),
    ]
    splits = replace(every, val=(problem("a"), problem("b")))
    assert choose(["a", "b"], drawn, splits) == ["b"]


def test_train_decides_where_there_is_no_val() -> None:
    splits = Splits(train=(problem("a", "train"), problem("b", "train")), val=(), test=())
    drawn = [*passing("a", 0, split="train"), *passing("b", 5, split="train")]
    assert choose(["a", "b"], drawn, splits) == ["b"]


def test_the_test_split_never_decides() -> None:
    """Choosing by it would make the report's own score part of the training."""
    test = (problem("a", "test"), problem("b", "test"))
    drawn = [*passing("a", 0, split="test"), *passing("b", 5, split="test")]
    assert choose(["a", "b"], drawn, Splits(train=(), val=(), test=test)) == ["a", "b"]


def test_train_is_measured_where_there_is_no_val_to_choose_by() -> None:
    splits = Splits(train=(problem("a", "train"),), val=(), test=(problem("a", "test"),))
    assert held_out(splits).train == splits.train


def test_training_problems_are_not_measured_where_val_is() -> None:
    train, val, test = (problem("a", "train"),), (problem("a"),), (problem("a", "test"),)
    left_out = {"x": "no tests"}
    splits = Splits(train=train, val=val, test=test, left_out=left_out)
    assert held_out(splits) == Splits(train=(), val=val, test=test, left_out=left_out)
    assert held_out(replace(splits, test=())).train == ()
    alone = Splits(train=train, val=(), test=())
    assert held_out(alone) == alone


# baseline_by_type


def test_passes_are_counted_by_type_over_its_problems() -> None:
    one, two, other = problem("a"), problem("a", index=1), problem("b")
    drawn = [*rollouts(one, 1.0, 0.5), *rollouts(two, 0.0), *rollouts(other, 1.0)]
    assert baseline_by_type([one, two, other], drawn) == {
        "a": Signal(passed=1, samples=3, varies=True),
        "b": Signal(passed=1, samples=1, varies=False),
    }


def test_problems_that_were_not_asked_for_and_types_without_samples_are_left_out() -> None:
    drawn = [*passing("b", 5), *passing("a", 3, split="test")]
    assert baseline_by_type([problem("a"), problem("b")], drawn) == {
        "b": Signal(passed=5, samples=10, varies=True)
    }
    assert baseline_by_type([problem("a")], []) == {} == baseline_by_type([], drawn)


def test_problems_that_differ_from_each_other_alone_do_not_vary() -> None:
    """A group is of one problem, so only differences within one are a signal."""
    one, two = problem("a"), problem("a", index=1)
    drawn = [*rollouts(one, 0.5, 0.5), *rollouts(two, 0.0, 0.0)]
    assert not baseline_by_type([one, two], drawn)["a"].varies


def test_fresh_tests_count_before_hidden_ones() -> None:
    of = problem("a")
    drawn = [
        rollout(of, 0, verdict(0.0), verdict(1.0)),
        rollout(of, 1, None, verdict(1.0)),
        rollout(of, 2, None, None),
    ]
    assert baseline_by_type([of], drawn) == {"a": Signal(passed=1, samples=2, varies=True)}


def test_faults_of_the_sandbox_are_in_no_denominator() -> None:
    of = problem("a")
    signal = baseline_by_type([of], rollouts(of, 1.0, FAULT, 0.0, FAULT, FAULT))["a"]
    assert (signal.passed, signal.samples, signal.rate) == (1, 2, 0.5)
    assert baseline_by_type([of], rollouts(of, FAULT, FAULT)) == {}, "nothing was measured"


def test_faults_do_not_make_a_type_vary() -> None:
    of = problem("a")
    assert not baseline_by_type([of], rollouts(of, 0.5, FAULT, 0.5))["a"].varies


def test_a_violation_earns_nothing_so_its_passed_tests_do_not_vary() -> None:
    of = problem("a")
    violation = verdict(0.75, Status.SECURITY_VIOLATION)
    assert not baseline_by_type([of], rollouts(of, 0.0, violation))["a"].varies


def test_a_type_with_faults_is_chosen_by_what_washeld_out() -> None:
    """8 of 10 passed: too easy, whatever became of the other ten."""
    drawn = [*rollouts(problem("a"), *[1.0] * 8, 0.0, 0.0, *[FAULT] * 10), *passing("b", 5)]
    assert choose(["a", "b"], drawn) == ["b"]


# Hopeless baselines


def test_a_baseline_that_always_fails_alike_is_refused_with_advice() -> None:
    drawn = [*passing("a", 0, samples=58), *passing("b", 0, samples=6)]
    with pytest.raises(AxiomError) as caught:
        choose(["a", "b"], drawn)
    said = str(caught.value)
    assert said == "GRPO has nothing to learn from: take a larger model"


def test_a_few_failures_say_too_little_to_refuse(caplog: pytest.LogCaptureFixture) -> None:
    """At 5 % a sample, 8 samples in a row fail in two cases of three."""
    for samples in (1, 8, 63):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            assert choose(["a"], passing("a", 0, samples=samples)) == ["a"]
        assert f"none of the {samples} samples of the baseline passed" in caplog.text
    with pytest.raises(AxiomError, match="nothing to learn from"):
        choose(["a"], passing("a", 0, samples=64))


def test_partly_passed_tests_are_a_signal_for_the_fraction_and_none_for_binary(
    caplog: pytest.LogCaptureFixture,
) -> None:
    drawn = rollouts(problem("a"), 0.0, 0.5, *[0.0] * 62)
    with caplog.at_level(logging.WARNING):
        assert choose(["a"], drawn, rewards={"fraction": 1.0}) == ["a"]
    assert any("only partly passed tests give a signal" in r.getMessage() for r in caplog.records)
    for blind in ({"binary": 1.0}, {"binary": 1.0, "fraction": 0.0}):
        with pytest.raises(AxiomError, match="nothing to learn from: take a larger model"):
            choose(["a"], drawn, rewards=blind)


def test_a_reward_of_ones_own_may_see_what_verdicts_do_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        assert choose(["a"], passing("a", 0), rewards={"binary": 1.0, "own": 0.1}) == ["a"]
    assert any("only rewards of your own give a signal" in r.getMessage() for r in caplog.records)


def test_one_pass_is_hope() -> None:
    _refuse_hopeless({"a": Signal(passed=1, samples=64, varies=False)}, trainer(), "")
    hopeless = Signal(passed=0, samples=64, varies=False)
    mixed = {"a": hopeless, "b": Signal(passed=1, samples=1, varies=False)}
    _refuse_hopeless(mixed, trainer(), "")
    with pytest.raises(AxiomError, match="none of 128 samples"):
        _refuse_hopeless({"a": hopeless, "b": hopeless}, trainer(), "none of 128 samples passed")


def test_what_was_not_measured_is_not_hopeless() -> None:
    _refuse_hopeless({}, trainer(), "")
    assert choose(["a"], []) == ["a"]


def test_a_baseline_of_faults_alone_is_not_called_a_failure_of_the_model() -> None:
    assert choose(["a"], rollouts(problem("a"), *[FAULT] * 8)) == ["a"]


# Forgetting


def context(*types: str, folder: Path) -> RunContext:
    train = tuple(problem(of, "train") for of in types)
    unused: Any = None
    return RunContext(
        run=Run(folder, Tracker(folder), []),
        splits=Splits(train=train, val=(), test=()),
        verifier=unused,
        load_sampler=unused,
        sampler=unused,
        style="direct",
        seed=0,
        fresh_seed=0,
        model={},
    )


def watching(families: list[str]) -> Config:
    return replace(composed("trainer=grpo"), trainer=trainer(forgetting=families))


EASY = [*problem_types()["easy"]]
BASIC = [*problem_types()["basic"]]


@pytest.mark.parametrize(
    ("trained", "families", "watched", "said"),
    [
        (["lis"], [], {}, []),
        (["lis"], ["basic", "basic"], {"basic": BASIC}, []),
        (BASIC, ["basic"], {}, ["basic is trained on, so its change is no forgetting"]),
        (BASIC, ["easy", "basic"], {"easy": EASY}, ["basic is trained on"]),
        (EASY, ["easy"], {}, ["easy is trained on"]),  # it has a test split
        (EASY[:2], ["easy"], {"easy": EASY[2:]}, [f"easy without {', '.join(EASY[:2])}, which"]),
    ],
)
def test_what_is_trained_on_is_not_measured_as_forgetting(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    trained: list[str],
    families: list[str],
    watched: dict[str, list[str]],
    said: list[str],
) -> None:
    with caplog.at_level(logging.INFO):
        found = watch(context(*trained, folder=tmp_path), watched_families(watching(families)))
    types = {
        name: sorted({p.type for p in (*of.splits.train, *of.splits.test)})
        for name, of in found.items()
    }
    assert types == {name: sorted(kinds) for name, kinds in watched.items()}
    lines = [record.getMessage() for record in caplog.records if "forgetting" in record.msg]
    assert len(lines) == len(said)
    assert all(text in line for text, line in zip(said, lines, strict=True))
    write_report(tmp_path)
    report = (tmp_path / "report.md").read_text()
    assert all(text in report for text in said)
    assert ("## What was forgotten" in report) == bool(said)


def test_an_unknown_family_is_named_with_what_was_meant() -> None:
    with pytest.raises(AxiomError, match=r"problems=basik: did you mean basic"):
        watched_families(watching(["basik"]))


def test_the_expected_length_is_that_of_training() -> None:
    """Three ended at 100, 200 and 400 tokens, one was cut off at 500."""
    drawn = [
        replace(item, completion=replace(item.completion, completion_tokens=n, truncated=n == 500))
        for item, n in zip(rollouts(problem("a"), *[1.0] * 4), (100, 200, 400, 500), strict=True)
    ]
    assert expected_tokens(drawn, 500) == 300
    assert expected_tokens(drawn, 1300) == 500
    assert expected_tokens(drawn, 200) == 175
