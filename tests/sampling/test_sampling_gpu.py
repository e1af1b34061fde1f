"""Sampling on a GPU, a real one or none: the texts of the CPU, looked at and broken off alike."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fake_gpu import FakeGraph, a_gpu
from test_early import Seen, drawn
from test_hf_sampler import by_sample, requests, settings
from transformers import AutoModelForCausalLM, AutoTokenizer

from axiom_rl.sampling.hf.decode import Decoders, ways_for
from axiom_rl.sampling.hf.sampler import TransformersSampler


@pytest.fixture(scope="module")
def parts(tiny_model_folder: Path) -> tuple[Any, Any]:
    model = AutoModelForCausalLM.from_pretrained(tiny_model_folder, dtype=torch.float32)
    return model.eval(), AutoTokenizer.from_pretrained(tiny_model_folder)


@pytest.fixture
def on_gpu(tiny_model_folder: Path) -> Iterator[tuple[Any, Any]]:
    with a_gpu() as card:
        model = AutoModelForCausalLM.from_pretrained(tiny_model_folder, dtype=torch.float32)
        yield model.to(card).eval(), AutoTokenizer.from_pretrained(tiny_model_folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"top_p": 0.8},
        *(pytest.param(c, marks=pytest.mark.slow) for c in ({}, {"temperature": 0.0})),
    ],
)
def test_recorded_steps_draw_what_a_cpu_draws(
    parts: tuple[Any, Any], on_gpu: tuple[Any, Any], changes: dict[str, Any]
) -> None:
    assert ways_for(on_gpu[0]).recorded
    chosen = settings(max_new_tokens=20, max_batch=9, **changes)
    plain = by_sample([*TransformersSampler(*parts, chosen).sample(requests(4))])
    made = TransformersSampler(*on_gpu, chosen)
    replays = FakeGraph.replays
    for _again in range(2):
        found = by_sample([*made.sample(requests(4))])
        same = sum(found[key].token_ids == plain[key].token_ids for key in plain)
        assert same == len(plain)
    assert FakeGraph.replays > replays or torch.cuda.is_initialized()


@pytest.mark.parametrize(
    "shared", [pytest.param(False, marks=pytest.mark.slow), True], ids=["queue", "batch"]
)
def test_live_stopping_looks_at_what_a_cpu_looks_at(
    parts: tuple[Any, Any], on_gpu: tuple[Any, Any], shared: bool
) -> None:
    def rule(_id: str, logprobs: Any) -> bool:
        return sum(logprobs) / len(logprobs) < -5.6

    here, there = Seen(rule), Seen(rule)
    chosen = settings(max_new_tokens=29, max_batch=5)
    plain = drawn(TransformersSampler(*parts, chosen).stopping(here), shared)
    decoders = Decoders(on_gpu[0])
    made = TransformersSampler(*on_gpu, chosen, decoders)
    [*made.sample(requests(1))]  # steps recorded while nobody looks
    found = drawn(made.stopping(there), shared)
    assert {k: (v.token_ids, v.stopped) for k, v in found.items()} == {
        k: (v.token_ids, v.stopped) for k, v in plain.items()
    }
    mine, theirs = ({look[2]: look[1] for look in each.looks} for each in (there, here))
    rounded = {tuple(np.round(key, 3)): value for key, value in theirs.items()}
    assert len(mine) == len(theirs)
    for key, value in mine.items():
        assert np.allclose(value, rounded[tuple(np.round(key, 3))], atol=1e-4)
