"""The sample that a value head gives the highest probability to pass."""

from __future__ import annotations

from collections.abc import Sequence

from axiom_rl.core.errors import AxiomError
from axiom_rl.search.material import Material
from axiom_rl.search.registry import NEEDS, Choice
from axiom_rl.search.selectors.public import best_on_public
from axiom_rl.search.selectors.vote import agreement, settled


def choose(material: Material, places: Sequence[int]) -> Choice:
    """Filter, then take the highest value; of equals the one drawn first."""
    return Choice(place=_highest(material, best_on_public(material, places)))


def choose_after_vote(material: Material, places: Sequence[int]) -> Choice:
    """Vote; where several behaviours have the highest score, or none, the value decides."""
    scores = agreement(material, places)
    if not scores:
        return choose(material, places)
    most = max(scores.values())
    best = [place for place, score in scores.items() if score == most]
    return settled(material, [_highest(material, best)], list(scores))


def _highest(material: Material, places: Sequence[int]) -> int:
    values = material.values
    if values is None:
        raise AxiomError(f"this selector {NEEDS['head']}")
    return max(places, key=lambda place: (values[place], -place))
