"""merge_intervals: unite the intervals of a list that overlap or touch."""

from __future__ import annotations

from itertools import accumulate
from random import Random

from axiom_rl.problems.base import Args, ProblemType, Task, fixed_task, integers, levels

STATEMENT = (
    "Each interval is a list [start, end] of two integers with start <= end. Merge all intervals "
    "that overlap or touch (as [1, 2] and [2, 5] do), and return the list of merged intervals "
    "[start, end] in ascending order. The intervals come in any order; there may be none."
)

LEVELS = levels(
    count=(4, 5, 6, 7, 8, 12, 16, 24, 36, 50),
    longest=(4, 5, 6, 8, 10, 20, 50, 10**6, 10**7, 10**8),
)


def _anywhere(rng: Random, task: Task) -> Args:
    """Starts at random; about half of the line is covered."""
    longest, count = task.level["longest"], _count(rng, task)
    starts = integers(rng, count, -longest, count * longest)
    lengths = integers(rng, count, 0, longest)
    return ([[start, start + length] for start, length in zip(starts, lengths, strict=True)],)


def _touching(rng: Random, task: Task) -> Args:
    """Each begins where another ends, or one later, which is no touching."""
    gaps = [0, 1, *rng.choices([0, 1, 2, 5], k=_count(rng, task) - 2)]
    return (_in_a_row(rng, task, gaps),)


def _apart(rng: Random, task: Task) -> Args:
    """Nothing to merge; only the order is to be found."""
    return (_in_a_row(rng, task, integers(rng, _count(rng, task), 1, task.level["longest"])),)


def _contained(rng: Random, task: Task) -> Args:
    """One covers others, which end before it does."""
    longest, count = task.level["longest"], _count(rng, task)
    start = rng.randint(-longest, longest)
    end = start + count * longest
    starts = integers(rng, count - 1, start, end - longest)
    lengths = integers(rng, count - 1, 0, longest - 1)
    intervals = [[start, end]]
    intervals += [[inner, inner + size] for inner, size in zip(starts, lengths, strict=True)]
    rng.shuffle(intervals)
    return (intervals,)


def _repeated(rng: Random, task: Task) -> Args:
    """Some intervals come twice, and some are single points."""
    (intervals,) = _anywhere(rng, task)
    (start, end), (point, _) = intervals[:2]
    intervals += [[start, end], [point, point]]
    rng.shuffle(intervals)
    return (intervals,)


def _in_a_row(rng: Random, task: Task, gaps: list[int]) -> list[list[int]]:
    """Return shuffled intervals of any length with these gaps between them."""
    longest = task.level["longest"]
    rng.shuffle(gaps)
    lengths = integers(rng, len(gaps), 0, longest)
    steps = [length + gap for length, gap in zip(lengths, gaps, strict=True)]
    starts = accumulate(steps[:-1], initial=rng.randint(-longest, longest))
    intervals = [[start, start + size] for start, size in zip(starts, lengths, strict=True)]
    rng.shuffle(intervals)
    return intervals


def _count(rng: Random, task: Task) -> int:
    return rng.randint(task.level["count"] * 3 // 4, task.level["count"])


def oracle(intervals: list[list[int]]) -> list[list[int]]:
    """Sweep over all ends and count how many intervals are open; starts come before ends."""
    events = sorted([(start, -1) for start, _ in intervals] + [(end, 1) for _, end in intervals])
    merged, still_open, began = [], 0, 0
    for place, change in events:
        if still_open == 0:
            began = place
        still_open -= change
        if still_open == 0:
            merged.append([began, place])
    return merged


TYPE = ProblemType(
    name="merge_intervals",
    family="hard",
    title="Merge intervals",
    difficulty="More and longer intervals; from level 8 they are too long to mark every point.",
    levels=LEVELS,
    draw_task=fixed_task(STATEMENT, "merge_intervals", "(intervals)"),
    oracle=oracle,
    examples=(([[6, 8], [1, 3], [2, 5]],), ([[1, 2], [2, 5], [6, 7]],)),
    edge_cases=(
        ([],),
        ([[1, 3]],),
        ([[4, 4]],),
        ([[1, 2], [2, 3]],),
        ([[2, 3], [1, 2]],),
        ([[1, 2], [3, 4]],),
        ([[4, 5], [1, 2]],),
        ([[1, 9], [2, 3], [4, 5]],),
        ([[1, 2], [4, 9], [5, 6]],),
        ([[1, 1], [1, 1]],),
        ([[-5, -1], [-1, 0]],),
    ),
    inputs=(_anywhere, _touching, _contained, _apart, _repeated),
    tests=23,
)
