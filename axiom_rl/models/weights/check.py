"""A folder in Hugging Face format, checked before it is used: whole, readable, of a kind we run.

Every tensor of the model must come from the files and every tensor of the files must be used:
transformers itself makes up what is missing and drops what is left over, with a warning.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel
from transformers.utils import logging as transformers_logging

from axiom_rl.core.errors import AxiomError
from axiom_rl.models.weights.source import read_config, weight_files

Shapes = Mapping[str, tuple[int, ...]]

SIZES = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "max_position_embeddings",
)
"""Numbers of a configuration that sampling and the memory plan compute with."""

ARGUMENTS = ("input_ids", "attention_mask", "position_ids", "past_key_values", "logits_to_keep")
"""What sampling and training pass to a model."""

NAMES_SHOWN = 4


def check_folder(folder: Path) -> None:
    """Refuse a folder whose model would not be what its files say.

    Costs about a second: the model is built without memory for its weights.

    Raises:
        AxiomError: in one line, for a kind of model that is not supported, a configuration that
            cannot be read, or tensors that are missing, left over, of another shape, or held twice.
    """
    files = weight_files(folder)
    check_supported(empty_model(folder), folder)
    _require_equal_if_tied(whole_model(folder, device_map="meta"), files, folder)


def whole_model(folder: Path, **options: Any) -> PreTrainedModel:
    """Return the folder's model, none of whose weights transformers made up or dropped.

    Args:
        folder: in Hugging Face format.
        options: of `from_pretrained`.

    Raises:
        AxiomError: in one line, if it cannot be read, or with the names of the tensors.
    """
    with one_line(folder):
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            local_files_only=True,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            **options,
        )
    model, info = loaded
    require_same(
        missing=info["missing_keys"],
        surplus=info["unexpected_keys"],
        reshaped={name: (found, wanted) for name, found, wanted in info["mismatched_keys"]},
        where=str(folder),
    )
    return model  # type: ignore[no-any-return]


def empty_model(folder: Path) -> PreTrainedModel:
    """Return the folder's model without memory for its weights.

    Raises:
        AxiomError: if transformers cannot make it, saying why in one line.
    """
    read_config(folder)
    with one_line(folder):
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        return model_of(config)


def model_of(config: PreTrainedConfig) -> PreTrainedModel:
    """Return the causal language model of a configuration, without memory for its weights."""
    with torch.device("meta"):
        model: PreTrainedModel = AutoModelForCausalLM.from_config(config)
    return model


def check_supported(model: PreTrainedModel, folder: Path) -> None:
    """Refuse architectures that LoRA's targets, the samplers or the trainers cannot take.

    Raises:
        AxiomError: naming the architecture and what it has.
    """
    config: Any = model.config
    taken = inspect.signature(model.forward).parameters
    sizes = [n for n in SIZES if not isinstance(getattr(config, n, None), int)]
    odd = [
        name
        for name, module in model.named_modules()
        if not isinstance(module, torch.nn.Linear | torch.nn.Embedding)
        and any(p.ndim > 1 for p in module.parameters(recurse=False))
    ]
    embeddings = sum(isinstance(m, torch.nn.Embedding) for m in model.modules())
    reasons = [
        (bool(odd), f"matrices outside of linear layers ({_some(odd)})"),
        (embeddings > 1, "positions or types that are learned"),
        (bool(sizes), f"no {_some(sizes)} in its config.json"),
        (any(n not in taken for n in ARGUMENTS), "a forward pass of another kind"),
        (bool(getattr(config, "is_encoder_decoder", False)), "an encoder"),
        (bool(getattr(config, "attn_logit_softcapping", None)), "capped attention scores"),
    ]
    for found, what in reasons:
        if found:
            raise AxiomError(
                f"{folder}: {type(model).__name__} has {what} and is not supported; decoders like "
                "Llama, Qwen2, Qwen3 and SmolLM2 are"
            )


def require_shapes(found: Shapes, model: PreTrainedModel, where: str) -> None:
    """Refuse tensors whose names and shapes are not exactly those of the model's parameters.

    Raises:
        AxiomError: with the names of the tensors.
    """
    tied = _tied(model)
    wanted = {n: tuple(t.shape) for n, t in model.state_dict().items() if n not in tied}
    both = found.keys() & wanted.keys()
    require_same(
        missing=wanted.keys() - found.keys(),
        surplus=found.keys() - wanted.keys(),
        reshaped={n: (found[n], wanted[n]) for n in both if found[n] != wanted[n]},
        where=where,
    )


def require_same(
    *,
    missing: Collection[str],
    surplus: Collection[str],
    reshaped: Mapping[str, tuple[Any, Any]],
    where: str,
) -> None:
    """Raise AxiomError with the names, unless all three are empty."""
    parts = []
    if missing:
        parts.append(f"{len(missing)} tensors are missing ({_some(missing)})")
    if surplus:
        parts.append(f"{len(surplus)} are none of this model's ({_some(surplus)})")
    if reshaped:
        wrong = [f"{n} is {tuple(a)} and not {tuple(b)}" for n, (a, b) in sorted(reshaped.items())]
        parts.append(f"{len(wrong)} have another shape ({_some(wrong)})")
    if not parts:
        return
    hint = ""
    if any(".base_layer." in name or "lora_" in name for name in surplus):
        hint = ": it was saved with a PEFT adapter on it; merge the adapter before saving"
    raise AxiomError(
        f"{where} does not hold the model of its configuration: {'; '.join(parts)}{hint}"
    )


@contextmanager
def one_line(folder: Path) -> Iterator[None]:
    """Turn what transformers, tokenizers and safetensors raise for a bad folder into one line."""
    level = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()  # its table of missing tensors is our error's text
    transformers_logging.disable_progress_bar()
    try:
        yield
    except AxiomError:
        raise
    except Exception as error:  # these libraries raise every kind; the tokenizers' is a bare one
        reason = " ".join(str(error).split()) or type(error).__name__
        raise AxiomError(f"{folder} cannot be read as a model: {reason:.240}") from error
    finally:
        transformers_logging.set_verbosity(level)


def _tied(model: PreTrainedModel) -> dict[str, str]:
    """Return the parameters that are another one of the model, and which."""
    tied: dict[str, str] = getattr(model, "all_tied_weights_keys", {})
    return tied


def _require_equal_if_tied(model: PreTrainedModel, files: list[Path], folder: Path) -> None:
    """Refuse a tied matrix that is stored twice with different values: one would be dropped."""
    where: dict[str, Path] = {}
    for file in files:
        with safe_open(file, framework="pt") as opened:
            where |= dict.fromkeys(opened.keys(), file)
    for name, source in _tied(model).items():
        if name in where and source in where:
            first, second = (_tensor(where[n], n) for n in (name, source))
            if not torch.equal(first, second):
                raise AxiomError(
                    f"{folder}: {name} and {source} are one matrix by config.json and differ in "
                    "the files; set tie_word_embeddings to false in config.json"
                )


def _tensor(file: Path, name: str) -> torch.Tensor:
    with safe_open(file, framework="pt") as opened:
        tensor: torch.Tensor = opened.get_tensor(name)
    return tensor


def _some(names: Collection[str]) -> str:
    shown = ", ".join(sorted(names)[:NAMES_SHOWN])
    return shown if len(names) <= NAMES_SHOWN else f"{shown}, and {len(names) - NAMES_SHOWN} more"
