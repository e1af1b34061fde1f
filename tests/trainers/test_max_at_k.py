"""The best of k as the goal: weights against brute force, signal, faults, and what is refused."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from scripted_run import REVERSE, composed
from test_groups import NO_CODE, Start, attempt, some, start, verifier  # noqa: F401
from test_grpo_trainer import adapter, rows

from axiom_rl.config import GrpoConfig
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.types import Problem
from axiom_rl.evaluation.statistics import pass_at_k
from axiom_rl.models.weights.source import ResolvedModel
from axiom_rl.sampling import SampleRequest
from axiom_rl.trainers.grpo.groups import Group, goal
from axiom_rl.trainers.grpo.loss import group_advantages, max_at_k_advantages
from axiom_rl.trainers.grpo.options import check_grpo, grpo_config
from axiom_rl.trainers.grpo.trainer import GrpoTrainer

NAN = math.nan
PROBLEM = Problem(
    id="a/0", type="a", difficulty=1, split="train", title="", statement="", entry_point="f",
    public_tests=(), hidden_tests=(),
)  # fmt: skip


def by_subsets(rewards: Sequence[float], k: int) -> list[float]:
    """The definition: k times (mean max of the subsets with a row - of those without it)."""
    rows = range(len(rewards))

    def mean(subsets: list[tuple[int, ...]]) -> float:
        return sum(max(rewards[row] for row in subset) for subset in subsets) / len(subsets)

    weights = []
    for row in rows:
        with_row = [s for s in itertools.combinations(rows, k) if row in s]
        without = [s for s in itertools.combinations(rows, k) if row not in s]
        without = without or [tuple(other for other in rows if other != row)]
        weights.append(k * (mean(with_row) - mean(without)))
    return weights


def test_weights_are_those_of_all_subsets() -> None:
    chance = random.Random(0)
    for n in range(2, 8):
        for k in range(2, n + 1):
            for kind in ([0.0, 1.0], [0.0, 0.25, 0.5, 1.0], [-0.5, 0.1, 0.1 + 0.2, 0.3, 7.0]):
                rewards = [chance.choice(kind) for _ in range(n)]
                found = max_at_k_advantages(rewards, k)
                assert found == pytest.approx(by_subsets(rewards, k), abs=1e-9), (rewards, k)
                if k < n:
                    assert sum(found) == pytest.approx(0, abs=1e-9)
                else:
                    assert min(found) >= 0
                shuffled = [*enumerate(rewards)]
                chance.shuffle(shuffled)
                again = max_at_k_advantages([reward for _, reward in shuffled], k)
                assert again == pytest.approx([found[place] for place, _ in shuffled])


@pytest.mark.parametrize(("n", "k"), [(8, 8), (8, 4), (8, 2), (16, 8), (64, 8)])
def test_binary_weights_by_pass_at_k(n: int, k: int) -> None:
    """Right: k (1 - pass@k of the others); wrong: k times what one draw less costs the others."""
    for passed in range(n + 1):
        found = max_at_k_advantages([1.0] * passed + [0.0] * (n - passed), k)
        size = min(k, n - 1)
        right = k * (1 - pass_at_k(n - 1, passed - 1, size)) if passed else 0.0
        wrong = 0.0
        if passed < n:
            wrong = k * (pass_at_k(n - 1, passed, k - 1) - pass_at_k(n - 1, passed, size))
        expected = [right] * passed + [wrong] * (n - passed)
        assert found == pytest.approx(expected, abs=1e-9)
        told = 0 < passed <= (n - k if k < n else 1)
        assert any(found) == told, f"{passed} of {n} passes"


@pytest.mark.parametrize("rewards", [(0.0, 1.0), (0.0, 0.4, 1.0), (-1.0, 0.5, 0.5)])
@pytest.mark.parametrize(("n", "k"), [(4, 2), (4, 3), (4, 4), (3, 3), (2, 2)])
def test_the_estimate_is_the_gradient_of_max_at_k(
    rewards: tuple[float, ...], n: int, k: int
) -> None:
    """Exactly: the mean over every outcome of a group, for a softmax over a few answers."""
    logits = torch.tensor([0.3, -0.2, 0.9][: len(rewards)], dtype=torch.float64, requires_grad=True)
    answers = range(len(rewards))

    def chance(outcome: tuple[int, ...]) -> torch.Tensor:
        return logits.log_softmax(0)[list(outcome)].sum().exp()

    best = sum(
        (chance(o) * max(rewards[a] for a in o) for o in itertools.product(answers, repeat=k)),
        start=torch.zeros((), dtype=torch.float64),
    )
    (wanted,) = torch.autograd.grad(best, logits)
    estimate = torch.zeros((), dtype=torch.float64)
    for outcome in itertools.product(answers, repeat=n):
        weights = torch.tensor(max_at_k_advantages([rewards[a] for a in outcome], k))
        logps = logits.log_softmax(0)[list(outcome)]
        estimate = estimate + chance(outcome).detach() * (weights * logps).sum() / n
    (found,) = torch.autograd.grad(estimate, logits)
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-8)


def test_rows_without_a_reward_have_no_weight_and_take_no_part() -> None:
    rewards = torch.tensor([1.0, NAN, 0.0, 0.0, NAN, NAN, NAN, 1.0], dtype=torch.float64)
    found = group_advantages(rewards, 4, "none", 2).tolist()
    known = max_at_k_advantages([1.0, 0.0, 0.0], 2)
    assert found == pytest.approx([known[0], 0.0, known[1], known[2], 0.0, 0.0, 0.0, 0.0])
    fewer = group_advantages(rewards[:4], 4, "none", 4).tolist()
    assert fewer == pytest.approx([3.0, 0, 0, 0]), "of three known rows, the best of three"


@pytest.mark.parametrize("scale", ["none", "group", "batch"])
def test_weights_are_scaled_by_their_own_deviation(scale: str) -> None:
    rewards = torch.tensor([1.0, 0, 0, 0, 1.0, 1.0, 0.5, 0], dtype=torch.float64)
    plain = group_advantages(rewards, 4, "none", 2)
    found = group_advantages(rewards, 4, scale, 2)
    spread = {
        "none": torch.ones(8),
        "group": plain.view(2, 4).std(1).repeat_interleave(4) + 1e-4,
        "batch": plain.std() + 1e-4,
    }
    torch.testing.assert_close(found, plain / spread[scale])


@pytest.mark.parametrize(
    ("rewards", "k", "signal"),
    [
        ((1.0, 0.0, 0.0, 0.0), 4, True),
        ((1.0, 1.0, 0.0, 0.0), 4, False),
        ((1.0, 1.0, 0.0, 0.0), 2, True),
        ((1.0, 1.0, 1.0, 0.0), 2, False),
        ((1.0, 1.0, 1.0, 0.0), None, True),
        ((1.0, 0.5, 0.0, None), 4, True),
        ((1.0, None, None, None), 4, False),
        ((1.0, 1.0, 1.0, 1.0), 2, False),
        ((None, None, None, None), 2, False),
        ((0.1 + 0.2, 0.3, 0.3, 0.3), 2, False),
    ],
)
def test_a_group_has_signal_if_an_advantage_is_not_0(
    rewards: tuple[float | None, ...], k: int | None, signal: bool
) -> None:
    group = Group(problem=PROBLEM, rollouts=(), rewards=rewards, k=k)
    assert group.has_signal == signal
    known = torch.tensor([NAN if reward is None else reward for reward in rewards])
    trained = group_advantages(known, len(rewards), "none", k)
    assert bool((trained.abs() > 1e-6).any()) == signal, "and that is what is trained on"


def trainer(*overrides: str) -> GrpoConfig:
    made = composed("trainer=grpo", *overrides).trainer
    assert isinstance(made, GrpoConfig)
    return made


def test_a_k_that_a_group_cannot_show_is_refused() -> None:
    for_k = trainer("trainer.objective=max_at_k", "trainer.k=9")
    with pytest.raises(
        AxiomError, match=r"trainer\.k=9: .*num_generations=8 samples.*trainer\.k=8"
    ):
        check_grpo(for_k)
    check_grpo(replace(for_k, k=8))
    check_grpo(replace(for_k, objective="mean"))  # read with max_at_k alone
    assert goal(for_k) == 9 and goal(replace(for_k, objective="mean")) is None
    for given in ("trainer.k=1", "trainer.k=0", "trainer.objective=max@k"):
        with pytest.raises(AxiomError, match=given.partition("=")[0]):
            composed("trainer=grpo", given)


def test_groups_that_add_nothing_to_the_best_of_k_are_replaced(
    start: Start,  # noqa: F811
) -> None:
    """Of four samples two pass at first, then one: the best of four learns from the second."""

    def script(request: SampleRequest, sample: int) -> str:
        passes = sample < 1 if attempt(request) else sample < 2
        return REVERSE if passes else NO_CODE

    play = start(some(4), script)
    batch = play.source(reward="binary", objective="max_at_k", k=4).draw(1, 2)
    assert [group.has_signal for group in batch.used] == [True, True]
    assert [group.pass_rate for group in batch.used] == [0.25, 0.25]
    assert [group.pass_rate for group in batch.thrown_away] == [0.5, 0.5]
    assert batch.numbers()["zero_variance_share"] == 0.5
    kept = play.source(reward="binary", k=4).draw(2, 2)
    assert not kept.thrown_away, "for the mean reward, the first groups have signal"


def test_the_trainer_trains_on_these_weights(resolved: ResolvedModel, tmp_path: Path) -> None:
    model, tokenizer = adapter(resolved)
    options = dict(trainer().args) | {"num_generations": 4, "gradient_accumulation_steps": 1}
    args = grpo_config(options, model, tmp_path, seed=0)
    made = GrpoTrainer(model, args, tokenizer, lambda *_: [], [], k=2)
    earned = [1.0, 0.0, None, 0.5]
    (part,) = made._prepare([*zip(rows(), earned, strict=True)])
    known = max_at_k_advantages([1.0, 0.0, 0.5], 2)
    assert part["advantages"].tolist() == pytest.approx([known[0], known[1], 0.0, known[2]])
