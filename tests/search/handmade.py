"""Hand-made material whose right choice is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from axiom_rl.core.types import TestCase
from axiom_rl.search import Answer, Material, PublicProblem, Sampled

ERROR = object()


def problem(*tests: tuple[tuple[Any, ...], Any], **fields: Any) -> PublicProblem:
    known = {
        "id": "p",
        "type": "none",
        "title": "p",
        "statement": "",
        "entry_point": "f",
        "signature": "(x)",
        "public_tests": tuple(TestCase(args=args, expected=value) for args, value in tests),
    }
    return PublicProblem(**known | fields)


def answer(value: Any) -> Answer:
    if value is ERROR:
        return Answer(returned=False, shown="runtime_error: ValueError")
    return Answer(returned=True, value=value, shown="a value")


def material(
    rows: Sequence[Sequence[Any] | None],
    logprobs: Sequence[float | None] | None = None,
    public: Sequence[int] | None = None,
    **fields: Any,
) -> Material:
    """One sample a row, with what it returns on each input; None for one that was not run."""
    width = max((len(row) for row in rows if row is not None), default=0)
    likely = logprobs or [-1.0] * len(rows)
    return Material(
        problem=problem(((1,), 1)),
        samples=tuple(
            Sampled(sample=n, code=f"# {n}", logprob=likely[n], tokens=10, prompt_tokens=5)
            for n in range(len(rows))
        ),
        public_passed=tuple(public or [int(row is not None) for row in rows]),
        inputs=tuple((n,) for n in range(width)),
        answers=tuple(None if row is None else tuple(map(answer, row)) for row in rows),
        **fields,
    )
