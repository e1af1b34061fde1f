"""CodeT (Chen et al. 2022): programs and tests written by the model judge each other.

Survivors of the public filter that pass the same written tests form a group, whose score is its
size times the number of these tests. The group with the highest score wins; in it, and among
groups of equal score, the likelier sample.
"""

from __future__ import annotations

from collections.abc import Sequence

from axiom_rl.search.material import Material, likeliest
from axiom_rl.search.registry import Choice
from axiom_rl.search.selectors.public import best_on_public


def choose(material: Material, places: Sequence[int]) -> Choice:
    """Filter, group, score."""
    runs = material.answers
    voters = [place for place in places if runs and runs[place] is not None]
    groups: dict[frozenset[int], list[int]] = {}
    for place in voters:
        groups.setdefault(material.written_passed[place], []).append(place)
    if not any(groups):
        return Choice(place=likeliest(material, best_on_public(material, places)))
    scores = {passed: len(group) * len(passed) for passed, group in groups.items()}
    most = max(scores.values())
    best = [passed for passed, score in scores.items() if score == most]
    chosen = likeliest(material, [place for passed in best for place in groups[passed]])
    agreeing = len(groups[material.written_passed[chosen]])
    return Choice(
        place=chosen,
        agreeing=agreeing,
        voters=len(voters),
        tied=len(best) > 1,
        majority=2 * agreeing > len(voters),
    )
