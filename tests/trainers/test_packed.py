"""The packed pass: what a model's own pass gives, on every architecture it is let loose on."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from axiom_rl.trainers import packed
from axiom_rl.trainers.packed import (
    PACKABLE,
    HeadLogprobs,
    Packed,
    can_pack,
    pack,
    packed_logprobs,
    packed_scores,
)

SIZES: dict[str, Any] = {
    "vocab_size": 50,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
}
ROWS = [([3, 4, 5, 6], [7, 8, 9]), ([3, 4, 5, 6], [9]), ([11, 12], [13, 14, 15, 16])]


def tiny(kind: str, **more: Any) -> Any:
    """Make a random model with a frozen head whose distributions are far from even."""
    torch.manual_seed(0)
    extra = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2} | more
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **SIZES, **extra))
    model.requires_grad_(False)
    model.get_output_embeddings().weight.mul_(30)
    return model


@pytest.mark.parametrize("masked", [True, False], ids=["mask", "rows"])
@pytest.mark.parametrize("kind", sorted(PACKABLE))
def test_scores_are_the_models_own(
    kind: str, masked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a mask of all pairs, and row by row."""
    monkeypatch.setattr(Packed, "masked", masked)
    model = tiny(kind)
    assert can_pack(model)
    prompts, completions = zip(*ROWS, strict=True)
    logprobs, entropy, likeliest = packed_scores(model, pack(prompts, completions))
    wanted: list[torch.Tensor] = []
    for prompt, completion in ROWS:
        logits = model(torch.tensor([prompt + completion])).logits[0, len(prompt) - 1 : -1]
        wanted.append(logits.log_softmax(-1))
    dense = torch.cat(wanted)
    targets = torch.tensor([token for completion in completions for token in completion])
    torch.testing.assert_close(logprobs, dense.gather(1, targets[:, None])[:, 0])
    torch.testing.assert_close(entropy, -(dense.exp() * dense).sum(-1))
    assert likeliest.equal(dense.argmax(-1) == targets)
    assert 0.1 < entropy.mean() < 3.5, "neither even nor certain, or the test says little"
    assert can_pack(model), "and again"


@pytest.mark.parametrize(
    ("prompt", "answers", "masked"),
    [
        (150, [75] * 4, False),  # 449 tokens: four rows of 224 have fewer pairs below the diagonal
        (500, [10] * 16, True),  # 659 tokens, and 16 rows of 509
        (900, [100] * 4, False),  # 1,300 tokens: the mask would be large
    ],
)
def test_the_way_with_less_work_is_taken(prompt: int, answers: list[int], masked: bool) -> None:
    rows = pack([[1] * prompt] * len(answers), [[2] * length for length in answers])
    assert rows.masked is masked


@pytest.mark.parametrize("checkpointing", [False, True])
def test_both_ways_of_attention_give_the_same_gradients(
    checkpointing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the backward pass runs the layers a second time."""
    gradients = []
    for masked in (True, False):
        monkeypatch.setattr(Packed, "masked", masked)
        model = tiny("qwen2").train()
        for weight in model.model.layers.parameters():
            weight.requires_grad_(True)
        if checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        packed_logprobs(model, pack(*zip(*ROWS, strict=True)), 0.7).sum().backward()
        assert model.config._attn_implementation == ("sdpa" if masked else packed.ATTENTION)
        gradients.append([weight.grad for weight in model.model.layers.parameters()])
    for with_mask, by_rows in zip(*gradients, strict=True):
        assert (with_mask - by_rows).norm() <= 1e-5 * with_mask.norm()


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("mistral", {"sliding_window": 4}),
        ("qwen2", {"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 0}),
        ("gemma2", {}),
        ("qwen2", {"attn_implementation": "eager"}),
    ],
)
def test_models_whose_rows_would_mix_or_differ_are_refused(kind: str, more: Any) -> None:
    assert not can_pack(tiny(kind, **more))


def test_a_trained_head_is_refused() -> None:
    model = tiny("llama")
    model.get_output_embeddings().weight.requires_grad_(True)
    assert not can_pack(model)


def test_likeliest_is_told_for_tokens_that_are() -> None:
    weight = torch.eye(6, 4)
    hidden = torch.eye(4) * 3
    _, _, likeliest = HeadLogprobs.apply(hidden, weight, torch.tensor([0, 1, 5, 3]), 1.0, True)  # type: ignore[no-untyped-call]
    assert likeliest.tolist() == [True, True, False, True]


@pytest.mark.parametrize("scale", [0.5, 1.0, 1.5])
def test_gradients_of_nearly_certain_tokens_survive_bfloat16(scale: float) -> None:
    """p rounds to 1 in bfloat16, so 1 - p must be taken before the cast."""
    torch.manual_seed(0)
    weight = torch.randn(40, 32).bfloat16()
    targets = torch.arange(32)
    hidden = (weight[:32].float() * scale / 4).bfloat16()
    ours = hidden.clone().requires_grad_(True)
    logprobs, _, _ = HeadLogprobs.apply(ours, weight, targets, 1.0, False)  # type: ignore[no-untyped-call]
    logprobs.sum().backward()
    exact = hidden.double().requires_grad_(True)
    logits = exact @ weight.double().T
    logits.log_softmax(-1).gather(1, targets[:, None]).sum().backward()
    assert ours.grad is not None and exact.grad is not None
    error = (ours.grad.double() - exact.grad).norm() / exact.grad.norm()
    assert error < 0.05, f"relative error {error:.3f}, mean p {logprobs.exp().mean():.5f}"
