"""A pool replayed: what each selector would have chosen at each budget, without drawing a token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from axiom_rl.search.budget import orders
from axiom_rl.search.material import Material
from axiom_rl.search.registry import Choice, Selector

Choices = Mapping[int, tuple[int, ...]]
"""By budget, the place chosen under each order."""


def choose_all(selector: Selector, materials: Mapping[str, Material]) -> dict[str, Choice]:
    """Return the choice among all samples of each problem, as a live search makes it."""
    return {
        key: selector.chosen(material, range(len(material.samples)))
        for key, material in materials.items()
        if material.samples
    }


def replay(
    selector: Selector, material: Material, budgets: Sequence[int], seed: int
) -> dict[int, tuple[int, ...]]:
    """Return the choices at each budget under the problem's seeded orders.

    A selector other than the control depends on the set of samples and not on their order, so each
    set is chosen from once.
    """
    in_order = orders(material.problem.id, len(material.samples), seed)
    if selector.name == "random":
        return {n: tuple(order[0] for order in in_order) for n in budgets}
    seen: dict[frozenset[int], int] = {}
    chosen: dict[int, tuple[int, ...]] = {}
    for n in budgets:
        places = []
        for order in in_order:
            key = frozenset(order[:n])
            if key not in seen:
                seen[key] = selector.chosen(material, sorted(key)).place
            places.append(seen[key])
        chosen[n] = tuple(places)
    return chosen
