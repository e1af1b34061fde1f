"""The sampler in this process: reproducible, whatever the batch, and true to the model."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from axiom_rl.config import TransformersSamplerConfig
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.types import Completion
from axiom_rl.sampling import SampleRequest
from axiom_rl.sampling.hf.sampler import (
    TransformersSampler,
    _require_full_attention,
    prompt_tokens,
)

PROMPTS = {
    "sum": "Write a Python function that returns the sum of a list of integers.",
    "two_sum": "def two_sum(nums, target): return i",
    "short": "hi",
    "stack": "class Stack: a list with push and pop, and a long text that goes on and on " * 3,
}


@pytest.fixture(scope="module")
def parts(tiny_model_folder: Path) -> tuple[Any, Any]:
    model = AutoModelForCausalLM.from_pretrained(tiny_model_folder, dtype=torch.float32)
    return model.eval(), AutoTokenizer.from_pretrained(tiny_model_folder)


def settings(**changes: Any) -> TransformersSamplerConfig:
    values: dict[str, Any] = {
        "backend": "transformers",
        "n": 4,
        "temperature": 1.0,
        "top_p": 1.0,
        "max_new_tokens": 12,
        "memory_gb": 1.0,
        "max_batch": 80,
    }
    return TransformersSamplerConfig(**(values | changes))


def requests(samples: int = 5, stream: str = "0/before") -> list[SampleRequest]:
    return [
        SampleRequest(
            problem_id=name,
            messages=({"role": "user", "content": text},),
            samples=tuple(range(samples)),
            stream=stream,
        )
        for name, text in PROMPTS.items()
    ]


def by_sample(completions: Sequence[Completion]) -> dict[tuple[str, int], Completion]:
    found = {(item.problem_id, item.sample): item for item in completions}
    assert len(found) == len(completions), "a sample was drawn twice"
    return found


def sample(
    parts: tuple[Any, Any], asked: list[SampleRequest], **changes: Any
) -> dict[tuple[str, int], Completion]:
    sampler = TransformersSampler(*parts, settings(**changes))
    return by_sample(list(sampler.sample(asked)))


@pytest.fixture(scope="module")
def reference(parts: tuple[Any, Any]) -> dict[tuple[str, int], Completion]:
    return sample(parts, requests())


def test_every_sample_asked_for_comes_once(
    reference: dict[tuple[str, int], Completion], parts: tuple[Any, Any]
) -> None:
    assert set(reference) == {(name, index) for name in PROMPTS for index in range(5)}
    for (name, _), item in reference.items():
        messages = [{"role": "user", "content": PROMPTS[name]}]
        assert item.prompt_tokens == len(prompt_tokens(parts[1], messages))
        assert 1 <= item.completion_tokens <= 12
    assert len({item.text for item in reference.values()}) > 15


def test_the_same_seed_gives_the_same_texts_and_another_one_others(
    parts: tuple[Any, Any], reference: dict[tuple[str, int], Completion]
) -> None:
    assert sample(parts, requests()) == reference
    other = sample(parts, requests(stream="1/before"))
    assert sum(other[key].text == reference[key].text for key in reference) <= 2


@pytest.mark.parametrize("max_batch", [1, 3, 80])
def test_texts_do_not_depend_on_the_batch(
    parts: tuple[Any, Any], reference: dict[tuple[str, int], Completion], max_batch: int
) -> None:
    """Also with fewer slots than samples of one request, which is then cut into several."""
    assert sample(parts, requests(), max_batch=max_batch) == reference


def test_texts_do_not_depend_on_the_other_requests(
    parts: tuple[Any, Any], reference: dict[tuple[str, int], Completion]
) -> None:
    shuffled = requests()
    random.Random(0).shuffle(shuffled)
    assert sample(parts, shuffled) == reference
    alone = replace(requests()[1], samples=(4, 2))
    assert sample(parts, [alone]) == {
        key: reference[key] for key in [("two_sum", 2), ("two_sum", 4)]
    }


def test_texts_with_a_nucleus_do_not_depend_on_the_batch(parts: tuple[Any, Any]) -> None:
    chosen = {"top_p": 0.8, "temperature": 0.7}
    assert sample(parts, requests(), **chosen) == sample(parts, requests(), max_batch=2, **chosen)


def test_greedy_is_what_generate_does(parts: tuple[Any, Any]) -> None:
    model, tokenizer = parts
    drawn = sample(parts, requests(samples=2), temperature=0.0, max_new_tokens=20)
    for name, text in PROMPTS.items():
        prompt = prompt_tokens(tokenizer, [{"role": "user", "content": text}])
        whole = model.generate(
            torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
            do_sample=False,
            max_new_tokens=20,
        )
        theirs = tokenizer.decode(whole[0, len(prompt) :], skip_special_tokens=True)
        assert drawn[name, 0].text == drawn[name, 1].text == theirs


def test_each_end_token_ends_a_text_and_is_not_in_it(parts: tuple[Any, Any]) -> None:
    """The model's list of end tokens counts, plain tokens in it included."""
    model, tokenizer = parts
    full = sample(parts, requests(), max_new_tokens=12)
    letter = tokenizer.convert_tokens_to_ids("e")
    previous = model.generation_config
    model.generation_config = GenerationConfig(eos_token_id=[tokenizer.eos_token_id, letter])
    try:
        cut = sample(parts, requests(samples=15), max_new_tokens=30)
    finally:
        model.generation_config = previous
    ended = [item for item in cut.values() if not item.truncated]
    assert ended and all(item.completion_tokens <= 30 for item in cut.values())
    by_letter = 0
    for key, item in cut.items():
        # What was drawn before the end is what is drawn without that end token.
        kept = full.get(key)
        if kept and not item.truncated and item.completion_tokens < kept.completion_tokens:
            assert kept.text.startswith(item.text)
            by_letter += kept.text[len(item.text) :].startswith("e")
    assert by_letter > 0
    assert not any(item.text.endswith("<|im_end|>") for item in cut.values())


def test_truncated_means_that_the_limit_ended_the_text(parts: tuple[Any, Any]) -> None:
    drawn = sample(parts, requests(samples=15), max_new_tokens=30).values()
    assert {item.truncated for item in drawn} == {True, False}
    for item in drawn:
        assert item.completion_tokens == 30 or not item.truncated


def test_one_token_is_enough(parts: tuple[Any, Any]) -> None:
    drawn = sample(parts, requests(), max_new_tokens=1, max_batch=3)
    assert {item.completion_tokens for item in drawn.values()} == {1}


def test_nothing_asked_is_nothing_drawn(parts: tuple[Any, Any]) -> None:
    assert sample(parts, []) == {}
    assert sample(parts, requests(samples=0)) == {}


def test_a_budget_below_one_sample_is_an_error_that_says_how_much_is_needed(
    parts: tuple[Any, Any],
) -> None:
    with pytest.raises(AxiomError, match=r"needs 0\.\d+ GB.*sampler\.memory_gb"):
        sample(parts, requests(), memory_gb=1e-6)


def test_the_budget_sets_the_batch(
    parts: tuple[Any, Any], reference: dict[tuple[str, int], Completion]
) -> None:
    sampler = TransformersSampler(*parts, settings(memory_gb=2e-4))
    assert 1 <= sampler._slots(120) < 10
    assert by_sample(list(sampler.sample(requests()))) == reference


def test_a_prompt_beyond_the_context_is_named(parts: tuple[Any, Any]) -> None:
    with pytest.raises(AxiomError, match=r"prompt of stack has \d+ tokens.*max_new_tokens"):
        sample(parts, requests(), max_new_tokens=900)


def test_the_model_is_left_as_it_was(parts: tuple[Any, Any]) -> None:
    model, _ = parts
    before = model.config._attn_implementation
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    sampler = TransformersSampler(*parts, settings())
    list(sampler.sample(requests()))
    assert model.config._attn_implementation == before
    stopped = iter(sampler.sample(requests()))
    next(stopped)
    stopped.close()  # a consumer that breaks off
    assert model.config._attn_implementation == before
    assert all(value.equal(weights[name]) for name, value in model.state_dict().items())


def test_between_two_completions_the_caller_can_train(parts: tuple[Any, Any]) -> None:
    for _ in TransformersSampler(*parts, settings()).sample(requests(samples=1)):
        assert not torch.is_inference_mode_enabled()
        assert torch.is_grad_enabled()


def test_a_window_shorter_than_the_context_is_refused() -> None:
    """As Mistral's and Phi-3's configurations name one, without a kind for each layer."""
    config = SimpleNamespace(max_position_embeddings=1024, sliding_window=None)
    model: Any = SimpleNamespace(config=config)
    for window in (None, 1024):
        config.sliding_window = window
        _require_full_attention(model)
    config.sliding_window = 512
    with pytest.raises(AxiomError, match="sliding_attention"):
        _require_full_attention(model)


def test_sliding_attention_is_refused(parts: tuple[Any, Any]) -> None:
    model, tokenizer = parts
    kinds = model.config.layer_types
    model.config.layer_types = ["full_attention", "sliding_attention"]
    try:
        with pytest.raises(AxiomError, match="sliding_attention"):
            TransformersSampler(model, tokenizer, settings())
    finally:
        model.config.layer_types = kinds
