"""The weights of a GGUF file as tensors and configuration that transformers knows.

Tensors are read and dequantised one at a time, so a conversion needs little more memory than its
largest tensor; loading through transformers' own GGUF reader gives the same values and holds
the whole model. Names and layouts follow llama.cpp's converter.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from gguf import GGUFReader, LlamaFileType, ReaderTensor
from gguf.quants import dequantize

from axiom_rl.core.errors import AxiomError

CLASSES = {"qwen2": "Qwen2ForCausalLM", "llama": "LlamaForCausalLM"}
"""GGUF architecture (the same word as transformers' model_type) and its class."""

TOP_LEVEL = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
}

IN_LAYER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}

SAME_MATRIX = 0.25
"""Two quantisations of one matrix differ by a few per cent; two matrices by more than 1."""


def metadata(reader: GGUFReader, key: str, default: Any = None) -> Any:
    """Return one metadata value of the file, or `default` where it has none."""
    field = reader.fields.get(key)
    return default if field is None else field.contents()


def quantization_name(reader: GGUFReader) -> str:
    """Return the file's format as llama.cpp names it, e.g. Q4_K_M."""
    number = metadata(reader, "general.file_type")
    if number is None:
        return "GGUF of mixed formats"
    return LlamaFileType(number).name.removeprefix("MOSTLY_").removeprefix("ALL_")


def hf_config(reader: GGUFReader) -> dict[str, Any]:
    """Return the fields of the transformers configuration of the model.

    Raises:
        AxiomError: for an architecture or a rotary scaling that is not supported.
    """
    architecture = metadata(reader, "general.architecture")
    names = {tensor.name for tensor in reader.tensors}
    if architecture not in CLASSES or "rope_freqs.weight" in names:
        raise AxiomError(
            f"GGUF architecture {architecture!r} with these tensors is not supported "
            f"({', '.join(CLASSES)} without rope scaling are); give a folder in Hugging Face "
            "format as model.path instead"
        )

    def key(name: str) -> Any:
        return metadata(reader, f"{architecture}.{name}")

    heads = key("attention.head_count")
    return {
        "model_type": architecture,
        "architectures": [CLASSES[architecture]],
        "hidden_size": key("embedding_length"),
        "intermediate_size": key("feed_forward_length"),
        "num_hidden_layers": key("block_count"),
        "num_attention_heads": heads,
        "num_key_value_heads": key("attention.head_count_kv") or heads,
        "max_position_embeddings": key("context_length"),
        "rms_norm_eps": _shortest(key("attention.layer_norm_rms_epsilon")),
        "rope_theta": _shortest(key("rope.freq_base") or 10000.0),
        "vocab_size": int(_tensor(reader, "token_embd.weight").shape[1]),
        "tie_word_embeddings": is_tied(reader),
        "bos_token_id": metadata(reader, "tokenizer.ggml.bos_token_id"),
        "eos_token_id": metadata(reader, "tokenizer.ggml.eos_token_id"),
        "pad_token_id": metadata(reader, "tokenizer.ggml.padding_token_id"),
        "dtype": "bfloat16",
    }


def is_tied(reader: GGUFReader) -> bool:
    """Tell whether input and output embeddings are one matrix, stored once or quantised twice.

    Files quantised with a calibration step hold a tied matrix twice, in two formats. Rows spread
    over the vocabulary are compared.
    """
    output = next((tensor for tensor in reader.tensors if tensor.name == "output.weight"), None)
    if output is None:
        return True
    embedding = _tensor(reader, "token_embd.weight")
    rows = np.linspace(0, output.data.shape[0] - 1, num=1024, dtype=np.int64)
    first = dequantize(np.asarray(embedding.data[rows]), embedding.tensor_type)
    second = dequantize(np.asarray(output.data[rows]), output.tensor_type)
    return bool(np.linalg.norm(first - second) < SAME_MATRIX * np.linalg.norm(second))


def parameters(reader: GGUFReader) -> int:
    """Return how many parameters `weights` yields."""
    tied = is_tied(reader)
    stored = (t for t in reader.tensors if not (tied and t.name == "output.weight"))
    return sum(int(tensor.n_elements) for tensor in stored)


def weights(reader: GGUFReader) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield every parameter under its transformers name, in bfloat16.

    Of a tied matrix stored twice the copy with more bits is taken, once, as the embedding.
    """
    tied = is_tied(reader)
    source = _finer_embedding(reader) if tied else None
    for tensor in reader.tensors:
        if tied and tensor.name == "output.weight":
            continue
        stored = source if source is not None and tensor.name == "token_embd.weight" else tensor
        yield _hf_name(tensor.name), _values(reader, stored)


def _finer_embedding(reader: GGUFReader) -> ReaderTensor:
    pair = ("token_embd.weight", "output.weight")
    return max((t for t in reader.tensors if t.name in pair), key=lambda t: t.n_bytes)


def _tensor(reader: GGUFReader, name: str) -> ReaderTensor:
    for tensor in reader.tensors:
        if tensor.name == name:
            return tensor
    raise AxiomError(f"the GGUF file has no tensor {name}; it is not a whole model")


def _values(reader: GGUFReader, tensor: ReaderTensor) -> torch.Tensor:
    values = dequantize(tensor.data, tensor.tensor_type)
    architecture = metadata(reader, "general.architecture")
    if architecture == "llama" and tensor.name.endswith(("attn_q.weight", "attn_k.weight")):
        key = "attention.head_count" + ("_kv" if "attn_k" in tensor.name else "")
        values = _unpermute(values, heads=metadata(reader, f"llama.{key}"))
    if not values.flags.writeable:  # an unquantised tensor is a view of the mapped file
        values = values.copy()
    return torch.from_numpy(values).to(torch.bfloat16)


def _unpermute(values: np.ndarray[Any, Any], heads: int) -> np.ndarray[Any, Any]:
    """Undo llama.cpp's interleaving of rotary halves in the rows of a query or key matrix."""
    rows, columns = values.shape
    pairs = values.reshape(heads, rows // heads // 2, 2, columns)
    return np.ascontiguousarray(pairs.swapaxes(1, 2).reshape(rows, columns))


def _hf_name(name: str) -> str:
    stem, _, suffix = name.rpartition(".")
    if stem in TOP_LEVEL:
        return f"{TOP_LEVEL[stem]}.{suffix}"
    block, _, part = stem.partition(".")[2].partition(".")
    if not name.startswith("blk.") or part not in IN_LAYER:
        raise AxiomError(f"the GGUF file has a tensor {name!r} that is not known here")
    return f"model.layers.{block}.{IN_LAYER[part]}.{suffix}"


def _shortest(value: float) -> float:
    """Return the shortest decimal of a float32, e.g. 1e-06 for 9.99999997e-07."""
    return float(str(np.float32(value)))
