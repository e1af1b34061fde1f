from __future__ import annotations

import functools
import math

import pytest

from axiom_rl.core.errors import AxiomError
from axiom_rl.core.types import Completion, Status, Verdict
from axiom_rl.problems import make_problem
from axiom_rl.rollouts import rewards
from axiom_rl.rollouts.rewards import SEES


def verdict(status: Status, fraction: float) -> Verdict:
    passed = status is Status.ACCEPTED
    return Verdict(status=status, passed=passed, pass_fraction=fraction, total_tests=4)


@pytest.mark.parametrize(
    ("status", "fraction", "binary", "partial"),
    [
        (Status.ACCEPTED, 1.0, 1.0, 1.0),
        (Status.WRONG_ANSWER, 0.75, 0.0, 0.75),
        (Status.TIME_LIMIT, 0.5, 0.0, 0.5),
        (Status.NO_CODE, 0.0, 0.0, 0.0),
        (Status.SECURITY_VIOLATION, 0.75, 0.0, 0.0),
        (Status.SANDBOX_FAULT, 0.0, None, None),
    ],
)
def test_rewards(
    status: Status, fraction: float, binary: float | None, partial: float | None
) -> None:
    assert rewards.get("binary")(verdict(status, fraction)) == binary
    assert rewards.get("fraction")(verdict(status, fraction)) == partial


def test_users_register_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rewards, "_REWARDS", dict(rewards._REWARDS))

    def squared(judged: Verdict) -> float | None:
        return judged.pass_fraction**2

    rewards.register("squared", squared)
    rewards.register("squared", squared)
    assert rewards.get("squared")(verdict(Status.WRONG_ANSWER, 0.5)) == 0.25
    with pytest.raises(AxiomError, match="already registered"):
        rewards.register("binary", squared)


PROBLEM = make_problem("reverse_string", difficulty=1, split="train", seed=0, index=0)
SAID = Completion(
    problem_id=PROBLEM.id,
    sample=0,
    text="hello",
    prompt_tokens=1,
    completion_tokens=2,
    truncated=False,
    token_ids=(5, 6),
)


@pytest.mark.parametrize(
    "function",
    [
        lambda judged: 1.0 if isinstance(judged, Verdict) else 0.0,
        lambda judged, bonus=1.0: bonus,
        lambda *, verdict: float(verdict.passed),
        lambda tokens: float(tokens == (5, 6)),
        lambda verdict, tokens, completion, problem: float(completion is SAID and verdict.passed),
        lambda problem, **rest: float(problem is PROBLEM and sorted(rest) == sorted(SEES[1:])),
        lambda completion, weight=1: len(completion.text) / 5 * weight,
        functools.partial(lambda scale, verdict: scale * verdict.pass_fraction, 1.0),
        lambda **seen: float(len(seen) == 4),
        lambda *seen: float(len(seen)),
    ],
)
def test_a_reward_sees_what_it_names(
    function: rewards.Reward, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rewards, "_REWARDS", dict(rewards._REWARDS))
    rewards.register("own", function)
    earned = rewards.WeightedRewards({"own": 0.5})(PROBLEM, SAID, verdict(Status.ACCEPTED, 1.0))
    assert earned == (0.5, {"own": 1.0})


@pytest.mark.parametrize(
    "function", [lambda verdict, other: 1.0, lambda: 1.0, lambda *, other: 1.0, lambda a, b: 1.0]
)
def test_a_parameter_that_there_is_not_is_refused_when_registered(function: rewards.Reward) -> None:
    with pytest.raises(AxiomError, match="any of problem, completion, tokens, verdict"):
        rewards.register("strange", function)
    with pytest.raises(AxiomError, match="unknown reward"):
        rewards.get("strange")


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (lambda verdict: verdict.nothing, "AttributeError"),
        (lambda verdict: "much", "ValueError"),
        (lambda verdict: math.inf, "finite"),
        (lambda verdict: math.nan, "finite"),
        (lambda verdict: [1.0], "TypeError"),
    ],
)
def test_what_a_function_does_wrong_is_told_with_its_name(
    returned: rewards.Reward, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rewards, "_REWARDS", {"own": returned})
    with pytest.raises(AxiomError, match=rf"own .*{PROBLEM.id}.*{said}"):
        rewards.WeightedRewards({"own": 1.0})(PROBLEM, SAID, verdict(Status.ACCEPTED, 1.0))


def test_one_none_takes_the_row_out_and_a_fault_is_shown_to_no_function(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rewards, "_REWARDS", dict(rewards._REWARDS))
    rewards.register("absent", lambda verdict: None)
    rewards.register("same", lambda verdict: 2.0)
    both = rewards.WeightedRewards({"absent": 1.0, "same": 1.0})
    assert both(PROBLEM, SAID, verdict(Status.ACCEPTED, 1.0)) == (
        None,
        {"absent": None, "same": 2.0},
    )
    fault = verdict(Status.SANDBOX_FAULT, 0.0)
    assert rewards.WeightedRewards({"same": 1.0})(PROBLEM, SAID, fault) == (None, {"same": None})


def test_unknown_rewards_are_named_with_near_misses() -> None:
    with pytest.raises(AxiomError, match="did you mean binary"):
        rewards.get("binari")
    with pytest.raises(AxiomError, match="known: binary, fraction"):
        rewards.get("xyz")
