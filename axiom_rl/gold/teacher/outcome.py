"""What came of asking a teacher: in the log, in the report, and what to try if it was little."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from axiom_rl.config import ApiTeacherConfig, LocalTeacherConfig, TeacherConfig
from axiom_rl.core.files import read_json, write_jsonl
from axiom_rl.core.text import duration, percent
from axiom_rl.core.types import Problem, Status
from axiom_rl.gold.teacher.asking import UNEXPLAINED, Asking, key_of, reasoning_key
from axiom_rl.gold.teacher.traces import SCHEMA as TRACES_SCHEMA
from axiom_rl.gold.teacher.traces import TeachResult, Trace, read_traces, write_traces
from axiom_rl.rollouts.records import Rollout

log = logging.getLogger(__name__)

SCHEMA = 1
MANY = 0.25
"""Share of the answers from which a kind of failure is worth a hint of its own."""


def write_result(asking: Asking, output: Path) -> TeachResult:
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
    if most is not None and len(traces) >= most:
        counts += Counter(surplus=len(traces) - most + counts.pop(UNEXPLAINED, 0))
        traces = traces[:most]
    spent = [_spent(asking, item) for item, _found, _why in marked]
    write_traces(output, traces)
    write_jsonl(output.with_name(f"{output.stem}_wrong{output.suffix}"), wrong)
    ledger = asking.ledger
    failures = {f"request_{kind}": count for kind, count in ledger.failures().items()}
    return TeachResult(
        path=output,
        traces=tuple(traces),
        asked=len(asking.problems),
        solved=len({trace.problem_id for trace in traces}),
        answers=len(marked) - counts[Status.SANDBOX_FAULT],
        right=sum(not found.why for _item, found, _why in marked),
        prompt_tokens=sum(each["prompt_tokens"] for each in spent),
        tokens=sum(each["tokens"] for each in spent),
        cost=ledger.cost,
        seconds=sum(each["seconds"] for each in spent),
        counts=dict(sorted((counts | Counter(failures)).items())),
    )


def _trace(asking: Asking, item: Rollout, problem: Problem, reasoning: str) -> Trace:
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
        **_spent(asking, item),
    )


def _wrong_row(asking: Asking, item: Rollout, why: str) -> dict[str, Any]:
    completion = item.completion
    return {
        "schema": TRACES_SCHEMA,
        "problem_id": completion.problem_id,
        "sample": completion.sample,
        "why": why,
        "text": completion.text,
        "code": item.code,
        "teacher": asking.config.kind,
        "model_name": asking.name,
        "tokens": completion.completion_tokens,
        "seconds": _seconds(asking, completion.problem_id, completion.sample),
    }


def _spent(asking: Asking, item: Rollout) -> dict[str, Any]:
    """Return the tokens and seconds of an answer, of its reasoning too where that came apart."""
    apart = asking.reasonings.of(*key_of(item))
    return {
        "prompt_tokens": item.completion.prompt_tokens + int(apart.get("prompt_tokens", 0)),
        "tokens": item.completion.completion_tokens + int(apart.get("tokens", 0)),
        "seconds": _seconds(asking, *key_of(item)) + _seconds(asking, *reasoning_key(item)),
    }


def _seconds(asking: Asking, problem_id: str, sample: int) -> float:
    return float(asking.ledger.of(problem_id, sample).get("seconds", 0.0))


def document(asking: Asking, result: TeachResult, ended: str) -> dict[str, Any]:
    """Return teacher/result.json.

    Args:
        asking: what was asked.
        result: what came of it.
        ended: why asking ended early; '' if it did not.
    """
    config, ledger, compared, problems = (
        asking.config, asking.ledger, asking.compared, asking.problems
    )  # fmt: skip
    asked = Counter((problem.type, problem.difficulty) for problem in problems)
    of = {problem.id: (problem.type, problem.difficulty) for problem in problems}
    traces = Counter(of[trace.problem_id] for trace in result.traces)
    solved = Counter(of[name] for name in {trace.problem_id for trace in result.traces})
    values = asdict(result) | {"path": str(result.path), "traces": len(result.traces)}
    return {
        "schema": SCHEMA,
        "teacher": config.kind,
        "model_name": asking.name,
        **values,
        "yield": result.share,
        "cached": ledger.cached,
        "estimated": ledger.estimated,
        "lost_requests": ledger.lost,
        "uncertain_cost": ledger.uncertain,
        "priced": priced(config),
        "compared_with": list(compared.names),
        "not_compared_with": dict(compared.lacking),
        "ended": ended,
        "by_type": [
            {
                "type": kind,
                "difficulty": level,
                "asked": count,
                "solved": solved[kind, level],
                "traces": traces[kind, level],
            }
            for (kind, level), count in sorted(asked.items())
        ],
    }


def priced(config: TeacherConfig) -> bool:
    """Tell whether a teacher is paid: for prompts, for answers, or for both."""
    return isinstance(config, ApiTeacherConfig) and bool(config.price_in or config.price_out)


def read_result(record: Path, output: Path) -> TeachResult:
    """Return the result of a finished phase.

    Raises:
        AxiomError: if a file is missing or damaged.
    """
    kept = read_json(record)
    names = [name for name in TeachResult.__dataclass_fields__ if name not in ("path", "traces")]
    return TeachResult(
        path=output, traces=tuple(read_traces(output)), **{name: kept[name] for name in names}
    )


def say(result: TeachResult, paid: bool) -> None:
    """Log what the teacher bought."""
    log.info(
        "%d traces of %d of %d problems in %s; yield %s (%d right of %d answers), %d tokens, %s%s",
        len(result.traces), result.solved, result.asked, result.path, percent(result.share),
        result.right, result.answers, result.tokens, duration(result.seconds),
        f", {result.cost:.4f} paid" if paid else "",
    )  # fmt: skip
    if result.counts:
        named = ", ".join(f"{count} {kind}" for kind, count in result.counts.items())
        log.info("what became of the others: %s", named)


def what_to_try(config: TeacherConfig, result: TeachResult, folder: Path, exhausted: str) -> str:
    """Say why the teacher was not worth going on with, and what to type instead."""
    cures, counts, answers = list[str](), Counter(result.counts), max(result.answers, 1)
    if exhausted:
        cures.append("more money (a higher teacher.max_cost)")
    cut = counts["truncated_thinking"] + counts["truncated"]
    if cut >= MANY * answers:
        limit = "max_new_tokens" if isinstance(config, LocalTeacherConfig) else "max_tokens"
        now = getattr(config, limit, 0)
        cures.append(f"more room ({cut} answers were cut off: teacher.{limit}={2 * now})")
    if counts["no_reasoning"] >= MANY * answers:
        cures.append(f"a teacher that reasons ({counts['no_reasoning']} right programs came alone)")
    thinks = getattr(config, "reasoning", "") == "before"
    if thinks and counts["truncated_thinking"] + counts["no_reasoning"] >= MANY * answers:
        cures.append("programs first, their reasoning after (teacher.reasoning=after)")
    if counts["contaminated"] >= MANY * answers:
        cures.append(
            f"other problems ({counts['contaminated']} answers repeat tasks of benchmarks)"
        )
    if counts["refusal"] + counts["content_filter"] + counts["empty"] >= MANY * answers:
        cures.append("another endpoint or model (it refuses, or answers with nothing)")
    if isinstance(config, LocalTeacherConfig):
        cures.append("a larger teacher (teacher.model=qwen2.5-coder-7b, or teacher=api)")
    elif isinstance(config, ApiTeacherConfig):
        cures.append("a stronger model (teacher.name=)")
    cures.append("easier problems (lower problems.levels)")
    told = f"{result.right} right of {result.answers} answers"
    if not result.answers:
        why = "the teacher gave no answer"
    elif result.share < config.min_yield:
        why = (
            f"the teacher's yield is {percent(result.share)} ({told}), below "
            f"teacher.min_yield={config.min_yield:g}"
        )
    else:
        why = f"no trace came of it ({told})"
    if exhausted:
        why += f"; {exhausted}"
    how = "teacher.max_cost=" if exhausted else "teacher.min_yield=0"
    return (
        f"{why}. Try {', or '.join(cures)}. What is right is in {result.path}; to go on all the "
        f"same: resume={folder} {how}"
    )
