"""Keys of endpoints, which no log and no file may hold."""

from __future__ import annotations

import logging
import re

WIRE = ("openai", "httpx", "httpx2", "httpcore", "httpcore2")
"""Loggers of libraries that write what goes over the wire, headers included."""


def without_key(text: str, key: str) -> str:
    """Take a key ('' for none), and users and passwords of addresses, out of a text."""
    if key:
        text = text.replace(key, "***")
    text = re.sub(r"//[^/@\s'\"]+@", "//***@", text)
    return re.sub(r"(?i)\bbearer\s+[^\s'\",}]+", "Bearer ***", text)


def quiet_wire() -> None:
    """Keep headers out of the log, whatever was asked of it: an endpoint may send the key back."""
    for name in WIRE:
        logging.getLogger(name).setLevel(logging.WARNING)
