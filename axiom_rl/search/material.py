"""What a search knows of one problem's samples: everything a selector may look at, and no verdict.

It is made from the samples (program, log-probability, tokens), from how they do on the public
tests, and from what they return on inputs that nobody knows the answer to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import fsum, inf
from typing import Any

from axiom_rl.core.types import Completion
from axiom_rl.search.public import PublicProblem


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled:
    """One sample of a problem."""

    sample: int
    """Index of the draw."""
    code: str | None
    logprob: float | None
    """Mean over its tokens; None where the sampler gave none."""
    tokens: int
    """Generated."""
    prompt_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one program returned on one input: a value, or nothing that could agree."""

    returned: bool
    value: Any = None
    """Plain value; for one too long to keep, the hash of its text."""
    shown: str = ""
    """The value or the error, in a line."""


@dataclass(frozen=True, kw_only=True)
class Material:
    """All of one problem's samples, in order, with what is known of each."""

    problem: PublicProblem
    samples: tuple[Sampled, ...]
    public_passed: tuple[int, ...]
    """Public tests passed by each sample."""
    inputs: tuple[tuple[Any, ...], ...] = ()
    """What the programs were run on; none of them is a public test's."""
    answers: tuple[tuple[Answer, ...] | None, ...] = ()
    """For each sample one answer per input; None for a sample that was not run, because it fails a
    public test or holds no program."""
    written: tuple[tuple[int, Any], ...] = ()
    """Tests written by the model: position of the input, and the value that the model expects."""
    has_written: bool = False
    """Whether the model was asked for tests, even if none could be read."""
    values: tuple[float, ...] | None = None
    """Probability of each sample to pass, by a value head."""

    @property
    def survivors(self) -> tuple[int, ...]:
        """Positions of the samples that hold a program and pass every public test."""
        tests = len(self.problem.public_tests)
        return tuple(
            place
            for place, sample in enumerate(self.samples)
            if sample.code is not None and self.public_passed[place] == tests
        )

    @cached_property
    def classes(self) -> tuple[tuple[int | None, ...] | None, ...]:
        """For each sample and input a number that samples with the same value share.

        None where there is no value: an error, a time-out or a violation agrees with nothing, and
        neither does a value that the same program did not return twice.
        """
        columns = [self._column(place) for place in range(len(self.inputs))]
        return tuple(
            None if row is None else tuple(column[place] for column in columns)
            for place, row in enumerate(self.answers)
        )

    def _column(self, place: int) -> list[int | None]:
        """Number the different values on one input, by plain equality with float tolerance."""
        kinds: list[Any] = []
        column: list[int | None] = []
        for row in self.answers:
            answer = None if row is None else row[place]
            if answer is None or not answer.returned:
                column.append(None)
                continue
            for number, kind in enumerate(kinds):
                if self.problem.match(answer.value, kind):
                    column.append(number)
                    break
            else:
                column.append(len(kinds))
                kinds.append(answer.value)
        return column

    @cached_property
    def written_passed(self) -> tuple[frozenset[int], ...]:
        """Of each sample, which of the written tests it passes."""
        return tuple(
            frozenset(
                number
                for number, (place, expected) in enumerate(self.written)
                if row is not None
                and row[place].returned
                and self.problem.match(row[place].value, expected)
            )
            for row in self.answers
        )


def sampled(completion: Completion, code: str | None) -> Sampled:
    """Return a sample as searches see it."""
    logprobs = completion.logprobs
    return Sampled(
        sample=completion.sample,
        code=code if code is None or code.strip() else None,
        logprob=fsum(logprobs) / len(logprobs) if logprobs else None,
        tokens=completion.completion_tokens,
        prompt_tokens=completion.prompt_tokens,
    )


def with_values(material: Material, at_end: Mapping[tuple[str, int], float]) -> Material:
    """Return the material with each sample's probability to pass.

    Args:
        material: of one problem.
        at_end: by problem id and sample.
    """
    key = material.problem.id
    values = tuple(at_end[key, sample.sample] for sample in material.samples)
    return replace(material, values=values)


def likeliest(material: Material, places: Sequence[int]) -> int:
    """Return the place of the likeliest sample; of equals, the one drawn first."""
    return max(places, key=lambda place: (likelihood(material.samples[place]), -place))


def likelihood(sample: Sampled) -> float:
    """Return the mean log-probability to choose by; one that nobody knows is the lowest."""
    return -inf if sample.logprob is None else sample.logprob
