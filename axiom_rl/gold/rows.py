"""Gold solutions as rows for training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from axiom_rl.core.errors import AxiomError
from axiom_rl.core.types import Problem, Solution
from axiom_rl.problems.prompts import render


def sft_rows(
    solutions: Sequence[Solution],
    problems: Mapping[str, Problem],
    style: str,
    max_solutions: int | None = None,
) -> list[dict[str, Any]]:
    """Return TRL's conversational prompt-completion rows, one per solution.

    Args:
        solutions: gold data.
        problems: by id; the prompt is rendered from the problem as it is evaluated.
        style: prompt style, see `axiom_rl.problems.prompts`.
        max_solutions: largest number per problem, the earliest ones; None keeps all.

    Raises:
        AxiomError: if a solution's problem is not among `problems`.
    """
    taken: Counter[str] = Counter()
    rows = []
    for solution in solutions:
        problem = problems.get(solution.problem_id)
        if problem is None:
            raise AxiomError(
                f"the solutions are of {solution.problem_id}, which is not among the training "
                "problems: choose the problems= (with its seed and sizes) they were collected on"
            )
        taken[problem.id] += 1
        if max_solutions is None or taken[problem.id] <= max_solutions:
            answer = f"```python\n{solution.solution_code.strip()}\n```"
            rows.append(
                {
                    "prompt": render(problem, style),
                    "completion": [{"role": "assistant", "content": answer}],
                }
            )
    return rows
