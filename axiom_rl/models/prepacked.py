"""Linear layers that only sample, with their weights as a CPU's kernels read them.

oneDNN multiplies blocks of a weight matrix. Given a plain matrix it puts it into blocks anew in
each product, which for a few rows takes longer than the product. A model that only samples keeps
its blocks and lets the plain weights go: with 8 rows a product takes 0.6 of the time, with 80 rows
0.9, and its result is the same to the last bit.

Relied on of PyTorch, which names them for its compiler: `torch.ops.mkldnn._reorder_linear_weight`
and `torch.ops.mkldnn._linear_pointwise` (a test checks their signatures).
"""

from __future__ import annotations

import platform

import torch
from transformers import PreTrainedModel


class PrepackedLinear(torch.nn.Module):
    """A linear layer with a blocked weight; it can be given another one, and not be trained."""

    def __init__(self, linear: torch.nn.Linear) -> None:
        """Take the weight of `linear`, which is not kept, and its bias, which is shared."""
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.bias = linear.bias
        self.pack(linear.weight)

    @torch.no_grad()
    def pack(self, weight: torch.Tensor) -> None:
        """Take another weight, (out_features, in_features) in bfloat16."""
        self.packed: torch.Tensor = torch.ops.mkldnn._reorder_linear_weight(weight.detach())

    @property
    def weight(self) -> torch.Tensor:
        """The plain weight, put together anew at each call."""
        return self.packed.to_dense()

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return (..., out_features) for inputs (..., in_features)."""
        product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(
            inputs, self.packed, self.bias, "none", [], ""
        )
        return product


def can_prepack(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether it gains something: in bfloat16 on an x86 CPU that computes in it."""
    return (
        device.type == "cpu"
        and dtype == torch.bfloat16
        and platform.machine().lower() in ("x86_64", "amd64")
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    )


def prepack(model: PreTrainedModel, *, alone: bool) -> None:
    """Put the linear layers of a model that only samples into blocks, in place, where it gains.

    Costs no memory but for a head that shares its weight with the embedding: that once more.

    Args:
        model: that samples.
        alone: whether no other model shares its weights. Then the few that stay plain are copied,
            since weights as they are loaded are a file in memory, of which all or nothing is freed.
    """
    if not can_prepack(model.device, model.dtype):
        return
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if type(child) is torch.nn.Linear:  # and nothing that does more
                setattr(module, name, PrepackedLinear(child))
    if alone:
        for tensor in (*model.parameters(), *model.buffers()):
            tensor.data = tensor.data.clone()
