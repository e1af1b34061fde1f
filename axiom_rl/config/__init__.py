"""Typed configuration: its schema, the rules of its values, and how Hydra's config becomes it.

Imports only the standard library, hydra and omegaconf.
"""

from axiom_rl.config import schema
from axiom_rl.config.checks import CONTROLS, EXPERTS, RULES, SELECTORS, SPLITS
from axiom_rl.config.explain import check_choices, explain
from axiom_rl.config.load import (
    RESUME_MAY_CHANGE,
    composed_option,
    load_config,
    pool_config,
    register_schemas,
    resumed_config,
    saved_yaml,
    to_config,
)
from axiom_rl.config.schema import *  # noqa: F403

__all__ = [  # noqa: PLE0604
    *schema.__all__,
    "CONTROLS",
    "EXPERTS",
    "RESUME_MAY_CHANGE",
    "RULES",
    "SELECTORS",
    "SPLITS",
    "check_choices",
    "composed_option",
    "explain",
    "load_config",
    "pool_config",
    "register_schemas",
    "resumed_config",
    "saved_yaml",
    "to_config",
]
