"""A key-value cache of slots: one row per running sample, filled in place, compacted on finish.

transformers' dynamic cache copies everything at each token and keeps all rows of a batch at one
length. Here keys and values lie in fixed tensors of shape (slots, key-value heads, longest, head
size). Every row has its own length, so nothing is padded; the running rows are always the first
ones; a finished row is overwritten by the last, and new samples take the rows behind.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface, Cache
from transformers.cache_utils import CacheLayerMixin
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

ATTENTION = "axiom_grouped_sdpa"
"""Name under which the attention function below is registered with transformers."""


class SlotCache(Cache):
    """Keys and values of all running samples, for decoders with full attention in every layer."""

    def __init__(self, layers: int, slots: int, longest: int, device: torch.device) -> None:
        """Make an empty cache.

        Args:
            layers: decoder layers of the model.
            slots: samples that can run at the same time.
            longest: tokens that a sample can reach, prompt included.
            device: where the model is.
        """
        self.slots = slots
        self.longest = longest
        self.lengths = torch.zeros(slots, dtype=torch.long, device=device)
        self.running = 0
        self.joining = 0
        self.rooms = [SlotLayer(self) for _ in range(layers)]
        super().__init__(layers=list(self.rooms))

    def begin_prefill(self, samples: int) -> None:
        """Announce that the next forward pass is one prompt, shared by `samples` new rows."""
        self.joining = samples

    def end_prefill(self, prompt_tokens: int) -> None:
        """Take the new rows among the running ones."""
        self.lengths[self.running : self.running + self.joining] = prompt_tokens
        self.running += self.joining
        self.joining = 0

    def mask(self) -> torch.Tensor:
        """Return the boolean mask (running, 1, 1, reach) of a decoding step."""
        lengths = self.lengths[: self.running]
        reach = int(lengths.max()) + 1
        positions = torch.arange(reach, device=lengths.device)
        return (positions <= lengths[:, None])[:, None, None]

    def end_step(self) -> None:
        """Count the token that a decoding step added to each running row."""
        self.lengths[: self.running] += 1

    def release(self, row: int) -> int:
        """Free one row; the last running row takes its place. Returns that row's old index."""
        last = self.running - 1
        if row != last:
            length = int(self.lengths[last])
            for layer in self.rooms:
                layer.keys[row, :, :length] = layer.keys[last, :, :length]
                layer.values[row, :, :length] = layer.values[last, :, :length]
            self.lengths[row] = length
        self.running = last
        return last


class SlotLayer(CacheLayerMixin):
    """Keys and values of one decoder layer for all slots."""

    is_sliding = False
    keys: torch.Tensor
    values: torch.Tensor

    def __init__(self, cache: SlotCache) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.cache = cache

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Allocate both tensors once the sizes are known."""
        _, heads, _, size = key_states.shape
        shape = (self.cache.slots, heads, self.cache.longest, size)
        self.keys = key_states.new_zeros(shape)
        self.values = value_states.new_zeros(shape)
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Store new states (rows, heads, tokens, head size) and return all to attend to."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        cache = self.cache
        if cache.joining:
            rows = slice(cache.running, cache.running + cache.joining)
            tokens = key_states.shape[-2]
            self.keys[rows, :, :tokens] = key_states
            self.values[rows, :, :tokens] = value_states
            return key_states, value_states
        running = torch.arange(cache.running, device=key_states.device)
        lengths = cache.lengths[: cache.running]
        self.keys[running, :, lengths] = key_states[:, :, 0]
        self.values[running, :, lengths] = value_states[:, :, 0]
        return self.keys[: cache.running], self.values[: cache.running]

    def get_seq_length(self) -> int:
        """Return 0: positions and masks are passed to the model explicitly."""
        return 0

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Return length and offset of a prefill mask, the only one the model makes itself."""
        return query_length, 0

    def get_max_length(self) -> int:
        """Return the tokens that a slot can hold."""
        return self.cache.longest


def grouped_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of a decoding step without copying keys and values to every query head.

    The query heads that share a key-value head become that many query positions of it: the same
    numbers, read once. With more than one query token (prefill) this is transformers' own SDPA.

    Args:
        module: the attention layer.
        query: (rows, heads, 1, head size).
        key: (rows, key-value heads, longest, head size).
        value: as key.
        attention_mask: (rows, 1, 1, reach), True where a token may look.
        scaling: factor on the scores.
        kwargs: passed on to transformers' function during prefill.

    Returns:
        (rows, 1, heads, head size), and None for the weights.
    """
    if query.shape[2] != 1 or attention_mask is None:
        output, _ = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **kwargs
        )
        return output, None
    rows, heads, _, size = query.shape
    reach = attention_mask.shape[-1]
    grouped = query.view(rows, key.shape[1], -1, size)
    output = torch.nn.functional.scaled_dot_product_attention(
        grouped, key[:, :, :reach], value[:, :, :reach], attn_mask=attention_mask, scale=scaling
    )
    return output.reshape(rows, 1, heads, size), None


AttentionInterface.register(ATTENTION, grouped_attention)
AttentionMaskInterface.register(ATTENTION, sdpa_mask)
