"""The types that scripts outside the package use; they live in `axiom_rl.core.types`."""

from axiom_rl.core.types import CaseResult, Completion, Problem, Solution, Status, TestCase, Verdict

__all__ = ["CaseResult", "Completion", "Problem", "Solution", "Status", "TestCase", "Verdict"]
