"""Honest programs of many styles; each is right and must be accepted."""

from dataclasses import dataclass
from typing import Any

from corpus.honest_library import LIBRARY
from corpus.honest_styles import STYLES
from corpus.honest_surroundings import SURROUNDINGS
from corpus.honest_threads import THREADS


@dataclass(frozen=True, slots=True)
class Honest:
    """A right program, with calls of its `solve` and the values they must return."""

    name: str
    code: str
    tests: tuple[tuple[tuple[Any, ...], Any], ...]
    from_json: bool = False


HONEST: list[Honest] = [Honest(*row) for row in (*STYLES, *LIBRARY, *SURROUNDINGS, *THREADS)]
