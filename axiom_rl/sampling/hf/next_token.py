"""Choosing the next token: one uniform number per row, inverted through the distribution."""

from __future__ import annotations

import random

import torch

BLOCK = 256
"""Tokens per block of the two-step cumulative sum."""

ROWS_TOGETHER = 8
"""Rows drawn from at once on a CPU: 4.9 MB of float32 weights at 151,936 tokens, which stay in its
cache from one pass over them to the next."""

WITHOUT_FLOAT64 = ("mps",)
"""Devices whose logits are drawn from on the CPU."""


def stream_for(stream: str, problem_id: str, sample: int) -> random.Random:
    """Return the random stream of one sample: a function of these three and nothing else."""
    return random.Random(f"{stream}/{problem_id}/{sample}")


def seed_for(stream: str, problem_id: str, sample: int) -> int:
    """Return the seed of one sample for an engine that draws by itself, below 2**63."""
    return stream_for(stream, problem_id, sample).getrandbits(63)


def draw_tokens(
    logits: torch.Tensor,
    uniforms: torch.Tensor,
    temperature: float | torch.Tensor,
    top_p: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw one token per row by inverse transform sampling.

    Args:
        logits: (rows, vocabulary), any float type.
        uniforms: (rows,) float64 in [0, 1).
        temperature: 0 takes the most likely token; or (rows,) one of each, all above 0.
        top_p: mass of the nucleus kept (Holtzman et al. 2020); 1 keeps everything.

    Returns:
        On the device of the logits if it has float64, else on the CPU: (rows,) int64 token ids, and
        (rows,) float32 log-probabilities of them under the
        distribution drawn from: tempered, cut to the nucleus and normalised; 0 for greedy choices.
    """
    if logits.device.type in WITHOUT_FLOAT64:
        logits = logits.cpu()
    if not isinstance(temperature, torch.Tensor) and temperature == 0:
        return logits.argmax(dim=-1), torch.zeros(len(logits), device=logits.device)
    if logits.device.type == "cpu" and len(logits) > ROWS_TOGETHER:
        starts = range(0, len(logits), ROWS_TOGETHER)
        parts = [slice(start, start + ROWS_TOGETHER) for start in starts]
        drawn = [
            draw_tokens(logits[part], uniforms[part], _of_rows(temperature, part), top_p)
            for part in parts
        ]
        return torch.cat([tokens for tokens, _ in drawn]), torch.cat([logs for _, logs in drawn])
    heat = temperature[:, None] if isinstance(temperature, torch.Tensor) else temperature
    weights = torch.softmax(logits.to(torch.float32, copy=True).div_(heat), dim=-1)
    if top_p < 1:
        return _draw_from_nucleus(weights, uniforms, top_p)
    chosen = _invert(weights, uniforms)
    return chosen, _take(weights, chosen).log()


def _of_rows(temperature: float | torch.Tensor, part: slice) -> float | torch.Tensor:
    return temperature[part] if isinstance(temperature, torch.Tensor) else temperature


def _draw_from_nucleus(
    weights: torch.Tensor, uniforms: torch.Tensor, top_p: float
) -> tuple[torch.Tensor, torch.Tensor]:
    ordered, tokens = weights.sort(dim=-1, descending=True)
    # A token is kept if the mass before it is below top_p, so the first one always is.
    mass_before = ordered.cumsum(dim=-1) - ordered
    kept = ordered.masked_fill(mass_before >= top_p, 0.0)
    chosen = _invert(kept, uniforms)
    return _take(tokens, chosen), (_take(kept, chosen) / kept.sum(dim=-1)).log()


def _take(rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    """Return one entry of each row."""
    return rows.gather(1, columns[:, None])[:, 0]


def _invert(weights: torch.Tensor, uniforms: torch.Tensor) -> torch.Tensor:
    """Invert the cumulative sum in two steps (blocks, then inside one block), in float64.

    A single float32 running sum over 150,000 tokens would lose the tail.
    """
    rows, vocabulary = weights.shape
    # (rows, blocks, BLOCK); padding has weight 0 and is never drawn.
    padded = torch.nn.functional.pad(weights, (0, -vocabulary % BLOCK)).view(rows, -1, BLOCK)
    block_ends = padded.sum(dim=-1).double().cumsum(dim=-1)
    # Scaled by the sum: weights of a nucleus do not add up to 1, float32 ones nearly do.
    targets = uniforms.to(weights.device)[:, None] * block_ends[:, -1:]
    block = torch.searchsorted(block_ends, targets, right=True).clamp_max(block_ends.shape[1] - 1)
    before = torch.where(block > 0, block_ends.gather(1, (block - 1).clamp_min(0)), 0.0)
    inside = padded[torch.arange(rows, device=weights.device), block[:, 0]].double()
    ends = inside.cumsum(dim=-1)
    # The block's float32 sum differs from its float64 one; scaling keeps the target inside.
    share = (targets - before) / (block_ends.gather(1, block) - before) * ends[:, -1:]
    offset = torch.searchsorted(ends, share, right=True)
    # Rounding may point behind the last token of positive weight: take that one then.
    numbers = torch.arange(1, BLOCK + 1, device=weights.device)
    last_possible = ((inside > 0) * numbers).argmax(dim=-1)
    return block[:, 0] * BLOCK + torch.minimum(offset[:, 0], last_possible)
