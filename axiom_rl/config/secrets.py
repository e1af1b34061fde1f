"""No key or password may stand in a config: it is written into run folders and sent to trackers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from axiom_rl.config.schema import ApiTeacherConfig, TeacherConfig
from axiom_rl.core.errors import AxiomError

VARIABLE = r"[A-Z_][A-Z0-9_]{0,63}"
"""How the names of environment variables look that hold keys; keys themselves do not."""
SECRET = re.compile(
    r"api[-_]?key|authorization|password|passwd|secret|bearer|(access|auth|bearer)[-_]?token"
    r"|^(key|token)$",
    re.IGNORECASE,
)
LOOKS_LIKE_A_KEY = re.compile(r"\b(?:sk|pk|hf|gsk|xai|AIza)[-_]?[A-Za-z0-9_-]{16,}|\bBearer\s+\S+")
HOW = "export it as an environment variable and name that: teacher.key_env=OPENAI_API_KEY"


def check_secrets(teacher: TeacherConfig) -> None:
    """Refuse a key or password in the values of a teacher; the message does not repeat it.

    Raises:
        AxiomError: naming the config key.
    """
    if not isinstance(teacher, ApiTeacherConfig):
        return
    if teacher.url is not None:
        _check_url(teacher.url)
    if teacher.key_env is not None and not re.fullmatch(VARIABLE, teacher.key_env):
        raise AxiomError(
            "teacher.key_env is no name of an environment variable in capitals (is it the key "
            f"itself? config.yaml would keep it): {HOW}"
        )
    for key, value in _flat(teacher.extra, "teacher.extra"):
        secret = isinstance(value, str) and LOOKS_LIKE_A_KEY.search(value)
        if SECRET.search(key.rpartition(".")[2]) or secret:
            raise AxiomError(f"{key} looks like a key, which config.yaml would keep: {HOW}")
    if teacher.name is not None and LOOKS_LIKE_A_KEY.search(teacher.name):
        raise AxiomError(f"teacher.name looks like a key, which config.yaml would keep: {HOW}")


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        host, user = parts.hostname, parts.username or parts.password
        _port = parts.port
    except ValueError:
        raise AxiomError("teacher.url is no address") from None
    if user or "@" in url:
        raise AxiomError(
            f"teacher.url holds a user or password, which config.yaml would keep: {HOW}"
        )
    if parts.query or parts.fragment or LOOKS_LIKE_A_KEY.search(url):
        raise AxiomError(
            f"teacher.url has more than an address and a path (a key? config.yaml would keep it): "
            f"{HOW}"
        )
    if parts.scheme not in ("http", "https") or not host:
        raise AxiomError(
            "teacher.url must be the endpoint's address up to the version, e.g. "
            "teacher.url=https://api.openai.com/v1"
        )


def _flat(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        yield f"{prefix}.{key}", value
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}.{key}")
        elif isinstance(value, list):
            yield from ((f"{prefix}.{key}", item) for item in value)
