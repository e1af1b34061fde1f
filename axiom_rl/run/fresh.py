"""A folder for each run: two that are started in the same second do not share one."""

from __future__ import annotations

from itertools import count
from pathlib import Path

_taken: dict[str, str] = {}
"""What this process took for each name, however often Hydra asks."""


def fresh_folder(wanted: str) -> str:
    """Make a folder of this name, or of it with _2, _3, ... where another process has it.

    It is the resolver `fresh` of conf/config.yaml. Where no folder can be made the name is
    returned as it is: Hydra then says what is wrong.
    """
    if wanted not in _taken:
        _taken[wanted] = _made(wanted)
    return _taken[wanted]


def _made(wanted: str) -> str:
    for number in count(1):
        folder = wanted if number == 1 else f"{wanted}_{number}"
        try:
            Path(folder).mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError:
            break
        return folder
    return wanted
