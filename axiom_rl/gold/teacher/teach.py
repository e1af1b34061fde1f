"""Asking a teacher: rounds of answers, judged as they come, until there are enough right ones."""

from __future__ import annotations

import logging
import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from axiom_rl.config import TeacherConfig
from axiom_rl.context.run_context import RunContext
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import write_json
from axiom_rl.core.types import Problem, Status
from axiom_rl.gold.collect import attempt, rounds
from axiom_rl.gold.teacher.asking import (
    UNEXPLAINED,
    AskedSampler,
    Asking,
    Ledger,
    Reasonings,
    Teacher,
    key_of,
    reasoning_key,
)
from axiom_rl.gold.teacher.compared import load_compared
from axiom_rl.gold.teacher.open import open_teacher
from axiom_rl.gold.teacher.outcome import (
    document,
    priced,
    read_result,
    say,
    what_to_try,
    write_result,
)
from axiom_rl.gold.teacher.traces import TeachResult
from axiom_rl.problems.prompts import render_explaining
from axiom_rl.rollouts.draw import Drawn, cost, draw_rollouts
from axiom_rl.rollouts.records import Rollout
from axiom_rl.sampling.base import SampleRequest

log = logging.getLogger(__name__)

LARGEST_ROUND = 512
"""Answers asked for between two looks at the yield."""
RESULT = "result.json"
NAME = "teach"


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
        asking = Asking(
            context=context,
            config=teacher,
            problems=problems,
            path=run.folder / "completions" / f"{phase}.jsonl",
            stream=f"{context.seed}/{phase}",
            iteration=iteration,
            ledger=Ledger(run.folder / "teacher" / f"{phase}.jsonl"),
            compared=load_compared(teacher),
            reasonings=Reasonings(run.folder / "teacher" / f"{phase}_reasoning.jsonl"),
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
        result = write_result(asking, output)
        columns["tokens"] = result.tokens
        if failure is None and (low or not result.traces):
            failure = AxiomError(what_to_try(teacher, result, run.folder, opened.exhausted))
        ended = str(failure or opened.exhausted)
        write_json(record, document(asking, result, ended))
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


def _ask(asking: Asking, teacher: Teacher) -> tuple[Drawn, bool]:
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
            gathered += _draw(asking, teacher, some, samples) + _explain(asking, teacher)
            size = min(2 * size, LARGEST_ROUND)
    share, _traces, answers = _so_far(asking)
    return gathered, bool(answers) and share < config.min_yield


def _draw(asking: Asking, teacher: Teacher, problems: Sequence[Problem], samples: range) -> Drawn:
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
        style=asking.style,
        stream=asking.stream,
        iteration=asking.iteration,
    )
    if sampler.failure is not None:
        raise sampler.failure
    return replace(drawn, rollouts=())


def _explain(asking: Asking, teacher: Teacher) -> Drawn:
    """Ask for the reasoning behind the right programs that are kept, where it comes after them.

    At once after the programs, so that what ends asking (money, a low yield) leaves whole traces. A
    reasoning that is no use, or never came, makes room for the next right program.
    """
    most, started, tokens = asking.config.max_traces, time.monotonic(), 0
    assert asking.asked is not None
    while asking.explains and not teacher.exhausted:
        marked = asking.kept()
        there = sum(not why for _item, _found, why in marked)
        waiting = [
            item for item, _found, why in marked if why == UNEXPLAINED and asking.may_explain(item)
        ][: None if most is None else max(0, most - there)]
        if not waiting:
            break
        asking.asked |= set(map(reasoning_key, waiting))
        requests = _reasoning_requests(asking, waiting)
        if not requests:  # all on disk: no model is loaded for them
            continue
        log.info("asking %s for the reasoning of %d right programs", teacher.name, len(requests))
        sampler = AskedSampler(teacher, asking.ledger)
        for said in sampler.sample(requests):
            asking.reasonings.keep(said)
            tokens += said.completion_tokens
        if sampler.failure is not None:
            raise sampler.failure
    return Drawn(rollouts=(), seconds=time.monotonic() - started, tokens=tokens)


def _reasoning_requests(asking: Asking, programs: Sequence[Rollout]) -> list[SampleRequest]:
    by_id = {problem.id: problem for problem in asking.problems}
    return [
        SampleRequest(
            problem_id=item.completion.problem_id,
            messages=tuple(render_explaining(by_id[item.completion.problem_id], str(item.code))),
            samples=(reasoning_key(item)[1],),
            stream=asking.stream,
        )
        for item in programs
        if not asking.reasonings.of(*key_of(item))
    ]


def _lacking(asking: Asking) -> list[Problem]:
    """Return the problems that have too few traces."""
    kept = Counter(item.completion.problem_id for item, _found, why in asking.kept() if not why)
    return [p for p in asking.problems if kept[p.id] < asking.config.traces_per_problem]


def _so_far(asking: Asking) -> tuple[float, int, int]:
    """Return the yield, the traces and the answers; the sandbox's own faults are in none."""
    marked = asking.kept()
    answers = sum(found.why != Status.SANDBOX_FAULT for _item, found, _why in marked)
    right = sum(not found.why for _item, found, _why in marked)
    traces = sum(not why for _item, _found, why in marked)
    return right / answers if answers else 0.0, traces, answers
