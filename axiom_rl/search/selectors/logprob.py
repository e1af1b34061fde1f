"""The sample with the highest mean log-probability."""

from __future__ import annotations

from collections.abc import Sequence

from axiom_rl.search.material import Material, likeliest
from axiom_rl.search.registry import Choice


def choose(material: Material, places: Sequence[int]) -> Choice:
    """Take the likeliest that holds a program; of equals the one drawn first."""
    programs = [place for place in places if material.samples[place].code is not None]
    return Choice(place=likeliest(material, programs or places))
