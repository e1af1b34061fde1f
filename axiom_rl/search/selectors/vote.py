"""Majority vote by execution: of the survivors of the public filter, the one that most agree with.

A sample's score is the number of (other survivor, input) pairs that return the same value. Counting
by input and not by whole program lets programs that differ on an odd input, which may break what
the statement asks for, still support each other everywhere else. An error, a time-out, a violation
or a value that changes from call to call agrees with nothing. Ties go to the likelier, then to the
one drawn first. Where nothing survives or nothing could be run, the public filter chooses.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from axiom_rl.search.material import Material, likeliest
from axiom_rl.search.registry import Choice
from axiom_rl.search.selectors.public import best_on_public


def choose(material: Material, places: Sequence[int]) -> Choice:
    """Filter, vote, break ties."""
    scores = agreement(material, places)
    if not scores:
        return Choice(place=likeliest(material, best_on_public(material, places)))
    most = max(scores.values())
    return settled(material, [p for p, score in scores.items() if score == most], list(scores))


def agreement(material: Material, places: Sequence[int]) -> dict[int, int]:
    """Return the voters among the places with their scores; empty where no vote is possible."""
    rows = {place: row for place in places if (row := _row(material, place)) is not None}
    counts = [
        Counter(row[column] for row in rows.values()) for column in range(len(material.inputs))
    ]
    return {
        place: sum(
            count[number] - 1
            for count, number in zip(counts, row, strict=True)
            if number is not None
        )
        for place, row in rows.items()
    }


def settled(material: Material, best: Sequence[int], voters: Sequence[int]) -> Choice:
    """Choose among the samples of the highest score, and say how many agree with it."""
    chosen = likeliest(material, best)
    behaviour = _row(material, chosen)
    agreeing = sum(_row(material, place) == behaviour for place in voters)
    return Choice(
        place=chosen,
        agreeing=agreeing,
        voters=len(voters),
        tied=any(_row(material, place) != behaviour for place in best),
        majority=2 * agreeing > len(voters),
    )


def clusters(
    material: Material, voters: Sequence[int]
) -> Mapping[tuple[int | None, ...], list[int]]:
    """Return the voters by what they return on all inputs, the largest group first."""
    groups: dict[tuple[int | None, ...], list[int]] = {}
    for place in voters:
        groups.setdefault(_row(material, place) or (), []).append(place)
    return dict(sorted(groups.items(), key=lambda item: (-len(item[1]), item[1][0])))


def _row(material: Material, place: int) -> tuple[int | None, ...] | None:
    row = material.classes[place] if material.inputs and material.answers else None
    return row if row is not None and any(number is not None for number in row) else None
