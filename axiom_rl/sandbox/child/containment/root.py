"""A root of the server's own: of the machine's files, only those that a candidate may read exist.

Landlock refuses to open a file, but not to ask for its size and owner. Here the rest is not there:
an empty file system in memory, read-only, in which the standard library is mounted where it was. It
needs a mount namespace.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable
from pathlib import Path

from . import kernel, landlock

NO_SUID, NO_DEVICES, BIND, RECURSIVE, PRIVATE = 2, 4, 1 << 12, 1 << 14, 1 << 18
DETACH = 2
MOUNT_SETATTR, PIVOT_ROOT = 442, {"x86_64": 155, "aarch64": 41}
AT_FDCWD, AT_RECURSIVE = -100, 0x8000
READ_ONLY, SETATTR_NO_SUID = 1, 2
BASE = "/sys"
"""A folder in which nothing readable lies; the new root covers it, in this namespace alone."""
EMPTY = "size=1m,nr_inodes=8k,mode=755"


def enter(readable: Iterable[str]) -> None:
    """Make a root that holds what Landlock's rules name, and go into it, for good.

    Raises:
        OSError: where the kernel refuses; the old root is then still in place.
    """
    kernel.mount("none", "/", None, RECURSIVE | PRIVATE, None)
    kernel.mount("none", BASE, "tmpfs", NO_SUID | NO_DEVICES, EMPTY)
    try:
        _fill(readable)
        attributes = ctypes.create_string_buffer(
            struct.pack("=QQQQ", READ_ONLY | SETATTR_NO_SUID, 0, 0, 0)
        )
        flags, base = ctypes.c_uint(AT_RECURSIVE), BASE.encode()
        kernel.syscall("mount_setattr", MOUNT_SETATTR, AT_FDCWD, base, flags, attributes, 32)
        os.chdir(BASE)
        kernel.syscall("pivot_root", PIVOT_ROOT[kernel.machine()], b".", b".")
    except OSError:
        kernel.unmount(BASE, DETACH)
        raise
    kernel.unmount(".", DETACH)  # the old root, which now lies over the new one
    os.chdir("/")


def _fill(readable: Iterable[str]) -> None:
    folders = landlock.library_folders()
    bound: list[Path] = []
    for folder in folders:
        _bind(folder, bound)
    for folder in folders:
        for name in landlock.FORBIDDEN:
            if (folder / name).is_dir():
                kernel.mount("none", f"{BASE}{folder / name}", "tmpfs", NO_SUID | NO_DEVICES, EMPTY)
                bound.append(folder / name)
    for link in map(Path, landlock.LIBRARY_FOLDERS):
        if link.is_symlink():
            Path(f"{BASE}{link}").parent.mkdir(parents=True, exist_ok=True)
            Path(f"{BASE}{link}").symlink_to(link.readlink())
    for path, _rights in landlock.rules(readable):
        _bind(Path(path), bound)


def _bind(place: Path, bound: list[Path]) -> None:
    """Show a file or folder of the machine at its own path, unless it can be seen already."""
    over = max((entry for entry in bound if place.is_relative_to(entry)), default=None, key=_depth)
    if not place.exists() or (over is not None and over.name not in landlock.FORBIDDEN):
        return
    target = Path(f"{BASE}{place}")
    if place.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        bound.append(place)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    kernel.mount(str(place), str(target), None, BIND | RECURSIVE, None)


def _depth(path: Path) -> int:
    return len(path.parts)
