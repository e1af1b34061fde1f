"""Llama 3's scaled positions, which llama.cpp stores as a tensor of divisors of the frequencies.

Llama 3.1 (Dubey et al. 2024, arXiv 2407.21783) divides slow frequencies by `factor`, leaves fast
ones as they are, and goes from one to the other smoothly in between. llama.cpp's converter writes
what each frequency is divided by; transformers computes it from four numbers, which are found here
and checked against every divisor.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from gguf import GGUFReader

from axiom_rl.models.weights.gguf.metadata import find_tensor, metadata

ROPE_FREQS = "rope_freqs.weight"

PUBLISHED = (1.0, 4.0, 8192)
"""low_freq_factor, high_freq_factor and original_max_position_embeddings of Llama 3.1 to 3.3."""

AGREE = 1e-5
"""Relative difference of two divisors that are one float32 computed in two ways."""

Floats = np.ndarray[Any, np.dtype[np.float64]]


def divisors(reader: GGUFReader) -> Floats | None:
    """Return what the file divides each rotary frequency by, or None where it says nothing."""
    found = find_tensor(reader, ROPE_FREQS)
    if found is None or metadata(reader, "general.architecture") != "llama":
        return None  # other architectures have no such tensor: it is left over
    return np.asarray(found.data, dtype=np.float64).reshape(-1)


def scaling(divided_by: Floats, base: float) -> dict[str, Any] | None:
    """Return transformers' rope parameters for these divisors; {} where all are 1.

    None if no such parameters give them.
    """
    size = len(divided_by)
    if size == 0 or not (np.isfinite(divided_by) & (divided_by > 0)).all():
        return None
    if np.allclose(divided_by, divided_by[0], rtol=AGREE, atol=0):
        factor = float(np.float32(divided_by[0]))
        if abs(factor - 1) <= AGREE:
            return {}
        return {"rope_type": "linear", "factor": factor} if factor > 1 else None
    factor = float(str(np.float32(divided_by.max())))
    per_token = base ** -(np.arange(size) / size) / (2 * math.pi)  # turns, 1 / wavelength
    for low, high, context in _candidates(divided_by, factor, per_token):
        if not 0 < low < high or context < 1:
            continue
        again = llama3_divisors(per_token, factor, low, high, context)
        if np.allclose(again, divided_by, rtol=AGREE, atol=0):
            return {
                "rope_type": "llama3",
                "factor": factor,
                "low_freq_factor": low,
                "high_freq_factor": high,
                "original_max_position_embeddings": context,
            }
    return None


def llama3_divisors(
    per_token: Floats, factor: float, low: float, high: float, context: int
) -> Floats:
    """Return what Llama 3 divides each frequency by.

    Args:
        per_token: frequencies, in turns per token.
        factor: the largest divisor.
        low: turns within `context` up to which a frequency is divided by `factor`.
        high: turns from which it is left as it is.
        context: length that the model was first trained at, in tokens.
    """
    smooth = np.clip((context * per_token - low) / (high - low), 0.0, 1.0)
    return 1 / ((1 - smooth) / factor + smooth)


def _candidates(
    divided_by: Floats, factor: float, per_token: Floats
) -> Iterator[tuple[float, float, int]]:
    """Yield parameters that may give the divisors.

    Where a frequency is between the two, `smooth` is a line in it; two such frequencies tell the
    line, and so the parameters up to a common scale, which changes nothing. Fewer leave a choice
    that changes nothing either.
    """
    yield PUBLISHED
    smooth = (1 / divided_by - 1 / factor) / (1 - 1 / factor)
    between = (smooth > AGREE) & (smooth < 1 - AGREE)
    fast = per_token[smooth >= 1 - AGREE]
    if between.sum() == 1:
        (turns,), (share,) = per_token[between], smooth[between]
        yield _whole(1.0, 4.0, (1 + 3 * share) / turns)
    elif between.sum() == 0 and len(fast):
        slow = per_token[smooth <= AGREE].max()
        yield _whole(1.0, fast.min() / slow, 1 / slow)
    elif between.sum() >= 2:
        slope, start = np.polyfit(per_token[between], smooth[between], 1)
        if start < 0:
            yield _whole(1.0, 1 - 1 / start, -slope / start)


def _whole(low: float, high: float, context: float) -> tuple[float, float, int]:
    """Scale three parameters so that the last is a whole number."""
    whole = max(1, round(context))
    return float(low * whole / context), float(high * whole / context), whole
