"""The Hugging Face hub and its local cache as sources of weights."""

from __future__ import annotations

import threading
from pathlib import Path

import httpx
from huggingface_hub import HfApi, constants, snapshot_download, try_to_load_from_cache
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import ModelInfo

from axiom_rl.core.errors import AxiomError
from axiom_rl.models.weights.cache import check_free_disk

REACH_S = 5.0
"""How long the hub may take to describe a repository before it counts as unreachable."""

FILES = ["*.safetensors", "*.json", "*.jinja", "merges.txt"]


def cached_snapshot(hub_id: str, revision: str) -> Path:
    """Return the folder of a repository in the hub's local cache, whole or not.

    Raises:
        AxiomError: if nothing of it is there.
    """
    config = try_to_load_from_cache(hub_id, "config.json", revision=revision)
    if not isinstance(config, str):
        raise AxiomError("not in the hub's local cache")
    return Path(config).parent


def fetch_snapshot(hub_id: str, revision: str) -> Path:
    """Download the model's safetensors, configuration and tokenizer into the hub's cache.

    Raises:
        AxiomError: if the hub is off, out of reach, refuses, or the disk is too full.
    """
    if constants.HF_HUB_OFFLINE:
        raise AxiomError("HF_HUB_OFFLINE is set")
    info = _ask(hub_id, revision)
    size = sum(file.size or 0 for file in info.siblings or [] if _wanted(file.rfilename))
    check_free_disk(Path(constants.HF_HUB_CACHE), size, f"downloading {hub_id}")
    try:
        folder = snapshot_download(hub_id, revision=info.sha, allow_patterns=FILES)
    except (httpx.HTTPError, HfHubHTTPError, LocalEntryNotFoundError) as error:
        raise AxiomError(f"the download broke off: {_first_line(error)}") from error
    return Path(folder)


def _ask(hub_id: str, revision: str) -> ModelInfo:
    """Describe the repository, within REACH_S however the network hangs."""
    answer: list[ModelInfo] = []
    failure: list[str] = []

    def ask() -> None:
        try:
            answer.append(
                HfApi().model_info(hub_id, revision=revision, timeout=4, files_metadata=True)
            )
        except GatedRepoError:
            failure.append(
                f"{hub_id} asks you to accept its licence on the hub, then: hf auth login"
            )
        except (RepositoryNotFoundError, RevisionNotFoundError) as error:
            failure.append(f"the hub has no {hub_id} at {revision}: {_first_line(error)}")
        except (httpx.HTTPError, HfHubHTTPError, OfflineModeIsEnabled, OSError) as error:
            failure.append(f"no answer: {_first_line(error)}")

    # A name server or a proxy that hangs obeys no time-out of ours, so the wait is a thread's.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(REACH_S)
    if answer:
        return answer[0]
    raise AxiomError(failure[0] if failure else f"no answer within {REACH_S:.0f} s")


def _wanted(name: str) -> bool:
    return any(Path(name).match(pattern) for pattern in FILES)


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
