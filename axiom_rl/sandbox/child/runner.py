"""Runs one candidate in the forked child: load the code, call it on each test, write frames.

A frame is a 4-byte length and a JSON array. `["v", tree, cpu, wall, peak]` states a returned value,
`["e", status, detail, cpu, wall, peak]` a test without one, `["x", status, detail]` code that could
not be loaded, and `["end"]` closes the record. Times and memory per test are the child's own word;
the totals are measured by the server with wait4.
"""

from __future__ import annotations

import builtins
import json
import marshal
import os
import resource
import struct
import sys
import time
import types
from collections.abc import Callable
from typing import Any

from .encoder import Unencodable, tree_of

MODULE_NAME = "candidate"
"""Not `__main__`, so that main guards stay off."""
MAX_DETAIL = 300
MAX_NAME = 100
RECURSION_LIMIT = 1000
"""What the encoder needs, where a candidate has set a lower one."""

Writer = Callable[[list[Any], int, bool], int]
"""Writes a frame, or a refusal where it is larger than the size given, and behind the last one the
end of the record; returns the frame's bytes."""
Receiver = Callable[[], bytes]
"""Returns the marshalled arguments of the next test."""

_mro = type.__dict__["__mro__"].__get__
_name = type.__dict__["__name__"].__get__
_EXCEPTIONS = frozenset(kind for kind in vars(builtins).values() if isinstance(kind, type))
_REFUSAL = "the returned values are larger than sandbox.result_kb"


def run(
    code: str, entry_point: str, tests: int, budget: int, receive: Receiver, write: Writer
) -> None:
    """Load `code`, and for each test receive its arguments and write one frame.

    `budget` is the size of all values, in bytes.
    """
    entry = _load(code, entry_point, write)
    if entry is None:
        return
    for left in reversed(range(tests)):
        frame = _run_test(entry, receive())
        is_last = not left or frame[:2] == ["e", "memory_limit"]
        budget -= write(frame, budget, is_last)
        if is_last:
            break


def frame_writer(descriptor: int) -> Writer:
    """Return the function that writes frames to `descriptor`."""
    pack, put, dump = struct.Struct("<I").pack, os.write, json.dumps
    end = pack(len(b'["end"]')) + b'["end"]'

    def write(frame: list[Any], budget: int, is_last: bool) -> int:
        try:
            body = dump(frame).encode()
        except MemoryError:
            body = b""
        if not body or (frame[0] == "v" and len(body) > budget):
            body = dump(["e", "output_limit", _REFUSAL, *frame[2:]]).encode()
        rest = pack(len(body)) + body + (end if is_last else b"")
        while rest:
            rest = rest[put(descriptor, rest) :]
        return len(body) + 4 if frame[0] == "v" else 0

    return write


def argument_reader(descriptor: int) -> Receiver:
    """Return the function that reads the next test's arguments, which come with their length."""
    size_of, get = struct.Struct("<I").unpack_from, os.read

    def receive() -> bytes:
        data = get(descriptor, 65536)  # nothing comes behind one test's arguments
        while len(data) < 4 or len(data) < 4 + size_of(data)[0]:
            part = get(descriptor, 1 << 24)
            if not part:
                raise EOFError("the server is gone")
            data += part
        return data[4:]

    return receive


def _load(code: str, entry_point: str, write: Writer) -> Callable[..., Any] | None:
    try:
        compiled = compile(code, f"<{MODULE_NAME}>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError) as error:
        write(
            ["x", "syntax_error", describe(error)], 0, False
        )  # the last two: nested too deep to parse
        return None
    module = types.ModuleType(MODULE_NAME)
    sys.modules[MODULE_NAME] = module
    namespace = module.__dict__
    try:
        exec(compiled, namespace)
    except BaseException as error:  # noqa: BLE001 (a candidate may raise anything)
        status = "memory_limit" if isinstance(error, MemoryError) else "runtime_error"
        write(["x", status, describe(error)], 0, False)
        return None
    entry: Callable[..., Any] | None = namespace.get(entry_point)
    if not callable(entry):
        write(["x", "no_code", f"the code defines no function {entry_point}"], 0, False)
        return None
    return entry


def _cpu_time(
    process: Callable[[], float] = time.process_time, thread: Callable[[], float] = time.thread_time
) -> float:
    """CPU seconds so far: the process's clock, which a CPU limit makes coarse, or our thread's."""
    return max(process(), thread())


def _run_test(
    entry: Callable[..., Any],
    blob: bytes,
    loads: Callable[[bytes], Any] = marshal.loads,
    cpu: Callable[[], float] = _cpu_time,
    wall: Callable[[], float] = time.perf_counter,
    usage: Callable[[int], Any] = resource.getrusage,
) -> list[Any]:
    """Call the entry point on fresh arguments; the defaults keep hold of the true functions."""
    arguments = loads(blob)
    cpu_before, wall_before = cpu(), wall()
    try:
        value = entry(*arguments)
        if sys.getrecursionlimit() < RECURSION_LIMIT:
            sys.setrecursionlimit(RECURSION_LIMIT)
        frame = ["v", tree_of(value)]
    except Unencodable as refusal:
        frame = ["e", "wrong_answer", f"the function returned {refusal}"]
    except MemoryError as error:
        frame = ["e", "memory_limit", describe(error)]
    except BaseException as error:  # noqa: BLE001 (a candidate may raise anything)
        frame = ["e", "runtime_error", describe(error)]
    frame += [cpu() - cpu_before, wall() - wall_before, usage(resource.RUSAGE_SELF).ru_maxrss]
    return frame


def describe(error: BaseException) -> str:
    """Return the exception's name and message; a message that itself fails is left out."""
    kind = type(error)
    base = next((entry for entry in _mro(kind) if entry in _EXCEPTIONS), BaseException)
    try:
        message = base.__str__(error)
    except BaseException:  # noqa: BLE001 (str() may run the candidate's code)
        message = ""
    name = _name(kind)[:MAX_NAME]
    return f"{name}: {message[:MAX_DETAIL]}"[:MAX_DETAIL] if message else name
