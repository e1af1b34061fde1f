"""Training, thin on TRL.

TRL's GRPO imports vLLM where it is installed, and vLLM changes the process that imports it: torch's
threads, its own log handlers, some of its functions. Sampling has a process of its own for that, so
vLLM is reported as missing here, before any of TRL's trainers is imported.
"""

from __future__ import annotations

from trl import import_utils


def _no_vllm(min_version: str | None = None) -> bool:
    return False


import_utils.is_vllm_available = _no_vllm
