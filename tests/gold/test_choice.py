"""Which solutions are trained on: few, different, old and new, the same for the same seed."""

from __future__ import annotations

from collections import Counter

from axiom_rl.core.types import Solution
from axiom_rl.gold.choice import choose_solutions

LOOPS = [
    f"def f(a):\n    t = 0\n    for x in a:\n        t += x * {n}\n    return t" for n in range(9)
]
OTHER = "def f(a):\n    return sum(map(abs, sorted(set(a))))"


def solution(code: str, problem: str = "p") -> Solution:
    return Solution(
        problem_id=problem,
        problem_title=problem,
        solution_code=code,
        passed_tests=1,
        total_tests=1,
        model_name="m",
        timestamp="",
    )


def codes(chosen: list[Solution]) -> list[str]:
    return [one.solution_code for one in chosen]


def test_few_solutions_stay_as_they_are() -> None:
    solutions = [solution(code) for code in LOOPS]
    assert choose_solutions(solutions, 9, 0) == solutions
    assert choose_solutions(solutions, 50, 7, iterations=[1] * 9) == solutions
    assert choose_solutions([], 3, 0) == []


def test_what_differs_is_kept() -> None:
    solutions = [solution(code) for code in (*LOOPS[:5], OTHER, *LOOPS[5:])]
    for seed in range(10):
        assert OTHER in codes(choose_solutions(solutions, 2, seed))


def test_later_iterations_have_their_place() -> None:
    solutions = [solution(code) for code in LOOPS]
    iterations = [1] * 7 + [2, 3]
    for seed in range(10):
        chosen = codes(choose_solutions(solutions, 3, seed, iterations=iterations))
        assert LOOPS[7] in chosen and LOOPS[8] in chosen and len(chosen) == 3


def test_the_choice_is_seeded_and_in_the_order_found() -> None:
    solutions = [solution(code) for code in LOOPS]
    chosen = [choose_solutions(solutions, 3, seed) for seed in range(12)]
    assert chosen[0] == choose_solutions(solutions, 3, 0)
    assert len({tuple(codes(each)) for each in chosen}) > 1
    assert all(sorted(codes(each), key=LOOPS.index) == codes(each) for each in chosen)


def test_a_total_is_taken_evenly_over_problems() -> None:
    sizes = {"a": 8, "b": 5, "c": 1}
    solutions = [solution(code, key) for key, n in sizes.items() for code in LOOPS[:n]]
    for total in range(1, 15):
        counts = Counter(one.problem_id for one in choose_solutions(solutions, 8, 0, total=total))
        assert counts.total() == total
        spread = [min(size, max(counts.values())) - counts[key] for key, size in sizes.items()]
        assert max(spread) <= 1
    assert len(choose_solutions(solutions, 2, 0, total=99)) == 5
