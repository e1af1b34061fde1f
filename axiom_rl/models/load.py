"""Load a resolved model for sampling or training, and export one with its adapter merged in."""

from __future__ import annotations

import functools
import importlib.util
import json
import logging
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoTokenizer,
    BitsAndBytesConfig,
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from axiom_rl.config import ModelConfig
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_json
from axiom_rl.models.memory import bound_kernel_caches
from axiom_rl.models.template import check_plain, set_template
from axiom_rl.models.weights.check import one_line, whole_model
from axiom_rl.models.weights.source import ResolvedModel, published_ends, read_config

logger = logging.getLogger(__name__)

Tokenizer = PreTrainedTokenizerBase

DTYPES = {"bfloat16": torch.bfloat16, "float32": torch.float32}

TOKENIZER_SUFFIXES = frozenset((".json", ".jinja", ".txt", ".model"))
"""Files that a tokenizer is read from, the model's config among them."""

PAD_CANDIDATES = ("<|finetune_right_pad_id|>", "<|endoftext|>")
"""Tokens meant for padding, for tokenizers published without naming one (Llama 3.2)."""


def load_model(
    resolved: ResolvedModel, config: ModelConfig, *, dtype: torch.dtype | None = None
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load the base model and its tokenizer, in eval mode, on the device that `config` names.

    Of the published generation settings only what ends and pads a text is kept: a repetition
    penalty or top_k that comes with some models would silently change what is sampled.

    Args:
        resolved: Where the weights are.
        config: dtype, device and quantization; its other fields are not looked at.
        dtype: Overrides `config.dtype`.

    Raises:
        AxiomError: if the device or the quantization is not available here.
    """
    bound_kernel_caches()
    device = choose_device(config.device)
    options: dict[str, Any] = {"dtype": dtype or choose_dtype(config.dtype, device)}
    if config.quantization == "4bit":
        options |= _four_bit(device, options["dtype"])
    elif config.quantization != "none":
        raise AxiomError(f"model.quantization={config.quantization}: must be none or 4bit")
    tokenizer = load_tokenizer(resolved)
    model: Any = whole_model(resolved.folder, **options)
    if config.quantization == "none":
        model = model.to(device)
    model.generation_config = _generation_config(model, tokenizer, resolved.folder)
    logger.info(
        "%s (%s, from %s) loaded: %s on %s",
        resolved.name,
        resolved.format,
        resolved.source,
        "4 bit" if config.quantization == "4bit" else str(options["dtype"]).removeprefix("torch."),
        describe_device(device),
    )
    model.eval()
    return model, tokenizer


def load_tokenizer(resolved: ResolvedModel) -> PreTrainedTokenizerBase:
    """Load the tokenizer, padding on the left (so that every row's last token is its newest).

    Its template is that of the run, see `axiom_rl.models.template`. As long as the files stay as
    they are it is one object for all who ask: reading one with 150,000 tokens takes most of a
    second, and a run asks half a dozen times.

    Raises:
        AxiomError: if the tokenizer is damaged, is not this model's, or has no chat template that
            is a function of messages and model.chat_template_kwargs alone.
    """
    check_plain(resolved.chat_template_kwargs)  # what is none of JSON would be changed by it
    values = json.dumps(resolved.chat_template_kwargs)
    state = _state_of_files(resolved.folder)
    return _load_tokenizer(resolved.folder, resolved.name, resolved.chat_template, values, state)


def _state_of_files(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Return name, size and time of change of each file but the weights."""
    named = [path for path in sorted(folder.iterdir()) if path.suffix in TOKENIZER_SUFFIXES]
    files = [path for path in named if path.is_file()]  # and no link to what a cache has pruned
    return tuple((path.name, (of := path.stat()).st_size, of.st_mtime_ns) for path in files)


@functools.lru_cache(maxsize=4)
def _load_tokenizer(
    folder: Path, name: str, template: str | None, values: str, _state: object
) -> PreTrainedTokenizerBase:
    with one_line(folder):
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
        if _cuts_otherwise(tokenizer, folder):
            logger.info("%s: text is cut as its tokenizer.json says", name)
            tokenizer = PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
        largest = max(tokenizer.get_vocab().values(), default=-1)
    if tokenizer.eos_token_id is None:
        raise AxiomError(f"the tokenizer in {folder} names no token that ends a text (eos_token)")
    rows = read_config(folder).get("vocab_size", largest + 1)
    if largest >= rows:
        raise AxiomError(
            f"the tokenizer in {folder} goes up to token {largest} and the model's embedding has "
            f"{rows} rows: it is the tokenizer of another model"
        )
    set_template(tokenizer, name, template, json.loads(values))
    if tokenizer.pad_token is None:
        vocabulary = tokenizer.get_vocab()
        known = (token for token in PAD_CANDIDATES if token in vocabulary)
        tokenizer.pad_token = next(known, tokenizer.eos_token)
    tokenizer.padding_side = "left"
    return tokenizer


def _cuts_otherwise(tokenizer: PreTrainedTokenizerBase, folder: Path) -> bool:
    """Tell whether transformers rebuilt a tokenizer by its model's type, against its own file.

    Its classes for Qwen2, Llama and others keep of tokenizer.json the vocabulary alone.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None or not (folder / "tokenizer.json").is_file():
        return False
    published = read_json(folder / "tokenizer.json")
    parts = ((name, getattr(backend, name)) for name in ("normalizer", "pre_tokenizer"))
    return any(
        published.get(name) != (None if part is None else json.loads(part.__getstate__()))
        for name, part in parts
    ) or bool(published["model"].get("ignore_merges")) != bool(
        getattr(backend.model, "ignore_merges", False)
    )


def warn_of_endless_answers(resolved: ResolvedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Say so if the template closes an answer with no token that ends a text.

    A model that is trained on such answers does not learn to stop.
    """
    chat = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "answer"}]
    text = str(tokenizer.apply_chat_template(chat, tokenize=False)).rpartition("answer")[2]
    ends = {tokenizer.eos_token_id, *published_ends(resolved.folder)}
    if ends.isdisjoint(tokenizer(text, add_special_tokens=False)["input_ids"]):
        logger.warning(
            "the chat template of %s ends an answer with none of the tokens that end a text (%s): "
            "a model trained with it does not learn to stop",
            resolved.name,
            tokenizer.eos_token,
        )


def choose_device(name: str) -> torch.device:
    """Return the device that `model.device` names; auto is cuda, else cpu.

    Not mps: it works on paper, and nobody has run it on a Mac yet.

    Raises:
        AxiomError: if it is not available on this machine.
    """
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        if available["mps"] and not available["cuda"]:
            _say_untried()
        return torch.device("cuda" if available["cuda"] else "cpu")
    if name not in available:
        raise AxiomError(f"model.device={name}: must be auto, {', '.join(available)}")
    if not available[name]:
        raise AxiomError(
            f"model.device={name}: PyTorch sees no such device here; type model.device=auto, or "
            "install the PyTorch build for this GPU"
        )
    return torch.device(name)


@functools.cache
def _say_untried() -> None:
    """Say it once."""
    logger.info(
        "model.device=auto takes the CPU: this Mac's GPU was never tried with this project; type "
        "model.device=mps to try it"
    )


def describe_device(device: torch.device) -> str:
    """Name a device: cpu, or cuda with the card's name, and how many others stay unused."""
    if device.type != "cuda":
        return str(device)
    others = torch.cuda.device_count() - 1
    unused = f", {others} more not used" if others else ""
    return f"{device} ({torch.cuda.get_device_name(device)}{unused})"


def choose_dtype(name: str, device: torch.device) -> torch.dtype:
    """Return the number format that `model.dtype` names.

    auto is bfloat16 where the device computes in it, else float32, which is then faster.

    Raises:
        AxiomError: for any other name.
    """
    if name in DTYPES:
        return DTYPES[name]
    if name != "auto":
        raise AxiomError(f"model.dtype={name}: must be auto, {', '.join(DTYPES)}")
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    elif device.type == "mps":
        fast = True
    else:
        able = torch.cpu.get_capabilities()
        fast = bool(able.get("avx512_bf16") or able.get("amx_bf16") or able.get("bf16"))
    return torch.bfloat16 if fast else torch.float32


def check_four_bit(device: torch.device) -> None:
    """Refuse 4-bit weights where they cannot be had.

    Raises:
        AxiomError: without an NVIDIA GPU or bitsandbytes.
    """
    if device.type != "cuda":
        raise AxiomError(
            "model.quantization=4bit needs an NVIDIA GPU and there is none here; type "
            "model.quantization=none"
        )
    if importlib.util.find_spec("bitsandbytes") is None:
        raise AxiomError(
            "model.quantization=4bit needs bitsandbytes: pip install 'axiom-rl[quantization]'"
        )


def _four_bit(device: torch.device, dtype: torch.dtype) -> dict[str, Any]:
    """Options for loading with 4-bit NF4 weights (QLoRA)."""
    check_four_bit(device)
    quantized = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )
    return {"quantization_config": quantized, "device_map": {"": device}}


def _generation_config(
    model: Any, tokenizer: PreTrainedTokenizerBase, folder: Path
) -> GenerationConfig:
    published = model.generation_config.eos_token_id if model.generation_config else None
    ends = published if isinstance(published, list) else [published]
    # transformers passes over a file that begins with a byte order mark
    ends = [tokenizer.eos_token_id, *ends, *published_ends(folder)]
    ids = dict.fromkeys(end for end in ends if end is not None)
    return GenerationConfig(eos_token_id=list(ids), pad_token_id=tokenizer.pad_token_id)
