"""What may be compared: evaluations that measured the same thing with another model."""

from __future__ import annotations

from axiom_rl.errors import AxiomError
from axiom_rl.evaluation.evaluate import Evaluation

HASH_DIGITS = 64


def require_comparable(before: Evaluation, after: Evaluation) -> None:
    """Refuse evaluations that measured different things.

    Raises:
        AxiomError: naming every difference.
    """
    reasons = [
        f"{name}: {_brief(old)} against {_brief(new)}"
        for name, old, new in _measured(before, after)
        if old != new
    ]
    missing = sorted(before.per_problem.keys() ^ after.per_problem.keys())
    if missing:
        reasons.append(f"problems in one of them alone: {', '.join(missing[:5])} ({len(missing)})")
    empty = [
        key
        for evaluation in (before, after)
        for key, row in evaluation.per_problem.items()
        if not row.samples
    ]
    if empty:
        reasons.append(f"problems without a judged sample: {', '.join(sorted(set(empty))[:5])}")
    if reasons:
        raise AxiomError(
            "these evaluations cannot be compared:\n  " + "\n  ".join(reasons) + "\n"
            "evaluate both with the same problems, tests, base model and sampler settings"
        )


def _brief(value: object) -> str:
    """Write a setting for a message: hashes in short, and what older versions left out as such."""
    if value is None:
        return "not recorded"
    if isinstance(value, str) and len(value) == HASH_DIGITS:
        return f"{value[:12]}…"
    return repr(value)


def _measured(before: Evaluation, after: Evaluation) -> list[tuple[str, object, object]]:
    rows: list[tuple[str, object, object]] = [
        ("tests", before.tests, after.tests),
        ("hash of the tests", before.tests_sha256, after.tests_sha256),
        ("split", before.split, after.split),
        ("weights (model.sha256)", before.model.get("sha256"), after.model.get("sha256")),
    ]
    for key in sorted(before.sampler.keys() | after.sampler.keys()):
        rows.append((f"sampler.{key}", before.sampler.get(key), after.sampler.get(key)))
    return rows
