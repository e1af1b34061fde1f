"""A GGUF file of the tiny model, made on the spot, and model configurations for the tests."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
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


@pytest.fixture
def silent_server() -> Iterator[str]:
    """A server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


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
    """Write a Qwen2 or Llama folder as llama.cpp's converter would.

    `changes`: `pre` (of the tokenizer), `fields` (added or replaced, by name), `drop` (tensors left
    out), `add` (further ones), `plain` (float32, no second copy of the embedding), `split` (tensors
    in each part).
    """
    from gguf import GGMLQuantizationType, GGUFWriter, LlamaFileType
    from gguf.quants import quantize
    from safetensors.numpy import load_file

    config = json.loads((folder / "config.json").read_text())
    kind = config["model_type"]
    writer = GGUFWriter(path, kind, split_max_tensors=changes.get("split", 0))
    plain = changes.get("plain", False)
    writer.add_file_type(LlamaFileType.ALL_F32 if plain else LlamaFileType.MOSTLY_Q8_0)
    fields = {
        "block_count": config["num_hidden_layers"],
        "context_length": config["max_position_embeddings"],
        "embedding_length": config["hidden_size"],
        "feed_forward_length": config["intermediate_size"],
        "attention.head_count": config["num_attention_heads"],
        "attention.head_count_kv": config["num_key_value_heads"],
        "attention.layer_norm_rms_epsilon": config["rms_norm_eps"],
        "rope.freq_base": float(config["rope_parameters"]["rope_theta"]),
        **changes.get("fields", {}),
    }
    for key, value in fields.items():
        put(writer, key if key.startswith(("general.", "split.")) else f"{kind}.{key}", value)
    write_vocabulary(writer, folder, changes)
    tensors = load_file(folder / "model.safetensors")
    stored = {gguf_name(name): as_stored(name, values, config) for name, values in tensors.items()}
    stored |= changes.get("add", {})
    for name, values in stored.items():
        if name in changes.get("drop", ()):
            continue
        coarse = values.ndim == 2 and not plain
        form = GGMLQuantizationType.Q8_0 if coarse else GGMLQuantizationType.F32
        writer.add_tensor(name, quantize(values, form), raw_dtype=form)
    if not plain:
        twice = quantize(tensors["model.embed_tokens.weight"], GGMLQuantizationType.Q5_0)
        writer.add_tensor("output.weight", twice, raw_dtype=GGMLQuantizationType.Q5_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def put(writer: Any, key: str, value: Any) -> None:
    """Write one metadata value by its Python type."""
    match value:
        case None:
            return
        case bool():
            writer.add_bool(key, value)
        case int():
            writer.add_uint32(key, value)
        case float():
            writer.add_float32(key, value)
        case str():
            writer.add_string(key, value)
        case _:
            writer.add_array(key, value)


def as_stored(name: str, values: Any, config: dict[str, Any]) -> Any:
    """Lay out rows as llama.cpp does: Llama's query and key rows are interleaved."""
    part = name.split(".")[-2]
    if config["model_type"] != "llama" or part not in ("q_proj", "k_proj"):
        return values
    heads = config["num_attention_heads" if part == "q_proj" else "num_key_value_heads"]
    halves = values.reshape(heads, 2, len(values) // heads // 2, *values.shape[1:])
    return halves.swapaxes(1, 2).reshape(values.shape)


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
        "lm_head.weight": "output.weight",
    }[name]
