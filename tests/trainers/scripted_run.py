"""A run without a real model: the tiny one is trained, and a script answers in its place."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import axiom_rl.stages
from axiom_rl.config import load_config
from axiom_rl.sampling import SampleRequest
from axiom_rl.sampling.scripted import ScriptedSampler


def fenced(code: str) -> str:
    return f"Here it is:\n```python\n{code}\n```"


REVERSE = fenced("def reverse_string(s):\n    return s[::-1]")
REVERSE_AGAIN = fenced("def reverse_string(s):  # the same\n\n    return s[::-1]")
REVERSE_OTHER = fenced("def reverse_string(s):\n    return ''.join(reversed(s))")
PALINDROME = fenced("def is_palindrome(s):\n    return s == s[::-1]")
FIZZBUZZ = fenced(
    "def fizzbuzz(n):\n"
    "    return ['Fizz' * (i % 3 == 0) + 'Buzz' * (i % 5 == 0) or str(i) for i in range(1, n + 1)]"
)
WRONG = fenced("def reverse_string(s):\n    return s")


def answer(request: SampleRequest, sample: int) -> str:
    """Reverse is known, the palindrome is found late, fizzbuzz after one iteration."""
    phase = request.stream.partition("/")[2]
    match request.problem_id.partition("/")[0]:
        case "reverse_string":
            return (REVERSE, REVERSE_AGAIN, WRONG, REVERSE_OTHER)[sample % 4]
        case "is_palindrome":
            return PALINDROME if sample == 5 or phase.startswith("iter") else "I do not know."
        case "fizzbuzz":
            return FIZZBUZZ if phase.startswith("iter") and sample < 2 else "No idea."
        case other:
            raise KeyError(other)


composed = functools.cache(load_config)
"""Composing costs a good part of a run with a script."""


class Stopped(KeyboardInterrupt):
    """Ctrl-C at a place that a test chose."""


@dataclass
class Stage:
    """Runs stages with scripted answers; stops once at each of the places in `stops`."""

    overrides: tuple[str, ...]
    script: Callable[[SampleRequest, int], str] = answer
    stops: list[str] = field(default_factory=list)
    drawn: list[tuple[str, str, int]] = field(default_factory=list)
    adapters: list[str | None] = field(default_factory=list)
    """Adapter of each sampler that was loaded."""
    reports: list[Path] = field(default_factory=list)
    """Folders for which a report was asked; the charts of a real one take a second each."""

    def run(self, folder: Path, *overrides: str) -> Path:
        config = composed(*self.overrides, *overrides)
        axiom_rl.stages.run_stage(copy.deepcopy(config), folder)
        return folder

    def load(self, adapter: str | None) -> ScriptedSampler:
        self.adapters.append(adapter)
        return ScriptedSampler(self.say)

    def say(self, request: SampleRequest, sample: int) -> str:
        self.stop(f"draw {request.stream} {request.problem_id.partition('/')[0]} {sample}")
        self.drawn.append((request.stream, request.problem_id, sample))
        return self.script(request, sample)

    def report(self, folder: Path) -> None:
        self.reports.append(folder)

    def stop(self, place: str) -> None:
        if place in self.stops:
            self.stops.remove(place)
            raise Stopped(place)
