"""The control: the sample that was drawn first, which is as good as any other."""

from __future__ import annotations

from collections.abc import Sequence

from axiom_rl.search.material import Material
from axiom_rl.search.registry import Choice


def choose(_material: Material, places: Sequence[int]) -> Choice:
    """Take the first."""
    return Choice(place=places[0])
