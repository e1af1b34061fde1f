"""fibonacci: the n-th number of the sequence, for n too large to count by plain recursion."""

from __future__ import annotations

from random import Random

from axiom_rl.problems.base import Args, ProblemType, Task, fixed_task, levels

STATEMENT = (
    "Return the n-th Fibonacci number, where fibonacci(0) is 0, fibonacci(1) is 1, and each "
    "later number is the sum of the two before it. n can be several hundred, so plain recursion "
    "is too slow."
)

LEVELS = levels(
    largest=(300, 350, 400, 450, 500, 550, 600, 700, 800, 900),
    time_limit_s=(1.0,) * 10,  # a thousand times what adding up takes; plain recursion costs it all
)


def _any_index(rng: Random, task: Task) -> Args:
    return (rng.randint(6, task.level["largest"]),)


def oracle(n: int) -> int:
    """Add up from the start."""
    current, following = 0, 1
    for _ in range(n):
        current, following = following, current + following
    return current


TYPE = ProblemType(
    name="fibonacci",
    family="basic",
    title="Fibonacci",
    difficulty="Larger n, up to 900: integers of nearly 200 digits.",
    levels=LEVELS,
    draw_task=fixed_task(STATEMENT, "fibonacci", "(n)"),
    oracle=oracle,
    examples=((4,), (10,)),
    edge_cases=((0,), (1,), (2,), (3,), (5,)),
    inputs=(_any_index,),
)
