"""The problem types by name. Built-in families are entered when `axiom_rl.problems` is imported."""

from __future__ import annotations

from collections.abc import Iterable

from axiom_rl.core.errors import AxiomError
from axiom_rl.core.text import did_you_mean
from axiom_rl.problems.base import LEVEL_COUNT, Checker, ProblemType

FAMILIES = ("basic", "easy", "hard", "memorisable")

LONGEST_LIST = 12
"""Names that an error message lists in full, besides the near misses."""

OWN = "own"
"""Value of problems.family for whatever types the modules of problems.imports register."""

_TYPES: dict[str, ProblemType] = {}
_BUILT_IN: set[str] = set()
"""Names that the package itself entered."""
_CHECKERS: dict[str, Checker] = {}
"""Beside those of types, which have their type's name."""


def register(problem_type: ProblemType) -> ProblemType:
    """Enter a problem type under its name; returns it.

    Raises:
        AxiomError: if the name is taken or is no identifier, or the type lacks levels or inputs.
    """
    name = problem_type.name
    if not name.isidentifier():
        raise AxiomError(f"problem type {name!r}: the name must be a Python identifier")
    if name in _TYPES:
        raise AxiomError(
            f"problem type {name!r} is already registered (family {_TYPES[name].family}); "
            "give yours another name"
        )
    if len(problem_type.levels) != LEVEL_COUNT:
        raise AxiomError(
            f"problem type {name!r} has {len(problem_type.levels)} levels, not {LEVEL_COUNT}"
        )
    if not problem_type.inputs:
        raise AxiomError(f"problem type {name!r} has no inputs: its tests could not be drawn")
    _TYPES[name] = problem_type
    return problem_type


def get_type(name: str) -> ProblemType:
    """Return the type registered under `name`.

    Raises:
        AxiomError: if there is none; the message has the nearest names.
    """
    if name not in _TYPES:
        raise unknown_name("problem type", name, _TYPES)
    return _TYPES[name]


def is_registered(name: str) -> bool:
    """Tell whether `name` is a problem type that problems can be drawn from."""
    return name in _TYPES


def own_types() -> list[str]:
    """Return the names of the types that the package does not bring, in order of registration."""
    return [name for name in _TYPES if name not in _BUILT_IN]


def end_of_built_in() -> None:
    """Take every type entered from here on for a user's own."""
    _BUILT_IN.update(_TYPES)


def problem_types() -> dict[str, list[str]]:
    """Return the names of the types in each family, in order of registration."""
    families: dict[str, list[str]] = {family: [] for family in FAMILIES}
    for problem_type in _TYPES.values():
        families.setdefault(problem_type.family, []).append(problem_type.name)
    return families


def checker_for(name: str | None) -> Checker | None:
    """Return the checker that problems name as theirs; None is plain equality.

    Raises:
        AxiomError: if none is registered under this name: what it would accept is not known.
    """
    if name is None:
        return None
    known = {key: kind.checker for key, kind in _TYPES.items() if kind.checker} | _CHECKERS
    if name not in known:
        raise AxiomError(
            f"{unknown_name('checker', name, known)}; list the module that registers it in "
            "problems.imports"
        )
    return known[name]


def register_checker(name: str, checker: Checker) -> None:
    """Enter a checker that problems can name, such as those of a file.

    Raises:
        AxiomError: if the name is taken.
    """
    if name in _TYPES or name in _CHECKERS:
        raise AxiomError(f"checker {name!r} is already registered; choose another name")
    _CHECKERS[name] = checker


def unknown_name(what: str, name: str, known: Iterable[str]) -> AxiomError:
    """Return the error for a name that is not among `known`, with near misses."""
    names = list(known)
    hint = did_you_mean(name, names)
    listed = f"known: {', '.join(names)}" if len(names) <= LONGEST_LIST or not hint else ""
    return AxiomError(f"unknown {what} {name!r}; {' '.join(filter(None, (hint, listed)))}")
