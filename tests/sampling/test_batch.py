"""A batch filled step by step draws what `sample` draws, whatever starts and ends beside."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from test_hf_sampler import PROMPTS, by_sample, requests, settings
from transformers import AutoModelForCausalLM, AutoTokenizer

from axiom_rl.core.types import Completion
from axiom_rl.sampling.base import BatchSampler, Key
from axiom_rl.sampling.hf.decode import Decoders, Ways
from axiom_rl.sampling.hf.sampler import TransformersSampler

SAMPLES = 9
LENGTH = 30
ON_GPU = Ways(rounded=True, recorded=False, prefill_prompts=16)
"""Sizes rounded up as on a GPU, without recording."""


@pytest.fixture(scope="module")
def parts(tiny_model_folder: Path) -> tuple[Any, Any]:
    model = AutoModelForCausalLM.from_pretrained(tiny_model_folder, dtype=torch.float32)
    return model.eval(), AutoTokenizer.from_pretrained(tiny_model_folder)


def sampler(parts: tuple[Any, Any], ways: Ways | None = None, **changes: Any) -> BatchSampler:
    chosen = settings(max_new_tokens=LENGTH, **changes)
    return TransformersSampler(*parts, chosen, Decoders(parts[0], ways))


@pytest.fixture(scope="module")
def plain(parts: tuple[Any, Any]) -> dict[Key, Completion]:
    made = TransformersSampler(*parts, settings(max_new_tokens=LENGTH))
    return by_sample([*made.sample(requests(SAMPLES))])


def step_by_step(batch: Any, order: list[Key], chance: random.Random) -> Iterator[Completion]:
    """Start a few samples now and then, in any order, until all are done."""
    while order or batch.running:
        count = min(batch.free, chance.choice((0, 0, 1, 4)), len(order))
        batch.start([order.pop() for _ in range(count)])
        yield from batch.step()


def assert_same(found: dict[Key, Completion], plain: dict[Key, Completion]) -> None:
    for key, item in found.items():
        assert item.token_ids == plain[key].token_ids, key
        assert item.text == plain[key].text and item.truncated == plain[key].truncated
        assert item.prompt_ids == plain[key].prompt_ids
        # A first token drawn in a step and not in the prefill: a sum in another order.
        assert item.logprobs == pytest.approx(plain[key].logprobs, abs=1e-5)


@pytest.mark.parametrize("ways", [None, ON_GPU], ids=["cpu", "rounded"])
@pytest.mark.parametrize("slots", [3, 80])
def test_samples_do_not_depend_on_when_they_start(
    parts: tuple[Any, Any], plain: dict[Key, Completion], slots: int, ways: Ways | None
) -> None:
    order = [(name, sample) for name in PROMPTS for sample in range(SAMPLES)]
    chance = random.Random(slots)
    chance.shuffle(order)
    with sampler(parts, ways, max_batch=slots).batch({None: requests(SAMPLES)}) as batch:
        found = by_sample([*step_by_step(batch, order, chance)])
    assert found.keys() == plain.keys()
    assert {item.truncated for item in found.values()} == {True, False}
    assert_same(found, plain)


def test_what_is_broken_off_leaves_the_others_alone(
    parts: tuple[Any, Any], plain: dict[Key, Completion]
) -> None:
    """Rows move when one is taken out, also one that has only just begun with another's prompt."""
    keys = [(name, sample) for name in ("sum", "stack") for sample in range(SAMPLES)]
    with sampler(parts).batch({None: requests(SAMPLES)}) as batch:
        batch.start(keys[:4])
        found = [*batch.step(), *batch.step()]
        assert batch.drop([keys[1]]) == 3, "one in the prefill, two in steps"
        batch.start(keys[4:])
        assert batch.drop([keys[5], keys[17], ("short", 0)]) == 1, "sum shares, stack prefills"
        gone = {keys[1], keys[5], keys[17]}
        assert {*batch.running} == {*keys} - gone - by_sample(found).keys()
        while batch.running:
            found += batch.step()
        assert batch.drop([*batch.running]) == 0 and batch.step() == []
    again = by_sample(found)
    assert again.keys() == {*keys} - gone
    assert_same(again, plain)


def test_a_prompt_is_run_once_while_a_sample_of_it_runs(
    parts: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths = list[int]()
    model, _ = parts
    forward = model.forward

    def counted(*args: Any, **kwargs: Any) -> Any:
        lengths.append(kwargs["input_ids"].shape[1])
        return forward(*args, **kwargs)

    monkeypatch.setattr(model, "forward", counted)
    with sampler(parts).batch({None: requests(SAMPLES)}) as batch:
        for sample in range(SAMPLES):
            batch.start([("two_sum", sample)])
            batch.step()
    assert [length > 1 for length in lengths] == [True] + [False] * SAMPLES


@pytest.mark.parametrize("ways", [None, ON_GPU], ids=["cpu", "rounded"])
def test_samples_of_two_temperatures_run_in_one_batch(
    parts: tuple[Any, Any], plain: dict[Key, Completion], ways: Ways | None
) -> None:
    """Each of its own stream too: what one round asks for and what the next one will."""
    made = TransformersSampler(*parts, settings(max_new_tokens=LENGTH))
    cool = by_sample([*made.sample(requests(2 * SAMPLES, "0/attempts"), temperature=0.4)])
    later = range(SAMPLES, 2 * SAMPLES)
    asked = [replace(one, samples=tuple(later)) for one in requests(0, "0/attempts")]
    order = [(name, sample) for name in PROMPTS for sample in range(2 * SAMPLES)]
    chance = random.Random(7)
    chance.shuffle(order)
    with sampler(parts, ways, max_batch=7).batch({None: requests(SAMPLES), 0.4: asked}) as batch:
        found = by_sample([*step_by_step(batch, order, chance)])
    hot = {key: item for key, item in found.items() if key[1] < SAMPLES}
    assert_same(hot, plain)
    assert_same({key: item for key, item in found.items() if key not in hot}, cool)
    assert len(found) == len(PROMPTS) * 2 * SAMPLES


def test_greedy_samples_run_beside_no_others(parts: tuple[Any, Any]) -> None:
    asked = {0.0: requests(1), 0.7: requests(1, "0/other")}
    with pytest.raises(ValueError, match="greedy"), sampler(parts).batch(asked):
        pass
    with sampler(parts).batch({0.0: requests(1)}) as batch:
        batch.start([("sum", 0)])
        assert batch.running


def test_few_rows_are_filled_up_and_many_are_left(
    parts: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("axiom_rl.sampling.hf.batch.AHEAD_ROWS", 4)
    with sampler(parts, max_batch=6).batch({None: requests(SAMPLES)}) as batch:
        seen = []
        for sample in range(6):
            seen.append((batch.free, batch.spare))
            batch.start([("sum", sample)])
        assert seen == [(6, 4), (5, 3), (4, 2), (3, 1), (2, 0), (1, 0)]
        assert (batch.free, batch.spare) == (0, 0)


def test_the_model_is_left_as_it_was_when_a_batch_is_left(parts: tuple[Any, Any]) -> None:
    before = parts[0].config._attn_implementation
    with (
        pytest.raises(KeyboardInterrupt),
        sampler(parts).batch({None: requests(SAMPLES)}) as batch,
    ):
        batch.start([("sum", 0)])
        assert torch.is_grad_enabled()
        raise KeyboardInterrupt
    assert parts[0].config._attn_implementation == before
