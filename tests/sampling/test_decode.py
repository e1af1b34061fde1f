"""The step that a GPU records gives the texts of the plain one, and waits for nothing."""

from __future__ import annotations

import gc
import warnings
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from test_hf_sampler import by_sample, requests, sample, settings
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from axiom_rl.sampling.hf import decode
from axiom_rl.sampling.hf import next_token as draw
from axiom_rl.sampling.hf.decode import RECORDED, Decoder, Decoders, Ways, rounded, ways_for
from axiom_rl.sampling.hf.sampler import TransformersSampler
from axiom_rl.sampling.hf.slot_cache import ATTENTION

AS_ON_A_GPU = Ways(rounded=True, recorded=False, prefill_prompts=3)
SIZES: dict[str, Any] = {
    "vocab_size": 300,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "head_dim": 8,
}


@pytest.fixture(scope="module")
def parts(tiny_model_folder: Path) -> tuple[Any, Any]:
    model = AutoModelForCausalLM.from_pretrained(tiny_model_folder, dtype=torch.float32)
    return model.eval(), AutoTokenizer.from_pretrained(tiny_model_folder)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"max_batch": 3, "max_new_tokens": 30},
        {"max_batch": 11, "top_p": 0.8, "temperature": 0.7},
        {"temperature": 0.0},
        pytest.param(  # beyond the smallest reach
            {"max_new_tokens": 150, "max_batch": 9}, marks=pytest.mark.slow
        ),
    ],
)
def test_rounded_sizes_and_shared_prefills_change_no_text(
    parts: tuple[Any, Any], changes: dict[str, Any]
) -> None:
    plain = sample(parts, requests(), **changes)
    decoders = Decoders(parts[0], AS_ON_A_GPU)
    sampler = TransformersSampler(*parts, settings(**changes), decoders)
    for _again in range(2):  # the second time in the memory of the first
        drawn = by_sample(list(sampler.sample(requests())))
        assert drawn == plain
        for key, item in drawn.items():
            assert item.logprobs == pytest.approx(plain[key].logprobs, abs=2e-5)


def test_a_decoder_is_kept_grows_and_is_never_shared(parts: tuple[Any, Any]) -> None:
    decoders = Decoders(parts[0], AS_ON_A_GPU)
    first = decoders.take(4, 100, 10)
    assert first.cache.longest == 128
    second = decoders.take(4, 100, 10)
    assert second is not first, "two samplers in turns"
    decoders.put(first)
    assert decoders.take(3, 128, 5) is first
    decoders.put(first)
    assert decoders.take(5, 100, 10) is not first
    decoders.put(first)
    decoders.drop()
    assert decoders.take(4, 100, 10) is not first
    plain = Decoders(parts[0])
    plain.put(first)
    assert plain.take(4, 100, 10) is not first, "on a CPU nothing is kept"


def test_a_decoders_memory_is_free_before_a_larger_one_is_made(
    parts: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not when Python next looks for cycles: on a GPU two of them may not fit."""
    decoders = Decoders(parts[0], AS_ON_A_GPU)
    chosen = settings(max_batch=4, max_new_tokens=8)
    [*TransformersSampler(*parts, chosen, decoders).sample(requests(1))]
    assert decoders._kept is not None and decoders._kept.cache.store is not None
    kept = weakref.ref(decoders._kept.cache.store)
    made = decode.Decoder

    def larger(*arguments: Any) -> Decoder:
        assert kept() is None, "both are in memory"
        return made(*arguments)

    monkeypatch.setattr(decode, "Decoder", larger)
    gc.disable()
    try:
        assert decoders.take(9, 400, 8).cache.slots == 9
    finally:
        gc.enable()


def test_a_text_that_is_broken_off_leaves_a_clean_decoder(parts: tuple[Any, Any]) -> None:
    sampler = TransformersSampler(*parts, settings(), Decoders(parts[0], AS_ON_A_GPU))
    stopped = iter(sampler.sample(requests()))
    next(stopped)
    stopped.close()
    assert by_sample(list(sampler.sample(requests()))) == sample(parts, requests())


def test_sizes_are_few() -> None:
    assert [rounded(n, 8, 80) for n in (1, 8, 9, 33, 64, 65, 80)] == [8, 8, 16, 64, 64, 80, 80]
    assert rounded(3, 8, 6) == 6


@pytest.mark.parametrize("top_p", [1.0, 0.9])
@pytest.mark.parametrize("kind", sorted(RECORDED))
def test_a_step_mixes_no_devices_and_reads_nothing_back(kind: str, top_p: float) -> None:
    """With tensors on a device without numbers: reading one, or mixing devices, is an error."""
    config = AutoConfig.for_model(kind, **SIZES, pad_token_id=0, bos_token_id=1, eos_token_id=2)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).eval()
        states = torch.zeros(1, config.num_key_value_heads, 1, config.head_dim).bfloat16()
    model.set_attn_implementation(ATTENTION)
    with torch.no_grad():
        decoder = Decoder(model, AS_ON_A_GPU, slots=10, longest=128, most_new=20)
        decoder.begin(0.7, top_p, model.get_decoder().layers[0])
        for layer in decoder.cache.layers:
            layer.lazy_initialization(states, states)
        decoder.cache.rows = 8
        decoder._advance(8, 128)
    assert decoder._sums is not None and decoder._sums.device.type == "meta"
    assert decoder._news.device.type == "meta"
    with pytest.raises((NotImplementedError, RuntimeError)):
        decoder._read(slice(0, 8))


def test_where_there_is_no_float64_tokens_are_drawn_on_the_cpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    logits = torch.randn(4, 50)
    numbers = torch.rand(4, dtype=torch.float64)
    plain = draw.draw_tokens(logits, numbers, 0.7, 0.9)
    monkeypatch.setattr(draw, "WITHOUT_FLOAT64", ("cpu",))
    for ours, theirs in zip(draw.draw_tokens(logits, numbers, 0.7, 0.9), plain, strict=True):
        assert ours.equal(theirs)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_recorded_steps_give_the_texts_of_direct_ones(
    tiny_model_folder: Path, dtype: torch.dtype
) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_model_folder, dtype=dtype).cuda().eval()
    parts = (model, AutoTokenizer.from_pretrained(tiny_model_folder))
    assert ways_for(model).recorded
    changes = {"max_batch": 9, "max_new_tokens": 150}
    direct, recorded = (
        TransformersSampler(*parts, settings(**changes), Decoders(model, ways))
        for ways in (AS_ON_A_GPU, Ways(rounded=True, recorded=True, prefill_prompts=3))
    )
    plain = by_sample(list(direct.sample(requests())))
    for _again in range(2):
        drawn = by_sample(list(recorded.sample(requests())))
        same = sum(drawn[key].token_ids == plain[key].token_ids for key in plain)
        assert same >= (1.0 if dtype is torch.float32 else 0.8) * len(plain)
    cool = by_sample(list(recorded.sample(requests(), temperature=0.0)))
    assert cool.keys() == plain.keys() and cool != drawn


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype:UserWarning")
def test_a_step_waits_once(tiny_model_folder: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_model_folder, dtype=torch.float32).cuda()
    model.set_attn_implementation(ATTENTION)
    for recorded in (False, True):
        ways = Ways(rounded=True, recorded=recorded, prefill_prompts=3)
        decoder = Decoder(model.eval(), ways, slots=10, longest=128, most_new=20)
        with torch.no_grad():
            decoder.begin(1.0, 1.0)
            decoder.prefill([[5, 6, 7]], [[[0.1] * 20, [0.9] * 20]])
            decoder.step()
            torch.cuda.set_sync_debug_mode("warn")
            try:
                with warnings.catch_warnings(record=True) as waits:
                    warnings.simplefilter("always")
                    decoder.step()
            finally:
                torch.cuda.set_sync_debug_mode("default")
        said = [str(item.message) for item in waits]
        assert sum("synchronizing CUDA operation" in text for text in said) == 1, said
