"""The problems of a run: splits from config, and problems on disk, tests included."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from axiom_rl.config import JsonlConfig, ProblemsConfig, ProceduralConfig
from axiom_rl.core.codec import decode, encode
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_json, read_jsonl, write_json, write_jsonl
from axiom_rl.core.types import Problem, TestCase
from axiom_rl.problems.base import LEVEL_COUNT
from axiom_rl.problems.generate import SPLITS, coordinates, make_problem
from axiom_rl.problems.registry import (
    OWN,
    checker_for,
    get_type,
    is_registered,
    own_types,
    problem_types,
    unknown_name,
)
from axiom_rl.problems.sources.assertions import EXACT

SCHEMA_VERSION = 2
"""Of the rows that `write_problems` writes; 1 lacks checkers and fresh tests."""
TESTS = ("public_tests", "hidden_tests", "fresh_tests")


@dataclass(frozen=True, slots=True)
class Splits:
    """Problems to train on, to watch while training, and to report."""

    train: tuple[Problem, ...]
    val: tuple[Problem, ...]
    test: tuple[Problem, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Why a row of a benchmark or file is in no split, by its id."""
    weak: Mapping[str, str] = field(default_factory=dict)
    """Which trivial program passes all tests of a problem, by its id."""
    solutions: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    """Reference programs by problem id, where the source has them; judged, then forgotten: they are
    never shown, trained on or written."""

    @property
    def all(self) -> tuple[Problem, ...]:
        """The problems of every split."""
        return (*self.train, *self.val, *self.test)


def build_splits(config: ProceduralConfig) -> Splits:
    """Draw the problems that the config asks for.

    Every type contributes `sizes` times its weight to each split, its levels taken in turn;
    types in `holdout_types` contribute to val and test alone.

    Raises:
        AxiomError: for an unknown family, type or level, an impossible size, or no problem at all.
    """
    import_types(config.imports)
    chosen = _chosen_types(config)
    _check_numbers(config, chosen)
    training = [name for name in chosen if name not in config.holdout_types]
    splits = Splits(
        train=_draw(config, training, "train", config.sizes.train),
        val=_draw(config, chosen, "val", config.sizes.val),
        test=_draw(config, chosen, "test", config.sizes.test),
    )
    if not (splits.train or splits.val or splits.test):
        raise AxiomError(
            "no problems: problems.sizes, problems.weights and problems.holdout_types leave none; "
            "set e.g. problems.sizes.train=1"
        )
    if config.holdout_types and not (splits.val or splits.test):
        raise AxiomError(
            "problems.holdout_types are used in val and test, and both are empty; "
            "set problems.sizes.test=1 or more"
        )
    return splits


def content_hash(problem: Problem) -> str:
    """Return 16 hex digits that are equal for problems with the same task and tests.

    Name, split, seed and index are left out: it is the content that must not occur twice.
    """
    content = [
        problem.type,
        problem.statement,
        problem.entry_point,
        problem.signature,
        problem.from_json,
        _encode_tests(problem.public_tests),
        _encode_tests(problem.hidden_tests),
    ]
    if problem.checker is not None or problem.fresh_tests:
        content += [problem.checker, _encode_tests(problem.fresh_tests)]
    if problem.tolerance is not None:  # left out otherwise: hashes of older files stay
        content.append(problem.tolerance)
    text = json.dumps(content, ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def write_problems(path: Path, problems: Iterable[Problem]) -> None:
    """Write problems as JSON Lines, each with a schema version and its content hash."""
    write_jsonl(path, (_to_row(problem) for problem in problems))


def read_problems(path: Path, *, judged: bool = True) -> tuple[Problem, ...]:
    """Read what `write_problems` wrote.

    Args:
        path: problems/<split>.jsonl.
        judged: programs will be judged by them, so their types and checkers must be registered.

    Raises:
        AxiomError: naming the line that is malformed, changed, of another schema version, or of a
            type or checker that is not registered.
    """
    problems = []
    for number, row in enumerate(read_jsonl(path), start=1):
        where = f"{path}, problem {number}"
        problems.append(_from_row(row, where))
        if judged:
            require_type(problems[-1], where)
            _require_judge(problems[-1], where)
    return tuple(problems)


def write_splits(folder: Path, splits: Splits) -> None:
    """Write train, val and test.jsonl, weak.json, and left_out.json, which completes the set."""
    for split in SPLITS:
        write_problems(folder / f"{split}.jsonl", getattr(splits, split))
    write_json(folder / "weak.json", dict(splits.weak))
    write_json(folder / "left_out.json", dict(splits.left_out))


def read_splits(folder: Path) -> Splits | None:
    """Read what `write_splits` wrote; None if it did not finish.

    Raises:
        AxiomError: as `read_problems`.
    """
    left_out = folder / "left_out.json"
    if not left_out.exists():
        return None
    train, val, test = (read_problems(folder / f"{split}.jsonl") for split in SPLITS)
    weak = folder / "weak.json"
    found = read_json(weak) if weak.exists() else {}
    return Splits(train, val, test, left_out=read_json(left_out), weak=found)


def import_types(modules: Iterable[str]) -> None:
    """Import the modules that register the user's own problem types.

    Problems read from disk need them too: their types make fresh tests and judge answers.

    Raises:
        AxiomError: naming the module that cannot be imported.
    """
    import_modules("problems.imports", modules)


def import_types_of(config: ProblemsConfig) -> None:
    """Import the modules that a config names, where problems of its source can have types."""
    if isinstance(config, ProceduralConfig | JsonlConfig):
        import_types(config.imports)


def import_modules(key: str, modules: Iterable[str]) -> None:
    """Import modules of the user's own, which register something.

    They may lie in the working folder: Python itself looks there with `python -m` alone, not with
    the command axiom-rl or a launch.py of another folder. It comes last, so that nothing in it
    takes the place of a library.

    Raises:
        AxiomError: naming the key and the module that cannot be imported.
    """
    here = str(Path.cwd())
    for module in modules:
        if here not in sys.path:  # and stays: modules import others while they work
            sys.path.append(here)
        try:
            import_module(module)
        except Exception as error:  # whatever the user's own module raises
            raise AxiomError(
                f"{key}: cannot import {module!r} ({type(error).__name__}: {error})"
                f"{_where_modules_are(module, error, here)}"
            ) from error


def _where_modules_are(module: str, error: Exception, here: str) -> str:
    """Say what to type for a module that was not found; '' for one that fails by itself."""
    if module.endswith(".py") or "/" in module:
        named = module.removesuffix(".py").removeprefix("./").replace("/", ".")
        return f"; give the module's name and not its file: {named}"
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    if missing is None or not f"{module}.".startswith(f"{missing}."):
        return ""
    return f"; give a module of this folder ({here}) or an installed one, e.g. my_package.my_types"


def _chosen_types(config: ProceduralConfig) -> list[str]:
    """Return the names of the types to draw from, held-out ones included."""
    families, own = problem_types(), own_types()
    if config.family == OWN and not own:
        raise AxiomError(
            "problems=own draws from the types that your modules register, and there are none: "
            "give the modules, as in 'problems.imports=[my_problems]'"
        )
    if config.family is not None and config.family not in (OWN, *families):
        raise unknown_name("problems.family", config.family, [*families, OWN])
    known = [
        name
        for family, names in families.items()
        for name in names
        if config.family in (None, family) or (config.family == OWN and name in own)
    ]
    known += [] if config.types is None else own  # named by name, whatever their family
    chosen = known if config.types is None else [*config.types]
    for key, names in (
        ("problems.types", chosen),
        ("problems.holdout_types", config.holdout_types),
        ("problems.weights", config.weights),
    ):
        for name in names:
            elsewhere = [family for family, there in families.items() if name in there]
            if name not in known and elsewhere:
                raise AxiomError(
                    f"{key}: {name} is a type of problems={elsewhere[0]} and not of family "
                    f"{config.family}; type that, or problems.family=null for types of several"
                )
            if name not in known:
                raise unknown_name(f"type in {key} (family {config.family})", name, known)
    drawn = list(dict.fromkeys([*chosen, *config.holdout_types]))
    if config.imports and own and not set(own).intersection(drawn):
        raise AxiomError(
            f"problems.imports registers {', '.join(own)}, and family {config.family} has none of "
            "them: type problems=own (all of them) or problems.types=[NAME,...]"
        )
    return drawn


def _check_numbers(config: ProceduralConfig, chosen: list[str]) -> None:
    if not chosen:
        raise AxiomError(f"problems.types is empty; family {config.family} needs at least one")
    if not config.levels:
        raise AxiomError("problems.levels is empty; give e.g. problems.levels=[1,2,3]")
    for level in config.levels:
        if not 1 <= level <= LEVEL_COUNT:
            raise AxiomError(f"problems.levels: {level} is not a level; choose 1 to {LEVEL_COUNT}")
    if config.seed < 0:
        raise AxiomError(f"problems.seed={config.seed}: must be 0 or more")
    for split in fields(config.sizes):
        if getattr(config.sizes, split.name) < 0:
            raise AxiomError(f"problems.sizes.{split.name} must be 0 or more")
    for name, weight in config.weights.items():
        if weight < 0:
            raise AxiomError(f"problems.weights.{name} must be 0 or more")


def _draw(config: ProceduralConfig, names: list[str], split: str, size: int) -> tuple[Problem, ...]:
    return tuple(
        make_problem(
            name,
            difficulty=config.levels[index % len(config.levels)],
            split=split,
            seed=config.seed,
            index=index,
        )
        for name in names
        for index in range(round(size * config.weights.get(name, 1.0)))
    )


def _encode_tests(tests: tuple[TestCase, ...]) -> list[Any]:
    return [[encode(list(test.args)), encode(test.expected)] for test in tests]


def _decode_tests(rows: list[Any]) -> tuple[TestCase, ...]:
    return tuple(TestCase(args=tuple(decode(args)), expected=decode(value)) for args, value in rows)


def _to_row(problem: Problem) -> dict[str, Any]:
    row = {name.name: getattr(problem, name.name) for name in fields(Problem)}
    row |= {key: _encode_tests(row[key]) for key in TESTS}
    return {"schema": SCHEMA_VERSION, "hash": content_hash(problem), **row}


def _from_row(row: dict[str, Any], where: str) -> Problem:
    values = dict(row)
    version, stored_hash = values.pop("schema", None), values.pop("hash", None)
    if version not in (1, SCHEMA_VERSION):
        raise AxiomError(f"{where}: schema version {version}, this program reads {SCHEMA_VERSION}")
    try:
        for key in TESTS[: version + 1]:
            values[key] = _decode_tests(values[key])
        problem = Problem(**values)
    except (KeyError, TypeError, ValueError) as error:
        raise AxiomError(f"{where}: not a problem as this program writes them: {error}") from error
    if content_hash(problem) != stored_hash:
        raise AxiomError(f"{where} ({problem.id}): content and hash differ; the file was edited")
    return replace(problem, checker=_checker_of(problem)) if version == 1 else problem


def _checker_of(problem: Problem) -> str | None:
    """Return the checker that problems of this type had when files did not name it."""
    if problem.type in ("humaneval", "mbpp"):
        return EXACT
    registered = is_registered(problem.type) and get_type(problem.type).checker is not None
    return problem.type if registered else None


def require_type(problem: Problem, where: str) -> None:
    """Refuse a problem of a generator that is not there: its oracle and checker are not known.

    Raises:
        AxiomError: naming the type, and the key that lists its module.
    """
    if problem.id == coordinates(problem) and not is_registered(problem.type):
        raise AxiomError(
            f"{where} ({problem.id}): problem type {problem.type!r} is not registered; list the "
            "module that registers it in problems.imports"
        )


def _require_judge(problem: Problem, where: str) -> None:
    """Refuse a problem that would be judged by another rule than its own.

    Raises:
        AxiomError: naming the checker, and the key that lists its module.
    """
    try:
        checker_for(problem.checker)
    except AxiomError as error:
        raise AxiomError(f"{where} ({problem.id}): {error}") from None
    old = any(_is_old_condition(test.expected) for test in problem.hidden_tests)
    if problem.checker == EXACT and old:
        raise AxiomError(
            f"{where} ({problem.id}): its tests were converted by an older version, which judged "
            "them otherwise; start a new run"
        )


def _is_old_condition(expected: Any) -> bool:
    """Tell whether a test of schema 1 has a condition, which this version cannot decide."""
    return isinstance(expected, dict) and expected.keys() == {"assert", "names", "setup"}
