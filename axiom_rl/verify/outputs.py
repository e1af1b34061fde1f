"""What programs return on inputs, where nobody knows the right answer.

The judge is the one that gives verdicts, with a checker that accepts every value and keeps it: so
a value, an error and a violation are told apart here as they are in a verdict, and no expected
value exists that could be compared or leak.
"""

from __future__ import annotations

import marshal
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from axiom_rl.config import SandboxConfig
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.types import Problem, Status, TestCase
from axiom_rl.sandbox.base import Limits, Outcome, RunRequest
from axiom_rl.verify.judge import Standard, judge

Inputs = Sequence[tuple[Any, ...]]
"""Positional arguments of one call each."""
LARGEST_VALUE = 2**18
"""Bytes of encoded text of one returned value; a larger one is refused, as WRONG_ANSWER."""


class Runnable(Protocol):
    """What must be known of a problem to run a program: nothing of its tests."""

    @property
    def id(self) -> str:
        """Of the problem."""

    @property
    def entry_point(self) -> str:
        """Name of the function that is called."""

    @property
    def time_limit_s(self) -> float | None:
        """CPU seconds for all inputs together; None means the sandbox's own limit."""

    @property
    def memory_limit_mb(self) -> int | None:
        """None means the sandbox's own limit."""


@dataclass(frozen=True, slots=True)
class Output:
    """What came of one call."""

    status: Status
    """ACCEPTED where the function returned a plain value, right or wrong; WRONG_ANSWER where what
    it returned is no plain value, or too large to be read."""
    value: Any = None
    detail: str = ""
    """The exception's name and message, where there is no value."""

    @property
    def returned(self) -> bool:
        """Whether there is a value."""
        return self.status is Status.ACCEPTED


@dataclass(frozen=True, slots=True)
class ProgramRun:
    """One program on all inputs."""

    status: Status
    """ACCEPTED where it returned a value for every input and ended well."""
    outputs: tuple[Output, ...]
    """One per input, in order; those not reached have the status that ended the program."""
    cpu_s: float = 0.0
    detail: str = ""


def without_program(inputs: Inputs) -> ProgramRun:
    """Return the run of a completion that holds no program."""
    output = Output(Status.NO_CODE, detail="the completion holds no program")
    return ProgramRun(Status.NO_CODE, (output,) * len(inputs), detail=output.detail)


def prepare_run(
    problem: Runnable, code: str, inputs: Inputs, config: SandboxConfig
) -> tuple[RunRequest, Callable[[Outcome], ProgramRun]]:
    """Return the request for one program, and what reads its outcome.

    Raises:
        AxiomError: if there are no inputs, or arguments that are not plain values.
    """
    if not inputs:
        raise AxiomError(f"problem {problem.id}: there is no input to run a program on")
    try:
        blobs = tuple(marshal.dumps(args) for args in inputs)
    except ValueError as error:
        raise AxiomError(f"problem {problem.id}: inputs must be plain values: {error}") from None
    cpu = config.time_limit_s if problem.time_limit_s is None else problem.time_limit_s
    memory = config.memory_mb if problem.memory_limit_mb is None else problem.memory_limit_mb
    limits = Limits(cpu, memory << 20, config.output_kb << 10, config.result_kb << 10)
    name = unicodedata.normalize("NFKC", problem.entry_point)  # as Python reads names
    request = RunRequest(code, name, blobs, limits)
    stand_in = Problem(
        id=problem.id,
        type="",
        difficulty=1,
        split="",
        title="",
        statement="",
        entry_point=problem.entry_point,
        public_tests=(),
        hidden_tests=tuple(TestCase(args=tuple(args), expected=None) for args in inputs),
    )
    return request, lambda outcome: _read(stand_in, limits, outcome)


def _read(stand_in: Problem, limits: Limits, outcome: Outcome) -> ProgramRun:
    values: list[Any] = []
    total = len(stand_in.hidden_tests)

    def keep(_args: Any, value: Any, _expected: Any) -> bool:
        values.append(value)
        return True

    standard = Standard(stand_in, keep, (LARGEST_VALUE,) * total, (b"",) * total)
    verdict = judge(standard, limits, outcome)
    kept = iter(values)
    outputs = [
        Output(case.status, next(kept) if case.passed else None, case.detail)
        for case in verdict.cases
    ]
    # Where a program was ended, the last case says by what; the verdict names the first failure.
    end = verdict.cases[-1] if verdict.cases else verdict
    unreached = Output(end.status, detail=end.detail)
    outputs += [unreached] * (total - len(outputs))
    return ProgramRun(verdict.status, tuple(outputs), verdict.cpu_s, verdict.detail)
