"""A GGUF file of the tiny model, made on the spot, and model configurations for the tests."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from axiom_rl.config import ModelConfig, load_config


@pytest.fixture
def model_config() -> ModelConfig:
    """The default model's configuration, with no source that tests could reach."""
    config = load_config().model
    config.gguf = None
    config.hub_id = "nobody/nothing"
    return config


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each test has converted models and a hub cache of its own, both empty."""
    from huggingface_hub import constants

    cache = tmp_path / "cache"
    monkeypatch.setenv("AXIOM_RL_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return cache


@pytest.fixture(scope="session")
def make_gguf() -> Callable[..., None]:
    """`write_gguf`, for tests that want another file."""
    return write_gguf


@pytest.fixture(scope="session")
def tiny_gguf(tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model as a Q8_0 GGUF file whose tied embedding is stored twice."""
    path = tmp_path_factory.mktemp("gguf") / "tiny-q8_0.gguf"
    write_gguf(tiny_model_folder, path)
    return path


def write_gguf(folder: Path, path: Path, **changes: Any) -> None:
    """Write a Qwen2 folder as llama.cpp's converter would; `changes` replace metadata."""
    from gguf import GGMLQuantizationType, GGUFWriter, LlamaFileType
    from gguf.quants import quantize
    from safetensors.numpy import load_file

    config = json.loads((folder / "config.json").read_text())
    writer = GGUFWriter(path, "qwen2")
    writer.add_file_type(LlamaFileType.MOSTLY_Q8_0)
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    write_vocabulary(writer, folder, changes)
    tensors = load_file(folder / "model.safetensors")
    for name, values in tensors.items():
        kind = GGMLQuantizationType.Q8_0 if values.ndim == 2 else GGMLQuantizationType.F32
        writer.add_tensor(gguf_name(name), quantize(values, kind), raw_dtype=kind)
    coarse = quantize(tensors["model.embed_tokens.weight"], GGMLQuantizationType.Q5_0)
    writer.add_tensor("output.weight", coarse, raw_dtype=GGMLQuantizationType.Q5_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_vocabulary(writer: Any, folder: Path, changes: dict[str, Any]) -> None:
    """Write the tokenizer's metadata; markers are control tokens, ids 0 to 2."""
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = sorted(tokenizer["model"]["vocab"], key=tokenizer["model"]["vocab"].get)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(changes.get("pre", "qwen2"))
    writer.add_token_list(vocabulary)
    writer.add_token_types([3 if token.startswith("<|") else 1 for token in vocabulary])
    writer.add_token_merges([" ".join(pair) for pair in tokenizer["model"]["merges"]])
    writer.add_eos_token_id(vocabulary.index("<|im_end|>"))
    writer.add_pad_token_id(vocabulary.index("<|endoftext|>"))
    writer.add_chat_template((folder / "chat_template.jinja").read_text())


def gguf_name(name: str) -> str:
    """The name llama.cpp gives a parameter."""
    if name.startswith("model.layers."):
        _, _, block, *rest = name.split(".")
        parts = {
            "input_layernorm": "attn_norm",
            "post_attention_layernorm": "ffn_norm",
            "self_attn.q_proj": "attn_q",
            "self_attn.k_proj": "attn_k",
            "self_attn.v_proj": "attn_v",
            "self_attn.o_proj": "attn_output",
            "mlp.gate_proj": "ffn_gate",
            "mlp.up_proj": "ffn_up",
            "mlp.down_proj": "ffn_down",
        }
        return f"blk.{block}.{parts['.'.join(rest[:-1])]}.{rest[-1]}"
    return {
        "model.embed_tokens.weight": "token_embd.weight",
        "model.norm.weight": "output_norm.weight",
    }[name]
