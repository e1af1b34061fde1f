"""The weights of a GGUF file as tensors under the names that transformers knows.

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
from axiom_rl.models.weights.gguf.metadata import find_tensor, metadata
from axiom_rl.models.weights.gguf.rope_freqs import ROPE_FREQS, divisors

TOP_LEVEL = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}

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

EMBEDDINGS = ("token_embd.weight", "output.weight")

SAME_MATRIX = 0.25
"""Two quantisations of one matrix differ by a few per cent; two matrices by more than 1."""


def quantization_name(reader: GGUFReader) -> str:
    """Return the file's format as llama.cpp names it, e.g. Q4_K_M."""
    number = metadata(reader, "general.file_type")
    if number not in set(LlamaFileType):
        return "GGUF of mixed formats"
    return LlamaFileType(number).name.removeprefix("MOSTLY_").removeprefix("ALL_")


def is_tied(reader: GGUFReader) -> bool:
    """Tell whether input and output embeddings are one matrix, stored once or quantised twice.

    Files quantised with a calibration step hold a tied matrix twice, in two formats. Rows spread
    over the vocabulary are compared.
    """
    embedding, output = (find_tensor(reader, name) for name in EMBEDDINGS)
    if output is None or embedding is None:
        return output is None
    if tuple(output.shape) != tuple(embedding.shape):
        return False
    rows = np.linspace(0, output.data.shape[0] - 1, num=1024, dtype=np.int64)
    first = _dequantized(embedding, rows)
    second = _dequantized(output, rows)
    return bool(np.linalg.norm(first - second) < SAME_MATRIX * np.linalg.norm(second))


def parameters(reader: GGUFReader) -> int:
    """Return how many parameters `weights` yields."""
    return sum(int(tensor.n_elements) for tensor in _kept(reader))


def shapes(reader: GGUFReader) -> dict[str, tuple[int, ...]]:
    """Return the shape of every parameter that `weights` yields, by its transformers name.

    A tensor that is not known here keeps its own name.
    """
    return {_hf_name(t.name): tuple(int(size) for size in reversed(t.shape)) for t in _kept(reader)}


def weights(reader: GGUFReader) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield every parameter under its transformers name, in bfloat16.

    Of a tied matrix stored twice the copy with more bits is taken, once, as the embedding.

    Raises:
        AxiomError: for a tensor with values that are no numbers, or in an unknown format.
    """
    source = _finer_embedding(reader) if is_tied(reader) else None
    for tensor in _kept(reader):
        stored = source if source is not None and tensor.name == "token_embd.weight" else tensor
        yield _hf_name(tensor.name), _values(reader, stored)


def _kept(reader: GGUFReader) -> list[ReaderTensor]:
    """Return the tensors that are parameters, each once."""
    others = set()
    if is_tied(reader):
        others.add("output.weight")
    if divisors(reader) is not None:
        others.add(ROPE_FREQS)  # stands in the configuration
    return [tensor for tensor in reader.tensors if tensor.name not in others]


def _finer_embedding(reader: GGUFReader) -> ReaderTensor:
    return max((t for t in reader.tensors if t.name in EMBEDDINGS), key=lambda t: t.n_bytes)


def _values(reader: GGUFReader, tensor: ReaderTensor) -> torch.Tensor:
    values = _dequantized(tensor)
    if not np.isfinite(values).all():
        raise AxiomError(f"the GGUF file's tensor {tensor.name} holds NaN or infinite values")
    architecture = metadata(reader, "general.architecture")
    part = tensor.name.rpartition(".")[0].rpartition(".")[2]
    if architecture == "llama" and part in ("attn_q", "attn_k"):
        heads = metadata(reader, "llama.attention.head_count")
        shared = metadata(reader, "llama.attention.head_count_kv", heads)
        values = _unpermute(values, heads=heads if part == "attn_q" else shared)
    if not values.flags.writeable:  # an unquantised tensor is a view of the mapped file
        values = values.copy()
    return torch.from_numpy(values).to(torch.bfloat16)


def _dequantized(tensor: ReaderTensor, rows: np.ndarray[Any, Any] | None = None) -> Any:
    """Return a tensor's values, or some of its rows, in float32."""
    stored = tensor.data if rows is None else np.asarray(tensor.data[rows])
    try:
        return dequantize(stored, tensor.tensor_type).astype(np.float32, copy=False)
    except (NotImplementedError, ValueError) as error:
        kind = tensor.tensor_type.name
        raise AxiomError(
            f"the GGUF file's tensor {tensor.name} is in a format that cannot be read here ({kind})"
        ) from error


def _unpermute(values: np.ndarray[Any, Any], heads: int) -> np.ndarray[Any, Any]:
    """Undo llama.cpp's interleaving of rotary halves in the rows of queries and keys."""
    pairs = values.reshape(heads, len(values) // heads // 2, 2, *values.shape[1:])
    return np.ascontiguousarray(pairs.swapaxes(1, 2).reshape(values.shape))


def _hf_name(name: str) -> str:
    """Return transformers' name of a tensor; one that is not known here keeps its own."""
    stem, _, suffix = name.rpartition(".")
    if stem in TOP_LEVEL:
        return f"{TOP_LEVEL[stem]}.{suffix}"
    block, _, part = stem.partition(".")[2].partition(".")
    if not name.startswith("blk.") or part not in IN_LAYER:
        return name
    return f"model.layers.{block}.{IN_LAYER[part]}.{suffix}"
