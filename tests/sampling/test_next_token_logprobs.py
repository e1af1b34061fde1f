"""The log-probability of a drawn token is that of the distribution it was drawn from."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from axiom_rl.config import TransformersSamplerConfig
from axiom_rl.core.types import Completion
from axiom_rl.sampling import SampleRequest
from axiom_rl.sampling.hf.next_token import BLOCK, draw_tokens
from axiom_rl.sampling.hf.sampler import TransformersSampler, prompt_tokens

NEARLY_ONE = 1 - 2**-53
STOPS = {2, *range(50, 75)}
TEXTS = {"sum": "Return the sum of a list.", "hi": "hi", "long": "class Stack: push and pop. " * 6}


def logits_of(rows: int, vocabulary: int, scale: float = 3.0, seed: int = 0) -> torch.Tensor:
    made = torch.Generator().manual_seed(seed)
    return torch.randn(rows, vocabulary, generator=made) * scale


def uniforms(rows: int, seed: int = 0) -> torch.Tensor:
    stream = random.Random(seed)
    return torch.tensor([stream.random() for _ in range(rows)], dtype=torch.float64)


def wanted(logits: torch.Tensor, tokens: torch.Tensor, temperature: float) -> torch.Tensor:
    logps = torch.log_softmax(logits.double() / temperature, -1)
    return logps.gather(1, tokens[:, None])[:, 0]


def nucleus(logits: torch.Tensor, temperature: float, top_p: float) -> dict[int, float]:
    """Log-probabilities of one row's nucleus, computed token by token."""
    weights = torch.softmax(logits.double() / temperature, -1).tolist()
    kept: dict[int, float] = {}
    for token in sorted(range(len(weights)), key=lambda each: -weights[each]):
        if sum(kept.values()) >= top_p:
            break
        kept[token] = weights[token]
    return {token: math.log(weight / sum(kept.values())) for token, weight in kept.items()}


@pytest.mark.parametrize("temperature", [0.3, 0.7, 1.0, 2.5])
@pytest.mark.parametrize("vocabulary", [3, BLOCK - 1, BLOCK, BLOCK + 1, 5000])
def test_they_are_those_of_the_tempered_distribution(temperature: float, vocabulary: int) -> None:
    logits = logits_of(64, vocabulary)
    tokens, logps = draw_tokens(logits, uniforms(64), temperature, 1.0)
    assert logps.dtype == torch.float32 and logps.shape == tokens.shape == (64,)
    torch.testing.assert_close(
        logps.double(), wanted(logits, tokens, temperature), rtol=0, atol=2e-6
    )
    assert (logps <= 0).all() and len(set(tokens.tolist())) > 1


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_short_logits_are_computed_in_float32(dtype: torch.dtype) -> None:
    logits = logits_of(64, 1000).to(dtype)
    tokens, logps = draw_tokens(logits, uniforms(64), 0.7, 1.0)
    assert logps.dtype == torch.float32
    torch.testing.assert_close(logps.double(), wanted(logits, tokens, 0.7), rtol=0, atol=2e-6)


@pytest.mark.parametrize("temperature", [0.7, 1.0])
@pytest.mark.parametrize("top_p", [1e-9, 0.3, 0.8, 0.95, 0.9999])
def test_they_are_those_of_the_nucleus_normalised(temperature: float, top_p: float) -> None:
    logits = logits_of(32, 300, scale=2.0)
    tokens, logps = draw_tokens(logits, uniforms(32), temperature, top_p)
    for row, (token, logp) in enumerate(zip(tokens.tolist(), logps.tolist(), strict=True)):
        kept = nucleus(logits[row], temperature, top_p)
        assert token in kept and logp == pytest.approx(kept[token], abs=5e-6)


def test_a_nucleus_of_one_token_is_certain() -> None:
    logits = logits_of(8, 50)
    tokens, logps = draw_tokens(logits, uniforms(8), 1.0, 1e-9)
    assert tokens.equal(logits.argmax(-1)) and logps.tolist() == [0.0] * 8


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 999),
    vocabulary=st.integers(1, 40),
    temperature=st.floats(0.2, 3),
    top_p=st.floats(0.01, 1),
)
def test_all_tokens_that_can_be_drawn_have_probabilities_that_sum_to_one(
    seed: int, vocabulary: int, temperature: float, top_p: float
) -> None:
    logits = logits_of(1, vocabulary, scale=1.0, seed=seed).expand(2001, -1)
    spread = torch.linspace(0, NEARLY_ONE, 2001, dtype=torch.float64)
    tokens, logps = draw_tokens(logits, spread, temperature, top_p)
    found = dict(zip(tokens.tolist(), logps.tolist(), strict=True))
    assert sum(map(math.exp, found.values())) == pytest.approx(1, abs=0.03)
    for token, logp in found.items():
        share = tokens.eq(token).double().mean().item()
        assert share == pytest.approx(math.exp(logp), abs=2e-3)


def test_greedy_choices_are_certain() -> None:
    logits = logits_of(5, 1000)
    for top_p in (1.0, 0.5):
        tokens, logps = draw_tokens(logits, uniforms(5), 0, top_p)
        assert tokens.equal(logits.argmax(-1))
        assert logps.dtype == torch.float32 and logps.tolist() == [0.0] * 5


@pytest.mark.parametrize("top_p", [1.0, 0.9])
@pytest.mark.parametrize("uniform", [0.0, 5e-324, 0.5, NEARLY_ONE])
def test_they_are_finite_at_the_edges_and_for_impossible_neighbours(
    uniform: float, top_p: float
) -> None:
    logits = torch.full((1, 2 * BLOCK + 5), -torch.inf)
    logits[0, [0, BLOCK, 2 * BLOCK + 4]] = torch.tensor([1.0, 0.5, 0.9])
    number = torch.tensor([uniform], dtype=torch.float64)
    tokens, logps = draw_tokens(logits, number, 1.0, top_p)
    assert int(tokens) in {0, BLOCK, 2 * BLOCK + 4}
    assert logps.item() == pytest.approx(wanted(logits, tokens, 1.0).item(), abs=1e-6)


@pytest.mark.parametrize("top_p", [1.0, 0.9])
def test_large_logits_do_not_overflow(top_p: float) -> None:
    logits = logits_of(16, 700, scale=1e4)
    tokens, logps = draw_tokens(logits, uniforms(16), 0.5, top_p)
    assert tokens.equal(logits.argmax(-1)) and torch.isfinite(logps).all()


@pytest.mark.parametrize("top_p", [1.0, 0.9])
def test_rows_do_not_see_each_other(top_p: float) -> None:
    logits, numbers = logits_of(9, 600), uniforms(9)
    _, together = draw_tokens(logits, numbers, 0.7, top_p)
    alone = [
        draw_tokens(logits[i : i + 1], numbers[i : i + 1], 0.7, top_p)[1].item() for i in range(9)
    ]
    assert together.tolist() == pytest.approx(alone, abs=1e-6)


# The sampler


@pytest.fixture(scope="module")
def parts(tiny_model_folder: Path) -> tuple[Any, Any]:
    """The tiny model, with so many end tokens that some answers end and some do not."""
    model = AutoModelForCausalLM.from_pretrained(tiny_model_folder, dtype=torch.float32)
    model.generation_config = GenerationConfig(eos_token_id=sorted(STOPS))
    return model.eval(), AutoTokenizer.from_pretrained(tiny_model_folder)


def draw(parts: tuple[Any, Any], samples: int = 4, **changes: Any) -> list[Completion]:
    values: dict[str, Any] = {
        "backend": "transformers",
        "n": 4,
        "temperature": 1.0,
        "top_p": 1.0,
        "max_new_tokens": 20,
        "memory_gb": 1.0,
        "max_batch": 80,
    }
    sampler = TransformersSampler(*parts, TransformersSamplerConfig(**(values | changes)))
    asked = [
        SampleRequest(
            problem_id=name,
            messages=({"role": "user", "content": text},),
            samples=tuple(range(samples)),
            stream="0/grpo/1/0",
        )
        for name, text in TEXTS.items()
    ]
    return list(sampler.sample(asked))


@torch.no_grad()
def logits_behind(parts: tuple[Any, Any], item: Completion) -> torch.Tensor:
    """Return the logits that each token was drawn from, by one pass over prompt and answer."""
    whole = torch.tensor([[*item.prompt_ids, *item.token_ids]])
    logits: torch.Tensor = parts[0](input_ids=whole).logits[0]
    return logits[len(item.prompt_ids) - 1 : -1]


@pytest.mark.parametrize("temperature", [0.7, 1.0, 1.5])
@pytest.mark.parametrize("max_batch", [1, 4, 80])
def test_a_forward_pass_over_the_tokens_says_the_same(
    parts: tuple[Any, Any], temperature: float, max_batch: int
) -> None:
    """Whatever rows left the batch in between and whose places were taken."""
    drawn = draw(parts, temperature=temperature, max_batch=max_batch)
    assert {item.truncated for item in drawn} == {True, False}
    for item in drawn:
        tokens = torch.tensor(item.token_ids)
        plain = wanted(logits_behind(parts, item), tokens, temperature)
        assert list(item.logprobs) == pytest.approx(plain.tolist(), abs=2e-5)


def test_a_forward_pass_says_the_same_for_a_nucleus(parts: tuple[Any, Any]) -> None:
    for item in draw(parts, samples=2, temperature=0.7, top_p=0.8, max_new_tokens=8):
        for logits, token, logp in zip(
            logits_behind(parts, item), item.token_ids, item.logprobs, strict=True
        ):
            assert logp == pytest.approx(nucleus(logits, 0.7, 0.8)[token], abs=2e-5)


def test_greedy_tokens_are_certain_in_completions(parts: tuple[Any, Any]) -> None:
    for item in draw(parts, samples=1, temperature=0.0):
        assert item.logprobs == (0.0,) * len(item.token_ids)
        assert list(item.token_ids) == logits_behind(parts, item).argmax(-1).tolist()


def test_the_ids_are_those_of_prompt_and_text(parts: tuple[Any, Any]) -> None:
    """The token that ended the text is among them, and only if one did."""
    _, tokenizer = parts
    drawn = draw(parts, samples=12)
    assert {item.truncated for item in drawn} == {True, False}
    for item in drawn:
        messages = [{"role": "user", "content": TEXTS[item.problem_id]}]
        assert list(item.prompt_ids) == prompt_tokens(tokenizer, messages)
        assert len(item.prompt_ids) == item.prompt_tokens
        assert len(item.token_ids) == len(item.logprobs) == item.completion_tokens
        shown = item.token_ids if item.truncated else item.token_ids[:-1]
        assert tokenizer.decode(shown, skip_special_tokens=True) == item.text
        assert (item.token_ids[-1] in STOPS) is not item.truncated
        assert not STOPS & {*item.token_ids[:-1]}
        assert all(type(each) is int for each in (*item.prompt_ids, *item.token_ids))


def test_the_batch_changes_no_token_and_the_probabilities_by_rounding_alone(
    parts: tuple[Any, Any],
) -> None:
    whole, single = (
        {(item.problem_id, item.sample): item for item in draw(parts, max_batch=size)}
        for size in (80, 1)
    )
    assert whole == single, "log-probabilities take no part in comparisons"
    for key, item in whole.items():
        assert item.token_ids == single[key].token_ids
        assert item.logprobs == pytest.approx(single[key].logprobs, abs=2e-5)
