"""Problems in words, for `stage=list`: what a config draws, and any one problem with its tests."""

from __future__ import annotations

import re
from collections import Counter

from axiom_rl.config import ProblemsConfig, ProceduralConfig
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.types import Problem
from axiom_rl.problems.generate import SPLITS, make_problem
from axiom_rl.problems.prompts import render, show_call
from axiom_rl.problems.registry import get_type, is_registered, problem_types, unknown_name
from axiom_rl.problems.sources.assertions import needs_code, script_of
from axiom_rl.problems.sources.contamination import (
    describe_overlaps,
    find_overlaps,
    load_benchmarks,
)
from axiom_rl.problems.sources.load import load_splits, require_problems
from axiom_rl.problems.splits import Splits, build_splits, import_types

COORDINATES = re.compile(
    r"(?P<type>\w+)/d(?P<difficulty>\d+)/(?P<split>\w+)/(s(?P<seed>\d+)/)?(?P<index>\d+)"
)
"""A problem's id; the seed may be left out and is 0 then."""
LONGEST_TEST = 300
"""Characters of a test before its middle is left out."""


def describe_problems(config: ProblemsConfig) -> str:
    """Return a table of the types, levels and numbers of problems that the config names.

    With `problems.check=true`, also the overlaps of the train split with benchmarks.

    Raises:
        AxiomError: for a config that names no problems, or a file that cannot be read.
    """
    if not isinstance(config, ProceduralConfig):
        return _describe_files(config)
    splits = build_splits(config)
    counts = Counter(
        (problem.type, split) for split in SPLITS for problem in getattr(splits, split)
    )
    types = list(dict.fromkeys(name for name, _split in counts))
    width = max(map(len, types))
    lines = [f"{'type':{width}}  train   val  test  difficulty"]
    for name in types:
        numbers = "  ".join(f"{counts[name, split]:4}" for split in SPLITS)
        lines.append(f"{name:{width}}   {numbers}  {get_type(name).difficulty}")
    totals = ", ".join(f"{len(getattr(splits, split))} {split}" for split in SPLITS)
    lines += [f"levels {', '.join(map(str, config.levels))}; {totals}", "", *_families()]
    lines += ["", _how_to_show(_all_problems(splits)[0])]
    if config.check:
        for benchmark in load_benchmarks(config.check_files):
            overlaps = find_overlaps(splits.train, benchmark)
            lines += ["", describe_overlaps(overlaps, len(benchmark.problems))]
    return "\n".join(lines)


def _describe_files(config: ProblemsConfig) -> str:
    """The same for problems that are read and not drawn."""
    splits = load_splits(config)
    problems = _all_problems(splits)
    require_problems(config, splits, None)
    lines = [f"{config.source}: {len(getattr(splits, split))} {split} problems" for split in SPLITS]
    lines += [f"left out: {task} ({reason})" for task, reason in splits.left_out.items()]
    return "\n".join([*lines, "", _how_to_show(problems[0])])


def _how_to_show(problem: Problem) -> str:
    return f"One problem with its tests: the same command with stage.show={problem.id}"


def describe_problem(problem_id: str, config: ProblemsConfig | None = None) -> str:
    """Return one problem as its prompt, followed by its hidden tests.

    Args:
        problem_id: `type/d<level>/<split>/s<seed>/<index>`, with or without the seed; or the id of
            a problem that the config reads from a file or benchmark.
        config: where the problem comes from; None means its type.

    Raises:
        AxiomError: for anything else, or an unknown type, level or split.
    """
    if config is None or isinstance(config, ProceduralConfig):
        import_types(config.imports if config else ())
        if is_registered(problem_id):
            problem_id = f"{problem_id}/d1/train/0"
        return show_problem(problem_of(problem_id))
    problems = {problem.id: problem for problem in _all_problems(load_splits(config))}
    if problem_id not in problems:
        raise unknown_name(f"problem of {config.source}", problem_id, problems)
    return show_problem(problems[problem_id])


def problem_of(problem_id: str) -> Problem:
    """Make the problem with this id (the seed may be left out).

    Raises:
        AxiomError: for an id of another form, or an unknown type, level or split.
    """
    found = COORDINATES.fullmatch(problem_id)
    if found is None:
        raise AxiomError(
            f"no problem id: {problem_id!r}; write type/d<level>/<split>/<index>, e.g. "
            "edit_distance/d5/train/3 or edit_distance/d5/train/s0/3"
        )
    return make_problem(
        found["type"],
        difficulty=int(found["difficulty"]),
        split=found["split"],
        seed=int(found["seed"] or 0),
        index=int(found["index"]),
    )


def show_problem(problem: Problem) -> str:
    """Return the direct prompt and the hidden tests of any problem."""
    (message,) = render(problem, "direct")
    limit = "the sandbox's" if problem.time_limit_s is None else f"{problem.time_limit_s:g} s"
    lines = [
        f"{problem.id}  ({problem.title}, difficulty {problem.difficulty}, time limit {limit})",
        "",
        message["content"],
        "",
        f"{len(problem.hidden_tests)} hidden tests:",
        *(_shortened(show_call(problem.entry_point, test)) for test in problem.hidden_tests),
    ]
    if needs_code(problem, problem.hidden_tests):
        lines += ["", "the benchmark's test code:", "", script_of(problem.hidden_tests)["tests"]]
    return "\n".join(lines)


def _all_problems(splits: Splits) -> list[Problem]:
    return [problem for split in SPLITS for problem in getattr(splits, split)]


def _families() -> list[str]:
    families = problem_types().items()
    return [f"{family} ({len(names)}): {', '.join(names)}" for family, names in families]


def _shortened(text: str) -> str:
    if len(text) <= LONGEST_TEST:
        return text
    half = LONGEST_TEST // 2
    return f"{text[:half]} ... {len(text) - 2 * half} characters ... {text[-half:]}"
