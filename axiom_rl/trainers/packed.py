"""Log-probabilities of completions in one pass without padding, each group's prompt run once.

TRL runs every row with its own copy of the prompt, padded to the longest row, and off a GPU
projects every position, the prompt's too, to the vocabulary. Here all rows of a batch lie in one
sequence: each distinct prompt without its last token, then a segment for each row, which starts
with that last token. A token sees its own segment and its own prompt: attention alone runs on rows
cut apart again, causal, for which there are kernels without a mask; on a CPU by a mask of all pairs
where many rows share a long prompt. The numbers are the same up to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedModel

from axiom_rl.models.memory import CHUNK, ROWS_OF_LOGITS
from axiom_rl.trainers.attention import ATTENTION

MASKED = 1024
"""Longest sequence on a CPU whose attention may get a mask of all pairs."""
PACKABLE = frozenset(("qwen2", "qwen3", "llama"))
"""Values of model_type for which tests/trainers/test_packed.py compares both passes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """Rows laid out in one sequence of N tokens."""

    tokens: torch.Tensor
    """(1, N)."""
    positions: torch.Tensor
    """(1, N): each token's place in its own prompt and completion."""
    rows: torch.Tensor
    """(rows, L): places in the sequence of each row's prompt and completion, 0 behind its end."""
    places: torch.Tensor
    """(N,): where in `rows`, flattened, each token of the sequence stands; one place of many for a
    prompt's."""
    segments: torch.Tensor
    """(2, N): the number of each token's prompt, and of its row from 1; 0 in a prompt."""
    targets: torch.Tensor
    """(M,) completion tokens of all rows, one after the other."""
    sources: torch.Tensor
    """(M,) places in the sequence whose output predicts them."""

    @property
    def masked(self) -> bool:
        """Whether a mask of all pairs is less work for attention on a CPU than rows cut apart."""
        count, longest = self.rows.shape
        whole = self.tokens.shape[1]
        # A causal kernel leaves out half of a row's pairs, one with a mask none.
        return whole <= MASKED and whole**2 < count * longest**2 / 2

    def mask(self) -> torch.Tensor:
        """Return (1, 1, N, N), True where a token may look."""
        prompt, segment = self.segments
        order = torch.arange(len(prompt))
        # Query i (rows) sees key j (columns): j's segment is the shared prompt (0) or i's own, both
        # belong to one prompt, and j does not lie behind i.
        open_to = (segment[None] == 0) | (segment[None] == segment[:, None])
        same = prompt[:, None] == prompt[None]
        mask: torch.Tensor = (order[:, None] >= order[None]) & same & open_to
        return mask[None, None]


def pack(prompts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]]) -> Packed:
    """Lay out rows in one sequence; equal prompts are laid out once.

    Args:
        prompts: token ids, at least one for each row.
        completions: token ids, at least one for each row.
    """
    tokens: list[int] = []
    positions: list[int] = []
    segments: list[tuple[int, int]] = []
    sources: list[int] = []
    starts: dict[tuple[int, ...], int] = {}  # of each prompt in the sequence, in order

    def lay(ids: Sequence[int], start: int, prompt: int, segment: int) -> range:
        tokens.extend(ids)
        positions.extend(range(start, start + len(ids)))
        segments.extend([(prompt, segment)] * len(ids))
        return range(len(tokens) - len(ids), len(tokens))

    for key in map(tuple, prompts):
        if key not in starts:
            starts[key] = lay(key[:-1], 0, len(starts), 0).start
    numbers = {key: number for number, key in enumerate(starts)}
    rows: list[list[int]] = []
    for row, (prompt, completion) in enumerate(zip(prompts, completions, strict=True), start=1):
        key = tuple(prompt)
        # The output at a token predicts the next one: the prompt's last token predicts the
        # completion's first, so it opens each row's segment, and nothing follows the last token.
        own = lay([prompt[-1], *completion[:-1]], len(prompt) - 1, numbers[key], row)
        sources.extend(own)
        rows.append([*range(starts[key], starts[key] + len(prompt) - 1), *own])
    longest = max(map(len, rows))
    # The way back: rows[r, c] -> sequence is `rows`, sequence -> r * longest + c is `places`. A
    # prompt's token stands in several rows, with equal states; the last row's is kept.
    places = [0] * len(tokens)
    for number, row_places in enumerate(rows):
        for column, place in enumerate(row_places):
            places[place] = number * longest + column
    return Packed(
        tokens=torch.tensor([tokens]),
        positions=torch.tensor([positions]),
        rows=torch.tensor([[*row, *[0] * (longest - len(row))] for row in rows]),
        places=torch.tensor(places),
        segments=torch.tensor(segments).T,
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
        and config._attn_implementation in ("sdpa", ATTENTION)
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
    if device.type == "cpu" and packed.masked:
        seen: dict[str, Any] = {"attention_mask": packed.mask()}
    else:
        model.set_attn_implementation(ATTENTION)  # and left so: a backward pass may run it again
        # transformers hands a mask of four dimensions through as it is; nobody looks at this one.
        seen = {"attention_mask": torch.ones(1, 1, 1, 1, dtype=torch.bool, device=device)}
        seen["packed_rows"] = (packed.rows.to(device), packed.places.to(device))
    hidden = backbone(
        input_ids=packed.tokens.to(device),
        position_ids=packed.positions.to(device),
        use_cache=False,
        **seen,
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
        slope, few = torch.empty_like(hidden), ROWS_OF_LOGITS[hidden.device.type]
        for start in range(0, len(hidden), CHUNK):
            part = slice(start, start + CHUNK)
            products = hidden[part] @ weight.T  # (CHUNK, vocabulary)
            # A few rows at a time in float32 (a sum of 150,000 terms loses digits in bfloat16),
            # which stay in a CPU's cache from one step to the next.
            for first in range(0, len(products), few):
                rows = products[first : first + few]
                place = slice(start + first, start + first + len(rows))
                chosen = targets[place]
                logits = rows.float().div_(temperature)
                normaliser = logits.logsumexp(-1, keepdim=True)
                logprobs[place] = (logits.gather(1, chosen[:, None]) - normaliser)[:, 0]
                if statistics:
                    likeliest[place] = logits.argmax(-1) == chosen
                if not (statistics or ctx.needs_input_grad[0]):
                    continue
                mean = logits.clone() if statistics else None
                shares = logits.sub_(normaliser).exp_()  # p, in the memory of the logits
                if mean is not None:  # H = log Z - sum p * logit
                    entropy[place] = normaliser[:, 0] - mean.mul_(shares).sum(-1)
                # p - one-hot, in float32 before the cast: for a nearly certain token 1 - p would
                # round to 0 in bfloat16, and its gradient with it.
                shares[torch.arange(len(chosen), device=shares.device), chosen] -= 1.0
                rows.copy_(shares)
            if ctx.needs_input_grad[0]:
                # The minus turns (p - one-hot) W into the derivative of log p, not of the loss.
                slope[part] = (products @ weight).div_(-temperature)
        ctx.save_for_backward(slope)
        ctx.mark_non_differentiable(entropy, likeliest)
        return logprobs, entropy, likeliest

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Scale the stored derivative."""
        (slope,) = ctx.saved_tensors
        # (M, 1) * (M, width); W is frozen and the targets are integers: no other gradient.
        return (gradients[0][:, None] * slope).to(slope.dtype), None, None, None, None
