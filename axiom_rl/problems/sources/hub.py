"""Data sets of the hub, asked for once: from its local cache where the hub does not answer."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

log = logging.getLogger(__name__)
REACH_S = 3.0
"""How long the hub may take to describe a data set before it counts as out of reach."""


def read_dataset(repository: str, configuration: str | None) -> list[dict[str, Any]]:
    """Return the rows of all splits of a data set.

    Args:
        repository: on the hub.
        configuration: of the data set; None: it has one.

    Raises:
        OSError: if it is neither in the local cache nor to be had from the hub.
        ValueError: if it has no such configuration.
    """
    datasets = import_module("datasets")  # heavy, and needed for this alone
    silence = _silence(repository)
    if silence:
        log.warning("%s: %s; the hub's local cache alone is asked", repository, silence)
    with _cache_alone(datasets, unless=not silence):
        parts = datasets.load_dataset(repository, configuration)
    return [dict(row) for part in parts.values() for row in part]


def _silence(repository: str) -> str:
    """Ask the hub for a data set's description; return why nothing came, '' for any answer."""
    hub = import_module("huggingface_hub")
    if hub.constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    told: list[str] = []

    def ask() -> None:
        try:
            hub.HfApi().dataset_info(repository, timeout=REACH_S)
            told.append("")
        except hub.errors.HfHubHTTPError:  # a refusal is an answer; loading will say which
            told.append("")
        except (import_module("httpx").HTTPError, OSError) as error:
            told.append(f"the hub does not answer: {error}")

    # A name server or a proxy that hangs obeys no time-out of ours, so the wait is a thread's.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(REACH_S)
    return told[0] if told else f"the hub does not answer within {REACH_S:.0f} s"


@contextmanager
def _cache_alone(datasets: Any, *, unless: bool) -> Iterator[None]:
    """Keep `datasets` from the network: it tries each file of each data set six times."""
    constants = import_module("huggingface_hub").constants
    places = (datasets.config, constants)
    before = [place.HF_HUB_OFFLINE for place in places]
    try:
        for place in places:
            place.HF_HUB_OFFLINE = place.HF_HUB_OFFLINE or not unless
        yield
    finally:
        for place, value in zip(places, before, strict=True):
            place.HF_HUB_OFFLINE = value
