"""The bytes between the pool and its servers."""

from __future__ import annotations

import json
import marshal
import os
import signal
import struct
import sys
from dataclasses import dataclass
from typing import Any

from axiom_rl.sandbox.base import Ending, Outcome, RunRequest
from axiom_rl.sandbox.child import server, watch

LENGTH = struct.Struct("<I")
PEAK_UNIT_MB = 2**20 if sys.platform == "darwin" else 2**10
"""Units of ru_maxrss in a megabyte: bytes on macOS, KiB elsewhere."""


class ProtocolError(Exception):
    """A server sent what no server sends."""


@dataclass(frozen=True, slots=True)
class Hello:
    """A server's first words."""

    peak: int
    """Peak memory of a program that does next to nothing, in units of ru_maxrss."""
    layers: dict[str, str]


def request_bytes(request: RunRequest, *, is_last: bool = False) -> bytes:
    """Return the framed request; the server is trusted to run marshal on it.

    Args:
        request: what is to run.
        is_last: no other judgement follows, whatever comes out: the limit holds to the letter.
    """
    limits = request.limits
    body = marshal.dumps((request.code, request.entry_point))
    arguments = b"".join(LENGTH.pack(len(test)) + test for test in request.tests)
    head = server.ChildLimits(
        cpu_s=limits.cpu_s,
        spare_s=0.0 if is_last else limits.spare_s,
        wall_s=limits.wall_s,
        hard_s=limits.hard_wall_s,
        memory=limits.memory_bytes,
        output=limits.output_bytes,
        result=limits.result_bytes,
        tests=len(request.tests),
        size=len(body),
        arguments=len(arguments),
        record=limits.record_bytes(len(request.tests)),
    )
    return server.HEAD.pack(*head) + body + arguments


def parse_answer(message: bytes, baseline: int) -> Hello | Outcome:
    """Read one message ; `baseline` is the peak memory of an idle program.

    Raises:
        ProtocolError: if it is not one that a server sends.
    """
    try:
        kind, *fields = server.ANSWER.unpack_from(message)
    except struct.error:
        raise ProtocolError("a message without a head") from None
    end = server.End(*fields)
    body = message[server.ANSWER.size :]
    if kind == server.HELLO:
        return _hello(body)
    if kind == server.FAULT:
        return Outcome(Ending.FAULT, code=end.status)
    if kind != server.ENDED:
        raise ProtocolError(f"a message of unknown kind {kind}")
    ending, code = _ending(end.why, end.status)
    return Outcome(
        ending,
        code=code,
        frames=body,
        cpu_s=end.cpu_s,
        wall_s=end.wall_s,
        peak_memory_mb=max(0, end.peak - baseline) / PEAK_UNIT_MB,
        idle_memory_mb=baseline / PEAK_UNIT_MB,
        output_bytes=end.printed,
        was_crowded=end.crowded,
    )


def _hello(body: bytes) -> Hello:
    try:
        content: Any = json.loads(body)
        layers = {str(name): str(state) for name, state in content["layers"].items()}
        return Hello(int(content["peak"]), layers)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ProtocolError("a malformed hello") from None


def _ending(why: int, status: int) -> tuple[Ending, int]:
    if why == watch.CPU_KILL:
        return Ending.CPU_LIMIT, 0
    if why == watch.WALL_KILL:
        return Ending.WALL_LIMIT, 0
    if why == watch.THREAD_KILL:
        return Ending.THREAD_LIMIT, 0
    if why == watch.RECORD_KILL:
        return Ending.SIGNALLED, signal.SIGXFSZ
    if os.WIFSIGNALED(status):
        return Ending.SIGNALLED, os.WTERMSIG(status)
    return Ending.EXITED, os.waitstatus_to_exitcode(status)
