"""Whether an adapter fits a model, found out from the model's config alone, before weights load.

The model is built without numbers (on PyTorch's meta device) and the adapter put on it, so PEFT
itself says which layers it changes and which tensors its file must hold.
"""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import peft
import torch
from peft import LoraConfig, PeftModel
from peft.tuners.lora import LoraLayer
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors import safe_open
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig

from axiom_rl.config.lora_options import REFUSED, check_lora_options
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_json
from axiom_rl.models.weights.source import refuse_broken_values

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
BASE_RECORD = "base_model.json"
"""Written beside an adapter: which weights it was trained on."""
OF_THE_ADAPTER = re.compile(r"\.lora_(A|B|magnitude_vector)\.")
"""Names of the weights that LoRA and DoRA train."""


def lora_config(lora: Mapping[str, Any]) -> LoraConfig:
    """Return the PEFT configuration of `model.lora`, for a causal language model.

    Raises:
        AxiomError: for an option that a run cannot honour, or a value that PEFT refuses.
    """
    check_lora_options(lora)
    given = {key: value for key, value in lora.items() if key not in REFUSED and value is not None}
    try:
        return LoraConfig(**{**given, "task_type": "CAUSAL_LM"})
    except (TypeError, ValueError) as error:
        raise AxiomError(f"model.lora: peft.LoraConfig refuses these options: {error}") from error


def model_config(folder: Path) -> PretrainedConfig:
    """Return the configuration of a model in Hugging Face format.

    Raises:
        AxiomError: if transformers cannot make sense of it.
    """
    try:
        config: PretrainedConfig = AutoConfig.from_pretrained(folder, local_files_only=True)
    except (ValueError, KeyError, OSError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise AxiomError(f"{folder / 'config.json'} cannot be used: {reason}") from error
    return config


def check_new_lora(config: PretrainedConfig, lora: Mapping[str, Any]) -> None:
    """Refuse options of a new adapter that do not fit the model.

    Raises:
        AxiomError: naming the layers or options.
    """
    check_new_layers(_outline(config, lora_config(lora)))


def check_adapter_fits(config: PretrainedConfig, folder: Path) -> None:
    """Refuse an adapter whose file does not hold exactly what its options put on the model.

    Raises:
        AxiomError: saying what is missing, surplus, of another shape, or no number.
    """
    try:
        options = LoraConfig.from_pretrained(str(folder))
    except ValueError as error:  # PEFT reads UTF-8 without a byte order mark alone
        raise AxiomError(f"{folder / CONFIG} is nothing that PEFT can read: {error}") from error
    options.init_lora_weights = True  # of no account: the file holds the weights
    options.base_model_name_or_path = None  # or PEFT warns that this outline has no name
    try:
        model = _outline(config, options)
        check_layers(model)
    except AxiomError as error:
        raise AxiomError(
            f"the adapter in {folder} cannot be used with this model: {error}; "
            f"{_trained_on(folder)}"
        ) from error
    wanted = peft.get_peft_model_state_dict(model, save_embedding_layers=False)
    shapes = {name: tuple(tensor.shape) for name, tensor in wanted.items()}
    with safe_open(folder / WEIGHTS, framework="pt") as stored:
        found = {name: tuple(stored.get_slice(name).get_shape()) for name in stored.keys()}  # noqa: SIM118
    for what, names in (
        ("lacks", shapes.keys() - found.keys()),
        ("has, beyond its options,", found.keys() - shapes.keys()),
        ("has another shape of", {name for name in shapes if shapes[name] != found.get(name)}),
    ):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            reason = f"{WEIGHTS} {what} {min(names)}{more}"
            raise AxiomError(
                f"the adapter in {folder} does not fit this model ({reason}); {_trained_on(folder)}"
            )
    try:
        refuse_broken_values(folder / WEIGHTS)
    except AxiomError as error:
        raise AxiomError(f"{error}, as after a training that diverged: name another one") from error


def _trained_on(folder: Path) -> str:
    return f"it was trained on {recorded_base(folder)}: choose that with model="


def recorded_base(folder: Path) -> str:
    """Return the name of the model that an adapter says it was trained on."""
    record = folder / BASE_RECORD
    if record.is_file():
        fields = read_json(record)
        if {"name", "format"} <= fields.keys():
            return f"{fields['name']} ({fields['format']})"
    config = read_json(folder / CONFIG)
    return str(config.get("base_model_name_or_path") or "a model it does not name")


def check_new_layers(model: PeftModel) -> None:
    """Refuse a new adapter as `check_layers` does, or if a part of its options is without effect.

    Raises:
        AxiomError: naming the layers or the option.
    """
    check_layers(model)
    base: Any = model.get_base_model()
    modules = dict(base.named_modules())
    adapted = [name for name, module in modules.items() if isinstance(module, LoraLayer)]
    options: Any = model.peft_config["default"]
    for key, pattern in _without_effect(options, adapted, list(modules)):
        raise AxiomError(f"model.lora.{key}: {pattern} matches no layer of the model")


def check_layers(model: PeftModel) -> None:
    """Refuse an adapter that changes more than linear layers of its own.

    What is left can be merged into those layers' weights with the same result, and every weight of
    the base that something else reads stays as it is.

    Args:
        model: a base model with the adapter on it.

    Raises:
        AxiomError: naming the layer or weight.
    """
    base: Any = model.get_base_model()
    ends = (base.get_input_embeddings(), base.get_output_embeddings())
    uses = Counter(id(weight) for _, weight in base.named_parameters(remove_duplicate=False))
    adapted = {n: m for n, m in base.named_modules() if isinstance(m, BaseTunerLayer)}
    for name, layer in adapted.items():
        inner: Any = layer.get_base_layer()
        linear = isinstance(layer, LoraLayer) and isinstance(inner, torch.nn.Linear)
        if not linear or layer in ends or uses[id(inner.weight)] > 1:
            raise AxiomError(
                f"model.lora.target_modules: {name} ({type(inner).__name__}) cannot be adapted: "
                "only linear layers inside the blocks can, whose weights nothing else uses; "
                "choose all-linear or a list of those"
            )
    for name, weight in model.named_parameters():
        if weight.requires_grad and not OF_THE_ADAPTER.search(name):
            raise AxiomError(f"model.lora would train {name}, which is of the base; leave that out")


def _without_effect(
    options: LoraConfig, adapted: list[str], modules: list[str]
) -> Iterator[tuple[str, object]]:
    """Yield options, and the part of each, that PEFT would pass over without effect."""

    def ends_with(name: str, end: str) -> bool:
        return name == end or name.endswith(f".{end}")

    for key in ("rank_pattern", "alpha_pattern"):
        for pattern in getattr(options, key) or {}:  # matched as PEFT does, from a dot to the end
            if not any(re.match(rf"(.*\.)?({pattern})$", name) for name in adapted):
                yield key, pattern
    for key in ("target_modules", "exclude_modules"):
        given = getattr(options, key) or ()
        if isinstance(given, str):
            if not any(re.fullmatch(given, name) for name in modules):
                yield key, given
            continue
        for end in sorted(given):
            if not any(ends_with(name, end) for name in modules):
                yield key, end
    wanted = options.layers_to_transform
    present = {int(n) for name in adapted for n in re.findall(r"(?<=\.)\d+(?=\.)", name)}
    for index in [wanted] if isinstance(wanted, int) else wanted or ():
        if index not in present:
            yield "layers_to_transform", index


@contextmanager
def refusing_instead() -> Iterator[None]:
    """Leave out PEFT's warnings of what `check_layers` refuses."""
    with warnings.catch_warnings():
        for text in (
            "did not match any targeted module",
            "no modules were excluded",
            "a tied layer is part of the adapter",
        ):
            warnings.filterwarnings("ignore", message=f".*{text}")
        yield


def _outline(config: PretrainedConfig, options: LoraConfig) -> PeftModel:
    try:
        with torch.device("meta"), refusing_instead():
            model = AutoModelForCausalLM.from_config(config)
            return peft.get_peft_model(model, options, low_cpu_mem_usage=True)
    except (ValueError, re.error) as error:
        raise AxiomError(f"model.lora does not fit this model: {error}") from error
