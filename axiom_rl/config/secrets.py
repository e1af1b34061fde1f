"""No key or password may stand in a config: it is written into run folders and sent to trackers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import SplitResult, urlsplit

from axiom_rl.config.schema import ApiTeacherConfig, Config, VllmServerConfig
from axiom_rl.core.errors import AxiomError

VARIABLE = r"[A-Z_][A-Z0-9_]{0,63}"
"""How the names of environment variables look that hold keys; keys themselves do not."""
SECRET = re.compile(
    r"api[-_]?key|authorization|password|passwd|secret|bearer|(access|auth|bearer)[-_]?token"
    r"|^(key|token)$",
    re.IGNORECASE,
)
LOOKS_LIKE_A_KEY = re.compile(
    r"\b(?:sk|pk|hf|gsk|xai)[-_](?=[A-Za-z_-]*\d)[A-Za-z0-9_-]{16,}|\bAIza[-_A-Za-z0-9]{16,}"
    r"|\bBearer\s+\S+"
)
"""A name such as skywork-o1-open-llama-8b is none."""
NAMED_IN_PATH = re.compile(r"(?i)(key|token|secret|passw\w*)=")
HOW = "export it as an environment variable and name that: teacher.key_env=OPENAI_API_KEY"
HOW_SERVER = "export it as VLLM_API_KEY, where the run reads it"


class TypedSecretError(AxiomError):
    """A key was typed as a value; what was typed must not be repeated beside this."""


def check_secrets(config: Config) -> None:
    """Refuse a key or password in the values of a teacher or a server, without repeating it.

    Raises:
        TypedSecretError: naming the config key.
        AxiomError: for an address that is none.
    """
    sampler = config.sampler
    if isinstance(sampler, VllmServerConfig) and sampler.url is not None:
        _check_url("sampler.url", sampler.url, HOW_SERVER)
    if isinstance(config.teacher, ApiTeacherConfig):
        _check_teacher(config.teacher)


def _check_teacher(teacher: ApiTeacherConfig) -> None:
    if teacher.url is not None:
        parts = _check_url("teacher.url", teacher.url, HOW)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise AxiomError(
                "teacher.url must be the endpoint's address up to the version, e.g. "
                "teacher.url=https://api.openai.com/v1"
            )
    if teacher.key_env is not None and not re.fullmatch(VARIABLE, teacher.key_env):
        raise TypedSecretError(
            "teacher.key_env is no name of an environment variable in capitals (is it the key "
            f"itself? config.yaml would keep it): {HOW}"
        )
    for key, value in _flat(teacher.extra, "teacher.extra"):
        secret = isinstance(value, str) and LOOKS_LIKE_A_KEY.search(value)
        if SECRET.search(key.rpartition(".")[2]) or secret:
            raise TypedSecretError(f"{key} looks like a key, which config.yaml would keep: {HOW}")
    if teacher.name is not None and LOOKS_LIKE_A_KEY.search(teacher.name):
        raise TypedSecretError(
            f"teacher.name looks like a key, which config.yaml would keep: {HOW}"
        )


def _check_url(key: str, url: str, how: str) -> SplitResult:
    """Return the parts of an address that holds no secret."""
    try:
        parts = urlsplit(url)
        user, _port = parts.username or parts.password, parts.port
    except ValueError:  # as of https://host:password/v1
        raise TypedSecretError(f"{key} is no address") from None
    if user or "@" in url:
        raise TypedSecretError(
            f"{key} holds a user or password, which config.yaml would keep: {how}"
        )
    named = NAMED_IN_PATH.search(parts.path) or LOOKS_LIKE_A_KEY.search(url)
    if parts.query or parts.fragment or named:
        raise TypedSecretError(
            f"{key} has more than an address and a path (a key? config.yaml would keep it): {how}"
        )
    return parts


def _flat(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        yield f"{prefix}.{key}", value
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}.{key}")
        elif isinstance(value, list):
            yield from ((f"{prefix}.{key}", item) for item in value)
