"""What vLLM's engine is made with on this machine, for this model."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, PreTrainedTokenizerBase

from axiom_rl.config import ModelConfig, VllmSamplerConfig
from axiom_rl.core.errors import AxiomError
from axiom_rl.models.load import choose_device, choose_dtype
from axiom_rl.models.lora.plain import check_plain_lora
from axiom_rl.models.memory import kv_cache_bytes_per_token
from axiom_rl.models.weights.source import ResolvedModel, published_ends
from axiom_rl.sampling.engine.process import EngineSettings

log = logging.getLogger(__name__)

RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""Largest ranks that vLLM prepares LoRA requests for."""


def engine_settings(
    resolved: ResolvedModel, model: ModelConfig, config: VllmSamplerConfig
) -> EngineSettings:
    """Return what the engine is made with on this machine.

    Raises:
        AxiomError: for a device, quantization or adapter that vLLM is not used with here.
    """
    device = choose_device(model.device)
    if device.type not in ("cpu", "cuda") or model.quantization != "none":
        raise AxiomError(
            "sampler=vllm runs on a CPU or an NVIDIA GPU with model.quantization=none, and this is "
            f"{device.type} with {model.quantization}: type sampler=transformers"
        )
    check_plain_lora(model.lora)
    shape = AutoConfig.from_pretrained(resolved.folder, local_files_only=True)
    dtype = choose_dtype(model.dtype, device)
    cache = int(config.memory_gb * 1e9) if device.type == "cpu" else None
    fitting = None if cache is None else cache // kv_cache_bytes_per_token(shape, dtype.itemsize)
    limits = [int(shape.max_position_embeddings), *([] if fitting is None else [fitting])]
    return EngineSettings(
        model=str(resolved.folder),
        device=device.type,
        dtype=str(dtype).removeprefix("torch."),
        context=min(limits),
        max_batch=config.max_batch,
        cache_bytes=cache,
        gpu_memory_utilization=config.gpu_memory_utilization,
        lora_rank=_rank(model.lora) if _way(config, device, dtype) == "lora" else None,
    )


def stop_tokens(folder: Path, tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    """Return the ids that end a text, as `load_model` has them."""
    listed: Any = published_ends(folder)
    if not (folder / "generation_config.json").is_file():
        named = AutoConfig.from_pretrained(folder, local_files_only=True).eos_token_id
        listed = named if isinstance(named, list) else [named]
    ids = dict.fromkeys(int(i) for i in (tokenizer.eos_token_id, *listed) if i is not None)
    return tuple(ids)


def _way(config: VllmSamplerConfig, device: torch.device, dtype: torch.dtype) -> str:
    """Return merge or lora; auto is what docs/development/performance.md has figures for."""
    if device.type == "cuda" and dtype == torch.float32:  # vLLM's LoRA kernels refuse float32
        if config.adapters == "lora":
            log.info(
                "sampler.adapters=lora: adapters are merged, for vLLM takes no LoRA requests with "
                "model.dtype=float32 on a GPU"
            )
        return "merge"
    if config.adapters != "auto":
        return config.adapters
    return "merge" if device.type == "cpu" else "lora"


def _rank(lora: dict[str, Any]) -> int:
    rank = int(lora.get("r", RANKS[0]))
    fitting = [most for most in RANKS if most >= rank]
    if not fitting:
        raise AxiomError(
            f"model.lora.r={rank}: vLLM's LoRA requests go up to {RANKS[-1]}; type "
            "sampler.adapters=merge"
        )
    return fitting[0]
