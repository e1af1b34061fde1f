"""Selectors by name: functions that choose one of a problem's samples, and what they need."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from axiom_rl.core.errors import AxiomError
from axiom_rl.problems.registry import unknown_name
from axiom_rl.search.material import Material


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What a selector chose."""

    place: int
    """Position of the sample in the material."""
    agreeing: int = 0
    """Samples, the chosen one included, that return the same on every input; 0 where no vote was
    taken."""
    voters: int = 0
    tied: bool = False
    """Another behaviour had the same score, so log-probability decided."""
    majority: bool = False
    """More than half of the voters behave as the chosen one does."""


Choose = Callable[[Material, Sequence[int]], Choice]
"""`choose(material, places)`: one of the places, of which there is at least one, in the order in
which the samples were drawn. It must depend on these samples alone."""
NEEDS = {
    "logprobs": "needs log-probabilities, which these samples do not have",
    "inputs": "needs inputs to run programs on, which are made from public tests: there are none",
    "written": "needs tests written by the model: search=codet in the pool, or stage.extend=true",
    "head": "needs search.head=outputs/.../value, which trainer=value makes",
}
"""What a selector may need, and what is said where it is missing."""


@dataclass(frozen=True, slots=True)
class Selector:
    """A function with its name and needs."""

    name: str
    choose: Choose
    needs: tuple[str, ...] = ()

    def chosen(self, material: Material, places: Sequence[int]) -> Choice:
        """Choose among some places.

        Raises:
            AxiomError: if the function returns another place, which would be no choice among them.
        """
        choice = self.choose(material, places)
        if choice.place not in places:
            raise AxiomError(
                f"search.selector={self.name} chose place {choice.place} of {material.problem.id}, "
                f"and may choose of {[*places]}: it gets the places in its second argument"
            )
        return choice


_SELECTORS: dict[str, Selector] = {}


def register(name: str, choose: Choose, *, needs: Iterable[str] = ()) -> None:
    """Enter a selector under a name.

    Args:
        name: as in search.selector.
        choose: see `Choose`.
        needs: keys of NEEDS; where one is missing, the selector is listed as not available.

    Raises:
        AxiomError: if the name is taken by another function, or a need is unknown.
    """
    needed = tuple(needs)
    unknown = sorted(set(needed) - NEEDS.keys())
    if unknown:
        raise AxiomError(f"selector {name!r} needs {unknown[0]!r}; known: {', '.join(NEEDS)}")
    there = _SELECTORS.get(name)
    if there is not None and there.choose is not choose:
        raise AxiomError(f"a selector named {name!r} is already registered; choose another name")
    _SELECTORS[name] = Selector(name, choose, needed)


def get(name: str) -> Selector:
    """Return the selector of that name.

    Raises:
        AxiomError: if there is none, with the names there are.
    """
    if name not in _SELECTORS:
        raise AxiomError(f"search.selector: {unknown_name('selector', name, sorted(_SELECTORS))}")
    return _SELECTORS[name]


def names() -> tuple[str, ...]:
    """Return the names of all selectors, in order of registration."""
    return tuple(_SELECTORS)


def missing(selector: Selector, materials: Iterable[Material]) -> str:
    """Say what a selector lacks, as 'needs ...'; '' where it has everything.

    Something is missing if no problem has it: a problem without inputs is chosen for without them.
    """
    there: set[str] = set()
    for material in materials:
        there |= {"written"} if material.has_written else set()
        there |= {"inputs"} if material.inputs else set()
        there |= {"head"} if material.values is not None else set()
        there |= {"logprobs"} if all(s.logprob is not None for s in material.samples) else set()
    return next((NEEDS[need] for need in selector.needs if need not in there), "")
