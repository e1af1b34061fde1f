"""What an adapter's folder says of itself: the base model it is for, and a card to read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from axiom_rl.core.files import read_json, write_json, write_text
from axiom_rl.models.lora.fit import CONFIG
from axiom_rl.models.weights.source import ResolvedModel


def describe_adapter(folder: Path, resolved: ResolvedModel, how: str = "") -> None:
    """Name the base in adapter_config.json as others know it, and write the card (README.md).

    PEFT writes the base's folder on this machine, and a card of empty headings.

    Args:
        folder: that PEFT saved an adapter to.
        resolved: the weights of the base.
        how: the adapter was trained.
    """
    for file in (folder / CONFIG, *folder.glob(f"*/{CONFIG}")):  # GRPO's reference has its own
        options = read_json(file)
        options["base_model_name_or_path"] = _known_as(resolved)
        options["revision"] = resolved.hub_revision or None
        write_json(file, options)
    options = read_json(folder / CONFIG)
    write_text(folder / "README.md", _adapter_card(resolved, options, how))


def describe_merged(folder: Path, resolved: ResolvedModel) -> None:
    """Write the card of a merged model."""
    lines = [
        *_head(resolved, library="transformers", relation="finetune"),
        f"# {resolved.name} with an adapter merged in",
        "",
        f"Weights of {_base_line(resolved)} plus a LoRA adapter that axiom-rl trained on programs "
        "checked by running them against tests.",
        "",
        *_licence(resolved),
    ]
    write_text(folder / "README.md", "\n".join(lines) + "\n")


def _known_as(resolved: ResolvedModel) -> str:
    return resolved.hub_id or resolved.name


def _head(resolved: ResolvedModel, *, library: str, relation: str) -> list[str]:
    named = [f"base_model: {resolved.hub_id}"] if resolved.hub_id else []
    return [
        "---",
        *named,
        *([f"base_model_relation: {relation}"] if named else []),
        f"library_name: {library}",
        "pipeline_tag: text-generation",
        "tags:",
        "- axiom-rl",
        "- code",
        *(["- lora"] if library == "peft" else []),
        "---",
        "",
    ]


def _base_line(resolved: ResolvedModel) -> str:
    revision = f" at revision {resolved.hub_revision}" if resolved.hub_revision else ""
    return f"{_known_as(resolved)}{revision}"


def _adapter_card(resolved: ResolvedModel, options: dict[str, Any], how: str) -> str:
    targets = options["target_modules"]
    layers = targets if isinstance(targets, str) else ", ".join(sorted(targets))
    kind = "DoRA" if options.get("use_dora") else "LoRA"
    scaled = ", rank-stabilised" if options.get("use_rslora") else ""
    revision = f', revision="{resolved.hub_revision}"' if resolved.hub_revision else ""
    lines = [
        *_head(resolved, library="peft", relation="adapter"),
        f"# {kind} adapter for {resolved.name}",
        "",
        f"- Base model: {_base_line(resolved)}",
        f"- Weights it was trained on: {resolved.format}, SHA-256 {resolved.sha256}",
        f"- Adapter: {kind} of rank {options['r']}, alpha {options['lora_alpha']}{scaled}, on "
        f"{layers}",
        f"- Trained by axiom-rl: {how or 'on programs checked by running them against tests'}",
        "",
    ]
    if "dequantised" in resolved.format:
        lines += [
            "The base was dequantised from a GGUF file, so its weights differ a little from the "
            "published ones, and with them the scores.",
            "",
        ]
    lines += [
        "```python",
        "from peft import PeftModel",
        "from transformers import AutoModelForCausalLM",
        "",
        f'base = AutoModelForCausalLM.from_pretrained("{_known_as(resolved)}"{revision})',
        'model = PeftModel.from_pretrained(base, "the folder of this file")',
        "```",
        "",
        *_licence(resolved),
    ]
    return "\n".join(lines) + "\n"


def _licence(resolved: ResolvedModel) -> list[str]:
    return [
        f"The licence of {_known_as(resolved)} holds for what is made of its weights; see there "
        "before publishing this."
    ]
