"""The other control: a sample that passes, if there is one. It is told the verdicts.

It is no selector: selectors are functions of `Material`, which has no place for a verdict.
"""

from __future__ import annotations

from collections.abc import Sequence


def choose(passed: Sequence[bool], places: Sequence[int]) -> int:
    """Return the first place that passes, or the first of all."""
    return next((place for place in places if passed[place]), places[0])
