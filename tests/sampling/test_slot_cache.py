"""The cache of slots gives the logits of transformers' own cache, however rows come and go."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, DynamicCache, PreTrainedModel

from axiom_rl.sampling.hf.slot_cache import ATTENTION, SlotCache

LONGEST = 48
TOLERANCE = {torch.float32: 2e-5, torch.bfloat16: 0.06}
"""Largest difference of a logit; the tiny model's logits have a standard deviation near 0.2."""


@pytest.fixture(params=[torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def model(request: pytest.FixtureRequest, tiny_model_folder: Path) -> Iterator[PreTrainedModel]:
    loaded = AutoModelForCausalLM.from_pretrained(tiny_model_folder, dtype=request.param)
    loaded.eval()
    with torch.inference_mode():
        yield loaded


class Texts:
    """Samples that run in a cache of slots, checked at each step against plain transformers."""

    def __init__(self, model: PreTrainedModel, slots: int) -> None:
        self.model = model
        self.cache = SlotCache(model.config.num_hidden_layers, slots, LONGEST, model.device)
        self.rows: list[list[int]] = []
        self.drawn = torch.Generator().manual_seed(0)

    def tokens(self, count: int) -> list[int]:
        return torch.randint(3, 300, (count,), generator=self.drawn).tolist()

    def join(self, prompt: list[int], samples: int) -> None:
        self.cache.begin_prefill([samples])
        logits = self._forward([prompt], torch.arange(len(prompt))[None], None)
        self.cache.end_prefill([len(prompt)], [samples])
        self.rows += [list(prompt) for _ in range(samples)]
        self.check(logits, [prompt])

    def step(self) -> None:
        new = self.tokens(len(self.rows))
        for row, token in zip(self.rows, new, strict=True):
            row.append(token)
        positions = self.cache.lengths[: self.cache.running, None]
        logits = self._forward([[token] for token in new], positions, self.cache.mask())
        self.cache.end_step()
        self.cache.count_step()
        assert self.cache.filled == self.cache.lengths[: self.cache.running].tolist()
        self.check(logits, self.rows)

    def leave(self, index: int) -> None:
        moved = self.cache.release(index)
        assert moved == len(self.rows) - 1
        self.rows[index] = self.rows[moved]
        self.rows.pop()

    def _forward(
        self, tokens: list[list[int]], positions: torch.Tensor, mask: torch.Tensor | None
    ) -> torch.Tensor:
        self.model.set_attn_implementation(ATTENTION)
        output = self.model(
            input_ids=torch.tensor(tokens),
            position_ids=positions,
            attention_mask=mask,
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=1,
        )
        self.model.set_attn_implementation("sdpa")
        return output.logits[:, -1].float()

    def check(self, logits: torch.Tensor, rows: list[list[int]]) -> None:
        for row, ours in zip(rows, logits, strict=True):
            cache = DynamicCache(config=self.model.config)
            theirs = self.model(torch.tensor([row]), past_key_values=cache).logits[0, -1].float()
            assert (ours - theirs).abs().max() < TOLERANCE[self.model.dtype]


def test_rows_that_join_step_and_leave_keep_their_texts(model: PreTrainedModel) -> None:
    texts = Texts(model, slots=6)
    texts.join(texts.tokens(9), samples=3)
    texts.step()
    texts.join(texts.tokens(17), samples=2)  # of another length, beside running rows
    texts.step()
    texts.leave(0)  # the last row takes its place
    texts.leave(3)  # the last row itself
    texts.step()
    texts.join(texts.tokens(4), samples=3)  # into used slots, shorter than what was there
    texts.step()
    for _ in range(3):
        texts.leave(1)
    texts.step()
    while texts.rows:
        texts.leave(0)
    texts.join(texts.tokens(1), samples=6)  # a prompt of one token
    for _ in range(3):
        texts.step()
    assert texts.cache.running == 6


def test_a_row_can_fill_its_slot_to_the_end(model: PreTrainedModel) -> None:
    texts = Texts(model, slots=2)
    texts.join(texts.tokens(LONGEST - 2), samples=1)
    texts.join(texts.tokens(3), samples=1)
    texts.step()
    texts.step()
    assert texts.cache.lengths.tolist() == [LONGEST, 5]


def test_steps_are_those_of_a_growing_dynamic_cache(model: PreTrainedModel) -> None:
    """Token by token on both sides, in float32 to the last digits."""
    texts = Texts(model, slots=1)
    prompt = texts.tokens(7)
    texts.join(prompt, samples=1)
    cache = DynamicCache(config=model.config)
    model(torch.tensor([prompt]), past_key_values=cache)
    for _ in range(5):
        new = texts.tokens(1)
        theirs = model(torch.tensor([new]), past_key_values=cache).logits[:, -1].float()
        ours = texts._forward([new], texts.cache.lengths[:1, None], texts.cache.mask())
        texts.cache.end_step()
        texts.cache.count_step()
        assert (ours - theirs).abs().max() < TOLERANCE[model.dtype]
