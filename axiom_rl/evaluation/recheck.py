"""Passes that training was rewarded for, judged once more by fresh tests when it is over.

Attempts at gold solutions are judged again as they come. GRPO draws thousands of rollouts, often
the same program many times, and a step must not wait for tests that reward nothing; so their
claimed passes are judged again after training, each program once.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from axiom_rl.context.run_context import RunContext
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_json, write_json
from axiom_rl.core.types import Problem, Status
from axiom_rl.problems import has_fresh_tests, with_fresh_tests
from axiom_rl.rollouts.records import read_rollouts

SCHEMA = 1
FILE = "claims.json"
MOST_PROGRAMS = 1000
"""Different programs judged again in one phase; of more, the latest."""
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """Claimed passes of one phase and what fresh tests say of them."""

    claimed: int
    """Samples that pass the hidden tests."""
    checked: int
    """Those of them that fresh tests judged as well."""
    programs: int
    """Different programs among those."""
    failed: int
    """Samples, duplicates included, that fail fresh tests."""


def recheck_claims(context: RunContext) -> None:
    """Judge again what no fresh test has seen yet, and write claims.json; once in a run.

    Raises:
        SandboxUnavailableError: if the sandbox itself keeps failing.
    """
    path = context.run.folder / FILE
    if path.exists():
        return
    problems = {p.id: p for p in context.splits.train if has_fresh_tests(p)}
    found = {}
    for file in sorted((context.run.folder / "completions").glob("*.jsonl")):
        programs = _unchecked(file, problems)
        if programs:
            found[file.stem] = asdict(_check(context, problems, programs, file.stem))
    write_json(path, {"schema": SCHEMA, "phases": found})


def read_claims(folder: Path) -> dict[str, Claims]:
    """Read claims.json by phase; empty where a run has none.

    Raises:
        AxiomError: naming the file, if it is damaged or of another schema version.
    """
    path = folder / FILE
    if not path.exists():
        return {}
    document: Mapping[str, Any] = read_json(path)
    try:
        if document["schema"] != SCHEMA:
            raise AxiomError(f"{path}: this program reads schema {SCHEMA}")
        return {phase: Claims(**row) for phase, row in document["phases"].items()}
    except (AttributeError, KeyError, TypeError) as error:
        raise AxiomError(f"{path} is not as this program writes it: {error}") from error


def _unchecked(file: Path, problems: Mapping[str, Problem]) -> Counter[tuple[str, str]]:
    """Count the programs that pass the hidden tests and met no fresh one, in order of drawing."""
    return Counter(
        (item.completion.problem_id, item.code)
        for item in read_rollouts(file)
        if item.completion.problem_id in problems
        and item.code is not None
        and item.fresh is None
        and item.hidden is not None
        and item.hidden.passed
    )


def _check(
    context: RunContext,
    problems: Mapping[str, Problem],
    programs: Counter[tuple[str, str]],
    phase: str,
) -> Claims:
    chosen = [*programs][-MOST_PROGRAMS:]
    log.info("%s: judging %d programs that passed again, by fresh tests", phase, len(chosen))
    fresh = {
        key: with_fresh_tests(problems[key], context.fresh_seed)
        for key in {key for key, _ in chosen}
    }
    verdicts = context.verifier.verify([(fresh[key], code) for key, code in chosen], tests="fresh")
    judged = {
        program: verdict
        for program, verdict in zip(chosen, verdicts, strict=True)
        if verdict.status is not Status.SANDBOX_FAULT
    }
    return Claims(
        claimed=programs.total(),
        checked=sum(programs[program] for program in judged),
        programs=len(judged),
        failed=sum(programs[program] for program, v in judged.items() if not v.passed),
    )
