"""A small interpreter of classic BPF, to ask a filter what it would say on any machine."""

from __future__ import annotations

import struct

from axiom_rl.sandbox.child.containment.seccomp import AUDIT_ARCH


def decide(program: bytes, machine: str, number: int, *arguments: int, arch: int = 0) -> int:
    """Return the action of a filter for a system call."""
    padded = [*arguments, 0, 0, 0, 0, 0, 0][:6]
    data = struct.pack("<IIQ6Q", number, arch or AUDIT_ARCH[machine], 0, *padded)
    code = list(struct.iter_unpack("<HBBI", program))
    accumulator = place = 0
    while True:
        operation, if_true, if_false, value = code[place]
        place += 1
        match operation:
            case 0x20:
                accumulator = struct.unpack_from("<I", data, value)[0]
            case 0x05:
                place += value
            case 0x15:
                place += if_true if accumulator == value else if_false
            case 0x35:
                place += if_true if accumulator >= value else if_false
            case 0x45:
                place += if_true if accumulator & value else if_false
            case 0x06:
                return int(value)
            case _:
                raise AssertionError(f"unknown instruction {operation:#x}")
