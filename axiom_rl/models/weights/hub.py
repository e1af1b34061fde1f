"""The Hugging Face hub and its local cache as sources of weights."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from pathlib import Path

import httpx
from huggingface_hub import HfApi, constants, try_to_load_from_cache
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import ModelInfo

from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_json, write_json
from axiom_rl.models.weights.cache import cache_dir, check_free_disk
from axiom_rl.models.weights.download import StalledError, download

REACH_S = 3.0
"""How long the hub may take to describe a repository before it counts as unreachable."""

QUIET_S = 600.0
"""How long a hub that could not be reached is not asked again."""

FILES = ["*.safetensors", "*.json", "*.jinja", "merges.txt"]


def check_hub_id(hub_id: str) -> None:
    """Refuse what is no name of a repository on the hub.

    Raises:
        AxiomError: saying what to type instead.
    """
    if re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", hub_id, flags=re.ASCII):
        return
    if hub_id and Path(hub_id).expanduser().exists():
        raise AxiomError(f"model.hub_id={hub_id} is a place on this disk: type model.path={hub_id}")
    raise AxiomError(f"model.hub_id={hub_id} is no name on the hub; it has the form OWNER/MODEL")


def cached_snapshot(hub_id: str, revision: str) -> Path:
    """Return the folder of a repository in the hub's local cache, whole or not.

    Raises:
        AxiomError: if nothing of it is there at that revision, naming those that are.
    """
    check_hub_id(hub_id)
    try:
        config = try_to_load_from_cache(hub_id, "config.json", revision=revision)
    except (HFValidationError, ValueError, OSError) as error:
        raise AxiomError(f"model.revision={revision}: {_first_line(error)}") from error
    if isinstance(config, str):
        return Path(config).parent
    repository = Path(constants.HF_HUB_CACHE) / f"models--{hub_id.replace('/', '--')}"
    others = sorted(folder.name for folder in repository.glob("snapshots/*"))
    if others:
        raise AxiomError(
            f"not in the hub's local cache at {revision}, only at {', '.join(others)}: type "
            f"model.revision={others[0]} for that"
        )
    raise AxiomError("not in the hub's local cache")


def fetch_snapshot(hub_id: str, revision: str) -> Path:
    """Download the model's safetensors, configuration and tokenizer into the hub's cache.

    Raises:
        AxiomError: if the hub is off, out of reach now or in the last QUIET_S seconds, refuses,
            goes silent in the middle, or the disk is too full.
    """
    check_hub_id(hub_id)
    if constants.HF_HUB_OFFLINE:
        raise AxiomError("HF_HUB_OFFLINE is set")
    _refuse_if_quiet()
    info = _ask(hub_id, revision)
    size = sum(file.size or 0 for file in info.siblings or [] if _wanted(file.rfilename))
    check_free_disk(Path(constants.HF_HUB_CACHE), size, f"downloading {hub_id}")
    try:
        return download(hub_id, info.sha, FILES)
    except StalledError as error:
        _remember(str(error))
        raise


def _ask(hub_id: str, revision: str) -> ModelInfo:
    """Describe the repository, within REACH_S however the network hangs."""
    answer: list[ModelInfo] = []
    failure: list[str] = []
    silence: list[str] = []

    def ask() -> None:
        try:
            answer.append(
                HfApi().model_info(hub_id, revision=revision, timeout=REACH_S, files_metadata=True)
            )
        except GatedRepoError:
            failure.append(
                f"{hub_id} asks you to accept its licence on the hub, then: hf auth login"
            )
        except RevisionNotFoundError:
            failure.append(
                f"{hub_id} has no revision {revision}: type model.revision=main, or a commit of it"
            )
        except RepositoryNotFoundError as error:
            failure.append(f"the hub has no {hub_id}: {_first_line(error)}")
        except HFValidationError as error:
            failure.append(_first_line(error))
        except HfHubHTTPError as error:
            failure.append(f"the hub refuses: {_first_line(error)}")
        except (httpx.HTTPError, OfflineModeIsEnabled, OSError) as error:
            silence.append(f"no answer: {_first_line(error)}")

    # A name server or a proxy that hangs obeys no time-out of ours, so the wait is a thread's.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(REACH_S)
    if answer:
        return answer[0]
    if failure:
        raise AxiomError(failure[0])
    reason = silence[0] if silence else f"no answer within {REACH_S:.0f} s"
    _remember(reason)
    raise AxiomError(reason)


def _remember(reason: str) -> None:
    with contextlib.suppress(AxiomError):  # a cache that cannot be written costs time alone
        write_json(_silent(), {"endpoint": _endpoint(), "at": time.time(), "reason": reason})


def _refuse_if_quiet() -> None:
    """Raise AxiomError if the hub could not be reached a short while ago."""
    record: object = None
    with contextlib.suppress(AxiomError):  # nothing remembered, or cut off
        record = read_json(_silent())
    if not isinstance(record, dict) or record.get("endpoint") != _endpoint():
        return
    at = record.get("at")
    if not isinstance(at, int | float) or not 0 <= time.time() - at < QUIET_S:
        return
    raise AxiomError(
        f"{record.get('reason')}, {(time.time() - at) / 60:.0f} min ago; it is asked again "
        f"{QUIET_S / 60:.0f} min after that, or at once without {_silent()}"
    )


def _silent() -> Path:
    """Where it is remembered that the hub could not be reached."""
    return cache_dir() / "hub_out_of_reach.json"


def _endpoint() -> str:
    return str(constants.ENDPOINT)


def _wanted(name: str) -> bool:
    return any(Path(name).match(pattern) for pattern in FILES)


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
