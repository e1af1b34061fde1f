"""Guessing ahead changes how many steps are taken, and no sample."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from test_batch import assert_same
from test_hf_sampler import by_sample, requests, settings
from transformers import AutoModelForCausalLM, AutoTokenizer

from axiom_rl.core.types import Completion
from axiom_rl.sampling import SampleRequest
from axiom_rl.sampling.base import Key
from axiom_rl.sampling.hf import speculate
from axiom_rl.sampling.hf.batch import Running
from axiom_rl.sampling.hf.sampler import TransformersSampler
from axiom_rl.sampling.hf.speculate import MOST, Grams, Guesses

LENGTH = 40


@pytest.fixture(scope="module")
def parts(tiny_model_folder: Path) -> tuple[Any, Any]:
    model = AutoModelForCausalLM.from_pretrained(tiny_model_folder, dtype=torch.float32)
    return model.eval(), AutoTokenizer.from_pretrained(tiny_model_folder)


def draw(
    parts: tuple[Any, Any],
    monkeypatch: pytest.MonkeyPatch,
    alone: int,
    samples: int,
    **changes: Any,
) -> tuple[dict[Key, Completion], list[tuple[int, int]]]:
    """Return completions, and rows and tokens a row of each forward pass."""
    shapes: list[tuple[int, int]] = []
    forward = type(parts[0]).forward

    def counted(model: Any, **kwargs: Any) -> Any:
        shapes.append(tuple(kwargs["input_ids"].shape))
        return forward(model, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(speculate, "ALONE", alone)
        patch.setattr(parts[0], "forward", lambda **kwargs: counted(parts[0], **kwargs))
        made = TransformersSampler(*parts, settings(max_new_tokens=LENGTH, **changes))
        return by_sample([*made.sample(requests(samples))]), shapes


@pytest.mark.parametrize(
    ("temperature", "top_p", "slots"),
    [(0.0, 1.0, 3), (0.01, 1.0, 8), (0.02, 1.0, 8), (0.03, 0.9, 2), (0.03, 1.0, 1)],
)
def test_samples_are_those_of_the_plain_path(
    parts: tuple[Any, Any],
    monkeypatch: pytest.MonkeyPatch,
    temperature: float,
    top_p: float,
    slots: int,
) -> None:
    """Rows accept drafts of different lengths in one step; ends and limits fall into drafts."""
    chosen = {"temperature": temperature, "top_p": top_p, "max_batch": slots}
    plain, steps = draw(parts, monkeypatch, 0, 6, **chosen)
    fast, fewer = draw(parts, monkeypatch, 8, 6, **chosen)
    assert fast.keys() == plain.keys()
    assert_same(fast, plain)
    assert all(len(item.logprobs) == item.completion_tokens for item in fast.values())
    assert wide(fewer) and not wide(steps)
    assert len(fewer) < 0.9 * len(steps), "guesses save steps"


def wide(shapes: Sequence[tuple[int, ...]]) -> list[int]:
    """Return the rows of the passes with drafts; a prompt is longer than those."""
    return [rows for rows, tokens in shapes if 1 < tokens <= 1 + MOST]


def test_many_rows_are_not_guessed(parts: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The same text over and over, in twelve rows; then most of them are broken off."""
    shapes: list[tuple[int, ...]] = []
    forward = parts[0].forward

    def counted(**kwargs: Any) -> Any:
        shapes.append(tuple(kwargs["input_ids"].shape))
        return forward(**kwargs)

    monkeypatch.setattr(parts[0], "forward", counted)
    made = TransformersSampler(*parts, settings(max_new_tokens=300, temperature=0.0))
    with made.batch(requests(12)) as batch:
        batch.start([("sum", sample) for sample in range(12)])
        for _ in range(30):
            batch.step()
        assert not wide(shapes)
        batch.drop([("sum", sample) for sample in range(12) if sample % 2])
        for _ in range(5):
            batch.step()
    assert wide(shapes) == [6] * 5


def running(tokens: list[int], sample: int = 0, problem: str = "a") -> Running:
    request = SampleRequest(problem_id=problem, messages=(), samples=(sample,), stream="")
    return Running(request, sample, [1], tokens)


def test_a_draft_is_what_came_after_the_longest_run_that_is_known() -> None:
    guesses = Guesses()
    for number, text in enumerate(([1, 2, 3, 4, 5, 6], [9, 2, 3, 7, 7], [8, 2, 3, 7, 7]), 10):
        guesses.keep("a", number, text)
    guesses.keep("other", 10, [2, 3, 0, 0, 0])
    assert guesses.drafts([running([1, 2, 3])], 99) == [[4, 5, 6]], "1 2 3 before 2 3"
    assert guesses.drafts([running([5, 2, 3])], 99) == [[7, 7]], "7 more often than 4"
    assert guesses.drafts([running([5, 2, 3])], 5) == [[7]], "one token of two is drawn anyway"
    assert guesses.drafts([running([5, 2, 3])], 4) == [[]]
    assert guesses.drafts([running([]), running([3]), running([5, 5])], 99) == [[], [], []]
    own = running([4, 6, 4, 6, 4, 6], problem="new")
    assert guesses.drafts([own], 99) == [[4, 6, 4]], "its own text"
    beside = running([8, 6, 4], sample=1, problem="new")
    assert guesses.drafts([own, beside], 99)[1] == [6, 4], "the text of a row beside it"


def test_drafts_of_a_row_that_is_wrong_again_and_again_end() -> None:
    guesses, row = Guesses(), running([1, 2, 3])
    guesses.keep("a", 10, [1, 2, 3, 4, 5, 6, 7, 8])
    seven = [running([sample, 50], sample=sample, problem="b") for sample in range(1, 8)]
    lengths = []
    for _ in range(12):
        draft = guesses.drafts([row, *seven], 99)[0]
        lengths.append(len(draft))
        guesses.learn(row.key, draft, 0)
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[-1] == 0, "one guesser among eight rows costs all of them"
    alone = Guesses()
    alone.keep("a", 10, [1, 2, 3, 4, 5, 6, 7, 8])
    for _ in range(12):
        alone.learn(row.key, [4], 1)
    assert len(alone.drafts([row], 99)[0]) == MOST


def test_a_growing_text_is_learnt_once() -> None:
    guesses, whole, text = Guesses(), Grams(), [1, 2, 3, 1, 2, 4, 1, 2]
    for end in range(len(text) + 1):
        guesses.drafts([running(text[:end])], 99)
    guesses.keep("a", 0, text)
    guesses.drafts([running([1], sample=1)], 99)
    whole.add(text)
    assert guesses._grams["a"].after == whole.after
    assert whole.next([0, 1, 2]) in (3, 4) and whole.next([7, 7]) is None
