"""The memory plan: its arithmetic against real models, and the error when memory is short."""

from __future__ import annotations

import os
import platform
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    DynamicCache,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from axiom_rl.config import load_config
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_json
from axiom_rl.models import memory
from axiom_rl.models.lora.merged_copy import leave_inputs_in_bfloat16
from axiom_rl.models.memory import (
    GB,
    MemoryPlan,
    Workload,
    available_memory,
    bound_kernel_caches,
    check_memory,
    free_memory,
    kv_cache_bytes_per_token,
    lora_weights,
    memory_plan,
    model_shape,
)
from axiom_rl.trainers.packed import Packed, pack, packed_logprobs

QWEN_HALF_BILLION = {
    "num_hidden_layers": 24,
    "hidden_size": 896,
    "intermediate_size": 4864,
    "num_attention_heads": 14,
    "num_key_value_heads": 2,
    "vocab_size": 151_936,
    "tie_word_embeddings": True,
}

TRAINING = Workload(rows=1, tokens=1024, logit_tokens=512, trained=True)


def test_the_cache_of_a_token_is_what_a_real_cache_takes(tiny_model_folder: Path) -> None:
    assert kv_cache_bytes_per_token(QWEN_HALF_BILLION) == 12_288
    model = AutoModelForCausalLM.from_pretrained(tiny_model_folder, dtype=torch.bfloat16)
    cache = DynamicCache(config=model.config)
    model(torch.zeros(3, 7, dtype=torch.long), past_key_values=cache, use_cache=True)
    held = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)
    assert held == 3 * 7 * kv_cache_bytes_per_token(model.config)


def test_weights_and_adapter_are_counted_as_they_are(tiny_model_folder: Path) -> None:
    config = read_json(tiny_model_folder / "config.json")
    shape = model_shape(config)
    assert shape == model_shape(AutoConfig.from_pretrained(tiny_model_folder))
    model = AutoModelForCausalLM.from_pretrained(tiny_model_folder)
    small = sum(w.numel() for n, w in model.named_parameters() if "norm" in n or "bias" in n)
    counted = shape.linear_weights + shape.embedding_weights + small
    assert counted == sum(weight.numel() for weight in model.parameters())
    for targets in ("all-linear", ["q_proj", "v_proj"]):
        options = {"r": 4, "target_modules": targets}
        adapted = get_peft_model(
            AutoModelForCausalLM.from_pretrained(tiny_model_folder), LoraConfig(**options)
        )
        trained = sum(weight.numel() for weight in adapted.parameters() if weight.requires_grad)
        assert lora_weights(shape, options) == trained


def test_the_default_models_plan_has_the_known_sizes() -> None:
    lora = load_config().model.lora
    plan = memory_plan("training", QWEN_HALF_BILLION, TRAINING, dtype=torch.bfloat16, lora=lora)
    parts = dict(plan.parts)
    assert parts["weights"] == pytest.approx(0.99 * GB, rel=0.01)
    assert parts["adapter"] == pytest.approx(8.8e6 * 4, rel=0.01)
    assert parts["optimizer"] == 2 * parts["gradients"] == 2 * parts["adapter"]
    assert parts["logits"] == 512 * 151_936 * 2 + 128 * 151_936 * 16
    assert "in all" in str(plan) and "0.99 GB  weights" in str(plan)


@pytest.mark.parametrize(
    ("dtype", "copied"),
    [
        (torch.float32, False),
        (torch.bfloat16, False),  # GRPO and SFT, which leave the inputs as they are
        (torch.bfloat16, True),  # distillation
    ],
)
def test_activations_are_what_a_packed_pass_keeps(dtype: torch.dtype, copied: bool) -> None:
    """The tensors that autograd saves, counted by storage, parameters left out."""
    sizes = {"hidden_size": 128, "intermediate_size": 640, "num_hidden_layers": 3}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 50}
    model = get_peft_model(
        Qwen2ForCausalLM(Qwen2Config(**sizes, **heads, tie_word_embeddings=True)).to(dtype),
        LoraConfig(r=2, target_modules="all-linear"),
    ).train()
    if dtype == torch.bfloat16 and not copied:
        leave_inputs_in_bfloat16(model)
    packed = pack([[1] * 40] * 4, [[2] * 90] * 4)
    kept = _kept_bytes(model, packed, bfloat16=dtype == torch.bfloat16)
    tokens = packed.tokens.shape[1]
    work = Workload(rows=1, tokens=tokens, logit_tokens=1, trained=True, copied_inputs=copied)
    planned = dict(memory_plan("x", model.config, work, dtype=dtype).parts)["activations"]
    assert planned == pytest.approx(kept, rel=0.1)


def _kept_bytes(model: PeftModel, packed: Packed, *, bfloat16: bool) -> int:
    weights = {weight.untyped_storage().data_ptr() for weight in model.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        place = tensor.untyped_storage().data_ptr()
        if place not in weights:
            kept[place] = tensor
        return tensor

    context = torch.autocast("cpu", torch.bfloat16, enabled=bfloat16)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), context:
        packed_logprobs(model.get_base_model(), packed, 1.0)
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


def test_the_plan_follows_the_workload() -> None:
    def total(work: Workload, **options: object) -> float:
        lora = {"r": 16}
        return memory_plan(
            "x", QWEN_HALF_BILLION, work, dtype=torch.bfloat16, lora=lora, **options
        ).total

    small = replace(TRAINING, tokens=512)
    fewer_logits = replace(TRAINING, logit_tokens=64)
    checkpointed = replace(TRAINING, checkpointing=True)
    sampling = Workload(rows=80, tokens=512, logit_tokens=1, trained=False)
    for less in (small, fewer_logits, checkpointed, sampling):
        assert total(less) < total(TRAINING)
    plan = memory_plan("x", QWEN_HALF_BILLION, TRAINING, dtype=torch.bfloat16, heap=True)
    kept = 1024 * 24 * (4 * 4864 * 2 + 2 * (14 + 2) * 64 * 2 + 2 * 896 * (4 + 2) + 2 * 1024)
    assert dict(plan.parts)["holes in the heap"] == pytest.approx(0.6 * kept)
    assert dict(plan.parts)["logits"] == 512 * 151_936 * 2 + 16 * 151_936 * 16
    assert total(TRAINING, four_bit=True) < total(TRAINING)


def test_an_estimate_warns_and_weights_that_do_not_fit_are_refused(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    plan = MemoryPlan("training tiny", (("weights", 3e9), ("adapter", 0.5e9), ("logits", 4e9)))
    cpu = torch.device("cpu")
    monkeypatch.setattr(memory, "available_memory", lambda device: 8e9)
    check_memory(plan, cpu)
    assert caplog.text == ""
    monkeypatch.setattr(memory, "available_memory", lambda device: 4e9)
    check_memory(plan, cpu)
    assert "training tiny may take 7.5 GB of memory, an estimate" in caplog.text
    assert "per_device_train_batch_size" in caplog.text
    monkeypatch.setattr(memory, "available_memory", lambda device: 3e9)
    with pytest.raises(AxiomError, match=r"needs 3\.5 GB .* 3\.0 GB are free") as caught:
        check_memory(plan, cpu)
    assert "4.00 GB  logits" in str(caught.value) and "smaller model" in str(caught.value)


def test_available_memory_is_plausible_and_within_a_containers_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cpu = torch.device("cpu")
    assert 0.05 * GB < available_memory(cpu) < 100_000 * GB
    monkeypatch.setattr(memory, "_container_limit", lambda: 123.0)
    assert available_memory(cpu) == 123.0


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's heap keeps the holes")
def test_memory_between_live_tensors_goes_back_to_the_system() -> None:
    process = psutil.Process()
    tensors = [torch.ones(15_000) for _ in range(4_000)]  # 60 kB each: on the heap
    last = tensors[-1]
    full = process.memory_info().rss
    tensors.clear()
    free_memory()
    assert last.sum() == 15_000 and full - process.memory_info().rss > 150e6


def test_kernels_that_stay_are_few_unless_the_user_says_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("LRU_CACHE_CAPACITY", raising=False)
    monkeypatch.setenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "1000")
    bound_kernel_caches()
    assert os.environ["LRU_CACHE_CAPACITY"] == "32"
    assert os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] == "1000"
