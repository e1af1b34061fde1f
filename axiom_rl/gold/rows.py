"""Gold solutions as rows for training."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from axiom_rl.core.errors import AxiomError
from axiom_rl.core.types import Problem, Solution
from axiom_rl.problems.prompts import fenced_answer, render, thought_answer

log = logging.getLogger(__name__)


def sft_rows(
    solutions: Sequence[Solution],
    problems: Mapping[str, Problem],
    style: str,
    max_solutions: int | None = None,
) -> list[dict[str, Any]]:
    """Return TRL's conversational prompt-completion rows, one per solution.

    In the style `think` a row has reasoning and program; solutions without reasoning are left out.

    Args:
        solutions: gold data.
        problems: by id; the prompt is rendered from the problem as it is evaluated.
        style: prompt style, see `axiom_rl.problems.prompts`.
        max_solutions: largest number per problem, the earliest ones; None keeps all.

    Raises:
        AxiomError: if a solution's problem is not among `problems`, or none has the reasoning that
            the style asks for.
    """
    taken: Counter[str] = Counter()
    rows, silent = [], 0
    for solution in solutions:
        problem = problems.get(solution.problem_id)
        if problem is None:
            raise AxiomError(
                f"the solutions are of {solution.problem_id}, which is not among the training "
                "problems: choose the problems= (with its seed and sizes) they were collected on"
            )
        if style == "think" and not solution.reasoning.strip():
            silent += 1
            continue
        taken[problem.id] += 1
        if max_solutions is None or taken[problem.id] <= max_solutions:
            code, reasoning = solution.solution_code, solution.reasoning
            answer = thought_answer(reasoning, code) if style == "think" else fenced_answer(code)
            rows.append(
                {
                    "prompt": render(problem, style),
                    "completion": [{"role": "assistant", "content": answer}],
                }
            )
    if silent:
        log.warning("%d of %d solutions have no reasoning: left out", silent, len(solutions))
    if silent and not rows:
        raise AxiomError(
            "none of the solutions has reasoning inside <think> tags, which problems.prompt=think "
            "trains on: begin with a teacher's traces (stage=teach, then trainer=sft "
            "trainer.traces=traces.jsonl), or use problems.prompt=direct"
        )
    return rows
