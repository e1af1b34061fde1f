"""Early stopping while samples are drawn: what it looks at, and that it changes no other sample."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from test_batch import ON_GPU, step_by_step
from test_hf_sampler import PROMPTS, by_sample, requests, settings
from transformers import AutoModelForCausalLM, AutoTokenizer

from axiom_rl.core.types import Completion
from axiom_rl.sampling.base import Key, StoppingSampler
from axiom_rl.sampling.hf.decode import Decoder, Decoders, Ways
from axiom_rl.sampling.hf.sampler import TransformersSampler, prompt_tokens

SAMPLES, LENGTH, EVERY = 6, 29, 7
"""29 is 4 times 7 and 1: the last look is at a sample that has just drawn its last token."""


class Seen:
    """Looks at the first block, remembers what it saw, and stops by a rule of its own."""

    every = EVERY

    def __init__(self, rule: Any = lambda _id, _logprobs: False) -> None:
        self.rule = rule
        self.looks: list[tuple[str, NDArray[np.float32], tuple[float, ...]]] = []

    def block(self, model: Any) -> Any:
        return model.get_decoder().layers[0]

    def hopeless(
        self, problem_id: str, hidden: NDArray[np.float32], logprobs: Sequence[float]
    ) -> bool:
        self.looks.append((problem_id, hidden, tuple(logprobs)))
        return bool(self.rule(problem_id, logprobs))


@pytest.fixture(scope="module")
def parts(tiny_model_folder: Path) -> tuple[Any, Any]:
    model = AutoModelForCausalLM.from_pretrained(tiny_model_folder, dtype=torch.float32)
    return model.eval(), AutoTokenizer.from_pretrained(tiny_model_folder)


def sampler(
    parts: tuple[Any, Any], early: Seen | None, ways: Ways | None = None, slots: int = 80
) -> TransformersSampler:
    chosen = settings(max_new_tokens=LENGTH, max_batch=slots)
    made = TransformersSampler(*parts, chosen, Decoders(parts[0], ways))
    assert isinstance(made, StoppingSampler)
    return made if early is None else made.stopping(early)


def drawn(made: TransformersSampler, shared: bool) -> dict[Key, Completion]:
    """Draw all, by the queue or, sample by sample, in a batch where they share running prompts."""
    if not shared:
        return by_sample([*made.sample(requests(SAMPLES))])
    order = [(name, sample) for name in PROMPTS for sample in range(SAMPLES)]
    with made.batch({None: requests(SAMPLES)}) as batch:
        return by_sample([*step_by_step(batch, order, random.Random(3))])


@pytest.fixture(scope="module")
def plain(parts: tuple[Any, Any]) -> dict[Key, Completion]:
    return drawn(sampler(parts, None), False)


WHERE = pytest.mark.parametrize(
    ("ways", "shared"), [(None, False), (ON_GPU, True)], ids=["queue", "rounded batch"]
)


@WHERE
def test_what_is_looked_at_is_the_mean_over_the_completion_alone(
    parts: tuple[Any, Any], plain: dict[Key, Completion], ways: Ways | None, shared: bool
) -> None:
    early = Seen()
    found = drawn(sampler(parts, early, ways, 5), shared)
    assert found == plain, "looking changes nothing"
    model, tokenizer = parts
    looks = {(name, logprobs): hidden for name, hidden, logprobs in early.looks}
    assert len(looks) == len(early.looks), "each place once"
    for (name, _sample), item in found.items():
        ids = [*prompt_tokens(tokenizer, ({"role": "user", "content": PROMPTS[name]},))]
        before = len(ids)
        with torch.no_grad():
            states = model(torch.tensor([[*ids, *item.token_ids]]), output_hidden_states=True)
        hidden = states.hidden_states[1][0, before:].numpy()
        for place in range(EVERY, len(item.token_ids), EVERY):
            own = looks.pop((name, item.logprobs[:place]))
            assert np.allclose(own, hidden[:place].mean(axis=0), atol=1e-5), (name, place)
    assert not looks, "nothing else was looked at, not the last token either"


@WHERE
def test_a_stopped_sample_has_what_was_looked_at_and_the_others_are_whole(
    parts: tuple[Any, Any], plain: dict[Key, Completion], ways: Ways | None, shared: bool
) -> None:
    def rule(problem_id: str, logprobs: Sequence[float]) -> bool:
        if problem_id == "sum":
            return len(logprobs) == LENGTH - 1
        return problem_id != "short" and sum(logprobs) / len(logprobs) < -5.6

    found = drawn(sampler(parts, Seen(rule), ways, 5), shared)
    assert found.keys() == plain.keys()
    stops = []
    for key, whole in plain.items():
        places = range(EVERY, len(whole.token_ids), EVERY)
        at = next((n for n in places if rule(key[0], whole.logprobs[:n])), None)
        item = found[key]
        assert item.stopped == (at is not None), key
        if at is None:
            assert item == whole
            continue
        stops.append((at, len(whole.token_ids)))
        assert item.token_ids == whole.token_ids[:at] and item.completion_tokens == at
        assert len(item.logprobs) == at and not item.truncated
        assert whole.text.startswith(item.text.rstrip("\ufffd"))
    assert 0 < len(stops) < len(plain)
    assert (LENGTH - 1, LENGTH) in stops, "one whose next token is its last is stopped too"


def test_a_stop_saves_passes(parts: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    rows = list[int]()
    step = Decoder.step

    def counted(self: Decoder) -> Any:
        rows.append(self.cache.running)
        return step(self)

    monkeypatch.setattr(Decoder, "step", counted)
    found = drawn(sampler(parts, Seen(lambda *_: True)), False)
    # The first token comes from the prompt, and each pass is given one and draws the next.
    assert sum(rows) == sum(item.completion_tokens - (not item.stopped) for item in found.values())
    assert max(item.completion_tokens for item in found.values()) == EVERY


@pytest.mark.slow
def test_two_samplers_of_one_model_in_turns_look_at_their_own_tokens(
    parts: tuple[Any, Any],
) -> None:
    looks = [Seen(), Seen()]
    hooks = parts[0].get_decoder().layers[0]._forward_hooks
    before = len(hooks)
    turns = [
        sampler(parts, early, ON_GPU, 5).sample(requests(SAMPLES, stream=stream))
        for early, stream in zip([*looks, None], ("0/a", "0/b", "0/c"), strict=True)
    ]
    for _round in zip(*turns, strict=True):
        assert len(hooks) == before
    for early, stream in zip(looks, ("0/a", "0/b"), strict=True):
        alone = Seen()
        [*sampler(parts, alone, ON_GPU, 5).sample(requests(SAMPLES, stream=stream))]
        for one, other in zip(early.looks, alone.looks, strict=True):
            assert one[0] == other[0] and np.allclose(one[1], other[1], atol=1e-6)


@pytest.mark.parametrize("watched", [False, True])
def test_sums_follow_their_rows_in_a_kept_decoder(parts: tuple[Any, Any], watched: bool) -> None:
    """A decoder is kept with its sums: what the last use left there must not be added to."""
    decoders = Decoders(parts[0], ON_GPU)
    chosen = settings(max_new_tokens=LENGTH, max_batch=5)
    first, second = Seen(), Seen()
    made = TransformersSampler(*parts, chosen, decoders)
    begun = made.stopping(first).sample(requests(SAMPLES))
    next(iter(begun))
    begun.close()  # type: ignore[attr-defined]
    if watched:
        [*made.sample(requests(2))]  # in between, nobody looks
    drawn(made.stopping(second), False)
    fresh = Seen()
    drawn(sampler(parts, fresh, ON_GPU, 5), False)
    for one, other in zip(second.looks, fresh.looks, strict=True):
        assert one[0] == other[0] and np.allclose(one[1], other[1], atol=1e-6)


@pytest.mark.gpu
def test_recorded_steps_are_looked_at_as_direct_ones(tiny_model_folder: Path) -> None:
    """Steps recorded while nobody looked are not replayed where somebody does."""
    model = AutoModelForCausalLM.from_pretrained(tiny_model_folder, dtype=torch.float32)
    on_gpu = (model.cuda().eval(), AutoTokenizer.from_pretrained(tiny_model_folder))
    direct = Seen()
    drawn(sampler(on_gpu, direct, ON_GPU, 9), False)
    recorded = sampler(on_gpu, None, Ways(rounded=True, recorded=True, prefill_prompts=3), 9)
    for _again in range(2):
        [*recorded.sample(requests(SAMPLES))]
        early = Seen()
        drawn(recorded.stopping(early), False)
        assert len(early.looks) == len(direct.looks)
        assert np.allclose(
            sorted(float(hidden.sum()) for _n, hidden, _l in early.looks),
            sorted(float(hidden.sum()) for _n, hidden, _l in direct.looks),
            atol=1e-3,
        )
