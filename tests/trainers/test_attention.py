"""Attention of packed rows on a CPU: PyTorch's numbers, nearer the exact ones in bfloat16."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from axiom_rl.trainers import attention
from axiom_rl.trainers.attention import CausalAttention, packed_attention
from axiom_rl.trainers.packed import pack

Found = list[torch.Tensor]


def inputs(rows: int, heads: int, groups: int, length: int) -> Found:
    torch.manual_seed(length)
    shapes = [(rows, heads, length, 16), (rows, groups, length, 16), (rows, groups, length, 16)]
    return [2 * torch.randn(shape) for shape in shapes]


def by_pytorch(given: Found, scale: float) -> Found:
    own = [each.detach().requires_grad_(True) for each in given]
    output = scaled_dot_product_attention(*own, is_causal=True, scale=scale, enable_gqa=True)
    return _with_gradients(output, own)


def by_ours(given: Found, scale: float) -> Found:
    own = [each.detach().requires_grad_(True) for each in given]
    return _with_gradients(CausalAttention.apply(*own, scale), own)  # type: ignore[no-untyped-call]


def _with_gradients(output: torch.Tensor, own: Found) -> Found:
    weights = torch.arange(output.shape[-1], dtype=output.dtype)
    (output * weights).sum().backward()
    return [output.detach(), *(each.grad for each in own if each.grad is not None)]


@pytest.mark.parametrize("length", [1, 31, 32, 33, 65, 130])
@pytest.mark.parametrize(("heads", "groups"), [(4, 4), (6, 2), (3, 1)])
def test_output_and_gradients_are_pytorchs(heads: int, groups: int, length: int) -> None:
    given = inputs(2, heads, groups, length)
    exact = by_pytorch([each.double() for each in given], 0.3)
    for ours, wanted in zip(by_ours(given, 0.3), exact, strict=True):
        torch.testing.assert_close(ours.double(), wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("length", [20, 90])
def test_gradients_in_bfloat16_are_at_least_as_exact(length: int) -> None:
    given = [each.bfloat16() for each in inputs(2, 6, 2, length)]
    exact = by_pytorch([each.double() for each in given], 0.25)
    ours, theirs = by_ours(given, 0.25), by_pytorch(given, 0.25)
    for mine, other, wanted in zip(ours, theirs, exact, strict=True):
        assert mine.dtype == torch.bfloat16
        assert (mine - wanted).norm() <= 1.01 * (other - wanted).norm()
        assert (mine - wanted).norm() <= 0.01 * wanted.norm()


def test_autocast_changes_nothing() -> None:
    """Training runs under it; products of probabilities in bfloat16 lose what they are for."""
    given = [each.bfloat16() for each in inputs(2, 6, 2, 40)]
    plain = by_ours(given, 0.25)
    with torch.autocast("cpu", torch.bfloat16):
        assert all(map(torch.equal, by_ours(given, 0.25), plain))


@pytest.mark.parametrize(
    ("longest", "dropout", "ours"), [(1024, 0.0, True), (3, 0.0, False), (1024, 0.1, False)]
)
def test_long_rows_and_dropout_are_left_to_pytorch(
    longest: int, dropout: float, ours: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = pack([[1, 2, 3]], [[4, 5]])  # one row of 4 tokens
    calls: list[int] = []

    def counted(*given: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return given[0]

    monkeypatch.setattr(attention, "LONGEST", longest)
    monkeypatch.setattr(CausalAttention, "apply", counted)
    states = inputs(1, 4, 2, packed.tokens.shape[1])
    module = torch.nn.Module()
    module.is_causal = True  # type: ignore[assignment]
    module.num_key_value_groups = 2  # type: ignore[assignment]
    where = (packed.rows, packed.places)
    found, _ = packed_attention(module, *states, None, where, dropout=dropout, scaling=0.5)
    assert bool(calls) is ours and found.shape == (1, 4, 4, 16)


def test_what_is_relied_on_of_pytorch() -> None:
    shares = torch.tensor([[0.25, 0.75]])
    slope = torch._softmax_backward_data(torch.tensor([[1.0, 3.0]]), shares, -1, torch.float32)
    torch.testing.assert_close(slope, shares * (torch.tensor([[1.0, 3.0]]) - 2.5))
