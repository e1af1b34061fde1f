"""Are the tests of a benchmark or file any good? Judged when the problems are loaded, and kept.

- A problem whose own reference program fails its tests is left out, by name, with the reason.
- Programs that do nothing are tried on every problem; where one passes, the tests are weak, and
  that is said with the score. A benchmark's task with weak tests is not trained on.
"""

from __future__ import annotations

import copy
import hashlib
import json
import logging
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import axiom_rl
from axiom_rl.config import SandboxConfig
from axiom_rl.core import codec as values
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import cache_dir, read_json, write_json
from axiom_rl.core.types import Problem, Status, Verdict
from axiom_rl.problems.registry import checker_for
from axiom_rl.problems.sources.assertions import TestCode, is_condition, needs_code, script_of
from axiom_rl.problems.sources.benchmarks import BENCHMARKS
from axiom_rl.problems.splits import Splits, content_hash
from axiom_rl.verify.compare import values_match
from axiom_rl.verify.verifier import Verifier

log = logging.getLogger(__name__)

CONSTANTS: tuple[Any, ...] = (True, False, 0, 1, -1, "", [])
ITEMS = (0, 1, -1)
"""Places in an argument of which a trivial program returns the item."""
LIMITS = ("time_limit_s", "memory_mb", "output_kb", "result_kb", "preload")
SOURCES = ("problems", "sandbox", "verify")
"""What the outcome depends on beside the problems: a change in these judges everything again."""


def check_references(splits: Splits, config: SandboxConfig) -> Splits:
    """Leave out problems whose reference fails, and name those with weak tests.

    Args:
        splits: problems of a benchmark or file, with the reference programs that there are.
        config: limits that the references must keep to.

    Raises:
        SandboxUnavailableError: if the sandbox does not work.
    """
    problems = [*splits.all]
    file = cache_dir() / "references" / f"{_key(problems, splits.solutions, config)}.json"
    found = _kept(file)
    if found is None:
        failed, faults = _failed(problems, splits.solutions, config)
        found = {"failed": failed, "weak": _weak(problems)}
        if not faults:
            _keep(file, found)
    left_out = dict(splits.left_out) | found["failed"]
    left_out |= {
        problem.id: f"weak tests, not trained on: {found['weak'][problem.id]} passes them"
        for problem in splits.train
        if problem.type in BENCHMARKS and problem.id in found["weak"]
    }
    kept = (
        tuple(problem for problem in part if problem.id not in left_out)
        for part in (splits.train, splits.val, splits.test)
    )
    train, val, test = kept
    weak = {key: name for key, name in found["weak"].items() if key not in left_out}
    return replace(splits, train=train, val=val, test=test, left_out=left_out, weak=weak)


def _kept(file: Path) -> dict[str, dict[str, str]] | None:
    """Return an earlier outcome; None where there is none, or one that was damaged."""
    try:
        found = read_json(file)
    except AxiomError:
        return None
    whole = isinstance(found, dict) and found.keys() == {"failed", "weak"}
    return found if whole else None


def _keep(file: Path, found: dict[str, dict[str, str]]) -> None:
    try:
        write_json(file, found)
    except AxiomError as error:
        log.info("the outcome is not kept, and will be judged again: %s", error)


def _failed(
    problems: Sequence[Problem], solutions: Mapping[str, str], config: SandboxConfig
) -> tuple[dict[str, str], bool]:
    """Return why references fail, by problem, and whether the sandbox failed on any of them."""
    candidates = [(item, solutions[item.id]) for item in problems if item.id in solutions]
    if not candidates:
        return {}, False
    log.info("judging %d reference programs, once; the outcome is kept", len(candidates))
    with Verifier(config) as verifier:
        verdicts = verifier.verify(candidates)
        # What fails is judged once more: a busy machine may have been the reason.
        again = [place for place, verdict in enumerate(verdicts) if not verdict.passed]
        for place, verdict in zip(
            again, verifier.verify([candidates[place] for place in again]), strict=True
        ):
            verdicts[place] = verdict
    reasons = {
        problem.id: _reason(verdict)
        for (problem, _code), verdict in zip(candidates, verdicts, strict=True)
        if not verdict.passed and verdict.status is not Status.SANDBOX_FAULT
    }
    return reasons, any(verdict.status is Status.SANDBOX_FAULT for verdict in verdicts)


def _reason(verdict: Verdict) -> str:
    test = next((case.index + 1 for case in verdict.cases if not case.passed), None)
    place = "" if test is None else f" on test {test} of {verdict.total_tests}"
    what = str(verdict.status).replace("_", " ")
    return f"its own reference fails: {what}{place} ({verdict.detail})"


def _weak(problems: Sequence[Problem]) -> dict[str, str]:
    """Return the first trivial program that passes all tests, by problem."""
    found = {}
    with TestCode() as code:
        for problem in problems:
            for name, program in trivial_programs(problem):
                if _passes(problem, program, code):
                    found[problem.id] = name
                    break
    return found


Program = Callable[..., Any]


def trivial_programs(problem: Problem) -> Iterator[tuple[str, Program]]:
    """Yield programs that know nothing of the task, with their names."""
    tests = problem.hidden_tests
    expected = [test.expected for test in tests[:1] if not is_condition(test.expected)]
    yield "an empty body", lambda *_args: None
    for constant in CONSTANTS:
        yield f"the constant {constant!r}", lambda *_args, it=constant: copy.deepcopy(it)
    for constant in expected:
        yield "the constant that test 1 expects", lambda *_args, it=constant: it
    for place in range(min(len(test.args) for test in tests)):
        yield f"returning argument {place + 1}", lambda *args, place=place: args[place]
        yield f"not argument {place + 1}", lambda *args, place=place: not args[place]
        for item in ITEMS:
            if all(_has_item(test.args[place], item) for test in tests):
                name = f"returning item {item} of argument {place + 1}"
                yield name, lambda *args, place=place, item=item: args[place][item]


def _has_item(value: Any, item: int) -> bool:
    return isinstance(value, list | tuple | str) and len(value) > max(item, 0)


def _passes(problem: Problem, program: Program, code: TestCode) -> bool:
    tests = problem.hidden_tests
    returned = {number: program(*test.args) for number, test in enumerate(tests)}
    if needs_code(problem, tests):
        if script_of(tests)["in_place"]:
            returned = {number: (returned[number], test.args) for number, test in enumerate(tests)}
        return all(code.replay(tests, returned))
    checker = checker_for(problem.checker)
    if checker is None:
        return all(
            values_match(
                returned[number],
                test.expected,
                from_json=problem.from_json,
                tolerance=problem.tolerance,
            )
            for number, test in enumerate(tests)
        )
    return all(
        checker(test.args, returned[number], test.expected) for number, test in enumerate(tests)
    )


def _key(problems: Sequence[Problem], solutions: Mapping[str, str], config: SandboxConfig) -> str:
    """Return a text that is equal where the outcome must be."""
    settings = asdict(config)
    content = [
        axiom_rl.__version__,
        platform.python_version(),
        _sources(),
        {key: settings[key] for key in LIMITS},
        [
            (item.id, content_hash(item), item.time_limit_s, item.memory_limit_mb, item.split)
            for item in problems
        ],
        {item.id: solutions.get(item.id) for item in problems},
    ]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]


@lru_cache(maxsize=1)
def _sources() -> str:
    """Return a hash of the code that judges."""
    root = Path(axiom_rl.__file__).parent
    files = [file for part in SOURCES for file in sorted((root / part).rglob("*.py"))]
    digest = hashlib.sha256()
    for file in [Path(values.__file__), *files]:
        digest.update(file.read_bytes())
    return digest.hexdigest()
