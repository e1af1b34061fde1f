"""Downloads a repository in a process of its own, which can be ended when the hub goes silent.

huggingface_hub waits a minute for a hub that hangs in the middle of a file, in threads that nothing
ends. Run as a script with a JSON object of arguments. Standard output carries a dot for every piece
that arrives, then a line of JSON: the folder, or the error.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from huggingface_hub import snapshot_download
from huggingface_hub.utils.tqdm import tqdm

OUT = os.dup(1)


class Beating(tqdm):
    """A progress bar that lets the parent know of every piece."""

    def update(self, n: float | None = 1) -> bool | None:
        """Count `n` bytes."""
        os.write(OUT, b".")
        shown: bool | None = super().update(n)
        return shown


def main() -> None:
    """Download what the arguments name."""
    os.dup2(2, 1)  # what libraries print is no message
    arguments: dict[str, Any] = json.loads(sys.argv[1])
    repository = arguments.pop("repo_id")
    try:
        folder = snapshot_download(repository, tqdm_class=Beating, **arguments)
        answer = {"folder": folder}
    except Exception as error:  # noqa: BLE001 (whatever a hub's answer leads to is said)
        answer = {"error": (str(error).strip() or type(error).__name__).splitlines()[0]}
    os.write(OUT, f"\n{json.dumps(answer)}\n".encode())


if __name__ == "__main__":
    main()
