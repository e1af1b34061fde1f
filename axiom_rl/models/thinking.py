"""The switch for thinking that some chat templates have."""

from __future__ import annotations

import logging
from dataclasses import replace

from axiom_rl.models.load import load_tokenizer
from axiom_rl.models.template import template_names
from axiom_rl.models.weights.source import ResolvedModel

log = logging.getLogger(__name__)

SWITCH = "enable_thinking"
STYLE = "think"


def with_thinking(resolved: ResolvedModel, style: str) -> ResolvedModel:
    """Return the model with its thinking switched on, where the style asks for it.

    Args:
        resolved: the model with its template.
        style: prompt style; any but think changes nothing.
    """
    values = resolved.chat_template_kwargs
    if style != STYLE or values.get(SWITCH) is True:
        return resolved
    if SWITCH not in values and SWITCH not in template_names(load_tokenizer(resolved)):
        return resolved
    log.info("model.chat_template_kwargs.%s=true, for the prompt asks to think", SWITCH)
    return replace(resolved, chat_template_kwargs={**values, SWITCH: True})
