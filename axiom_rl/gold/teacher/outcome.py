"""What came of asking a teacher: in the log, in the report, and what to try if it was little."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from axiom_rl.config import ApiTeacherConfig, LocalTeacherConfig, TeacherConfig
from axiom_rl.core.files import read_json
from axiom_rl.core.text import duration, percent
from axiom_rl.core.types import Problem
from axiom_rl.gold.teacher.asking import Ledger
from axiom_rl.gold.teacher.compared import Compared
from axiom_rl.gold.teacher.traces import TeachResult, read_traces

log = logging.getLogger(__name__)

SCHEMA = 1
MANY = 0.25
"""Share of the answers from which a kind of failure is worth a hint of its own."""


def document(
    config: TeacherConfig,
    name: str,
    result: TeachResult,
    problems: Sequence[Problem],
    ledger: Ledger,
    compared: Compared,
    ended: str,
) -> dict[str, Any]:
    """Return teacher/result.json.

    Args:
        config: of the teacher.
        name: of its model.
        result: what came of it.
        problems: that were asked for.
        ledger: of answers and failures.
        compared: benchmarks that the answers were compared with.
        ended: why asking ended early; '' if it did not.
    """
    asked = Counter((problem.type, problem.difficulty) for problem in problems)
    of = {problem.id: (problem.type, problem.difficulty) for problem in problems}
    traces = Counter(of[trace.problem_id] for trace in result.traces)
    solved = Counter(of[name] for name in {trace.problem_id for trace in result.traces})
    values = asdict(result) | {"path": str(result.path), "traces": len(result.traces)}
    return {
        "schema": SCHEMA,
        "teacher": config.kind,
        "model_name": name,
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
    cures, counts, answers = [], Counter(result.counts), max(result.answers, 1)
    cut = counts["truncated_thinking"] + counts["truncated"]
    if cut >= MANY * answers:
        limit = "max_new_tokens" if isinstance(config, LocalTeacherConfig) else "max_tokens"
        now = getattr(config, limit, 0)
        cures.append(f"more room ({cut} answers were cut off: teacher.{limit}={2 * now})")
    if counts["no_reasoning"] >= MANY * answers:
        cures.append(f"a teacher that reasons ({counts['no_reasoning']} right programs came alone)")
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
    return (
        f"{why}. Try {', or '.join(cures)}. What is right is in {result.path}; to go on all the "
        f"same: resume={folder} teacher.min_yield=0"
    )
