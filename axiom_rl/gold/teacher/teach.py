"""Asking a teacher: rounds of answers, judged as they come, until there are enough right ones."""

from __future__ import annotations

import logging
import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from axiom_rl.config import TeacherConfig
from axiom_rl.context.run_context import RunContext
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import write_json, write_jsonl
from axiom_rl.core.types import Problem, Status
from axiom_rl.gold.collect import attempt, rounds
from axiom_rl.gold.teacher.answers import Judged, judged
from axiom_rl.gold.teacher.asking import AskedSampler, Ledger, Teacher
from axiom_rl.gold.teacher.compared import Compared, load_compared
from axiom_rl.gold.teacher.open import open_teacher
from axiom_rl.gold.teacher.outcome import document, priced, read_result, say, what_to_try
from axiom_rl.gold.teacher.traces import SCHEMA, TeachResult, Trace, write_traces
from axiom_rl.rollouts.draw import Drawn, cost, draw_rollouts
from axiom_rl.rollouts.records import Rollout, read_rollouts
from axiom_rl.sampling.base import Key

log = logging.getLogger(__name__)

STYLE = "think"
LARGEST_ROUND = 512
"""Answers asked for between two looks at the yield."""
RESULT = "result.json"
NAME = "teach"


@dataclass(slots=True)
class _Asking:
    """What one call of `teach` works with."""

    context: RunContext
    config: TeacherConfig
    problems: Sequence[Problem]
    path: Path
    """completions/<phase>.jsonl."""
    stream: str
    iteration: int
    ledger: Ledger
    compared: Compared
    name: str = ""
    """Of the teacher's model."""
    seen: dict[tuple[str, int], Judged] | None = None
    """What was made of each answer: it takes a parse or two, so once is enough."""
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
            and (self.asked is None or _key(item) in self.asked)
        ]
        key = {
            id(item): (place[item.completion.problem_id], item.completion.sample) for item in found
        }
        return sorted(found, key=lambda item: key[id(item)])

    def judged(self, rollouts: Sequence[Rollout]) -> list[Judged]:
        """Say of each answer what it is worth."""
        by_id = {problem.id: problem for problem in self.problems}
        seen = self.seen if self.seen is not None else {}
        self.seen = seen
        for item in rollouts:
            key = _key(item)
            if key not in seen:
                refusal = str(self.ledger.of(*key).get("refusal") or "")
                seen[key] = self._judge(item, by_id[key[0]], refusal)
        return [seen[_key(item)] for item in rollouts]

    def kept(self) -> list[tuple[Rollout, Judged, str]]:
        """Return each answer, what it is worth, and why it is no trace of its own ('' if it is).

        The first of each problem are kept, up to teacher.traces_per_problem.
        """
        rollouts, known = self.rollouts(), defaultdict[str, set[tuple[str, str]]](set)
        marked: list[tuple[Rollout, Judged, str]] = []
        for item, found in zip(rollouts, self.judged(rollouts), strict=True):
            of_problem, why = known[item.completion.problem_id], found.why
            if not why and (found.program, found.reasoning) in of_problem:
                why = "duplicate"
            elif not why and len(of_problem) >= self.config.traces_per_problem:
                why = "surplus"
            elif not why:
                of_problem.add((found.program, found.reasoning))
            marked.append((item, found, why))
        return marked

    def _judge(self, item: Rollout, problem: Problem, refusal: str) -> Judged:
        found = judged(item, problem, refusal)
        if found.why or item.code is None:
            return found
        overlap = self.compared.overlap(item.completion.text, item.code, problem)
        return Judged(f"contaminated: {overlap}", "") if overlap else found


def teach(
    context: RunContext,
    teacher: TeacherConfig,
    problems: Sequence[Problem],
    *,
    output: Path | None = None,
    phase: str = NAME,
    iteration: int = 0,
) -> TeachResult:
    """Ask the teacher for traces of problems, verify them, and write traces.jsonl.

    A finished phase is read back without asking; an interrupted one goes on where it stopped.

    Args:
        context: of the run; its student must have been released, for a local teacher is loaded.
        teacher: who is asked, and how.
        problems: to ask for; see `axiom_rl.gold.teacher.asked.failed`.
        output: the traces file; None means traces.jsonl in the run folder.
        phase: completions/<phase>.jsonl keeps the answers.
        iteration: of the rows written; `teach/<iteration>` is finished.

    Raises:
        AxiomError: if there is no problem to ask for, the yield is below teacher.min_yield, no
            trace came of it, or the endpoint cannot be reached any more. What is right is written
            all the same.
    """
    run = context.run
    output = output or run.folder / "traces.jsonl"
    record = run.folder / "teacher" / RESULT
    if run.is_finished(f"{NAME}/{iteration}"):
        return read_result(record, output)
    if not problems:
        raise AxiomError(
            "the student fails none of the problems, so there is nothing to teach: raise "
            f"teacher.max_pass_rate={teacher.max_pass_rate:g}, or choose harder problems"
        )
    log.info(
        "the teacher is asked for at most %d answers, %d problems x %d; fewer once %s are right",
        len(problems) * teacher.samples,
        len(problems),
        teacher.samples,
        f"{teacher.max_traces} in all" if teacher.max_traces else "enough",
    )
    with run.timed(NAME, iteration) as columns:
        asking = _Asking(
            context=context,
            config=teacher,
            problems=problems,
            path=run.folder / "completions" / f"{phase}.jsonl",
            stream=f"{context.seed}/{phase}",
            iteration=iteration,
            ledger=Ledger(run.folder / "teacher" / f"{phase}.jsonl"),
            compared=load_compared(teacher),
        )
        opened = open_teacher(teacher, run.folder, problems, asking.ledger)
        asking.name = opened.name
        failure, low = None, False
        asking.asked = set()
        try:
            drawn, low = _ask(asking, opened)
            columns.update(cost(drawn))
        except AxiomError as error:  # what is there is written first
            failure = error
        finally:
            asking.asked = None
            opened.close()
        result = _write(asking, output)
        if failure is None and (low or not result.traces):
            failure = AxiomError(what_to_try(teacher, result, run.folder, opened.exhausted))
        ended = str(failure or opened.exhausted)
        parts = (asking.name, result, problems, asking.ledger, asking.compared, ended)
        write_json(record, document(teacher, *parts))
    say(result, priced(teacher))
    if failure is not None:
        raise failure
    _log(context, iteration, result)
    run.finish(f"{NAME}/{iteration}")
    return result


def _log(context: RunContext, iteration: int, result: TeachResult) -> None:
    context.run.tracker.log(
        "teach",
        iteration,
        asked=result.asked,
        solved=result.solved,
        answers=result.answers,
        right=result.right,
        traces=len(result.traces),
        share=result.share,
        prompt_tokens=result.prompt_tokens,
        tokens=result.tokens,
        cost=result.cost,
        seconds=round(result.seconds, 3),
        counts=dict(result.counts),
    )


def _ask(asking: _Asking, teacher: Teacher) -> tuple[Drawn, bool]:
    """Draw round by round; return what was drawn, and whether the yield is too low.

    Running out of money is no reason to stop the run: what is there may be enough.
    """
    config, gathered = asking.config, Drawn(rollouts=())
    size = config.judged_after
    for samples in rounds(range(config.samples), config.traces_per_problem):
        left = _lacking(asking)
        while left:
            share, traces, answers = _so_far(asking)
            if config.max_traces is not None and traces >= config.max_traces:
                return gathered, False
            if answers >= config.judged_after and share < config.min_yield:
                return gathered, True
            if teacher.exhausted:
                log.warning("asking ends: %s", teacher.exhausted)
                return gathered, False
            wanted = size
            if config.max_traces is not None:
                likely = max(share, config.min_yield, 0.05) if answers else 1.0
                wanted = min(size, math.ceil((config.max_traces - traces) / likely))
            count = max(1, max(wanted, teacher.least) // len(samples))
            some, left = left[:count], left[count:]
            gathered += _draw(asking, teacher, some, samples)
            size = min(2 * size, LARGEST_ROUND)
    share, _traces, answers = _so_far(asking)
    return gathered, bool(answers) and share < config.min_yield


def _draw(asking: _Asking, teacher: Teacher, problems: Sequence[Problem], samples: range) -> Drawn:
    log.info(
        "asking %s for %d problems, answers %d to %d of each",
        teacher.name, len(problems), samples.start + 1, samples.stop,
    )  # fmt: skip
    context, sampler = asking.context, AskedSampler(teacher, asking.ledger)
    assert asking.asked is not None
    asking.asked |= {(problem.id, sample) for problem in problems for sample in samples}
    drawn = draw_rollouts(
        asking.path,
        [attempt(problem, context.fresh_seed) for problem in problems],
        samples,
        sampler=lambda: sampler,
        verifier=context.verifier,
        style=STYLE,
        stream=asking.stream,
        iteration=asking.iteration,
    )
    if sampler.failure is not None:
        raise sampler.failure
    return replace(drawn, rollouts=())


def _key(item: Rollout) -> Key:
    return item.completion.problem_id, item.completion.sample


def _lacking(asking: _Asking) -> list[Problem]:
    """Return the problems that have too few traces."""
    kept = Counter(item.completion.problem_id for item, _found, why in asking.kept() if not why)
    return [p for p in asking.problems if kept[p.id] < asking.config.traces_per_problem]


def _so_far(asking: _Asking) -> tuple[float, int, int]:
    """Return the yield, the traces and the answers; the sandbox's own faults are in none."""
    marked = asking.kept()
    answers = sum(found.why != Status.SANDBOX_FAULT for _item, found, _why in marked)
    right = sum(not found.why for _item, found, _why in marked)
    traces = sum(not why for _item, _found, why in marked)
    return right / answers if answers else 0.0, traces, answers


def _write(asking: _Asking, output: Path) -> TeachResult:
    """Write the traces and what is wrong; return what came of it."""
    marked, by_id = asking.kept(), {problem.id: problem for problem in asking.problems}
    counts = Counter(why.partition(":")[0] for _item, _found, why in marked if why)
    wrong = [_wrong_row(asking, item, found.why) for item, found, _why in marked if found.why]
    traces = [
        _trace(asking, item, by_id[item.completion.problem_id], found.reasoning)
        for item, found, why in marked
        if not why
    ]
    most = asking.config.max_traces
    if most is not None and len(traces) > most:
        counts["surplus"] += len(traces) - most
        traces = traces[:most]
    rollouts = [item for item, _found, _why in marked]
    write_traces(output, traces)
    write_jsonl(output.with_name(f"{output.stem}_wrong{output.suffix}"), wrong)
    ledger = asking.ledger
    failures = {f"request_{kind}": count for kind, count in ledger.failures().items()}
    return TeachResult(
        path=output,
        traces=tuple(traces),
        asked=len(asking.problems),
        solved=len({trace.problem_id for trace in traces}),
        answers=len(rollouts) - counts[Status.SANDBOX_FAULT],
        right=sum(not found.why for _item, found, _why in marked),
        prompt_tokens=sum(item.completion.prompt_tokens for item in rollouts),
        tokens=sum(item.completion.completion_tokens for item in rollouts),
        cost=ledger.cost,
        seconds=sum(_seconds(asking, item) for item in rollouts),
        counts=dict(sorted((counts | Counter(failures)).items())),
    )


def _trace(asking: _Asking, item: Rollout, problem: Problem, reasoning: str) -> Trace:
    assert item.code is not None and item.hidden is not None
    total = item.hidden.total_tests
    return Trace(
        problem_id=problem.id,
        problem_title=problem.title,
        solution_code=item.code,
        passed_tests=total,
        total_tests=total,
        model_name=asking.name,
        timestamp=datetime.now(UTC).isoformat(timespec="seconds"),
        reasoning=reasoning,
        teacher=asking.config.kind,
        sample=item.completion.sample,
        prompt_tokens=item.completion.prompt_tokens,
        tokens=item.completion.completion_tokens,
        seconds=_seconds(asking, item),
    )


def _wrong_row(asking: _Asking, item: Rollout, why: str) -> dict[str, Any]:
    completion = item.completion
    return {
        "schema": SCHEMA,
        "problem_id": completion.problem_id,
        "sample": completion.sample,
        "why": why,
        "text": completion.text,
        "code": item.code,
        "teacher": asking.config.kind,
        "model_name": asking.name,
        "tokens": completion.completion_tokens,
        "seconds": _seconds(asking, item),
    }


def _seconds(asking: _Asking, item: Rollout) -> float:
    row = asking.ledger.of(item.completion.problem_id, item.completion.sample)
    return float(row.get("seconds", 0.0))
