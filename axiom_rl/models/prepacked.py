"""Linear layers that do not train, with their weights as a CPU's kernels read them.

oneDNN multiplies blocks of a weight matrix. Given a plain matrix it puts it into blocks anew in
each product, which for a few rows takes longer than the product. A model that only samples keeps
its blocks and lets the plain weights go: with 8 rows a product takes 0.6 of the time, with 80 rows
0.9, with 600 0.86, and its result is the same to the last bit.

Under an adapter the backward pass multiplies by the same weights the other way round. Those are
other blocks, so that a model which trains keeps its linear weights twice: `FrozenLinear`.

Relied on of PyTorch, which names them for its compiler: `torch.ops.mkldnn._reorder_linear_weight`
and `torch.ops.mkldnn._linear_pointwise` (a test checks their signatures).
"""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Any

import torch
from transformers import PreTrainedModel

from axiom_rl.models.memory import available_memory

if TYPE_CHECKING:
    from peft import PeftModel


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
        return _product(inputs, self.packed, self.bias)


class FrozenLinear(PrepackedLinear):
    """A layer that does not train in a model that does: blocked for both passes."""

    @torch.no_grad()
    def pack(self, weight: torch.Tensor) -> None:
        """Take another weight, (out_features, in_features) in bfloat16."""
        super().pack(weight)
        self.turned: torch.Tensor = torch.ops.mkldnn._reorder_linear_weight(
            weight.detach().T.contiguous()
        )

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return (..., out_features) for inputs (..., in_features); in bfloat16, as autocast."""
        result: torch.Tensor = _FrozenProduct.apply(  # type: ignore[no-untyped-call]
            inputs.to(torch.bfloat16), self.packed, self.turned, self.bias
        )
        return result


class _FrozenProduct(torch.autograd.Function):
    """x W^T + b, with the derivative by x alone."""

    @staticmethod
    def forward(
        ctx: Any,
        inputs: torch.Tensor,
        packed: torch.Tensor,
        turned: torch.Tensor,
        bias: torch.Tensor | None,
    ) -> torch.Tensor:
        ctx.turned = turned  # not of this pass, and nobody writes to it: no need to save it
        return _product(inputs, packed, bias)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Dx = dy W."""
        return _product(gradients[0], ctx.turned, None), None, None, None


def _product(inputs: torch.Tensor, packed: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(inputs, packed, bias, "none", [], "")
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
    for module, name, linear in _linears(model):
        setattr(module, name, PrepackedLinear(linear))
    if alone:
        _own_the_rest(model)


def prepack_frozen(model: PeftModel) -> None:
    """Put the frozen linear layers of a model that trains into blocks, in place, where it gains.

    Training takes 0.91 of the time, to the same numbers; the linear weights are there twice. Not
    the head's, which `axiom_rl.trainers.packed` multiplies by itself, and not with DoRA, which
    reads the plain weights in each pass.

    Args:
        model: base with its adapter, shared with nobody.
    """
    base: Any = model.get_base_model()
    linears = [
        found
        for found in _linears(model)
        if found[2] is not base.get_output_embeddings()
        and not found[2].weight.requires_grad
        and found[2].weight.dtype == torch.bfloat16
    ]
    size = sum(linear.weight.nbytes for _, _, linear in linears)
    dora = any(getattr(module, "lora_variant", None) for module in model.modules())
    if dora or not can_prepack(base.device, base.dtype) or not can_keep_twice(size, base.device):
        return
    for module, name, linear in linears:
        setattr(module, name, FrozenLinear(linear))
    del linears
    _own_the_rest(model)


def can_keep_twice(linear_bytes: float, device: torch.device) -> bool:
    """Whether there is room for linear weights twice, and beside them for what a pass keeps."""
    return available_memory(device) > 5 * linear_bytes


def _linears(model: torch.nn.Module) -> list[tuple[torch.nn.Module, str, torch.nn.Linear]]:
    """Return the plain linear layers, and nothing that does more: parent, name and layer."""
    return [
        (module, name, child)
        for module in model.modules()
        for name, child in module.named_children()
        if type(child) is torch.nn.Linear
    ]


def _own_the_rest(model: torch.nn.Module) -> None:
    """Copy what stayed plain, so that the file in memory that it was loaded as can go."""
    for tensor in (*model.parameters(), *model.buffers()):
        tensor.data = tensor.data.clone()
