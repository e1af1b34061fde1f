"""The scripted sampler keeps the promises of every sampler."""

from __future__ import annotations

import pytest

from axiom_rl.sampling import Sampler, SampleRequest
from axiom_rl.sampling.scripted import ScriptedSampler

ASKED = SampleRequest(
    problem_id="a",
    messages=({"role": "user", "content": "three words here"},),
    samples=(4, 1),
    stream="0/before",
)


def test_texts_by_problem_and_sample() -> None:
    sampler: Sampler = ScriptedSampler({"a": ["zero", "one and more", "two"]})
    first, second = sampler.sample([ASKED], temperature=1.0)
    assert (first.sample, first.text, first.completion_tokens) == (4, "one and more", 3)
    assert (second.sample, second.text, second.prompt_tokens) == (1, "one and more", 3)
    assert not first.truncated


def test_texts_by_a_function() -> None:
    sampler = ScriptedSampler(lambda request, sample: f"{request.stream} {sample}")
    assert [item.text for item in sampler.sample([ASKED])] == ["0/before 4", "0/before 1"]


def test_a_problem_that_is_not_in_the_script() -> None:
    with pytest.raises(KeyError):
        list(ScriptedSampler({}).sample([ASKED]))
