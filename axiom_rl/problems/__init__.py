"""Problems without end: types by family, their generators and oracles, splits and prompts."""

from axiom_rl.problems.base import ProblemType, Task
from axiom_rl.problems.generate import has_fresh_tests, make_problem, with_fresh_tests
from axiom_rl.problems.registry import end_of_built_in, problem_types, register, register_checker
from axiom_rl.problems.sources.assertions import ASSERTIONS, EXACT, check
from axiom_rl.problems.types import basic, easy, hard, memorisable

__all__ = [
    "ProblemType",
    "Task",
    "has_fresh_tests",
    "make_problem",
    "problem_types",
    "register",
    "register_checker",
    "with_fresh_tests",
]

for _family in (basic, easy, hard, memorisable):
    for _problem_type in _family.TYPES:
        register(_problem_type)
end_of_built_in()
for _checker in (EXACT, ASSERTIONS):
    register_checker(_checker, check)
