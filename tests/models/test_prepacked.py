"""Prepacked weights: the same products to the last bit, and nothing kept twice."""

from __future__ import annotations

import copy
import gc
import weakref

import pytest
import torch

from axiom_rl.config import load_config
from axiom_rl.models.load import load_model
from axiom_rl.models.prepacked import PrepackedLinear, can_prepack, prepack
from axiom_rl.models.weights.source import ResolvedModel

needs_bfloat16 = pytest.mark.skipif(
    not can_prepack(torch.device("cpu"), torch.bfloat16), reason="this CPU has no bfloat16"
)


def test_what_is_relied_on_of_pytorch_is_as_it_was() -> None:
    ops = torch.ops.mkldnn
    reorder = ops._reorder_linear_weight.default._schema
    product = ops._linear_pointwise.default._schema
    assert str(reorder).endswith("(Tensor self, int? batch_size=None) -> Tensor Y")
    assert str(product).endswith(
        "(Tensor X, Tensor W, Tensor? B, str attr, Scalar?[] scalars, str? algorithm) -> Tensor Y"
    )


@needs_bfloat16
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("inputs", [896, 100, 33])
def test_products_are_the_same_to_the_last_bit(inputs: int, bias: bool) -> None:
    torch.manual_seed(0)
    linear = torch.nn.Linear(inputs, 270, bias=bias).bfloat16()
    packed = PrepackedLinear(linear)
    assert packed.weight.equal(linear.weight) and packed.bias is linear.bias
    with torch.no_grad():
        for shape in ((1, 1), (3, 1), (8, 1), (80, 1), (1, 300), (2, 17)):
            rows = torch.randn(*shape, inputs).bfloat16()
            assert packed(rows).equal(linear(rows)), shape
        scattered = torch.randn(inputs, 12).bfloat16().T
        assert packed(scattered).equal(linear(scattered))
        packed.pack(2 * linear.weight)
        assert packed.weight.equal(2 * linear.weight)


@needs_bfloat16
def test_a_model_says_the_same_and_lets_its_plain_weights_go(resolved: ResolvedModel) -> None:
    config = load_config("model.device=cpu").model
    plain, _ = load_model(resolved, config, dtype=torch.bfloat16)
    packed = copy.deepcopy(plain)
    layers = [m for m in packed.modules() if isinstance(m, torch.nn.Linear)]
    gone = [weakref.ref(layer.weight) for layer in layers]
    head, count = packed.get_output_embeddings().weight, len(layers)
    del layers
    prepack(packed, alone=False)
    gc.collect()
    assert sum(isinstance(m, PrepackedLinear) for m in packed.modules()) == count > 0
    assert [ref() for ref in gone if ref() is not None] == [head]  # the embedding's too
    with torch.no_grad():
        for shape in ((1, 40), (9, 1)):
            ids = torch.randint(0, 100, shape)
            assert packed(input_ids=ids).logits.equal(plain(input_ids=ids).logits)


@needs_bfloat16
def test_nothing_of_the_weights_as_loaded_is_kept(resolved: ResolvedModel) -> None:
    model, _ = load_model(resolved, load_config("model.device=cpu").model, dtype=torch.bfloat16)
    before = {name: (p.data_ptr(), p.clone()) for name, p in model.named_parameters()}
    prepack(model, alone=True)
    for name, parameter in model.named_parameters():
        place, value = before[name]
        assert parameter.equal(value) and parameter.data_ptr() != place
    assert sum(isinstance(m, PrepackedLinear) for m in model.modules())


@pytest.mark.parametrize(
    ("device", "dtype"), [("cpu", torch.float32), ("cpu", torch.float16), ("cuda", torch.bfloat16)]
)
def test_other_formats_and_devices_keep_their_weights(device: str, dtype: torch.dtype) -> None:
    assert not can_prepack(torch.device(device), dtype)
