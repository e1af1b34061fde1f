"""What an answer of a teacher is worth: a trace, or which kind of wrong."""

from __future__ import annotations

from dataclasses import dataclass

from axiom_rl.core.types import Problem, Status
from axiom_rl.gold.rows import in_one_form
from axiom_rl.gold.store import normalise
from axiom_rl.problems.prompts import thought_answer
from axiom_rl.rollouts.records import Rollout
from axiom_rl.verify.extract import cut_off_thinking, extract_code, split_thinking

SHORTEST = 10
"""Words that count as reasoning where no tags enclose them; fewer are a phrase (`Here it is`)."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One answer: why it is not a trace ('' where it is one), and its reasoning."""

    why: str
    reasoning: str
    program: str = ""
    """Normalised; two answers with the same program and reasoning are one trace."""


def judged(item: Rollout, problem: Problem, refusal: str = "") -> Judged:
    """Say what became of an answer.

    Args:
        item: the answer with its verdict on the hidden tests.
        problem: that it answers.
        refusal: what the endpoint itself said of the answer, such as `refusal`.
    """
    text, verdict = item.completion.text, item.hidden
    if verdict is not None and verdict.status is Status.SANDBOX_FAULT:
        return Judged(str(Status.SANDBOX_FAULT), "")
    if verdict is None or not verdict.passed or item.code is None:
        return Judged(_failure(item, refusal), "")
    reasoning = reasoning_of(text)
    if not reasoning:
        return Judged("no_reasoning", "")
    whole = thought_answer(reasoning, item.code)
    again = extract_code(whole, problem.entry_point, shown=problem.statement)
    program = normalise(item.code)
    same = again is not None and normalise(again) == program
    if not same or not in_one_form(reasoning, item.code):
        return Judged("not_in_one_form", "")  # such as reasoning that holds a closing tag
    return Judged("", reasoning, program)


def _failure(item: Rollout, refusal: str) -> str:
    completion = item.completion
    if not completion.text.strip():
        return refusal or "empty"
    if item.code is None and refusal:
        return refusal
    if completion.truncated and cut_off_thinking(completion.text):
        return "truncated_thinking"
    if completion.truncated:
        return "truncated"
    return str(item.hidden.status) if item.hidden is not None else str(Status.NO_CODE)


def reasoning_of(text: str) -> str:
    """Return what stands inside the tags, else the prose before the program; '' if there is none.

    Small models often leave the tags out and explain before they write; that is reasoning too.
    """
    thinking = split_thinking(text)
    if thinking.reasoning.strip():
        return thinking.reasoning.strip()
    prose = thinking.answer.partition("```")[0].strip()
    fenced = "```" in thinking.answer
    return prose if fenced and len(prose.split()) >= SHORTEST else ""
