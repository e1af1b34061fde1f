"""Tokens are drawn with the probabilities that the logits say, and from nothing else."""

from __future__ import annotations

import random

import pytest
import torch

from axiom_rl.sampling.hf.next_token import BLOCK, draw_tokens, seed_for, stream_for

NEARLY_ONE = 1 - 2**-53
"""The largest number that random.random() returns."""


def draw(
    logits: torch.Tensor, uniforms: list[float], temperature: float = 1.0, top_p: float = 1.0
) -> list[int]:
    """Draw one token per number from the same distribution."""
    rows = logits.expand(len(uniforms), -1)
    numbers = torch.tensor(uniforms, dtype=torch.float64)
    return [int(token) for token in draw_tokens(rows, numbers, temperature, top_p)[0]]


def chi_square(counts: torch.Tensor, probabilities: torch.Tensor) -> float:
    expected = probabilities.double() * counts.sum()
    return float(((counts - expected) ** 2 / expected).sum())


@pytest.mark.parametrize("temperature", [0.7, 1.0, 2.0])
@pytest.mark.parametrize("seed", [0, 1])
def test_frequencies_are_the_probabilities(temperature: float, seed: int) -> None:
    logits = torch.tensor([0.0, 1.0, -1.0, 2.0, 0.5, -2.0, 1.5, 0.2])
    stream = random.Random(seed)
    tokens = draw(logits, [stream.random() for _ in range(20_000)], temperature)
    counts = torch.bincount(torch.tensor(tokens), minlength=8).double()
    # 7 degrees of freedom: above 24.3 once in a thousand times; the seeds are fixed.
    assert chi_square(counts, torch.softmax(logits / temperature, -1)) < 24.3


def test_every_token_of_a_large_vocabulary_has_its_share() -> None:
    """Each token's interval of the unit line begins and ends where the probabilities say."""
    vocabulary = 151_936
    logits = torch.randn(vocabulary, generator=torch.Generator().manual_seed(0)) * 3
    ends = torch.softmax(logits, -1).double().cumsum(0)
    ends = ends / ends[-1]
    tokens = [0, 1, BLOCK - 1, BLOCK, 70_000, vocabulary - BLOCK, vocabulary - 2, vocabulary - 1]
    middles = [float((ends[t] + (ends[t - 1] if t else 0.0)) / 2) for t in tokens]
    assert draw(logits, middles) == tokens


def test_the_tail_is_reached_where_a_float32_sum_would_have_lost_it() -> None:
    logits = torch.full((151_936,), -20.0)
    logits[0] = 0.0
    inside = torch.softmax(logits, -1).double()
    assert inside[1] < 2**-25, "each is too small to count in a float32 sum near 1"
    head = float(inside[0] / inside.sum())
    uniforms = [head + (1 - head) * share for share in (0.1, 0.5, 0.999)]
    tokens = draw(logits, uniforms)
    for token, share in zip(tokens, (0.1, 0.5, 0.999), strict=True):
        assert token == pytest.approx(share * 151_935, abs=BLOCK)


@pytest.mark.parametrize("uniform", [0.0, 0.5, 0.999999, NEARLY_ONE])
@pytest.mark.parametrize("top_p", [1.0, 0.9])
@pytest.mark.parametrize("vocabulary", [3, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 7])
def test_impossible_tokens_are_never_drawn(uniform: float, top_p: float, vocabulary: int) -> None:
    for possible in ([1], [0, vocabulary - 1], [vocabulary // 2]):
        logits = torch.full((vocabulary,), -torch.inf)
        logits[possible] = torch.linspace(1, 0.5, len(possible))
        assert draw(logits, [uniform], top_p=top_p)[0] in possible


@pytest.mark.parametrize("seed", range(20))
def test_edges_of_the_unit_line_stay_inside_for_rounded_logits(seed: int) -> None:
    """Underflow leaves zeros between and behind the tokens that are possible."""
    made = torch.Generator().manual_seed(seed)
    logits = (torch.randn(2 * BLOCK + 33, generator=made) * 60).bfloat16()
    weights = torch.softmax(logits.float(), -1)
    for uniform in (0.0, 5e-324, 0.999999, NEARLY_ONE):
        assert weights[draw(logits, [uniform])[0]] > 0


def test_the_nucleus_is_kept_and_nothing_else() -> None:
    logits = torch.tensor([0.15, 0.5, 0.05, 0.3]).log()
    spread = [i / 1000 for i in range(1000)]
    tokens = draw(logits, spread, top_p=0.75)
    assert set(tokens) == {1, 3}, "0.5 does not reach 0.75, 0.5 + 0.3 does"
    assert tokens.count(1) == pytest.approx(1000 * 0.5 / 0.8, abs=2)
    assert set(draw(logits, spread, top_p=0.5)) == {1}
    assert set(draw(logits, spread, top_p=1e-9)) == {1}
    assert set(draw(logits, spread, top_p=0.999)) == {0, 1, 2, 3}


def test_greedy_takes_the_most_likely_token_whatever_the_number() -> None:
    logits = torch.randn(5, 1000, generator=torch.Generator().manual_seed(0))
    for uniform in (0.0, 0.3, NEARLY_ONE):
        numbers = torch.full((5,), uniform, dtype=torch.float64)
        assert draw_tokens(logits, numbers, 0, 1.0)[0].equal(logits.argmax(-1))


def test_rows_do_not_see_each_other() -> None:
    made = torch.Generator().manual_seed(3)
    logits = torch.randn(7, 1000, generator=made)
    numbers = torch.rand(7, dtype=torch.float64, generator=made)
    together, _ = draw_tokens(logits, numbers, 0.7, 0.95)
    alone = [draw_tokens(logits[i : i + 1], numbers[i : i + 1], 0.7, 0.95)[0] for i in range(7)]
    assert together.equal(torch.cat(alone))


def test_a_stream_is_named_by_seed_problem_and_sample() -> None:
    names = [("0/before", "a", 0), ("1/before", "a", 0), ("0/iter_1", "a", 0), ("0/before", "b", 0)]
    names.append(("0/before", "a", 1))
    first = [stream_for(*name).random() for name in names]
    assert len(set(first)) == len(names)
    assert first == [stream_for(*name).random() for name in names]


def test_seeds_of_samples_are_their_own_and_stay() -> None:
    names = [("0/before", "a", 0), ("0/before", "a", 1), ("0/before", "b", 0), ("1/before", "a", 0)]
    seeds = [seed_for(*name) for name in names]
    assert len(set(seeds)) == 4 and all(0 <= seed < 2**63 for seed in seeds)
    assert seeds[0] == 5563467381442965870, "another number would change every run with vLLM"


@pytest.mark.parametrize("top_p", [1.0, 0.9])
def test_a_row_draws_at_its_own_temperature_what_it_draws_where_all_have_it(top_p: float) -> None:
    stream = random.Random(5)
    logits = torch.randn(21, 900, generator=torch.Generator().manual_seed(5)) * 3
    numbers = torch.tensor([stream.random() for _ in range(21)], dtype=torch.float64)
    heats = torch.tensor([0.3, 0.7, 1.0] * 7)
    tokens, logprobs = draw_tokens(logits, numbers, heats, top_p)
    for heat in (0.3, 0.7, 1.0):
        own = (heats == heat).nonzero()[:, 0]
        alone = draw_tokens(logits, numbers, heat, top_p)
        assert torch.equal(tokens[own], alone[0][own])
        assert torch.allclose(logprobs[own], alone[1][own], atol=1e-6)
