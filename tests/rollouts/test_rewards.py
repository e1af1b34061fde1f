from __future__ import annotations

import pytest

from axiom_rl.core.errors import AxiomError
from axiom_rl.core.types import Status, Verdict
from axiom_rl.rollouts import rewards


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


def test_unknown_rewards_are_named_with_near_misses() -> None:
    with pytest.raises(AxiomError, match="did you mean binary"):
        rewards.get("binari")
    with pytest.raises(AxiomError, match="known: binary, fraction"):
        rewards.get("xyz")
