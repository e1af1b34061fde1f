"""GGUF files: every tensor and every field that changes the numbers is honoured, or refused."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from axiom_rl.config import ModelConfig, load_config
from axiom_rl.core.errors import AxiomError
from axiom_rl.models.weights.gguf.convert import convert_gguf, open_gguf
from axiom_rl.models.weights.resolve import resolve

NORM = "blk.1.ffn_norm.weight"
ROPE = "rope_freqs.weight"


@pytest.fixture(scope="module")
def llama_folder(tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama with biases everywhere, untied, with the tiny tokenizer."""
    folder = tmp_path_factory.mktemp("tiny-llama")
    shutil.copytree(tiny_model_folder, folder, dirs_exist_ok=True)
    shape = json.loads((folder / "config.json").read_text())
    names = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers")
    heads = ("num_attention_heads", "num_key_value_heads", "max_position_embeddings")
    sizes = {key: shape[key] for key in names + heads}
    ends = {"bos_token_id": None, "eos_token_id": shape["eos_token_id"]}
    config = LlamaConfig(**sizes, **ends, attention_bias=True, mlp_bias=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = LlamaForCausalLM(config)
        for name, weight in model.named_parameters():
            if name.endswith("bias"):
                torch.nn.init.normal_(weight)
    model.save_pretrained(folder)
    return folder


def convert(folder: Path, out: Path, make_gguf: Callable[..., None], **changes: Any) -> Path:
    """Write the folder as GGUF and convert it back; return the converted folder."""
    out.mkdir()
    make_gguf(folder, out / "model.gguf", plain=True, **changes)
    converted = out / "converted"
    converted.mkdir()
    convert_gguf(out / "model.gguf", converted)
    return converted


def test_a_llama_with_biases_comes_back_as_it_was(
    llama_folder: Path, tmp_path: Path, make_gguf: Callable[..., None]
) -> None:
    back = convert(llama_folder, tmp_path / "a", make_gguf)
    ours = AutoModelForCausalLM.from_pretrained(back, dtype=torch.bfloat16).state_dict()
    original = AutoModelForCausalLM.from_pretrained(llama_folder, dtype=torch.bfloat16).state_dict()
    assert ours.keys() == original.keys()
    assert [name for name in ours if not torch.equal(ours[name], original[name])] == []


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"rope.scaling.type": "linear", "rope.scaling.factor": 4.0}, {"rope_type": "linear"}),
        ({"rope.scale_linear": 4.0}, {"rope_type": "linear"}),
        (
            {
                "rope.scaling.type": "yarn",
                "rope.scaling.factor": 4.0,
                "rope.scaling.original_context_length": 256,
                "rope.scaling.yarn_beta_fast": 16.0,
            },
            {"rope_type": "yarn", "original_max_position_embeddings": 256, "beta_fast": 16.0},
        ),
        ({"rope.scaling.type": "none"}, {"rope_type": "default"}),
        ({"rope.freq_base": 5e5}, {"rope_theta": 5e5}),
        ({"attention.sliding_window": 4096, "expert_count": 0}, {"rope_type": "default"}),
    ],
)
def test_scaled_positions_are_honoured(
    tiny_model_folder: Path,
    tmp_path: Path,
    make_gguf: Callable[..., None],
    fields: dict[str, Any],
    wanted: dict[str, Any],
) -> None:
    back = convert(tiny_model_folder, tmp_path / "a", make_gguf, fields=fields)
    model = AutoModelForCausalLM.from_pretrained(back)
    found = model.config.rope_parameters
    assert {key: found[key] for key in wanted} == wanted
    if wanted.get("rope_type") in ("linear", "yarn"):
        assert found["factor"] == 4.0
        plain = AutoModelForCausalLM.from_pretrained(tiny_model_folder)
        frequencies = [m.model.rotary_emb.inv_freq for m in (model, plain)]
        assert torch.allclose(frequencies[0][-1] * 4, frequencies[1][-1])  # the slowest rotation


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        (
            {"attention.sliding_window": 128},
            r"qwen2\.attention\.sliding_window=128 is not honoured",
        ),
        ({"rope.scaling.type": "longrope", "rope.scaling.factor": 4.0}, "scaling.type='longrope'"),
        ({"rope.scaling.type": "yarn", "rope.scaling.attn_factor": 2.0}, r"attn_factor=2\.0"),
        ({"rope.scaling.yarn_log_multiplier": 0.1}, "yarn_log_multiplier"),
        ({"rope.dimension_count": 8}, r"qwen2\.rope\.dimension_count=8"),
        ({"rope.dimension_sections": [4, 4, 8]}, r"rope\.dimension_sections"),
        ({"attention.scale": 0.5}, r"attention\.scale=0\.5"),
        ({"attention.value_length": 8}, r"attention\.value_length=8"),
        ({"attention.causal": False}, r"attention\.causal=False"),
        ({"attn_logit_softcapping": 50.0}, r"attn_logit_softcapping=50\.0"),
        ({"final_logit_softcapping": 30.0}, "final_logit_softcapping"),
        ({"logit_scale": 0.0625}, "logit_scale"),
        ({"expert_count": 8}, r"qwen2\.expert_count=8"),
        ({"something.new": 3}, r"qwen2\.something\.new=3"),
        ({"vocab_size": 100}, r"qwen2\.vocab_size=100"),
        ({"attention.head_count_kv": [2, 1]}, r"head_count_kv=\[2, 1\].*one whole number"),
        ({"attention.head_count": 0}, r"head_count=0"),
        ({"attention.layer_norm_rms_epsilon": None}, r"no qwen2\.attention\.layer_norm_rms_eps"),
        ({"block_count": None}, r"no qwen2\.block_count"),
        ({"general.type": "adapter"}, "GGUF file of type 'adapter'"),
        ({"block_count": 3}, r"12 tensors are missing \(model\.layers\.2\."),
        ({"block_count": 1}, r"none of this model's \(model\.layers\.1\."),
        ({"embedding_length": 128}, r"have another shape \(model\.embed_tokens\.weight is"),
        ({"attention.key_length": 32}, r"have another shape"),
    ],
)
def test_a_field_that_would_change_the_numbers_is_refused_by_name(
    tiny_model_folder: Path,
    tmp_path: Path,
    make_gguf: Callable[..., None],
    fields: dict[str, Any],
    complaint: str,
) -> None:
    with pytest.raises(AxiomError, match=complaint) as caught:
        convert(tiny_model_folder, tmp_path / "a", make_gguf, fields=fields)
    assert "\n" not in str(caught.value)


def llama3(factor: float, low: float, high: float, context: int) -> dict[str, Any]:
    return {
        "rope_type": "llama3",
        "rope_theta": 10000.0,
        "factor": factor,
        "low_freq_factor": low,
        "high_freq_factor": high,
        "original_max_position_embeddings": context,
    }


def llama_cpp_divisors(config: LlamaConfig) -> Any:
    """What llama.cpp's convert_hf_to_gguf.py writes as rope_freqs.weight (LlamaModel)."""
    rope = config.rope_parameters
    size = config.hidden_size // config.num_attention_heads
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    context, factor = rope["original_max_position_embeddings"], rope["factor"]
    written = []
    for freq in 1.0 / (rope["rope_theta"] ** (torch.arange(0, size, 2, dtype=torch.float) / size)):
        wavelength = 2 * math.pi / freq
        if wavelength < context / high:
            written.append(1.0)
        elif wavelength > context / low:
            written.append(factor)
        else:
            smooth = (context / wavelength - low) / (high - low)
            written.append(1 / ((1 - smooth) / factor + smooth))
    return np.array(written, dtype=np.float32)


@pytest.mark.parametrize(
    "rope",
    [
        llama3(8.0, 1.0, 4.0, 8192),  # Llama 3.1
        llama3(32.0, 1.0, 4.0, 8192),  # Llama 3.2
        llama3(4.0, 1.0, 16.0, 256),  # three frequencies in between
        llama3(8.0, 2.0, 20.0, 500),
        llama3(2.5, 1.0, 4.0, 256),  # one
        llama3(16.0, 1.0, 1.5, 100),  # none
    ],
)
def test_llama_3_s_positions_come_from_their_tensor(
    llama_folder: Path, tmp_path: Path, make_gguf: Callable[..., None], rope: dict[str, Any]
) -> None:
    original = AutoModelForCausalLM.from_pretrained(llama_folder, dtype=torch.bfloat16)
    config = LlamaConfig.from_pretrained(llama_folder, rope_parameters=rope)
    scaled = AutoModelForCausalLM.from_pretrained(llama_folder, config=config, dtype=torch.bfloat16)
    divisors = {ROPE: llama_cpp_divisors(config)}
    back = convert(llama_folder, tmp_path / "a", make_gguf, add=divisors)
    ours = AutoModelForCausalLM.from_pretrained(back, dtype=torch.bfloat16)
    assert ours.config.rope_parameters["rope_type"] == "llama3"
    assert torch.allclose(
        ours.model.rotary_emb.inv_freq, scaled.model.rotary_emb.inv_freq, rtol=1e-5, atol=0
    )
    ids = torch.arange(3, 203)[None] % 300
    with torch.no_grad():
        logits = [model.eval().float()(ids).logits for model in (ours, scaled, original)]
    same, other = ((logits[0] - logits[number]).abs().max() for number in (1, 2))
    assert same < 0.01 * other


@pytest.mark.parametrize(
    ("divisors", "found"),
    [([1.0] * 8, "default"), ([4.0] * 8, "linear")],
)
def test_one_divisor_for_all_is_none_or_a_linear_scale(
    llama_folder: Path,
    tmp_path: Path,
    make_gguf: Callable[..., None],
    divisors: list[float],
    found: str,
) -> None:
    add = {ROPE: np.array(divisors, dtype=np.float32)}
    back = convert(llama_folder, tmp_path / "a", make_gguf, add=add)
    config = LlamaConfig.from_pretrained(back)
    assert config.rope_parameters["rope_type"] == found


@pytest.mark.parametrize(
    ("divisors", "fields", "complaint"),
    [
        ([1, 1, 2, 3, 3, 5, 6, 8], {}, "that are not Llama 3's"),
        ([8, 8, 4, 4, 1, 1, 1, 1], {}, "that are not Llama 3's"),
        ([0.5] * 8, {}, "that are not Llama 3's"),
        ([1, 1, 1, 1, 0, 8, 8, 8], {}, "that are not Llama 3's"),
        ([1, 1, 1, 1, 8, 8, 8, np.nan], {}, "that are not Llama 3's"),
        ([1, 1, 8, 8], {}, "8 rotary frequencies by 4 numbers"),
        (
            [1, 1, 1, 8, 8, 8, 8, 8],
            {"rope.scaling.type": "yarn", "rope.scaling.factor": 4.0},
            r"scaling\.type='yarn' is not honoured here \(none beside the tensor rope_freqs",
        ),
    ],
)
def test_divisors_of_no_known_formula_are_refused(
    llama_folder: Path,
    tmp_path: Path,
    make_gguf: Callable[..., None],
    divisors: list[float],
    fields: dict[str, Any],
    complaint: str,
) -> None:
    add = {ROPE: np.array(divisors, dtype=np.float32)}
    with pytest.raises(AxiomError, match=complaint) as caught:
        convert(llama_folder, tmp_path / "a", make_gguf, add=add, fields=fields)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"drop": [NORM]}, r"1 tensors are missing \(model\.layers\.1\.post_attention_layernorm"),
        ({"drop": ["output_norm.weight"]}, r"missing \(model\.norm\.weight\)"),
        ({"drop": ["blk.0.attn_q.bias"]}, r"missing \(model\.layers\.0\.self_attn\.q_proj\.bias\)"),
        ({"drop": ["token_embd.weight"]}, r"no tensor token_embd\.weight"),
        ({"add": {"rope_freqs.weight": np.ones(8, np.float32)}}, r"model's \(rope_freqs\.weight\)"),
        ({"add": {"blk.0.attn_q_norm.weight": np.ones(16, np.float32)}}, "attn_q_norm"),
        ({"add": {"blk.0.ffn_up.bias": np.ones(128, np.float32)}}, r"mlp\.up_proj\.bias"),
        ({"add": {NORM: np.full(64, np.nan, np.float32)}}, rf"{NORM} holds NaN"),
        ({"add": {NORM: np.ones(32, np.float32)}}, r"layernorm\.weight is \(32,\) and not \(64,\)"),
    ],
)
def test_a_tensor_missing_left_over_or_broken_is_refused_by_name(
    tiny_model_folder: Path,
    tmp_path: Path,
    make_gguf: Callable[..., None],
    changes: dict[str, Any],
    complaint: str,
) -> None:
    with pytest.raises(AxiomError, match=complaint) as caught:
        convert(tiny_model_folder, tmp_path / "a", make_gguf, **changes)
    assert "\n" not in str(caught.value)


def test_a_llama_with_some_of_its_biases_is_refused(
    llama_folder: Path, tmp_path: Path, make_gguf: Callable[..., None]
) -> None:
    with pytest.raises(AxiomError, match=r"missing \(model\.layers\.0\.self_attn\.o_proj\.bias\)"):
        convert(llama_folder, tmp_path / "a", make_gguf, drop=["blk.0.attn_output.bias"])


def test_all_parts_of_a_split_file_are_joined(
    model_config: ModelConfig, tiny_model_folder: Path, tmp_path: Path, make_gguf: Any
) -> None:
    make_gguf(tiny_model_folder, tmp_path / "whole.gguf", plain=True)
    make_gguf(tiny_model_folder, tmp_path / "tiny.gguf", plain=True, split=10)
    parts = sorted(tmp_path.glob("tiny-*.gguf"))
    assert [part.name for part in parts] == [f"tiny-0000{n}-of-00003.gguf" for n in (1, 2, 3)]
    (tmp_path / "out").mkdir()
    convert_gguf(tmp_path / "whole.gguf", tmp_path / "out")
    whole = AutoModelForCausalLM.from_pretrained(tmp_path / "out").state_dict()
    hashes = set()
    for part in parts:  # whichever of them is named
        model_config.path = str(part)
        resolved = resolve(model_config)
        hashes.add(resolved.sha256)
        joined = AutoModelForCausalLM.from_pretrained(resolved.folder).state_dict()
        assert all(torch.equal(joined[name], whole[name]) for name in whole)
    assert len(hashes) == 1

    parts[1].rename(tmp_path / "elsewhere.gguf")
    with pytest.raises(AxiomError, match=r"beside it is no tiny-00002-of-00003\.gguf"):
        resolve(model_config)
    with pytest.raises(AxiomError, match=r"part 2 of 3 by its own fields"):
        open_gguf(tmp_path / "elsewhere.gguf")
    shutil.copy(parts[0], parts[1])
    with pytest.raises(AxiomError, match=r"part 1 of 3 by its own fields"):
        resolve(model_config)


def test_a_file_is_known_by_its_first_bytes_not_by_its_ending(
    tiny_gguf: Path, tmp_path: Path
) -> None:
    renamed = tmp_path / "weights.dat"
    shutil.copy(tiny_gguf, renamed)
    resolved = resolve(load_config(f"model.path={renamed}").model)
    assert (resolved.name, resolved.format) == ("weights", "Q8_0 dequantised")
    assert resolved.hub_id == "" and resolved.revision == ""


def test_a_file_that_is_not_what_its_ending_says_is_one_line(tmp_path: Path) -> None:
    for content, complaint in (
        ("version https://git-lfs.github.com/spec/v1", r"x\.GGUF is a pointer of Git LFS"),
        ("PK", r"x\.GGUF is not a whole GGUF file"),
        ("", r"x\.GGUF is not a whole GGUF file"),
    ):
        (tmp_path / "x.GGUF").write_text(content)
        with pytest.raises(AxiomError, match=complaint):
            resolve(load_config(f"model.path={tmp_path / 'x.GGUF'}").model)


def test_a_file_cut_or_changed_anywhere_is_one_line(tiny_gguf: Path, tmp_path: Path) -> None:
    data = tiny_gguf.read_bytes()
    generator = np.random.default_rng(0)
    cut = [data[: int(size)] for size in generator.integers(0, len(data) - 1, 10)]
    path, out = tmp_path / "damaged.gguf", tmp_path / "out"
    out.mkdir()
    for damaged in cut:
        path.write_bytes(damaged)
        with pytest.raises(AxiomError, match=r"^[^\n]*$"):
            convert_gguf(path, out)
    for place in generator.integers(0, 20_000, 16):  # fields and names; values cannot be told
        path.write_bytes(data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :])
        try:
            convert_gguf(path, out)
        except AxiomError as error:
            assert "\n" not in str(error)
