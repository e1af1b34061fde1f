"""Which options of PEFT's LoRA a run honours, in model.lora and in an adapter's own config alike.

Honoured means: the logits that are trained are those that are sampled, evaluated, exported and
reloaded, and the base stays as it was. Every field of peft.LoraConfig is allowed, PEFT's own to
write, or refused; tests/models/test_lora_options.py walks the fields and proves both lists.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from axiom_rl.core.errors import AxiomError
from axiom_rl.core.text import did_you_mean


def _count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf


def _names(value: Any) -> bool:
    if isinstance(value, list | tuple | set):
        return bool(value) and all(isinstance(name, str) and name for name in value)
    return isinstance(value, str) and bool(value)


def _indices(value: Any) -> bool:
    values = value if isinstance(value, list) else [value]
    return bool(values) and all(type(index) is int and index >= 0 for index in values)


def _pattern(each: Callable[[Any], bool]) -> Callable[[Any], bool]:
    def check(value: Any) -> bool:
        return value is None or (isinstance(value, dict) and all(map(each, value.values())))

    return check


def _nothing_or(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or check(value)


INITS = (True, False, "gaussian", "orthogonal")
"""Starts of the two matrices that leave the base's weights alone."""

ALLOWED: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "r": (_count, "a whole number above 0"),
    "lora_alpha": (_number, "a number above 0"),
    "lora_dropout": (
        lambda value: (value == 0 and value is not False) or (_number(value) and value < 1),
        "a number from 0 to below 1",
    ),
    "target_modules": (_names, "all-linear, a list of layer names, or a regular expression"),
    "exclude_modules": (_nothing_or(_names), "a list of layer names, or a regular expression"),
    "use_rslora": (lambda value: isinstance(value, bool), "true or false"),
    "use_dora": (lambda value: isinstance(value, bool), "true or false"),
    "init_lora_weights": (
        lambda value: type(value) in (bool, str) and value in INITS,
        "true, false, gaussian or orthogonal (others alter the base's weights, or need data)",
    ),
    "layers_to_transform": (_nothing_or(_indices), "a list of layer numbers from 0"),
    "layers_pattern": (_nothing_or(_names), "the name of the list of layers"),
    "rank_pattern": (_pattern(_count), "layer names with whole numbers above 0"),
    "alpha_pattern": (_pattern(_number), "layer names with numbers above 0"),
    "task_type": (lambda value: value in ("CAUSAL_LM", None), "CAUSAL_LM"),
    "peft_type": (lambda value: value == "LORA", "LORA"),
}
"""Options that a run honours, with the values that they may have."""

WRITTEN_BY_PEFT = frozenset(
    ["auto_mapping", "peft_version", "base_model_name_or_path", "revision", "inference_mode"]
)
"""What an adapter's own config says beside its options; not for model.lora."""

_NOT_ALONE = "an adapter is LoRA's matrices alone, and this trains weights of the base too"
_OTHER_FORWARD = "no merged weights compute the same, so it could not be sampled or exported"
_ALTERS_BASE = "it alters the base's weights"
REFUSED: Mapping[str, tuple[Any, str]] = {
    "fan_in_fan_out": (False, "it is for layers of GPT-2"),
    "bias": ("none", _NOT_ALONE),
    "modules_to_save": (None, _NOT_ALONE),
    "trainable_token_indices": (None, _NOT_ALONE),
    "lora_bias": (False, "the layers of most models have no bias to merge it into"),
    "layer_replication": (None, "it makes another model than the base"),
    "target_parameters": (None, "only linear layers are adapted"),
    "ensure_weight_tying": (False, "embeddings and the output layer are not adapted"),
    "megatron_config": (None, "a run trains in one process on one device"),
    "megatron_core": ("megatron.core", "a run trains in one process on one device"),
    "runtime_config": (None, "it is not saved with an adapter"),
    "loftq_config": ({}, _ALTERS_BASE),
    "eva_config": (None, "it needs data before the training"),
    "corda_config": (None, _ALTERS_BASE),
    "lora_ga_config": (None, _ALTERS_BASE),
    "kasa_config": (None, _ALTERS_BASE),
    "velora_config": (None, "its gradients are not LoRA's, and it is not tested"),
    "monteclora_config": (None, _OTHER_FORWARD),
    "alora_invocation_tokens": (None, _OTHER_FORWARD),
    "arrow_config": (None, _OTHER_FORWARD),
    "use_qalora": (False, "it is for GPTQ weights"),
    "qalora_group_size": (16, "it is for GPTQ weights"),
    "use_bdlora": (None, "it is for servers of many adapters, and is not tested"),
}
"""PEFT's defaults of what a run cannot honour, and why; a config may say the default."""

NEVER_NULL = ("bias", "rank_pattern", "alpha_pattern")
"""What PEFT reads in an adapter's own config without asking whether it is null."""

UNTOUCHED = ("embed_tokens", "lm_head", "wte", "embed_in", "embed_out")
"""Names of embeddings and output layers, which are often one matrix and never adapted."""


def check_lora_options(options: Mapping[str, Any], source: str = "model.lora") -> None:
    """Refuse options with which a run would not do what they say.

    Args:
        options: of peft.LoraConfig.
        source: named in errors: `model.lora`, or the adapter's file that holds the options.

    Raises:
        AxiomError: naming the option, and the reason or what it may be.
    """
    ours = source == "model.lora"
    for key, value in options.items():
        name = f"{source}.{key}" if ours else f"{source}: {key}"
        if value is None and key in NEVER_NULL and not ours:
            raise AxiomError(f"{name}=null is nothing that PEFT can read; leave it out")
        if key in ALLOWED:
            fine, wanted = ALLOWED[key]
            if not fine(value):
                raise AxiomError(f"{name}={value}: must be {wanted}")
        elif key in REFUSED:
            default, reason = REFUSED[key]
            if value != default and not _empty(value):
                raise AxiomError(f"{name}={value} is not supported: {reason}; leave it out")
        elif key in WRITTEN_BY_PEFT:
            if ours:
                raise AxiomError(f"{name} is written by the run itself; leave it out")
        elif ours:
            hint = did_you_mean(key, sorted(ALLOWED.keys() | REFUSED.keys()), before="; ")
            raise AxiomError(f"{name}: peft.LoraConfig has no such option{hint}")
        elif not _empty(value):
            raise AxiomError(
                f"{name}={value} is an option that this version of PEFT does not know; train an "
                "adapter without it"
            )
    _check_targets(options, source)
    ranks = [options.get("r", 8), *(options.get("rank_pattern") or {}).values()]
    if options.get("init_lora_weights") == "orthogonal" and any(rank % 2 for rank in ranks):
        raise AxiomError(f"{source}: init_lora_weights=orthogonal needs even ranks, not {ranks}")


def _check_targets(options: Mapping[str, Any], source: str) -> None:
    targets = options.get("target_modules")
    named = [targets] if isinstance(targets, str) else list(targets or ())
    for target in named:
        if target.rpartition(".")[2] in UNTOUCHED:
            raise AxiomError(
                f"{source}{'.' if source == 'model.lora' else ': '}target_modules: {target} cannot "
                "be adapted: input and output embeddings are often one matrix, which the trained "
                "model would use with the adapter in one place and without it in the other; choose "
                "all-linear or a list of the layers inside the blocks"
            )


def _empty(value: Any) -> bool:
    return value is None or value is False or value in ([], {}, ())
