"""What a sandbox takes and gives: a program with arguments in, the record of its run out.

A sandbox knows nothing of expected values; `axiom_rl.verify` compares. What each isolation level
covers is stated in `IsolationLevel`.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, TypeVar

from axiom_rl.core.errors import AxiomError

T = TypeVar("T")


class SandboxUnavailableError(AxiomError):
    """No sandbox of the level asked for can be had, or the one in use has stopped working."""


class IsolationLevel(StrEnum):
    """How much a candidate is kept from doing; every layer counted has passed its self-test.

    Not covered at any level: faults of the kernel itself, timing and cache side channels. Where
    candidates come from an adversary rather than a policy in training, use a virtual machine.
    """

    FULL = "full"
    """Linux: system calls filtered (seccomp), files and network closed (Landlock), rlimits, and
    namespaces where the machine allows them."""
    REDUCED = "reduced"
    """Linux: seccomp, Landlock or the bound on threads is missing; namespaces are there or not."""
    PROCESS_ONLY = "process"
    """A process of its own with time and memory limits: does not contain hostile code. It can read
    the user's files, reach the network and start processes that stay."""
    NONE = "none"
    """`sandbox=debug`: runs in this very process, without limits."""

    @property
    def rank(self) -> int:
        """Higher isolates more."""
        return {"full": 3, "reduced": 2, "process": 1, "none": 0}[self.value]


class Ending(StrEnum):
    """How a candidate's process came to its end."""

    EXITED = "exited"
    SIGNALLED = "signalled"
    CPU_LIMIT = "cpu_limit"
    WALL_LIMIT = "wall_limit"
    THREAD_LIMIT = "thread_limit"
    """More threads than a candidate may have, where the kernel itself does not refuse them."""
    BROKE_SERVER = "broke_server"
    """Two servers in a row died under it while the canary passes."""
    FAULT = "fault"
    """Ours: the operating system refused a process, a descriptor or memory."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one candidate."""

    cpu_s: float
    """CPU seconds of all tests together."""
    memory_bytes: int
    output_bytes: int
    result_bytes: int

    def record_bytes(self, tests: int) -> int:
        """Bytes of a whole record at most: the values, and room for frames without a value."""
        return self.result_bytes + 65536 + 4096 * tests

    @property
    def spare_s(self) -> float:
        """CPU seconds beyond the limit within which a crowded machine may be to blame."""
        return 0.1 * self.cpu_s

    @property
    def wall_s(self) -> float:
        """The backstop for code that waits instead of computing; not counted on a busy machine."""
        return 2 * self.cpu_s + 1

    @property
    def hard_wall_s(self) -> float:
        """Wall seconds after which a program ends, however busy the machine is."""
        return 4 * self.cpu_s + 5


@dataclass(frozen=True, slots=True)
class RunRequest:
    """One program, its entry point, and the marshalled arguments of each test."""

    code: str
    entry_point: str
    tests: tuple[bytes, ...]
    limits: Limits


@dataclass(frozen=True, slots=True)
class Outcome:
    """The record of one run. `frames` are bytes that the candidate may have forged."""

    ending: Ending
    code: int = 0
    """Exit status, signal number or errno, by `ending`."""
    frames: bytes = b""
    cpu_s: float = 0.0
    wall_s: float = 0.0
    peak_memory_mb: float = 0.0
    """Beyond what a program takes that does nothing."""
    idle_memory_mb: float = 0.0
    """What that is."""
    output_bytes: int = 0
    was_crowded: bool = False
    """Whether there was more to run than processors meanwhile."""


@dataclass(frozen=True, slots=True)
class PoolReport:
    """What a pool of servers has reached and done so far."""

    level: IsolationLevel
    layers: dict[str, str] = field(default_factory=dict)
    """Each layer with `on` or why it is off."""
    servers: int = 0
    restarts: int = 0
    retries: int = 0
    second_judgements: int = 0
    """Programs run once more, alone, since a busy machine may have been to blame."""


class Sandbox(Protocol):
    """Runs requests; every method may be called from any thread."""

    def submit(self, request: RunRequest, judge: Callable[[Outcome], T]) -> Future[T]:
        """Queue a request; `judge` turns its outcome into the future's result."""

    def probe(self) -> Future[None]:
        """Check the health of every server before it takes another request."""

    @property
    def report(self) -> PoolReport:
        """What has been reached and done so far."""

    def close(self) -> None:
        """Leave no process, thread or descriptor behind."""


def missing_layers(layers: dict[str, str]) -> str:
    """Return the layers that are off, each with the reason."""
    return "; ".join(f"{name}: {why}" for name, why in layers.items() if why != "on")


def level_of(layers: dict[str, str]) -> IsolationLevel:
    """Return the level that layers amount to, each being `on` or off for a reason."""
    if not all(layers.get(name) == "on" for name in ("privileges", "rlimits")):
        return IsolationLevel.PROCESS_ONLY
    filters = [name for name in ("seccomp", "landlock") if layers.get(name) == "on"]
    if not filters:
        return IsolationLevel.PROCESS_ONLY
    is_whole = len(filters) == 2 and layers.get("threads") == "on"
    return IsolationLevel.FULL if is_whole else IsolationLevel.REDUCED
