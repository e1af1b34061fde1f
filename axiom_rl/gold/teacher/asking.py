"""What a teacher gives back, the ledger in which all of it is counted, and what it is worth."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from axiom_rl.config import ApiTeacherConfig, LocalTeacherConfig, TeacherConfig
from axiom_rl.context.run_context import RunContext
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import append_jsonl, read_jsonl
from axiom_rl.core.types import Completion, Problem
from axiom_rl.gold.teacher.answers import (
    Judged,
    judged,
    judged_program,
    shortened,
    with_reasoning,
)
from axiom_rl.gold.teacher.compared import Compared
from axiom_rl.rollouts.records import Rollout, read_rollouts
from axiom_rl.sampling import SampleRequest
from axiom_rl.sampling.base import Key

SCHEMA = 1
UNEXPLAINED = "unexplained"
"""A right program whose reasoning was not asked for yet, or never answered; the next right program
takes the place of one that was not."""
REASONING = 1_000_000
"""Sample numbers from here on are of reasoning alone: that of sample s is REASONING + s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherAnswer:
    """One answer, and what it cost."""

    completion: Completion
    cost: float = 0.0
    """Paid by this run, in an earlier start of it or now; 0 where another run paid."""
    cached: bool = False
    """Whether it came from the answers on disk."""
    estimated: bool = False
    """Whether the tokens are an estimate, for the endpoint does not count them."""
    refusal: str = ""
    """What the endpoint says of an answer that is none: refusal or content_filter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One request that failed: once, and tried again, or for good."""

    problem_id: str
    sample: int
    kind: str
    """connection, timeout, rate_limit, server_error, malformed, rejected or over_budget."""
    detail: str
    """In words, without any secret."""
    final: bool
    """Whether it was the last try."""
    uncertain: float = 0.0
    """Money that it may have cost, for nobody knows whether the endpoint had begun to answer."""


class Teacher(Protocol):
    """Writes answers; text alone is needed."""

    name: str
    """Of the model."""
    exhausted: str
    """Why no more can be asked, such as money that is spent; '' while more can be."""
    least: int
    """Answers of a round that is worth its time: where fewer would do, so many are asked for."""

    def answers(self, requests: Sequence[SampleRequest]) -> Iterator[TeacherAnswer | Failure]:
        """Yield an answer or a final failure for each sample, and every failure before it."""
        ...

    def close(self) -> None:
        """Let go of memory and connections."""
        ...


class Ledger:
    """teacher/<phase>.jsonl: one row per answer and failure, over all starts of the run."""

    def __init__(self, path: Path) -> None:
        """Read what is there."""
        self.path = path
        rows = list(read_jsonl(path)) if path.exists() else []
        self._answers = {_key(row): row for row in rows if "kind" not in row}
        self._failures = [row for row in rows if "kind" in row]

    def note(self, item: TeacherAnswer | Failure, seconds: float) -> None:
        """Write a row; an answer that was there before (killed before it was judged) gives way."""
        if isinstance(item, Failure):
            row: dict[str, Any] = {
                "problem_id": item.problem_id,
                "sample": item.sample,
                "kind": item.kind,
                "detail": item.detail,
                "final": item.final,
                "uncertain": item.uncertain,
            }
            self._failures.append(row)
        else:
            row = {
                "problem_id": item.completion.problem_id,
                "sample": item.completion.sample,
                "seconds": round(seconds, 3),
                "cost": item.cost,
                "cached": item.cached,
                "estimated": item.estimated,
                "refusal": item.refusal,
            }
            self._answers[_key(row)] = row
        append_jsonl(self.path, [{"schema": SCHEMA} | row])

    def of(self, problem_id: str, sample: int) -> dict[str, Any]:
        """Return the row of an answer; {} where there is none."""
        return self._answers.get((problem_id, sample), {})

    def has(self, problem_id: str, sample: int) -> bool:
        """Whether an answer is noted, and with it what it cost."""
        return (problem_id, sample) in self._answers

    @property
    def cost(self) -> float:
        """Money paid by this run."""
        return sum(float(row["cost"]) for row in self._answers.values())

    @property
    def uncertain(self) -> float:
        """Money that lost requests may have cost besides."""
        return sum(float(row["uncertain"]) for row in self._failures)

    @property
    def cached(self) -> int:
        """Answers that came from disk."""
        return sum(row["cached"] for row in self._answers.values())

    @property
    def estimated(self) -> int:
        """Answers whose tokens are an estimate."""
        return sum(row["estimated"] for row in self._answers.values())

    def failures(self) -> Counter[str]:
        """Return how many tries failed, by kind."""
        return Counter(row["kind"] for row in self._failures)

    @property
    def lost(self) -> int:
        """Requests that failed for good, and were not answered in a later start either."""
        gone = {_key(row) for row in self._failures if row["final"]}
        return len(gone - self._answers.keys())


class Reasonings:
    """teacher/<phase>_reasoning.jsonl: what was said of right programs, over all starts."""

    def __init__(self, path: Path) -> None:
        """Read what is there."""
        self.path = path
        rows = read_jsonl(path) if path.exists() else ()
        self._found = {_key(row): row for row in rows}

    def keep(self, said: Completion) -> None:
        """Write a reasoning."""
        row = {
            "problem_id": said.problem_id,
            "sample": said.sample - REASONING,
            "text": said.text,
            "prompt_tokens": said.prompt_tokens,
            "tokens": said.completion_tokens,
        }
        self._found[_key(row)] = row
        append_jsonl(self.path, [{"schema": SCHEMA} | row])

    def of(self, problem_id: str, sample: int) -> dict[str, Any]:
        """Return the row of a sample; {} where there is none."""
        return self._found.get((problem_id, sample), {})


class AskedSampler:
    """A teacher as a sampler: what it gives is noted, and completions go on to be judged."""

    def __init__(self, teacher: Teacher, ledger: Ledger) -> None:
        """Ask `teacher`."""
        self._teacher, self._ledger = teacher, ledger
        self.failure: AxiomError | None = None
        """What ended asking; the answers before it are judged and written first."""

    def sample(
        self, requests: Sequence[SampleRequest], *, temperature: float | None = None
    ) -> Iterator[Completion]:
        """Yield the answers; the temperature is the teacher's own."""
        last = time.monotonic()
        try:
            for item in self._teacher.answers(requests):
                now = time.monotonic()
                self._ledger.note(item, now - last)
                if isinstance(item, TeacherAnswer):
                    last = now
                    yield item.completion
        except AxiomError as error:
            self.failure = error


@dataclass(slots=True)
class Asking:
    """What one call of `teach` works with, and what its answers are worth so far."""

    context: RunContext
    config: TeacherConfig
    problems: Sequence[Problem]
    path: Path
    """completions/<phase>.jsonl."""
    stream: str
    iteration: int
    ledger: Ledger
    compared: Compared
    reasonings: Reasonings
    name: str = ""
    """Of the teacher's model."""
    seen: dict[Key, Judged] = field(default_factory=dict)
    """What was made of each answer, of each reasoning too: it takes a parse or two, so once is
    enough."""
    asked: set[Key] | None = None
    """While answers are asked for: those that this start has asked for, found on disk or not. What
    is asked next is decided by them alone, so that a resumed run decides as the first start did;
    None stands for all on disk."""

    def rollouts(self) -> list[Rollout]:
        """Return the answers so far, by problem and sample."""
        place = {problem.id: number for number, problem in enumerate(self.problems)}
        found = [
            item
            for item in read_rollouts(self.path)
            if item.completion.problem_id in place
            and (self.asked is None or key_of(item) in self.asked)
        ]
        key = {
            id(item): (place[item.completion.problem_id], item.completion.sample) for item in found
        }
        return sorted(found, key=lambda item: key[id(item)])

    def judged(self, rollouts: Sequence[Rollout]) -> list[Judged]:
        """Say of each answer what it is worth."""
        by_id, seen = {problem.id: problem for problem in self.problems}, self.seen
        for item in rollouts:
            key = key_of(item)
            if key not in seen:
                refusal = str(self.ledger.of(*key).get("refusal") or "")
                seen[key] = self._judge(item, by_id[key[0]], refusal)
        return [seen[key_of(item)] for item in rollouts]

    def kept(self) -> list[tuple[Rollout, Judged, str]]:
        """Return each answer, what it is worth, and why it is no trace of its own ('' if it is).

        The first of each problem are kept, up to teacher.traces_per_problem.
        """
        rollouts, known = self.rollouts(), defaultdict[str, set[tuple[str, str]]](set)
        marked: list[tuple[Rollout, Judged, str]] = []
        for item, found in zip(rollouts, self.judged(rollouts), strict=True):
            of_problem, why = known[item.completion.problem_id], found.why
            content = (found.program, found.reasoning)
            if not why and content in of_problem:
                why = "duplicate"
            elif not why and len(of_problem) >= self.config.traces_per_problem:
                why = "surplus"
            elif not why and self.explains:
                explained = self._explained(item)
                found, why = (explained, explained.why) if explained else (found, UNEXPLAINED)
            if not why or (why == UNEXPLAINED and self.may_explain(item)):
                of_problem.add(content)
            marked.append((item, found, why))
        return marked

    @property
    def style(self) -> str:
        """The prompt style in which the answers are asked for."""
        match self.config:
            case LocalTeacherConfig(reasoning=reasoning) | ApiTeacherConfig(reasoning=reasoning):
                return style_of(reasoning)
            case _:
                return style_of("before")

    @property
    def explains(self) -> bool:
        """Whether the teacher is asked for reasoning by itself, after the program."""
        return self.style != "think"

    def may_explain(self, item: Rollout) -> bool:
        """Whether the reasoning behind a right program can still be asked for."""
        return self.asked is not None and reasoning_key(item) not in self.asked

    def _explained(self, item: Rollout) -> Judged | None:
        """Judge a right program with its reasoning; None where there is none."""
        key, seen = reasoning_key(item), self.seen
        row = {} if self.may_explain(item) else self.reasonings.of(*key_of(item))
        if row and key not in seen:
            problem = next(each for each in self.problems if each.id == key[0])
            refusal = str(self.ledger.of(*key).get("refusal") or "")
            found = with_reasoning(item, problem, shortened(row["text"]))
            found = Judged(refusal, "") if refusal else found
            seen[key] = found if found.why else self._compared(item, problem, found, row["text"])
        return seen[key] if row else None

    def _judge(self, item: Rollout, problem: Problem, refusal: str) -> Judged:
        find = judged_program(item, refusal) if self.explains else judged(item, problem, refusal)
        return find if find.why else self._compared(item, problem, find, item.completion.text)

    def _compared(self, item: Rollout, problem: Problem, found: Judged, text: str) -> Judged:
        assert item.code is not None
        overlap = self.compared.overlap(text, item.code, problem)
        return Judged(f"contaminated: {overlap}", "") if overlap else found


def style_of(reasoning: str) -> str:
    """Return the prompt style in which answers are asked for, by teacher.reasoning."""
    return "think" if reasoning == "before" else "direct"


def _key(row: dict[str, Any]) -> tuple[str, int]:
    return str(row["problem_id"]), int(row["sample"])


def key_of(item: Rollout) -> Key:
    """Return problem and sample of an answer."""
    return item.completion.problem_id, item.completion.sample


def reasoning_key(item: Rollout) -> Key:
    """Return problem and sample of the reasoning behind a program."""
    return item.completion.problem_id, REASONING + item.completion.sample
