"""Attention of a packed sequence: its rows cut apart again, each causal.

On a CPU PyTorch's own kernel is slow where rows are short, above all on the way back: with rows of
170 tokens forward and backward pass take twice the time of what is here, with 500 tokens 1.4 times
as long. Here a block of queries meets the keys up to its own end, as batched products in float32.

Relied on of PyTorch: `torch._softmax_backward_data`, which its own derivatives use (a test).
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

ATTENTION = "axiom_packed_sdpa"
"""Name under which `packed_attention` is registered with transformers."""
QUERIES = 32
"""Queries that meet their keys at a time: of few, little is computed above the diagonal."""
LONGEST = 1024
"""Tokens of a row from which PyTorch's kernel is as fast on a CPU."""


def packed_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    packed_rows: tuple[torch.Tensor, torch.Tensor] | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of a packed sequence, row by row; without `packed_rows` transformers' own SDPA.

    A prompt's queries are computed once for each of its rows, and used once: little beside the
    layers around, whose work is not repeated.

    Args:
        module: the attention layer.
        query: (1, heads, N, head size).
        key: (1, key-value heads, N, head size).
        value: as key.
        attention_mask: looked at without `packed_rows` alone.
        packed_rows: `Packed.rows` and `Packed.places`.
        kwargs: of transformers' function.

    Returns:
        (1, N, heads, head size), and None for the weights.
    """
    if packed_rows is None:
        output, _ = sdpa_attention_forward(module, query, key, value, attention_mask, **kwargs)
        return output, None
    rows, places = packed_rows
    query, key, value = (_cut(states, rows) for states in (query, key, value))
    # What lies behind a row's end (copies of place 0) is seen by no token of the row.
    dropout, scaling = kwargs.get("dropout", 0.0), kwargs.get("scaling")
    if query.device.type == "cpu" and rows.shape[1] <= LONGEST and not dropout:
        scale = query.shape[-1] ** -0.5 if scaling is None else float(scaling)
        output = CausalAttention.apply(query, key, value, scale).transpose(1, 2)  # type: ignore[no-untyped-call]
    else:  # without a mask the kernel is causal
        output, _ = sdpa_attention_forward(module, query, key, value, None, **kwargs)
    # (rows, L, heads, size) -> (rows * L, heads, size) -> (N, heads, size)
    return output.flatten(0, 1)[places][None], None


def _cut(states: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Return (rows, heads, L, head size) of (1, heads, N, head size)."""
    heads, _, size = states[0].shape
    return states[0].index_select(1, rows.flatten()).view(heads, *rows.shape, size).transpose(0, 1)


AttentionInterface.register(ATTENTION, packed_attention)
AttentionMaskInterface.register(ATTENTION, sdpa_mask)


class CausalAttention(torch.autograd.Function):
    """softmax(scale * Q K^T) V below the diagonal; the backward pass computes the softmax again.

    Products and softmax are in float32 whatever the inputs are; results have the inputs' format.
    """

    @staticmethod
    def forward(
        ctx: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float
    ) -> torch.Tensor:
        """Take (R, heads, L, d) and twice (R, groups, L, d); return (R, heads, L, d)."""
        ctx.save_for_backward(query, key, value)
        ctx.scale = scale
        queries, keys, values = _by_group(query, key, value)
        output = torch.empty_like(queries)
        with torch.autocast(query.device.type, enabled=False):  # it would cast the products
            for start in range(0, queries.shape[2], QUERIES):
                end = min(start + QUERIES, queries.shape[2])
                _, shares = _shares(queries, keys, start, end, scale)
                part = output[:, :, start:end]
                part.copy_(torch.bmm(shares, values[:, :end]).view_as(part))
        return output.view_as(query)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Return the derivatives by query, key and value; with P the probabilities of a block.

        dV = P^T dO; dS = P * (dP - sum_j P dP) for dP = dO V^T; dQ = scale dS K; dK = scale dS^T Q.
        """
        query, key, value = ctx.saved_tensors
        queries, keys, values = _by_group(query, key, value)
        upstream = gradients[0].reshape(queries.shape)
        by_query, by_key, by_value = (
            torch.empty_like(queries), torch.zeros_like(keys), torch.zeros_like(values)
        )  # fmt: skip
        with torch.autocast(query.device.type, enabled=False):
            for start in range(0, queries.shape[2], QUERIES):
                end = min(start + QUERIES, queries.shape[2])
                scaled, shares = _shares(queries, keys, start, end, ctx.scale)
                above = upstream[:, :, start:end].float().flatten(1, 2)
                by_value[:, :end].baddbmm_(shares.transpose(1, 2), above)
                by_share = torch.bmm(above, values[:, :end].transpose(1, 2))
                by_score = torch._softmax_backward_data(by_share, shares, -1, torch.float32)
                part = by_query[:, :, start:end]
                part.copy_(torch.bmm(by_score, keys[:, :end]).mul_(ctx.scale).view_as(part))
                by_key[:, :end].baddbmm_(by_score.transpose(1, 2), scaled)
        return (
            by_query.view_as(query),
            by_key.view(key.shape).to(key.dtype),
            by_value.view(value.shape).to(value.dtype),
            None,
        )


def _by_group(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return (R * groups, heads of a group, L, d), and twice (R * groups, L, d) in float32.

    The query heads of a group share a key head: together they are one matrix of a product.
    """
    rows, groups, length, size = key.shape
    queries = query.reshape(rows * groups, -1, length, size)
    keys, values = (each.reshape(-1, length, size).float() for each in (key, value))
    return queries, keys, values


def _shares(
    queries: torch.Tensor, keys: torch.Tensor, start: int, end: int, scale: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the scaled queries of a block (B, heads * block, d), and their probabilities.

    These are (B, heads * block, end): 0 for keys behind the query.
    """
    block = end - start
    scaled = (queries[:, :, start:end].float() * scale).flatten(1, 2)
    scores = torch.bmm(scaled, keys[:, :end].transpose(1, 2))
    behind = scores.new_full((block, block), -torch.inf).triu_(1)
    scores.view(len(keys), -1, block, end)[..., start:] += behind
    return scaled, scores.softmax(-1)
