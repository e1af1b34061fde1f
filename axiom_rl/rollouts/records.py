"""Rollouts, completions with their verdicts, as rows of completions/*.jsonl: the one format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_jsonl
from axiom_rl.core.types import Completion, Status, Verdict

T = TypeVar("T")
SCHEMA = 1
LOGPROB_DIGITS = 6
"""After the point; the batch decides about later ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """One completion, the program in it, and its verdicts."""

    completion: Completion
    code: str | None
    hidden: Verdict | None
    fresh: Verdict | None


def read_rollouts(path: Path) -> list[Rollout]:
    """Read a completions file; empty if there is none. Verdicts come back without their cases.

    Raises:
        AxiomError: naming the row that is no sample as runs store them.
    """
    if not path.exists():
        return []
    rollouts = []
    for number, row in enumerate(read_jsonl(path), start=1):
        try:
            rollouts.append(_rollout(row))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            what = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
            raise AxiomError(
                f"{path}, row {number}: not a sample as a run stores it: {what}"
            ) from None
    return rollouts


def rollout_row(item: Rollout, phase: str, iteration: int) -> dict[str, Any]:
    """Return a rollout as a row of completions/*.jsonl."""
    return {
        "schema": SCHEMA,
        "problem_id": item.completion.problem_id,
        "sample": item.completion.sample,
        "iteration": iteration,
        "phase": phase,
        "text": item.completion.text,
        "code": item.code,
        "truncated": item.completion.truncated,
        **({"stopped": True} if item.completion.stopped else {}),
        "prompt_tokens": item.completion.prompt_tokens,
        "completion_tokens": item.completion.completion_tokens,
        "token_ids": list(item.completion.token_ids),
        "logprobs": [round(logprob, LOGPROB_DIGITS) for logprob in item.completion.logprobs],
        "hidden": _verdict_row(item.hidden),
        "fresh": _verdict_row(item.fresh),
    }


def _verdict_row(verdict: Verdict | None) -> dict[str, Any] | None:
    if verdict is None:
        return None
    return {
        "status": str(verdict.status),
        "passed": verdict.passed,
        "passed_tests": verdict.passed_tests,
        "total_tests": verdict.total_tests,
        "pass_fraction": verdict.pass_fraction,
        "failed_test": next((case.index for case in verdict.cases if not case.passed), None),
        "failed_tests": list(verdict.failed_tests),
        "detail": verdict.detail,
    }


def _rollout(row: Mapping[str, Any]) -> Rollout:
    return Rollout(
        completion=Completion(
            problem_id=_of_type(str, row, "problem_id"),
            sample=_of_type(int, row, "sample"),
            text=_of_type(str, row, "text"),
            prompt_tokens=row["prompt_tokens"],
            completion_tokens=row["completion_tokens"],
            truncated=row["truncated"],
            stopped=row.get("stopped", False),
            token_ids=tuple(row.get("token_ids", ())),  # rows of older versions have neither
            logprobs=tuple(row.get("logprobs", ())),
        ),
        code=row["code"],
        hidden=_verdict(row["hidden"]),
        fresh=_verdict(row["fresh"]),
    )


def _of_type(kind: type[T], row: Mapping[str, Any], column: str) -> T:
    value = row[column]
    if type(value) is not kind:
        raise TypeError(f"{column} is {value!r:.40}")
    return value


def _only_failed(row: Mapping[str, Any]) -> tuple[int, ...]:
    """Return what rows of older versions tell: which test failed, where it was one."""
    failed = row.get("failed_test")
    if failed is None or row["total_tests"] - row["passed_tests"] != 1:
        return ()
    return (int(failed),)


def _verdict(row: Mapping[str, Any] | None) -> Verdict | None:
    if row is None:
        return None
    return Verdict(
        status=Status(row["status"]),
        passed=row["passed"],
        pass_fraction=row["pass_fraction"],
        total_tests=row["total_tests"],
        failed_tests=tuple(row.get("failed_tests", _only_failed(row))),
        detail=row["detail"],
    )
