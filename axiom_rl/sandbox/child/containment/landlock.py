"""Landlock: what can be read is the standard library, and nothing can be written or reached."""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from . import kernel

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
WRITE_FILE, READ_FILE, READ_DIR = 1 << 1, 1 << 2, 1 << 3
FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
"""Number of file rights by version of the interface; newer versions have at least these."""
NETWORK_RIGHTS = 0b11
"""Bind and connect by TCP, from version 4."""
SCOPES = 0b11
"""Abstract unix sockets and signals that leave the sandbox, from version 6."""

_RULESET = struct.Struct("=QQQ")
_PATH_RULE = struct.Struct("=Qi")
FORBIDDEN = frozenset({"site-packages", "dist-packages"})
"""Not part of the standard library, though within its folder: hidden tests may be installed."""
_FILES = ("/etc/ld.so.cache", "/etc/localtime", "/dev/zero", "/dev/urandom", "/dev/random")
_FOLDERS = ("/usr/share/zoneinfo",)
LIBRARY_FOLDERS = ("/lib", "/usr/lib", "/lib64", "/usr/lib64", "/usr/local/lib")


def restrict(readable: Iterable[str]) -> int:
    """Close files and network for this process and its children; returns the interface's version.

    Args:
        readable: folders and files that stay readable besides the standard library.

    Raises:
        OSError: where the kernel lacks Landlock or refuses.
    """
    version = kernel.syscall("landlock_create_ruleset", CREATE_RULESET, None, 0, 1)
    files = (1 << FILE_RIGHTS[min(version, 5)]) - 1
    network = NETWORK_RIGHTS if version >= 4 else 0
    scopes = SCOPES if version >= 6 else 0
    attributes = _RULESET.pack(files, network, scopes)
    size = 8 if version < 4 else 16 if version < 6 else 24
    ruleset = kernel.syscall("landlock_create_ruleset", CREATE_RULESET, attributes, size, 0)
    try:
        for path, rights in rules(readable):
            _allow(ruleset, path, rights)
        kernel.syscall("landlock_restrict_self", RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)
    return version


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # not on this machine
    try:
        rule = ctypes.create_string_buffer(_PATH_RULE.pack(rights, descriptor))
        kernel.syscall("landlock_add_rule", ADD_RULE, ruleset, 1, rule, 0)
    finally:
        os.close(descriptor)


def rules(readable: Iterable[str]) -> Iterator[tuple[str, int]]:
    """Yield every path that can be opened, with its rights."""
    yield "/dev/null", READ_FILE | WRITE_FILE
    for path in _FILES:
        yield path, READ_FILE
    for path in [*_FOLDERS, *readable, *standard_library(), *shared_libraries()]:
        yield path, READ_FILE | READ_DIR if Path(path).is_dir() else READ_FILE
    yield str(Path(os.__file__).parent), READ_DIR


def library_folders() -> list[Path]:
    """Return the folders of the standard library: its modules and its extensions."""
    folders = {Path(os.__file__).parent}
    folders.update(Path(entry) for entry in sys.path if entry.endswith("lib-dynload"))
    return sorted(folders)


def standard_library() -> Iterator[str]:
    """Yield what stands in the folders of the standard library, without installed packages."""
    for folder in library_folders():
        if folder.is_dir():
            yield from (str(entry) for entry in folder.iterdir() if entry.name not in FORBIDDEN)


def shared_libraries() -> Iterator[str]:
    """Yield the shared libraries that extension modules of the standard library may need."""
    folders = {*LIBRARY_FOLDERS, f"{sys.base_prefix}/lib"}
    for folder in sorted({str(Path(entry).resolve()) for entry in folders}):
        place = Path(folder)
        if place.is_dir():
            yield from map(str, place.glob("*-linux-gnu*"))
            yield from map(str, place.glob("*.so*"))
