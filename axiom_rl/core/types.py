"""The words of the project as plain, immutable data: problems, completions, verdicts, solutions.

Standard library only: every other module may import this one, and it imports none of them.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """What became of a candidate program, or of one of its tests."""

    ACCEPTED = "accepted"
    WRONG_ANSWER = "wrong_answer"
    RUNTIME_ERROR = "runtime_error"
    SYNTAX_ERROR = "syntax_error"
    TIME_LIMIT = "time_limit"
    MEMORY_LIMIT = "memory_limit"
    OUTPUT_LIMIT = "output_limit"
    NO_CODE = "no_code"
    SECURITY_VIOLATION = "security_violation"
    SANDBOX_FAULT = "sandbox_fault"
    """Our failure, not the candidate's: no reward, and in no denominator."""


TOLERANCE_RULE = "must be a finite number, 0 or more"


def is_tolerance(value: object) -> bool:
    """Whether a problem may carry this tolerance."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and 0 <= value <= sys.float_info.max  # type: ignore[operator]


LONGEST_S = 86_400
"""Of a program on one test: a day."""
FAILED_KEPT = 16
"""Failed tests whose places a verdict names."""


@dataclass(frozen=True, slots=True)
class TestCase:
    """One call of the entry point: positional arguments and the value it must return."""

    __test__ = False  # not a pytest class

    args: tuple[Any, ...]
    expected: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A programming task with its tests.

    `public_tests` are shown in the prompt; `hidden_tests` decide rewards and gold data;
    `fresh_tests` are for evaluation alone, and drawn by `axiom_rl.problems.with_fresh_tests`. None
    stands in for another.
    """

    id: str
    """Unique; for procedural problems `type/d<level>/<split>/s<seed>/<index>`."""
    type: str
    """Name of the generator in the registry, or of the source that the problem came from."""
    difficulty: int
    split: str
    """`train`, `val` or `test`."""
    title: str
    statement: str
    entry_point: str
    """Name of the function that the tests call."""
    public_tests: tuple[TestCase, ...]
    hidden_tests: tuple[TestCase, ...]
    signature: str = ""
    """Parameter list as shown in the prompt, e.g. `(nums, target)`."""
    seed: int = 0
    index: int = 0
    time_limit_s: float | None = None
    """CPU seconds for all tests of one candidate; None means the sandbox's own limit."""
    memory_limit_mb: int | None = None
    from_json: bool = False
    """Values came from JSON: what it cannot say (tuples, keys that are numbers) compares equal."""
    checker: str | None = None
    """Name of the registered checker that judges returned values; None is plain equality."""
    fresh_tests: tuple[TestCase, ...] = ()
    tolerance: float | None = None
    """Largest absolute difference between two numbers that count as equal, of which one is no
    integer; None means 1e-6 relative or 1e-9 absolute between floats."""

    def __post_init__(self) -> None:
        """Refuse a tolerance by which everything or nothing would be equal.

        Raises:
            ValueError: if it is no number, negative, NaN or infinite.
        """
        if self.tolerance is not None and not is_tolerance(self.tolerance):
            raise ValueError(f"problem {self.id}: tolerance {self.tolerance!r}: {TOLERANCE_RULE}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """One text that a model produced for one problem."""

    problem_id: str
    sample: int
    """Index of the draw within the problem, from 0."""
    text: str
    prompt_tokens: int
    completion_tokens: int
    truncated: bool
    """True where the token limit, not the model, ended the text."""
    stopped: bool = False
    """True where it was stopped early, as hopeless: what there is holds no program."""
    prompt_ids: tuple[int, ...] = ()
    """Token ids of the prompt; samplers that work on text leave these three empty."""
    token_ids: tuple[int, ...] = ()
    """Token ids drawn, the one that ended the text included."""
    logprobs: tuple[float, ...] = field(default=(), compare=False)
    """Log-probability of each drawn token under the distribution it was drawn from; its last digits
    depend on the batch, so it takes no part in comparisons."""

    @property
    def key(self) -> tuple[str, int]:
        """What tells a completion from the others of its phase: problem and draw."""
        return self.problem_id, self.sample


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """What happened on one hidden test."""

    index: int
    status: Status
    passed: bool
    detail: str = ""
    """The exception's name and message, or why the value was refused; at most 300 characters."""
    cpu_s: float = 0.0
    wall_s: float = 0.0
    peak_memory_mb: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The judgement on one candidate program."""

    status: Status
    passed: bool
    pass_fraction: float
    """Passed tests over all tests of the problem, in 0..1."""
    cases: tuple[CaseResult, ...] = ()
    """One per hidden test that ran, in order."""
    total_tests: int = 0
    failed_tests: tuple[int, ...] = ()
    """Places of the tests that did not pass, or never ran; the first `FAILED_KEPT` of them."""
    detail: str = ""
    cpu_s: float = 0.0
    wall_s: float = 0.0
    peak_memory_mb: float = 0.0

    @property
    def passed_tests(self) -> int:
        """How many hidden tests passed."""
        return sum(case.passed for case in self.cases)


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """A program to train on: gold data. The fields are the columns of the solutions file."""

    problem_id: str
    problem_title: str
    solution_code: str
    passed_tests: int
    """Of those that the expert saw."""
    total_tests: int
    """Tests that the expert saw; 0 for a control that saw none."""
    model_name: str
    timestamp: str
    completion: str | None = None
    """The model's whole answer; None in files that hold programs alone."""
    expert: str = "hidden"
    """Who decided that it is gold, see `axiom_rl.gold.experts`."""
    hidden_passed: bool | None = None
    """Always None in files that training reads: what hidden tests say stands in evaluation/."""
    reasoning: str = ""
    """What came before the program, where it was asked for (problems.prompt=think)."""
