"""A second model that only samples: base weights and adapter merged, apart from what trains.

An unmerged adapter costs a multiple of the time per token. Merging it into the weights that train
and taking it out again would leave the base rounded a little differently each time; here the base
is only read, so it stays as it was to the last bit through any number of syncs.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import torch
from peft import PeftModel
from peft.tuners.lora import LoraLayer
from transformers import PreTrainedModel

from axiom_rl.core.errors import AxiomError
from axiom_rl.models.prepacked import PrepackedLinear, prepack


class MergedCopy:
    """A copy of a model that only samples; what no adapter changes is shared with the model."""

    def __init__(self, base: PreTrainedModel) -> None:
        """Copy the linear layers of `base`; call it before an adapter is put on it.

        Costs the memory of the linear layers once more: 0.7 GB for Qwen 0.5B in bfloat16, and where
        they are prepacked that of the head, 0.3 GB.
        """
        own = {id(weight) for weight in _linear_weights(base)}
        # deepcopy takes what stands in `memo` instead of copying it: all but the linear weights.
        memo = {id(p): p for p in (*base.parameters(), *base.buffers()) if id(p) not in own}
        self.model: PreTrainedModel = copy.deepcopy(base, memo)
        self.model.requires_grad_(False).eval()
        head = self.model.get_output_embeddings()
        self._shared = {name for name, module in self.model.named_modules() if module is head}
        prepack(self.model, alone=False)

    @torch.no_grad()
    def sync(self, trained: PeftModel) -> None:
        """Set the copy's weights to base plus adapter, in the arithmetic of PEFT's own merge.

        Args:
            trained: the base model that was copied, with its adapter, unmerged.

        Raises:
            AxiomError: if a layer is adapted whose weight the copy shares with the base.
        """
        for name, layer in _adapted(trained):
            base = layer.get_base_layer().weight
            own: Any = self.model.get_submodule(name)
            packed = isinstance(own, PrepackedLinear)
            if name in self._shared or (not packed and own.weight.data_ptr() == base.data_ptr()):
                raise AxiomError(
                    f"model.lora.target_modules: {name} cannot be adapted here: the sampling copy "
                    "shares its weight with the base, which would be written to"
                )
            if packed:
                own.pack(_merged(layer, torch.empty_like(base)))
            else:
                _merged(layer, own.weight)  # in its place: recorded steps know its address


def _merged(layer: Any, weight: torch.Tensor) -> torch.Tensor:
    """Write a layer's base weight and its adapters into `weight`, and return that."""
    # From the base each time: subtracting the last delta would let rounding add up.
    weight.copy_(layer.get_base_layer().weight)
    for adapter in layer.active_adapters:
        variant = layer.lora_variant.get(adapter)
        if variant is None:
            weight += layer.get_delta_weight(adapter)
        else:  # DoRA: not a sum, the rows are scaled too
            weight.copy_(variant.merge_safe(layer, adapter, weight))
    return weight


class FrozenBase:
    """Sums of the bits of a base model's weights, to prove that training leaves them alone.

    The gap between sampler and trainer cannot: both would read the same altered base.
    """

    def __init__(self, base: PreTrainedModel) -> None:
        """Take the sums of `base`; call it before an adapter is put on it."""
        self._sums = _sums(base)

    def check(self, trained: PeftModel) -> None:
        """Compare the base under an adapter with what it was.

        Raises:
            AxiomError: naming a weight that changed.
        """
        now = _sums(trained)
        changed = sorted(name for name, total in self._sums.items() if now.get(name) != total)
        if changed:
            raise AxiomError(
                f"the frozen base model changed while its adapter trained ({changed[0]} and "
                f"{len(changed) - 1} more weights): the adapter is not for the model that was "
                "loaded, so the run stops; leave out what was added to model.lora"
            )


def _sums(model: torch.nn.Module) -> dict[str, int]:
    """Return a sum of each weight's bits by the name that it has without adapters."""
    return {
        name.removeprefix("base_model.model.").replace(".base_layer.", "."): _sum_of_bits(weight)
        for name, weight in model.named_parameters()
        if ".lora_" not in name
    }


def _sum_of_bits(weight: torch.Tensor) -> int:
    # A sum modulo 2**64 of the bits, not of the values: exact, and NaN or -0.0 change it too.
    flat = weight.detach().flatten().contiguous()
    size = flat.element_size()
    if flat.storage_offset() * size % 8:  # a view as 64-bit numbers must be aligned to 8 bytes
        flat = flat.clone()
    whole = len(flat) - len(flat) % (8 // size)  # as 64-bit numbers: summed without a cast
    rest = flat[whole:].view(torch.uint8).sum()
    return int(flat[:whole].view(torch.int64).sum()) + int(rest)


def compute_dtype(model: PeftModel) -> torch.dtype:
    """Return the number format in which the base was loaded to compute.

    Not that of a parameter: those of a model in 4 bits have several.
    """
    config: Any = model.get_base_model().config
    found: torch.dtype = config.dtype
    return found


def leave_inputs_in_bfloat16(trained: PeftModel) -> None:
    """Stop PEFT from casting each adapted layer's input to float32, which autocast undoes at once.

    For training under bfloat16 autocast alone; it changes no number, and saves memory and time.
    """
    for _name, layer in _adapted(trained):
        layer.cast_input_dtype_enabled = False


def _linear_weights(model: PreTrainedModel) -> Iterator[torch.nn.Parameter]:
    head = model.get_output_embeddings()
    for module in model.modules():
        if isinstance(module, torch.nn.Linear) and module is not head:
            yield from module.parameters(recurse=False)


def _adapted(model: PeftModel) -> Iterator[tuple[str, Any]]:
    for name, module in model.get_base_model().named_modules():
        if isinstance(module, LoraLayer):
            yield name, module
