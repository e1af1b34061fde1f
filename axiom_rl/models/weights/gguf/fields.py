"""The configuration of a GGUF file's model: every field that changes the numbers, or a refusal.

The fields under the architecture's name (`qwen2.*`, `llama.*`) say how the weights are computed
with. Each is translated, compared with the one value that transformers' class computes with, or
refused by name; none is dropped.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from gguf import GGUFReader

from axiom_rl.core.errors import AxiomError
from axiom_rl.models.weights.gguf.metadata import find_tensor, metadata
from axiom_rl.models.weights.gguf.rope_freqs import ROPE_FREQS, divisors, scaling

CLASSES = {"qwen2": "Qwen2ForCausalLM", "llama": "LlamaForCausalLM"}
"""GGUF architecture (the same word as transformers' model_type) and its class."""

_TRANSLATED = (
    "block_count context_length embedding_length feed_forward_length vocab_size "
    "attention.head_count attention.head_count_kv attention.key_length attention.value_length "
    "attention.layer_norm_rms_epsilon attention.scale attention.sliding_window "
    "rope.dimension_count rope.freq_base rope.scale_linear rope.scaling.type rope.scaling.factor "
    "rope.scaling.original_context_length rope.scaling.yarn_beta_fast rope.scaling.yarn_beta_slow"
)
TRANSLATED = frozenset(_TRANSLATED.split())
"""Fields that `hf_config` reads."""

NEUTRAL: dict[str, tuple[object, ...]] = {
    "attention.causal": (True,),
    "attention.clamp_kqv": (0,),
    "attention.max_alibi_bias": (0,),
    "attn_logit_softcapping": (0,),
    "final_logit_softcapping": (0,),
    "router_logit_softcapping": (0,),
    "embedding_scale": (0, 1),
    "residual_scale": (0, 1),
    "logit_scale": (0, 1),
    "expert_count": (0,),
    "expert_used_count": (0,),
    "expert_shared_count": (0,),
    "leading_dense_block_count": (0,),
    "nextn_predict_layers": (0,),
    "pooling_type": (0,),
    "use_parallel_residual": (False,),
    "rope.scaling.finetuned": (True, False),
    "rope.scaling.attn_factor": (0, 1),
    "rope.scaling.yarn_attn_factor": (0, 1),
    "rope.scaling.yarn_ext_factor": (-1, 1),
    "rope.scaling.yarn_log_multiplier": (0,),
    "tensor_data_layout": ("Meta AI original pth",),  # query and key rows as `weights` undoes them
}
"""Fields that change nothing at these values; at any other the file is refused."""


def check_fields(reader: GGUFReader) -> str:
    """Return the architecture of a file all of whose fields are known here.

    Raises:
        AxiomError: naming the architecture, or the fields that are not known.
    """
    architecture = metadata(reader, "general.architecture")
    kind = metadata(reader, "general.type", "model")
    if architecture not in CLASSES or kind != "model":
        what = (
            f"architecture {architecture!r}" if kind == "model" else f"a GGUF file of type {kind!r}"
        )
        raise AxiomError(f"{what} is not supported ({', '.join(CLASSES)} models are); {INSTEAD}")
    unknown = []
    for key in reader.fields:
        prefix, _, name = key.partition(".")
        if prefix != architecture or name in TRANSLATED:
            continue
        value = metadata(reader, key)
        if name not in NEUTRAL or value not in NEUTRAL[name]:
            unknown.append(f"{key}={value!r:.60}")
    if unknown:
        raise AxiomError(
            f"the GGUF file has fields that are not honoured here: {', '.join(sorted(unknown))}; "
            f"{INSTEAD}"
        )
    return str(architecture)


INSTEAD = "give a folder in Hugging Face format as model.path instead"


def hf_config(reader: GGUFReader, *, tied: bool) -> dict[str, Any]:
    """Return the fields of the transformers configuration of the model.

    Args:
        reader: the file.
        tied: whether input and output embeddings are one matrix.

    Raises:
        AxiomError: for an architecture or a field that is not supported, naming it.
    """
    architecture = check_fields(reader)
    fields = _Fields(reader, architecture)
    heads, width = fields.count("attention.head_count"), fields.count("embedding_length")
    config: dict[str, Any] = {
        "model_type": architecture,
        "architectures": [CLASSES[architecture]],
        "hidden_size": width,
        "intermediate_size": fields.count("feed_forward_length"),
        "num_hidden_layers": fields.count("block_count"),
        "num_attention_heads": heads,
        "num_key_value_heads": fields.count("attention.head_count_kv", heads),
        "max_position_embeddings": fields.count("context_length"),
        "rms_norm_eps": _shortest(fields.number("attention.layer_norm_rms_epsilon")),
        "vocab_size": fields.vocabulary(),
        "tie_word_embeddings": tied,
        "bos_token_id": metadata(reader, "tokenizer.ggml.bos_token_id"),
        "eos_token_id": metadata(reader, "tokenizer.ggml.eos_token_id"),
        "pad_token_id": metadata(reader, "tokenizer.ggml.padding_token_id"),
        "dtype": "bfloat16",
    }
    size = fields.count("attention.key_length", width // heads)
    config |= (
        _head_size(fields, width, heads) | _rotary(fields, size) | _biases(reader, architecture)
    )
    window = fields.count("attention.sliding_window", 0, least=0)
    if 0 < window < config["max_position_embeddings"]:
        raise fields.refusal("attention.sliding_window", "full attention")
    return config


class _Fields:
    """The architecture's own fields, with their types checked."""

    def __init__(self, reader: GGUFReader, architecture: str) -> None:
        self.reader = reader
        self.architecture = architecture

    def get(self, name: str) -> Any:
        return metadata(self.reader, f"{self.architecture}.{name}")

    def refusal(self, name: str, wanted: str) -> AxiomError:
        key = f"{self.architecture}.{name}"
        return AxiomError(
            f"the GGUF file's {key}={self.get(name)!r:.60} is not honoured here ({wanted} is); "
            f"{INSTEAD}"
        )

    def needed(self, name: str, default: float | None) -> Any:
        value = self.get(name)
        value = default if value is None else value
        if value is None:
            raise AxiomError(f"the GGUF file has no {self.architecture}.{name}: not a whole model")
        return value

    def count(self, name: str, default: int | None = None, *, least: int = 1) -> int:
        value = self.needed(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise self.refusal(name, f"one whole number of at least {least}")
        return value

    def number(self, name: str, default: float | None = None) -> float:
        value = self.needed(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            raise self.refusal(name, "a number above 0")
        return float(value)

    def vocabulary(self) -> int:
        """Rows of the embedding; vocab_size, where it is given, must say the same."""
        embedding = find_tensor(self.reader, "token_embd.weight")
        if embedding is None:
            raise AxiomError("the GGUF file has no tensor token_embd.weight; not a whole model")
        rows = int(embedding.shape[-1])
        if self.count("vocab_size", rows) != rows:
            raise self.refusal("vocab_size", f"{rows}, the rows of token_embd.weight,")
        return rows


def _head_size(fields: _Fields, width: int, heads: int) -> dict[str, Any]:
    """Keys, values and their rotary part must all have one size, as transformers computes."""
    size = fields.count("attention.key_length", width // heads)
    for name in ("attention.value_length", "rope.dimension_count"):
        if fields.count(name, size) != size:
            raise fields.refusal(name, f"{size}, the size of an attention head,")
    scale = fields.get("attention.scale")
    if scale and not np.isclose(scale, size**-0.5, rtol=1e-4):
        raise fields.refusal("attention.scale", f"1/sqrt({size})")
    return {} if size * heads == width else {"head_dim": size}


def _rotary(fields: _Fields, size: int) -> dict[str, Any]:
    """Positions: plain, or scaled linearly or by YaRN, in transformers' words.

    llama.cpp's YaRN takes the same correction range and attention factor, 1 + 0.1 ln(factor), as
    transformers'; other values of its factors are refused by `NEUTRAL`.
    """
    base = _shortest(fields.number("rope.freq_base", 10000.0))
    kind = fields.get("rope.scaling.type")
    factor = fields.number("rope.scaling.factor", fields.get("rope.scale_linear") or 1.0)
    if kind is None:
        kind = "none" if factor == 1 else "linear"
    divided_by = divisors(fields.reader)
    if kind == "none" or (kind == "linear" and factor == 1):
        return _divided(divided_by, base, size) or {"rope_theta": base}
    if divided_by is not None:
        raise fields.refusal("rope.scaling.type", f"none beside the tensor {ROPE_FREQS}")
    scaled: dict[str, Any] = {"rope_theta": base, "rope_type": kind, "factor": _shortest(factor)}
    if kind == "yarn":
        context = fields.count("context_length")
        scaled |= {
            "original_max_position_embeddings": fields.count(
                "rope.scaling.original_context_length", context
            ),
            "beta_fast": fields.number("rope.scaling.yarn_beta_fast", 32.0),
            "beta_slow": fields.number("rope.scaling.yarn_beta_slow", 1.0),
        }
    elif kind != "linear":
        raise fields.refusal("rope.scaling.type", "none, linear or yarn")
    return {"rope_parameters": scaled}


def _divided(divided_by: Any, base: float, size: int) -> dict[str, Any]:
    """Positions whose frequencies a tensor divides, in transformers' words; {} where none does."""
    if divided_by is None:
        return {}
    found = scaling(divided_by, base) if len(divided_by) == size // 2 else None
    if found is None:
        raise AxiomError(
            f"the GGUF file's tensor {ROPE_FREQS} divides the {size // 2} rotary frequencies by "
            f"{len(divided_by)} numbers that are not Llama 3's; {INSTEAD}"
        )
    return {"rope_parameters": {"rope_theta": base} | found} if found else {}


def _biases(reader: GGUFReader, architecture: str) -> dict[str, Any]:
    """Llama's projections have biases where the file has some; which ones is checked later."""
    if architecture != "llama":
        return {}
    biased = {t.name.rsplit(".", 2)[-2] for t in reader.tensors if t.name.endswith(".bias")}
    return {
        key: True
        for key, word in (("attention_bias", "attn_"), ("mlp_bias", "ffn_"))
        if any(part.startswith(word) for part in biased)
    }


def _shortest(value: float) -> float:
    """Return the shortest decimal of a float32, e.g. 1e-06 for 9.99999997e-07."""
    return float(str(np.float32(value)))
