"""A download from the hub that ends when nothing arrives any more."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from pathlib import Path

from huggingface_hub import constants

from axiom_rl.core.errors import AxiomError

STALL_S = 10.0
"""How long nothing may arrive."""


class StalledError(AxiomError):
    """The hub went silent in the middle of a download."""


def download(hub_id: str, revision: str | None, patterns: list[str]) -> Path:
    """Download the files of a repository that match into the hub's cache; return their folder.

    Raises:
        StalledError: if nothing arrives for STALL_S seconds.
        AxiomError: if the hub refuses or the connection breaks, saying why in one line.
    """
    arguments = {
        "repo_id": hub_id,
        "revision": revision,
        "allow_patterns": patterns,
        "endpoint": constants.ENDPOINT,
        "cache_dir": str(constants.HF_HUB_CACHE),
    }
    child = Path(__file__).with_name("download_child.py")
    command = [sys.executable, "-P", str(child), json.dumps(arguments)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        try:
            answer = _answer(process)
        finally:
            process.kill()
    if "folder" in answer:
        return Path(answer["folder"])
    raise AxiomError(f"the download broke off: {answer.get('error', 'its process ended')}")


def _answer(process: subprocess.Popen[bytes]) -> dict[str, str]:
    """Read what the child says, for as long as it says anything."""
    assert process.stdout is not None
    said = bytearray()
    while select.select([process.stdout], [], [], STALL_S)[0]:
        piece = os.read(process.stdout.fileno(), 65536)
        said += piece.lstrip(b".")
        if not piece:
            answer: dict[str, str] = json.loads(said or b"{}")
            return answer
    raise StalledError(
        f"the download stopped: nothing came for {STALL_S:.0f} s (what came is kept)"
    )
