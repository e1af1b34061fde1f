"""Every key has a meaning, and the manual's page of options is the schema's."""

from __future__ import annotations

from dataclasses import fields, is_dataclass

import pytest

from axiom_rl.config.describe import GROUPS, keys_of, options, options_page
from axiom_rl.config.schema import CONF_DIR, SCHEMAS

pytestmark = pytest.mark.slow
"""Every option of every group is composed; pages of the manual are CI's."""
VERBATIM = ("args", "lora", "chat_template_kwargs")
"""Keys under these are TRL's, PEFT's or a template's own."""


def test_the_page_of_options_is_the_schemas() -> None:
    page = CONF_DIR.parent / "docs" / "reference" / "options.md"
    assert page.read_text(encoding="utf-8") == options_page(), (
        "run: python -m axiom_rl.config.describe"
    )


def test_every_key_of_the_schema_says_what_it_means() -> None:
    silent = {
        key.name
        for group in GROUPS
        for option in options(group)
        for key in keys_of(group, option)
        if not key.meaning and not any(f".{of}." in key.name for of in VERBATIM)
    }
    nested = {field.name for schema in SCHEMAS.values() for field in fields(schema)}
    assert nested and all(map(is_dataclass, SCHEMAS.values()))
    assert not silent, sorted(silent)
