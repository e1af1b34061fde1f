"""fizzbuzz: the counting game up to n, as a list of strings."""

from __future__ import annotations

from random import Random

from axiom_rl.problems.base import Args, ProblemType, Task, fixed_task, levels

STATEMENT = (
    "Return a list of strings, one for each number from 1 to n: 'FizzBuzz' for a multiple of "
    "both 3 and 5, 'Fizz' for another multiple of 3, 'Buzz' for another multiple of 5, and the "
    "number itself as a string otherwise. For n = 0 the list is empty."
)

LEVELS = levels(largest=(300, 350, 400, 450, 500, 600, 700, 800, 900, 1000))


def _any_count(rng: Random, task: Task) -> Args:
    return (rng.randint(1, task.level["largest"]),)


def oracle(n: int) -> list[str]:
    """Start from the plain numbers and overwrite the multiples, the rarest last."""
    words = [str(number) for number in range(n + 1)]
    for divisor, word in ((3, "Fizz"), (5, "Buzz"), (15, "FizzBuzz")):
        words[::divisor] = [word] * len(words[::divisor])
    return words[1:]


TYPE = ProblemType(
    name="fizzbuzz",
    family="basic",
    title="FizzBuzz",
    difficulty="Larger n.",
    levels=LEVELS,
    draw_task=fixed_task(STATEMENT, "fizzbuzz", "(n)"),
    oracle=oracle,
    examples=((2,), (5,)),
    edge_cases=((0,), (1,), (3,), (15,), (16,)),
    inputs=(_any_count,),
)
