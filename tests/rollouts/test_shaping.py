"""Small terms beside the reward: they order what is alike and never outweigh a failed test."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from axiom_rl.config import load_config
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.types import Status, Verdict
from axiom_rl.rollouts.rewards import Shaping, binary, fraction, shaped

NONE = Shaping()


def verdict(passed: int, total: int, status: Status = Status.WRONG_ANSWER) -> Verdict:
    return Verdict(
        status=Status.ACCEPTED if passed == total else status,
        passed=passed == total,
        pass_fraction=passed / total,
        total_tests=total,
    )


def reward(judged: Verdict, shaping: Shaping, *, well: bool = True, length: float = 0.5) -> float:
    made = shaped(fraction(judged), judged, shaping, well_formed=well, length=length)
    assert made is not None
    return made


@st.composite
def shapings(draw: st.DrawFn) -> Shaping:
    """Every split of at most 0.999 of a test over the two terms, and any penalty of failures."""
    together = draw(st.floats(0, 0.999))
    share = draw(st.floats(0, 1))
    failure = draw(st.floats(-10, 0))
    return Shaping(
        failure=failure, format_weight=together * share, length_weight=together * (1 - share)
    )


@given(shapings(), st.integers(1, 200), st.data(), st.booleans(), st.booleans())
def test_more_passed_tests_are_always_worth_more(
    shaping: Shaping, total: int, data: st.DataObject, well: bool, worse_well: bool
) -> None:
    better = data.draw(st.integers(1, total))
    worse = data.draw(st.integers(0, better - 1))
    lengths = [data.draw(st.floats(0, 2)) for _ in range(2)]
    high = reward(verdict(better, total), shaping, well=well, length=lengths[0])
    low = reward(verdict(worse, total), shaping, well=worse_well, length=lengths[1])
    assert high > low


@given(shapings(), st.integers(1, 200), st.floats(0, 2), st.floats(0, 2), st.data())
def test_a_pass_is_always_worth_more_than_a_failure_with_the_binary_reward(
    shaping: Shaping, total: int, one: float, other: float, data: st.DataObject
) -> None:
    passing, failing = verdict(total, total), verdict(data.draw(st.integers(0, total - 1)), total)
    high = shaped(binary(passing), passing, shaping, well_formed=False, length=one)
    low = shaped(binary(failing), failing, shaping, well_formed=True, length=other)
    assert high is not None and low is not None and high > low


@given(shapings(), st.floats(-1, 3), st.booleans())
def test_a_fault_stays_without_reward(shaping: Shaping, length: float, well: bool) -> None:
    fault = Verdict(status=Status.SANDBOX_FAULT, passed=False, pass_fraction=0.0, total_tests=4)
    for base in (binary(fault), fraction(fault)):
        assert shaped(base, fault, shaping, well_formed=well, length=length) is None


@pytest.mark.parametrize("passed", range(5))
def test_without_terms_the_reward_is_the_verdicts(passed: int) -> None:
    for well, length in ((True, 0.0), (False, 1.0)):
        assert reward(verdict(passed, 4), NONE, well=well, length=length) == passed / 4


def test_the_terms_are_in_units_of_one_test() -> None:
    judged = verdict(2, 4)
    assert reward(judged, Shaping(format_weight=0.4)) == pytest.approx(0.6)
    assert reward(judged, Shaping(format_weight=0.4), well=False) == 0.5
    assert reward(judged, Shaping(length_weight=0.4), length=0.5) == pytest.approx(0.45)
    both = Shaping(format_weight=0.4, length_weight=0.4)
    assert reward(judged, both, length=1.0) == pytest.approx(0.5)


@pytest.mark.parametrize(("length", "counted"), [(-1.0, 0.0), (0.0, 0.0), (1.0, 1.0), (7.0, 1.0)])
def test_lengths_beyond_the_ends_count_as_the_ends(length: float, counted: float) -> None:
    shaping = Shaping(length_weight=0.8)
    assert reward(verdict(1, 2), shaping, length=length) == pytest.approx(0.5 - 0.4 * counted)


def test_failures_are_negative_if_wanted_and_passes_are_not_touched() -> None:
    shaping = Shaping(failure=-1.0)
    assert reward(verdict(4, 4), shaping) == 1.0
    assert reward(verdict(3, 4), shaping) == -0.25
    assert reward(verdict(0, 4), shaping) == -1.0
    violation = verdict(3, 4, Status.SECURITY_VIOLATION)
    assert reward(violation, shaping) == -1.0, "its passed tests count for nothing"


def test_a_verdict_without_tests_is_no_division_by_zero() -> None:
    bare = Verdict(status=Status.NO_CODE, passed=False, pass_fraction=0.0)
    made = shaped(0.0, bare, Shaping(length_weight=0.5), well_formed=False, length=1.0)
    assert made == -0.5


@pytest.mark.parametrize(("form", "length"), [(1.0, 0.0), (0.0, 1.0), (0.5, 0.5), (0.9, 0.2)])
def test_weights_that_could_outweigh_a_test_are_refused(form: float, length: float) -> None:
    with pytest.raises(AxiomError, match=r"trainer\.format_weight.*trainer\.length_weight"):
        Shaping(format_weight=form, length_weight=length)


@pytest.mark.parametrize(
    ("form", "length"), [(-2.0, 0.0), (0.0, -2.0), (-5.0, 5.0), (math.nan, 0.0), (0.0, math.nan)]
)
def test_weights_that_are_negative_or_no_number_are_refused(form: float, length: float) -> None:
    """-5 and 5 are less than 1 together and span ten tests."""
    with pytest.raises(AxiomError, match=r"trainer\.format_weight|trainer\.length_weight"):
        Shaping(format_weight=form, length_weight=length)


@pytest.mark.parametrize("key", ["format_weight", "length_weight"])
@pytest.mark.parametrize("value", ["nan", "-0.1", "1", "inf", "-inf"])
def test_such_weights_do_not_get_through_the_config(key: str, value: str) -> None:
    with pytest.raises(AxiomError, match=rf"trainer\.{key}=.*must be 0 or more and below 1"):
        load_config("trainer=grpo", f"trainer.{key}={value}")


@pytest.mark.parametrize("value", ["nan", "0.1", "-inf", "inf"])
def test_a_failure_reward_is_a_finite_number_of_at_most_0(value: str) -> None:
    with pytest.raises(AxiomError, match=r"trainer\.failure_reward=.*must be 0 or less"):
        load_config("trainer=grpo", f"trainer.failure_reward={value}")
    assert load_config("trainer=grpo", "trainer.failure_reward=-1").trainer.kind == "grpo"
