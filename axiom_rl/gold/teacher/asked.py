"""Which problems a teacher is asked for: those that the student fails."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_json
from axiom_rl.core.types import Problem, Status
from axiom_rl.problems.splits import read_problems
from axiom_rl.rollouts.records import Rollout, read_rollouts

log = logging.getLogger(__name__)

PHASE = "before"
"""The phase of completions that stage=evaluate draws."""


def pass_rates(rollouts: Iterable[Rollout]) -> dict[str, float]:
    """Return the share of passing samples by problem id.

    By the fresh tests where there are some, else by the hidden ones; the sandbox's own faults are
    in no share.
    """
    passed: dict[str, list[bool]] = defaultdict(list)
    for item in rollouts:
        verdict = item.fresh or item.hidden
        if verdict is not None and verdict.status is not Status.SANDBOX_FAULT:
            passed[item.completion.problem_id].append(verdict.passed)
    return {name: sum(found) / len(found) for name, found in passed.items()}


def failed(
    problems: Sequence[Problem], rates: Mapping[str, float], max_pass_rate: float
) -> list[Problem]:
    """Return the problems of which a student passes at most a share; unknown ones among them."""
    return [problem for problem in problems if rates.get(problem.id, 0.0) <= max_pass_rate]


def read_student(folder: Path, problems: Sequence[Problem]) -> dict[str, float]:
    """Return the pass rates that a run of stage=evaluate found for problems.

    Raises:
        AxiomError: if there is no such run, it has not finished, or it was of other problems.
    """
    where = f"stage.student={folder}"
    how = "give the folder of a finished stage=evaluate run on these problems"
    path = folder / "completions" / f"{PHASE}.jsonl"
    if not path.is_file():
        raise AxiomError(f"{where}: there is no completions/{PHASE}.jsonl; {how}")
    state = folder / "checkpoints" / "state.json"
    finished = read_json(state)["finished"] if state.is_file() else []
    if f"evaluate/{PHASE}" not in finished:
        raise AxiomError(f"{where}: its sampling has not finished; go on by resume={folder}")
    rates = pass_rates(read_rollouts(path))
    known = [problem for problem in problems if problem.id in rates]
    if not known:
        split = problems[0].split
        raise AxiomError(
            f"{where}: it has no sample of the {len(problems)} problems of split {split}; evaluate "
            f"them first: stage=evaluate stage.split={split}, with the same problems="
        )
    _check_same(folder, known, where)
    if len(known) < len(problems):
        log.warning(
            "%s knows %d of %d problems; the others count as failed",
            where, len(known), len(problems),
        )  # fmt: skip
    return rates


def _check_same(folder: Path, problems: Sequence[Problem], where: str) -> None:
    """Refuse an evaluation of problems that have the same ids and other hidden tests."""
    theirs = {
        problem.id: problem
        for path in sorted((folder / "problems").glob("*.jsonl"))
        for problem in read_problems(path, judged=False)
    }
    for problem in problems:
        there = theirs.get(problem.id)
        if there is not None and there.statement != problem.statement:
            raise AxiomError(
                f"{where}: its {problem.id} has another statement than this run's; evaluate the "
                "student on these problems"
            )
