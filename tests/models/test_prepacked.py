"""Prepacked weights: the same products to the last bit, and nothing kept twice."""

from __future__ import annotations

import copy
import gc
import weakref
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
from peft.tuners.lora import LoraLayer

from axiom_rl.config import load_config
from axiom_rl.models.load import load_model
from axiom_rl.models.prepacked import (
    FrozenLinear,
    PrepackedLinear,
    can_prepack,
    prepack,
    prepack_frozen,
)
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


def adapted(model: Any, **options: Any) -> Any:
    torch.manual_seed(1)
    lora = LoraConfig(target_modules="all-linear", init_lora_weights=False, **options)
    return get_peft_model(model, lora)


def derivatives(model: Any) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Return a loss and its derivatives by the adapter, of a pass under autocast."""
    torch.manual_seed(2)
    ids = torch.randint(0, 100, (3, 50))
    with torch.autocast("cpu", torch.bfloat16):
        loss = model(input_ids=ids, labels=ids).loss
    loss.backward()
    return loss, {name: p.grad for name, p in model.named_parameters() if p.requires_grad}


@needs_bfloat16
def test_a_model_trains_on_frozen_blocks_to_the_same_numbers(resolved: ResolvedModel) -> None:
    plain, _ = load_model(resolved, load_config("model.device=cpu").model, dtype=torch.bfloat16)
    before, packed = adapted(copy.deepcopy(plain)), adapted(plain)
    weights = [weakref.ref(m.base_layer.weight) for m in packed.modules() if is_adapted(m)]
    prepack_frozen(packed)
    gc.collect()
    assert weights and not any(ref() for ref in weights), "the plain weights are kept too"
    assert all(type(m.base_layer) is FrozenLinear for m in packed.modules() if is_adapted(m))
    assert type(packed.get_base_model().get_output_embeddings()) is torch.nn.Linear
    loss, gradients = derivatives(packed)
    expected, others = derivatives(before)
    assert loss.equal(expected) and gradients.keys() == others.keys()
    for name, gradient in gradients.items():
        assert gradient.equal(others[name]), name
    layer = next(m for m in packed.modules() if is_adapted(m))
    same = next(m for m in before.modules() if is_adapted(m))
    assert layer.base_layer.weight.equal(same.base_layer.weight), "PEFT may ask for it"
    assert get_peft_model_state_dict(packed).keys() == get_peft_model_state_dict(before).keys()


def is_adapted(module: Any) -> bool:
    return isinstance(module, LoraLayer)


@needs_bfloat16
@pytest.mark.parametrize("why", ["dora", "memory", "float32"])
def test_weights_stay_plain_where_blocks_would_not_do(
    why: str, resolved: ResolvedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    dtype = torch.float32 if why == "float32" else torch.bfloat16
    model, _ = load_model(resolved, load_config("model.device=cpu").model, dtype=dtype)
    trained = adapted(model, use_dora=why == "dora")
    linear = sum(m.base_layer.weight.nbytes for m in trained.modules() if is_adapted(m))
    free = 5 * linear + (0 if why == "memory" else 1)
    monkeypatch.setattr("axiom_rl.models.prepacked.available_memory", lambda _device: free)
    prepack_frozen(trained)
    assert not any(isinstance(m, FrozenLinear) for m in trained.modules())


@needs_bfloat16
def test_layers_without_an_adapter_are_blocked_and_trained_ones_are_not(
    resolved: ResolvedModel,
) -> None:
    model, _ = load_model(resolved, load_config("model.device=cpu").model, dtype=torch.bfloat16)
    lora = LoraConfig(target_modules=["q_proj"], modules_to_save=["up_proj"])
    trained = get_peft_model(model, lora)
    prepack_frozen(trained)
    kinds = {name: type(m) for name, m in trained.named_modules()}
    assert any(kind is FrozenLinear for name, kind in kinds.items() if "q_proj" in name)
    assert any(kind is FrozenLinear for name, kind in kinds.items() if "down_proj" in name)
    saved = [kind for name, kind in kinds.items() if name.endswith("modules_to_save.default")]
    assert saved and FrozenLinear not in saved


@pytest.mark.parametrize(
    ("device", "dtype"), [("cpu", torch.float32), ("cpu", torch.float16), ("cuda", torch.bfloat16)]
)
def test_other_formats_and_devices_keep_their_weights(device: str, dtype: torch.dtype) -> None:
    assert not can_prepack(torch.device(device), dtype)
