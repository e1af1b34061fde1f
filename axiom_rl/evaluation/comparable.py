"""What may be compared: evaluations that measured the same thing with another model."""

from __future__ import annotations

from collections.abc import Collection

from axiom_rl.core.errors import AxiomError
from axiom_rl.evaluation.score import Evaluation

HASH_DIGITS = 64
ACROSS = {
    "weights": "weights (model.sha256)",
    "prompt": "sampler.prompt",
    "backend": "sampler.backend",
}
"""What may differ where it is said (stage.across), by the name of its row in a refusal."""
TEMPLATE = {"model.chat_template", "model.chat_template_kwargs"}
"""Rows that are part of the prompt, too."""


def require_comparable(before: Evaluation, after: Evaluation, across: Collection[str] = ()) -> None:
    """Refuse evaluations that measured different things.

    Args:
        before: model N.
        after: model N+1.
        across: keys of ACROSS that are meant to differ.

    Raises:
        AxiomError: naming every difference.
    """
    meant = {ACROSS[name] for name in across} | (TEMPLATE if "prompt" in across else set())
    reasons = [text for name, text in _differences(before, after) if name not in meant]
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
            "evaluate both with the same problems, tests, base model and sampler settings; where "
            f"{', '.join(ACROSS)} differ on purpose, say so: 'stage.across=[weights]'"
        )


def differences_on_purpose(before: Evaluation, after: Evaluation) -> list[str]:
    """Say in which of ACROSS two evaluations differ."""
    allowed = set(ACROSS.values()) | TEMPLATE
    return [text for name, text in _differences(before, after) if name in allowed]


def _differences(before: Evaluation, after: Evaluation) -> list[tuple[str, str]]:
    """Return the name of each setting that differs, and what to say of it."""
    return [
        (name, f"{name}: {_brief(old)} against {_brief(new)}")
        for name, old, new in _measured(before, after)
        if old != new
    ]


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
    for key, own in ("chat_template", "the model's own"), ("chat_template_kwargs", {}):
        rows.append((f"model.{key}", before.model.get(key) or own, after.model.get(key) or own))
    for key in sorted(before.sampler.keys() | after.sampler.keys()):
        rows.append((f"sampler.{key}", before.sampler.get(key), after.sampler.get(key)))
    return rows
