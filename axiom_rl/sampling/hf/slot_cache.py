"""A key-value cache of slots: one row per running sample, filled in place, compacted on finish.

transformers' dynamic cache copies everything at each token and keeps all rows of a batch at one
length. Here keys and values lie in fixed tensors of shape (slots, key-value heads, longest, head
size). Every row has its own length, so nothing is padded; the running rows are always the first
ones; a finished row is overwritten by the last, and new samples take the rows behind.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
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
        self.state = torch.zeros(4, slots, dtype=torch.long, device=device)
        """Of each slot: see the four names below. All 0 in a free slot."""
        self.lengths, self.tokens, self.drawn, self.live = self.state
        self.filled: list[int] = []
        """The lengths of the running rows again, where reading them stops nothing."""
        self.places = torch.arange(slots, device=device)
        self.rows = 0
        """Rows that a decoding step takes in: the running ones, and free ones to a round number."""
        self.owners: torch.Tensor | None = None
        """(new rows,) which prompt each new row begins with; None outside a prefill."""
        self.store: torch.Tensor | None = None
        """(layers, 2, slots, key-value heads, longest, head size): keys and values."""
        super().__init__(layers=[SlotLayer(self, number) for number in range(layers)])

    @property
    def running(self) -> int:
        """Rows in use; they are the first ones."""
        return len(self.filled)

    def clear(self) -> None:
        """Free all rows."""
        self.state.zero_()
        self.filled = []
        self.owners = None

    def begin_prefill(self, samples: Sequence[int]) -> None:
        """Announce a forward pass over prompts, one for each number of new rows that share it."""
        numbers = [prompt for prompt, count in enumerate(samples) for _ in range(count)]
        self.owners = torch.tensor(numbers, device=self.state.device)

    def end_prefill(self, prompt_tokens: Sequence[int], samples: Sequence[int]) -> None:
        """Take the new rows among the running ones."""
        new = [n for n, count in zip(prompt_tokens, samples, strict=True) for _ in range(count)]
        rows = slice(self.running, self.running + len(new))
        self.filled += new
        self.lengths[rows] = torch.tensor(new, device=self.state.device)
        self.live[rows] = 1
        self.rows = self.running
        self.owners = None

    def share(self, row: int, prompt: Sequence[int], count: int) -> None:
        """Add rows that begin with the prompt of a running one, by copying its keys and values.

        All but the last token's: that one is each new row's input in the next step, which draws
        the row's first token from it.
        """
        assert self.store is not None
        known = len(prompt) - 1
        rows = slice(self.running, self.running + count)
        self.store[:, :, rows, :, :known] = self.store[:, :, row : row + 1, :, :known]
        self.lengths[rows] = known
        self.tokens[rows] = prompt[-1]
        self.live[rows] = 1
        self.filled += [known] * count
        self.rows = self.running

    def mask(self, reach: int | None = None) -> torch.Tensor:
        """Return the boolean mask (rows, 1, 1, reach) of a decoding step."""
        places = torch.arange(reach or max(self.filled) + 1, device=self.state.device)
        # <= and not <: the step's own key is written at place `length` before attention reads it.
        mask: torch.Tensor = places <= self.lengths[: self.rows, None]
        return mask[:, None, None]

    def end_step(self) -> None:
        """Count the token that a decoding step added to each running row, on the device."""
        # Free rows of a rounded step are computed along and must stay at 0: live is 0 there.
        self.lengths[: self.rows] += self.live[: self.rows]

    def count_step(self) -> None:
        """Count the same here."""
        self.filled = [length + 1 for length in self.filled]

    def release(self, row: int) -> int:
        """Free one row; the last running row takes its place. Returns that row's old index."""
        last = self.running - 1
        length = self.filled.pop()
        if row != last:
            assert self.store is not None
            # Only the filled part, all layers at once. Stale keys behind it are masked, then
            # overwritten one by one as the row grows.
            self.store[:, :, row, :, :length] = self.store[:, :, last, :, :length]
            self.state[:, row] = self.state[:, last]
            self.filled[row] = length
        self.state[:, last] = 0
        self.rows = self.running
        return last


class SlotLayer(CacheLayerMixin):
    """Keys and values of one decoder layer for all slots."""

    is_sliding = False
    keys: torch.Tensor
    values: torch.Tensor

    def __init__(self, cache: SlotCache, number: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        # Weak, so that the memory is free when the cache is let go of, not when Python next looks
        # for cycles: on a GPU nobody looks before memory runs out.
        self.cache: SlotCache = weakref.proxy(cache)
        self.number = number

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Allocate the tensors of all layers once the sizes are known."""
        cache = self.cache
        _, heads, _, size = key_states.shape
        if cache.store is None:
            shape = (len(cache.layers), 2, cache.slots, heads, cache.longest, size)
            cache.store = key_states.new_zeros(shape)
        self.keys, self.values = cache.store[self.number]
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Store new states (rows, heads, tokens, head size) and return all to attend to."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        cache = self.cache
        if cache.owners is not None:
            rows = slice(cache.running, cache.running + len(cache.owners))
            tokens = key_states.shape[-2]
            # Prefill: a prompt's states (prompts, heads, tokens, size) go to all rows that begin
            # with it. One prompt broadcasts; several are gathered by `owners`.
            one = len(key_states) == 1
            self.keys[rows, :, :tokens] = key_states if one else key_states[cache.owners]
            self.values[rows, :, :tokens] = value_states if one else value_states[cache.owners]
            return key_states, value_states
        # Decoding: row r's new key goes to place lengths[r]. Two index tensors with a slice between
        # them put the indexed axis first: (rows, heads, size).
        places, lengths = cache.places[: cache.rows], cache.lengths[: cache.rows]
        self.keys[places, :, lengths] = key_states[:, :, 0]
        self.values[places, :, lengths] = value_states[:, :, 0]
        return self.keys[: cache.rows], self.values[: cache.rows]

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
    # (rows, heads, 1, size) -> (rows, key-value heads, heads of each, size): heads of a group are
    # neighbours, so a view is enough. The mask (rows, 1, 1, reach) broadcasts over them.
    grouped = query.view(rows, key.shape[1], -1, size)
    output = torch.nn.functional.scaled_dot_product_attention(
        grouped, key[:, :, :reach], value[:, :, :reach], attn_mask=attention_mask, scale=scaling
    )
    return output.reshape(rows, 1, heads, size), None


AttentionInterface.register(ATTENTION, grouped_attention)
AttentionMaskInterface.register(ATTENTION, sdpa_mask)
