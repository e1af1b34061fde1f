"""Gold solutions as rows for training."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any

from axiom_rl.core.errors import AxiomError
from axiom_rl.core.types import Problem, Solution
from axiom_rl.problems.prompts import fenced_answer, render, thought_answer
from axiom_rl.verify.extract import split_thinking, whole_lines

log = logging.getLogger(__name__)
FENCE = re.compile(r"\s*(?:> ?)*(`{3,}|~{3,})")
"""The beginning of a line that opens or closes a block, quoted or not."""


def sft_rows(
    solutions: Sequence[Solution], problems: Mapping[str, Problem], style: str, target: str
) -> list[dict[str, Any]]:
    """Return TRL's conversational prompt-completion rows, one per solution.

    In the style `think` a row has reasoning and program; solutions without reasoning are left out.

    Args:
        solutions: gold data.
        problems: by id; the prompt is rendered from the problem as it is evaluated.
        style: prompt style, see `axiom_rl.problems.prompts`.
        target: completion trains on the model's own answer, and on the program where a solution has
            no answer; code on the program, in a fence, with what a chain of thought says before it.

    Raises:
        AxiomError: if a solution's problem is not among `problems`, or none has the reasoning that
            the style asks for.
    """
    rows: list[dict[str, Any]] = []
    silent = torn = 0
    for solution in solutions:
        problem = problems.get(solution.problem_id)
        if problem is None:
            raise AxiomError(
                f"the solutions are of {solution.problem_id}, which is not among the training "
                "problems: choose the problems= (with its seed and sizes) they were collected on"
            )
        if not gives_row(solution, style):
            silent += not solution.reasoning.strip()
            torn += bool(solution.reasoning.strip())
            continue
        answer = answer_of(solution, style, target)
        rows.append(
            {
                "prompt": render(problem, style),
                "completion": [{"role": "assistant", "content": answer}],
            }
        )
    if silent:
        log.warning("%d of %d solutions have no reasoning: left out", silent, len(solutions))
    if torn:
        log.warning(
            "%d of %d solutions hold a tag such as </think> in their reasoning: left out",
            torn, len(solutions),
        )  # fmt: skip
    if (silent or torn) and not rows:
        raise AxiomError(
            "none of the solutions has reasoning inside <think> tags, which problems.prompt=think "
            "trains on: begin with a teacher's traces (stage=teach, then trainer=sft "
            "trainer.traces=traces.jsonl), or use problems.prompt=direct"
        )
    without = style != "think" and sum(solution.completion is None for solution in solutions)
    if target == "completion" and without:
        log.info(
            "%d of %d solutions hold no completion: they are trained on as trainer.target=code",
            without,
            len(solutions),
        )
    return rows


def gives_row(solution: Solution, style: str) -> bool:
    """Whether a solution has what the style trains on: for `think`, reasoning in one piece."""
    return style != "think" or (
        bool(solution.reasoning.strip()) and in_one_form(solution.reasoning, solution.solution_code)
    )


def answer_of(solution: Solution, style: str, target: str) -> str:
    """Return the text that a solution teaches."""
    if style == "think":
        return thought_answer(solution.reasoning, solution.solution_code)
    text = solution.completion
    if target == "completion" and text is not None:
        return text
    code = solution.solution_code.strip()
    reasoning = _before(text, code) if text and style == "chain_of_thought" else ""
    return f"{reasoning}{fenced_answer(code)}"


def in_one_form(reasoning: str, code: str) -> bool:
    """Tell whether reasoning is read back whole from the answer that it is trained in.

    A closing tag in it would end it early, and teach to write on after it.
    """
    read = split_thinking(thought_answer(reasoning, code))
    return not read.open and read.reasoning == whole_lines(reasoning).strip()


def _before(text: str, code: str) -> str:
    """Return what an answer says before its program, as a paragraph of its own."""
    at = text.find(code)
    if at < 0:  # the program was dedented or cut out of a longer block
        at = text.find(code.splitlines()[0]) if code else -1
    head = text[: max(at, 0)]
    reasoning = head[: _opened(head)].strip()
    return f"{reasoning}\n\n" if reasoning else ""


def _opened(head: str) -> int:
    """Return where the fence begins that is open at the end of a text; its length if none is."""
    at, opened, mark = 0, len(head), ""
    for line in head.splitlines(keepends=True):
        found = FENCE.match(line)
        if found and not mark:
            opened, mark = at, found[1]
        elif found and found[1].startswith(mark) and not line[found.end() :].strip():
            opened, mark = len(head), ""
        at += len(line)
    return opened
