"""n_queens: in how many ways n queens stand on an n by n board without attacking each other.

The inputs are the board sizes 0 to a level's largest, so a problem has 4 to 9 hidden tests, and
all splits share them. Sizes beyond 10 would take a good program in Python seconds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from random import Random

from axiom_rl.problems.base import Args, ProblemType, Task, fixed_task, levels

STATEMENT = (
    "Return the number of ways to place n queens on an n x n chess board so that no two share a "
    "row, a column or a diagonal. Turned and mirrored placements count separately. For n = 0 "
    "the answer is 1."
)

LEVELS = levels(
    largest=(5, 6, 6, 7, 7, 8, 8, 9, 9, 10),
    time_limit_s=(None, None, None, None, None, None, None, None, None, 4.0),
)

LARGEST = 10
"""Of all levels."""


def _up_to(size: int) -> Callable[[Task], Args]:
    """Return an edge case: the board of this size, or the level's largest if that is smaller."""
    return lambda task: (min(size, task.level["largest"]),)


def _any_size(rng: Random, task: Task) -> Args:
    return (rng.randint(0, task.level["largest"]),)


@lru_cache(maxsize=LARGEST + 1)  # every problem asks for the same few boards
def oracle(n: int) -> int:
    """Fill all boards row by row, counting those on which the same squares are attacked.

    A board is three sets of columns as bits: attacked straight, and along either diagonal.
    """
    boards = Counter({(0, 0, 0): 1})
    for _ in range(n):
        longer: Counter[tuple[int, int, int]] = Counter()
        for (straight, left, right), count in boards.items():
            for column in range(n):
                queen = 1 << column
                if not (straight | left | right) & queen:
                    attacked = straight | queen, (left | queen) << 1, (right | queen) >> 1
                    longer[attacked] += count
        boards = longer
    return boards.total()


TYPE = ProblemType(
    name="n_queens",
    family="hard",
    title="N queens",
    difficulty="Larger boards, from 5 to 10 (some levels share one); at level 10 there are too "
    "many placements to try them all.",
    levels=LEVELS,
    draw_task=fixed_task(STATEMENT, "n_queens", "(n)"),
    oracle=oracle,
    examples=((4,), (1,)),
    edge_cases=((0,), (2,), (3,), *(_up_to(size) for size in range(5, LARGEST + 1))),
    inputs=(_any_size,),
    tests=4,
    small_input_space="there are few board sizes that a program can solve within seconds",
)
