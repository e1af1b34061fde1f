"""The public-test filter: of the samples that pass most public tests, the likeliest."""

from __future__ import annotations

from collections.abc import Sequence

from axiom_rl.search.material import Material, likeliest
from axiom_rl.search.registry import Choice


def best_on_public(material: Material, places: Sequence[int]) -> list[int]:
    """Return the places that hold a program and pass most public tests; all if none holds one."""
    programs = [place for place in places if material.samples[place].code is not None]
    most = max((material.public_passed[place] for place in programs), default=0)
    return [p for p in programs if material.public_passed[p] == most] or list(places)


def choose(material: Material, places: Sequence[int]) -> Choice:
    """Filter, then take the likeliest; of equals the one drawn first."""
    return Choice(place=likeliest(material, best_on_public(material, places)))
