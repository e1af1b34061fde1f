"""Log-probabilities of completions in one pass without padding, each group's prompt run once.

TRL runs every row with its own copy of the prompt, padded to the longest row, and off a GPU
projects every position, the prompt's too, to the vocabulary. Here all rows of a batch lie in one
sequence: each distinct prompt without its last token, then a segment for each row, which starts
with that last token. A token sees its own segment and its own prompt. The numbers are the same up
to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedModel

PACKABLE = frozenset(("qwen2", "qwen3", "llama"))
"""Values of model_type for which tests/trainers/test_packed.py compares both passes."""
CHUNK = 512
"""Positions projected to the vocabulary at a time: 0.3 GB of float32 for 152,000 tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """Rows laid out in one sequence of N tokens."""

    tokens: torch.Tensor
    """(1, N)."""
    positions: torch.Tensor
    """(1, N): each token's place in its own prompt and completion."""
    mask: torch.Tensor
    """(1, 1, N, N), True where a token may look."""
    targets: torch.Tensor
    """(M,) completion tokens of all rows, one after the other."""
    sources: torch.Tensor
    """(M,) places in the sequence whose output predicts them."""


def pack(prompts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]]) -> Packed:
    """Lay out rows in one sequence; equal prompts are laid out once.

    Args:
        prompts: token ids, at least one for each row.
        completions: token ids, at least one for each row.
    """
    tokens: list[int] = []
    positions: list[int] = []
    prompt_of: list[int] = []  # which prompt a token belongs to
    segment_of: list[int] = []  # 0 in a prompt, else the number of its row from 1
    sources: list[int] = []
    numbers: dict[tuple[int, ...], int] = {}

    def lay(ids: Sequence[int], start: int, prompt: int, segment: int) -> None:
        tokens.extend(ids)
        positions.extend(range(start, start + len(ids)))
        prompt_of.extend([prompt] * len(ids))
        segment_of.extend([segment] * len(ids))

    for key in map(tuple, prompts):
        if key not in numbers:
            numbers[key] = len(numbers)
            lay(key[:-1], 0, numbers[key], 0)
    for row, (prompt, completion) in enumerate(zip(prompts, completions, strict=True), start=1):
        sources.extend(range(len(tokens), len(tokens) + len(completion)))
        lay([prompt[-1], *completion[:-1]], len(prompt) - 1, numbers[tuple(prompt)], row)
    owner, segment = torch.tensor(prompt_of), torch.tensor(segment_of)
    order = torch.arange(len(tokens))
    same = owner[:, None] == owner[None]
    open_to = (segment[None] == 0) | (segment[None] == segment[:, None])
    return Packed(
        tokens=torch.tensor([tokens]),
        positions=torch.tensor([positions]),
        mask=((order[:, None] >= order[None]) & same & open_to)[None, None],
        targets=torch.tensor([token for completion in completions for token in completion]),
        sources=torch.tensor(sources),
    )


def can_pack(model: Any) -> bool:
    """Whether the packed pass gives what the model's own would.

    Only for architectures that were tested to (PACKABLE), since a layer that looks at its
    neighbours by other ways than the mask would mix rows, with attention that takes a mask of
    booleans and has no window of its own, and where the head is a frozen matrix whose products are
    the logits.
    """
    config = model.config
    head = model.get_output_embeddings()
    frozen = type(head) is torch.nn.Linear and head.bias is None and not head.weight.requires_grad
    kinds = getattr(config, "layer_types", None) or ["full_attention"]
    adapters = getattr(model, "peft_config", {}).values()
    return (
        frozen
        and config.model_type in PACKABLE
        and config._attn_implementation == "sdpa"
        and set(kinds) == {"full_attention"}
        and not any(getattr(adapter, "alora_invocation_tokens", None) for adapter in adapters)
    )


def packed_logprobs(model: PreTrainedModel, packed: Packed, temperature: float) -> torch.Tensor:
    """Return the log-probabilities (M,) of the packed completion tokens, differentiable.

    Args:
        model: a decoder with a language-model head that does not train; adapters inside it do.
        packed: the rows.
        temperature: that the tokens were drawn with.
    """
    return _scores(model, packed, temperature, statistics=False)[0]


def packed_scores(
    model: PreTrainedModel, packed: Packed
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return log-probabilities, entropies and whether a token is the likeliest, (M,) each.

    Only the log-probabilities of the packed completion tokens are differentiable.
    """
    return _scores(model, packed, 1.0, statistics=True)


def _scores(
    model: PreTrainedModel, packed: Packed, temperature: float, *, statistics: bool
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    device = model.device
    backbone: Any = model.base_model
    hidden = backbone(
        input_ids=packed.tokens.to(device),
        position_ids=packed.positions.to(device),
        attention_mask=packed.mask.to(device),
        use_cache=False,
    ).last_hidden_state[0, packed.sources.to(device)]
    head: Any = model.get_output_embeddings()
    targets = packed.targets.to(device)
    return HeadLogprobs.apply(hidden, head.weight, targets, temperature, statistics)  # type: ignore[no-any-return, no-untyped-call]


class HeadLogprobs(torch.autograd.Function):
    """log softmax(hidden W^T / temperature) at the targets, in chunks, for a frozen W.

    The derivative with respect to `hidden` is worked out in the forward pass, where the
    probabilities p are at hand: ((one-hot target - p) W) / temperature. It takes as much room as
    `hidden`; the logits (positions x vocabulary) never exist as a whole and are computed once.
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden: torch.Tensor,
        weight: torch.Tensor,
        targets: torch.Tensor,
        temperature: float,
        statistics: bool,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Take (M, width), (vocabulary, width), (M,).

        Return (M,) each: log-probabilities and entropies in float32, and whether the target is
        the likeliest token; the last two are zero unless `statistics`.
        """
        logprobs, entropy = torch.zeros(2, len(hidden), device=hidden.device)
        likeliest = torch.zeros(len(hidden), dtype=torch.bool, device=hidden.device)
        slope = torch.empty_like(hidden)
        for start in range(0, len(hidden), CHUNK):
            part = slice(start, start + CHUNK)
            chosen = targets[part]
            logits = (hidden[part] @ weight.T).float().div_(temperature)
            normaliser = logits.logsumexp(-1, keepdim=True)
            logprobs[part] = (logits.gather(1, chosen[:, None]) - normaliser)[:, 0]
            if statistics:
                likeliest[part] = logits.argmax(-1) == chosen
            if not (statistics or ctx.needs_input_grad[0]):
                continue
            mean = logits.clone() if statistics else None
            shares = logits.sub_(normaliser).exp_()
            if mean is not None:
                entropy[part] = normaliser[:, 0] - mean.mul_(shares).sum(-1)
            if ctx.needs_input_grad[0]:
                # In float32 before the cast: of a token that is nearly certain little remains.
                shares[torch.arange(len(chosen), device=shares.device), chosen] -= 1.0
                slope[part] = (shares.to(weight.dtype) @ weight).div_(-temperature)
        ctx.save_for_backward(slope)
        ctx.mark_non_differentiable(entropy, likeliest)
        return logprobs, entropy, likeliest

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Scale the stored derivative."""
        (slope,) = ctx.saved_tensors
        return (gradients[0][:, None] * slope).to(slope.dtype), None, None, None, None
