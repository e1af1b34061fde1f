"""Features: equal to those of a plain forward pass, and computed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from axiom_rl.config import load_config
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_jsonl, write_jsonl
from axiom_rl.core.types import Completion, Problem
from axiom_rl.models.load import load_model
from axiom_rl.problems import make_problem
from axiom_rl.problems.prompts import render
from axiom_rl.rollouts.records import Rollout
from axiom_rl.sampling.hf.sampler import prompt_tokens
from axiom_rl.value import features as module
from axiom_rl.value import reader
from axiom_rl.value.features import inputs_of, pool_features
from axiom_rl.value.recipe import FrozenPolicy, Recipe, SampleFeatures, question_hash

if TYPE_CHECKING:
    from axiom_rl.models.weights.source import ResolvedModel

RECIPE = Recipe(layer=0.5, every=4)
PROBLEM = make_problem("reverse_string", difficulty=1, split="train", seed=0, index=0)
OTHER = make_problem("fizzbuzz", difficulty=1, split="train", seed=0, index=0)


@pytest.fixture
def frozen(resolved: ResolvedModel) -> FrozenPolicy:
    model = load_config(
        f"model.path={resolved.folder}", "model.dtype=float32", "model.device=cpu"
    ).model
    base = {"sha256": resolved.sha256, "name": "tiny", "format": "safetensors float32"}
    return FrozenPolicy(model=model, style="direct", base=base, adapter_sha256="")


def drawn(frozen: FrozenPolicy, problem: Problem, lengths: Sequence[int]) -> list[Any]:
    """Samples of random tokens, of these lengths."""
    from axiom_rl.models.load import load_tokenizer
    from axiom_rl.models.weights.resolve import resolve

    tokenizer = load_tokenizer(resolve(frozen.model))
    size = len(prompt_tokens(tokenizer, render(problem, "direct")))
    random = np.random.default_rng(len(lengths))
    made = []
    for sample, length in enumerate(lengths):
        ids = tuple(int(t) for t in random.integers(5, 300, length))
        completion = Completion(
            problem_id=problem.id,
            sample=sample,
            text=f"text {sample}",
            prompt_tokens=size,
            completion_tokens=length,
            truncated=False,
            token_ids=ids,
            logprobs=tuple(-0.1 * n for n in range(1, length + 1)),
        )
        made.append((problem, Rollout(completion=completion, code="", hidden=None, fresh=None)))
    return made


def test_features_are_the_means_of_a_plain_forward_pass(
    frozen: FrozenPolicy, tmp_path: Path, resolved: ResolvedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "PASS_TOKENS", 30)  # several passes, each with padding
    items = drawn(frozen, PROBLEM, [3, 11, 8, 1, 19, 4])
    found = pool_features(tmp_path, items, frozen, RECIPE)
    model, tokenizer = load_model(resolved, frozen.model)
    prompt = prompt_tokens(tokenizer, render(PROBLEM, "direct"))
    for _problem, item in items:
        ids = item.completion.token_ids
        with torch.no_grad():
            output = model(torch.tensor([[*prompt, *ids]]), output_hidden_states=True)
        hidden = output.hidden_states[1][0, len(prompt) :].numpy()  # layer 1 of 2
        own = found.of[PROBLEM.id, item.completion.sample]
        assert own.places == (*range(4, len(ids), 4), len(ids))
        for row, place in enumerate(own.places):
            plain = hidden[:place].mean(axis=0)
            assert np.allclose(own.hidden[row], plain, atol=2e-3), (len(ids), place)
    assert found.forward == sum(len(i.completion.token_ids) for _p, i in items) + 3 * len(prompt)


def test_another_policys_samples_are_read_with_their_log_probabilities(
    frozen: FrozenPolicy, tmp_path: Path, resolved: ResolvedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "LOGIT_TOKENS", 30)
    items = drawn(frozen, PROBLEM, [3, 11, 8, 1, 19])
    plain = pool_features(tmp_path, items, frozen, RECIPE)
    own = pool_features(tmp_path, items, replace(frozen, temperature=0.7), RECIPE)
    assert own.computed == len(items), "they are stored apart from those without"
    again = pool_features(tmp_path, items, replace(frozen, temperature=0.7), RECIPE)
    assert again.computed == 0
    model, tokenizer = load_model(resolved, frozen.model)
    prompt = prompt_tokens(tokenizer, render(PROBLEM, "direct"))
    for (_problem, item), features, stored, without in zip(
        items, own.each, again.each, plain.each, strict=True
    ):
        ids = item.completion.token_ids
        with torch.no_grad():
            logits = model(torch.tensor([[*prompt, *ids]])).logits[0]
        tempered = (logits[len(prompt) - 1 : -1] / 0.7).log_softmax(dim=-1)
        right = tempered.gather(1, torch.tensor(ids)[:, None])[:, 0].numpy()
        means = [right[:place].mean() for place in features.places]
        assert features.logprobs is not None and stored.logprobs is not None
        assert np.allclose(features.logprobs, means, atol=1e-3)
        assert np.array_equal(features.logprobs, stored.logprobs)
        assert np.allclose(features.hidden, without.hidden, atol=2e-3)
        rows = inputs_of(features, replace(item.completion, logprobs=()), ("logprob",))
        assert np.array_equal(rows[:, 0], features.logprobs), "what was drawn is not looked at"


def test_samples_of_one_number_in_two_draws_have_features_of_their_own(
    frozen: FrozenPolicy, tmp_path: Path
) -> None:
    released: list[str] = []
    items = drawn(frozen, PROBLEM, [5, 9])
    (problem, first), (_problem, second) = items
    said = replace(second.completion, sample=first.completion.sample, prompt_tokens=0)
    both = [(problem, first), (problem, replace(second, completion=said))]
    found = pool_features(tmp_path, both, frozen, RECIPE, lambda: released.append("room"))
    assert [each.places[-1] for each in found.each] == [5, 9] and released == ["room"]
    pool_features(tmp_path, both, frozen, RECIPE, lambda: released.append("again"))
    assert released == ["room"], "nothing is loaded, so nothing is released"


def test_features_are_computed_once_and_survive_a_kill(
    frozen: FrozenPolicy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = [*drawn(frozen, PROBLEM, [5] * 5), *drawn(frozen, OTHER, [6] * 4)]
    monkeypatch.setattr(module, "TOGETHER", 2)
    written, read = module.append_jsonl, []

    def stop(path: Path, rows: list[dict[str, Any]]) -> None:
        written(path, rows)
        read.extend(rows)
        if len(read) == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(module, "append_jsonl", stop)
    with pytest.raises(KeyboardInterrupt):
        pool_features(tmp_path, items, frozen, RECIPE)
    again = pool_features(tmp_path, items, frozen, RECIPE)
    assert again.computed == 5 and len(read) == 9
    keys = [(row["problem_id"], row["sample"]) for row in read]
    assert len(set(keys)) == len(keys)
    monkeypatch.setattr(module, "open_reader", None)  # the model is not loaded again
    third = pool_features(tmp_path, items, frozen, RECIPE)
    assert third.computed == 0 and third.seconds == again.seconds
    assert all(np.array_equal(third.of[key].hidden, again.of[key].hidden) for key in third.of)
    path = next((tmp_path / "search").glob("features_*.jsonl"))
    torn = path.read_bytes()[:-20]  # the machine went off while the last row was written
    path.write_bytes(torn)
    monkeypatch.undo()
    assert pool_features(tmp_path, items, frozen, RECIPE).computed == 1


def test_a_prompt_is_shared_and_equal_completions_are_read_once(
    frozen: FrozenPolicy, tmp_path: Path
) -> None:
    twin = replace(PROBLEM, id="reverse_string/twin")  # the same prompt
    items = drawn(frozen, PROBLEM, [5, 9])
    own = [
        (twin, replace(item, completion=replace(item.completion, problem_id=twin.id)))
        for _problem, item in items
    ]
    alone = pool_features(tmp_path / "alone", items, frozen, RECIPE)
    both = pool_features(tmp_path / "both", [*items, *own], frozen, RECIPE)
    assert both.computed == 4 and both.forward == alone.forward
    for sample in (0, 1):
        first, second = both.of[PROBLEM.id, sample], both.of[twin.id, sample]
        assert np.array_equal(first.hidden, second.hidden)


def test_another_recipe_policy_or_text_has_features_of_its_own(
    frozen: FrozenPolicy, tmp_path: Path
) -> None:
    items = drawn(frozen, PROBLEM, [5, 6])
    pool_features(tmp_path, items, frozen, RECIPE)
    assert pool_features(tmp_path, items, frozen, replace(RECIPE, every=2)).computed == 2
    files = {
        policy.features_file(recipe)
        for policy in (frozen, replace(frozen, adapter_sha256="x"))
        for recipe in (RECIPE, replace(RECIPE, layer=1.0))
    }
    assert len(files) == 4
    changed = [(p, replace(i, completion=replace(i.completion, text="new"))) for p, i in items[:1]]
    assert pool_features(tmp_path, changed, frozen, RECIPE).computed == 1


def test_what_does_not_fit_is_refused(frozen: FrozenPolicy, tmp_path: Path) -> None:
    items = drawn(frozen, PROBLEM, [5])
    other = replace(frozen, base=dict(frozen.base) | {"sha256": "other", "name": "big"})
    with pytest.raises(AxiomError, match="the samples are of big"):
        pool_features(tmp_path, items, other, RECIPE)
    longer = [(p, replace(i, completion=replace(i.completion, prompt_tokens=9))) for p, i in items]
    with pytest.raises(AxiomError, match="and had 9 when it was sampled from"):
        pool_features(tmp_path, longer, frozen, RECIPE)
    assert not list(tmp_path.rglob("*.jsonl"))
    pool_features(tmp_path, items, frozen, RECIPE)
    path = next(tmp_path.rglob("*.jsonl"))
    write_jsonl(path, [row | {"hidden": "!"} for row in read_jsonl(path)])
    with pytest.raises(AxiomError, match=r"is damaged .*: delete it"):
        pool_features(tmp_path, items, frozen, RECIPE)


def test_inputs_of_a_head() -> None:
    own = SampleFeatures((2, 4), np.array([[1, 2], [3, 4]], dtype=np.float32))
    completion = Completion(
        problem_id="p", sample=0, text="", prompt_tokens=1, completion_tokens=4, truncated=False,
        logprobs=(-1.0, -3.0, -2.0, -2.0),
    )  # fmt: skip
    rows = inputs_of(own, completion, ("hidden", "logprob", "length"))
    assert np.allclose(rows, [[1, 2, -2, np.log(2)], [3, 4, -2, np.log(4)]])
    assert inputs_of(own, completion, ("length",)).shape == (2, 1)
    with pytest.raises(AxiomError, match=r"trainer.inputs=\[hidden,length\]"):
        inputs_of(own, replace(completion, logprobs=()), ("logprob",))


def test_a_question_is_what_is_asked() -> None:
    same = make_problem("reverse_string", difficulty=3, split="test", seed=9, index=4)
    assert question_hash(same) == question_hash(PROBLEM) != question_hash(OTHER)
