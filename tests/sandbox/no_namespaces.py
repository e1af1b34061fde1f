"""Runs a command where `unshare` is refused, as in a container with the default filter.

python tests/sandbox/no_namespaces.py python -m pytest tests/verify/test_attacks.py
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys

UNSHARE = {"x86_64": 272, "aarch64": 97}
SECCOMP = {"x86_64": 317, "aarch64": 277}
NO_NEW_PRIVILEGES = 38


def forbid_namespaces() -> None:
    """Refuse `unshare` with EPERM, to this process and all that it starts."""
    machine = os.uname().machine
    rows = [
        (0x20, 0, 0, 0),
        (0x15, 0, 1, UNSHARE[machine]),
        (0x06, 0, 0, 0x00050001),
        (0x06, 0, 0, 0x7FFF0000),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *row) for row in rows))
    header = ctypes.create_string_buffer(struct.pack("@HP", len(rows), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    if libc.syscall(ctypes.c_long(SECCOMP[machine]), 1, 0, header):
        raise OSError(ctypes.get_errno(), "seccomp")


if __name__ == "__main__":
    forbid_namespaces()
    os.execvp(sys.argv[1], sys.argv[1:])
