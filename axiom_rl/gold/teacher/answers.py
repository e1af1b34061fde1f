"""What an answer of a teacher is worth: a trace, or which kind of wrong."""

from __future__ import annotations

import re
from dataclasses import dataclass

from axiom_rl.core.types import Problem, Status
from axiom_rl.gold.rows import in_one_form
from axiom_rl.gold.store import normalise
from axiom_rl.problems.prompts import thought_answer
from axiom_rl.rollouts.records import Rollout
from axiom_rl.verify.extract import cut_off_thinking, extract_code, split_thinking

SHORTEST = 10
"""Words that count as reasoning where no tags enclose them; fewer are a phrase (`Here it is`)."""

LONGEST = 120
"""Words of a reasoning that was asked for by itself; whole sentences of it are kept."""
_SENTENCE_END = re.compile(r"(?<!\d)[.!?](?=\s|$)")


@dataclass(frozen=True, slots=True)
class Judged:
    """One answer: why it is not a trace ('' where it is one), and its reasoning."""

    why: str
    reasoning: str
    program: str = ""
    """Normalised; two answers with the same program and reasoning are one trace."""


def judged(item: Rollout, problem: Problem, refusal: str = "") -> Judged:
    """Say what became of an answer that holds reasoning and program.

    Args:
        item: the answer with its verdict on the hidden tests.
        problem: that it answers.
        refusal: what the endpoint itself said of the answer, such as `refusal`.
    """
    failure = _failure(item, refusal, thinks=True)
    if failure:
        return Judged(failure, "")
    return with_reasoning(item, problem, reasoning_of(item.completion.text))


def judged_program(item: Rollout, refusal: str = "") -> Judged:
    """Say what became of an answer that holds a program alone; see `judged`."""
    failure = _failure(item, refusal, thinks=False)
    return Judged(failure, "", "" if failure else normalise(str(item.code)))


def with_reasoning(item: Rollout, problem: Problem, reasoning: str) -> Judged:
    """Say whether a right program and its reasoning are a trace.

    Args:
        item: the answer, whose program passed.
        problem: that it answers.
        reasoning: '' if there is none.
    """
    assert item.code is not None
    if not reasoning:
        return Judged("no_reasoning", "")
    whole = thought_answer(reasoning, item.code)
    again = extract_code(whole, problem.entry_point, shown=problem.statement)
    program = normalise(item.code)
    same = again is not None and normalise(again) == program
    if not same or not in_one_form(reasoning, item.code):
        return Judged("not_in_one_form", "")  # such as reasoning that holds a closing tag
    return Judged("", reasoning, program)


def _failure(item: Rollout, refusal: str, *, thinks: bool) -> str:
    """Return why an answer's program is not right; '' if it is."""
    completion, verdict = item.completion, item.hidden
    if verdict is not None and verdict.status is Status.SANDBOX_FAULT:
        return str(Status.SANDBOX_FAULT)
    if verdict is not None and verdict.passed and item.code is not None:
        return ""
    if not completion.text.strip():
        return refusal or "empty"
    if item.code is None and refusal:
        return refusal
    if thinks and completion.truncated and cut_off_thinking(completion.text):
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


def shortened(text: str) -> str:
    """Return the whole sentences among the first `LONGEST` words of a reasoning; '' if too few.

    What a small model was asked to say in 80 words it says in 200, and is cut off.
    """
    thinking = split_thinking(text)
    prose = thinking.answer.partition("```")[0].strip()
    words = list(re.finditer(r"\S+", prose))[:LONGEST]
    head = prose[: words[-1].end()] if words else ""
    ends = [found.end() for found in _SENTENCE_END.finditer(head)]
    whole = head[: ends[-1]] if ends else ""
    return whole if len(whole.split()) >= SHORTEST else ""
