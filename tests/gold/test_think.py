"""The style think in one form: rendered, sampled, extracted, scored, trained."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bad_endpoint import RIGHT, WRONG
from teaching import Teaching, rows
from transformers import AutoTokenizer

import axiom_rl.stages.opening
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_json
from axiom_rl.evaluation.score import Evaluation
from axiom_rl.models.load import load_tokenizer
from axiom_rl.models.thinking import with_thinking
from axiom_rl.models.weights.source import ResolvedModel
from axiom_rl.report.page import build_page
from axiom_rl.report.render import to_markdown
from axiom_rl.report.run_folder import read_run
from axiom_rl.sampling import SampleRequest
from axiom_rl.sampling.scripted import ScriptedSampler
from axiom_rl.verify.extract import cut_off_thinking, split_thinking

SMALL = ("sampler.n=2", "problems.prompt=think", "problems.sizes.test=1", "problems.sizes.val=1")


class Cut(ScriptedSampler):
    """Marks an answer without a closing tag as cut off by the token limit."""

    def sample(self, requests: Any, *, temperature: float | None = None) -> Any:
        for each in super().sample(requests):
            yield replace(each, truncated="</think>" not in each.text)


@pytest.fixture
def students(monkeypatch: pytest.MonkeyPatch) -> list[SampleRequest]:
    """A student whose first answer is right and whose second never ends its thinking."""
    seen: list[SampleRequest] = []

    def say(request: SampleRequest, sample: int) -> str:
        seen.append(request)
        return "<think>\nLet me see" if sample else RIGHT

    monkeypatch.setattr(
        axiom_rl.stages.opening, "_sampler_loader", lambda *_: lambda _adapter: Cut(say)
    )
    return seen


def test_truncation_inside_think_is_counted_apart(
    teach: Teaching, students: list[SampleRequest]
) -> None:
    folder = teach("run", "stage=evaluate", "stage.split=test", *SMALL)
    document = read_json(folder / "evaluation" / "before.json")
    assert document["truncated_thinking"] == 1 and document["samples"] == 2
    (row,) = [row for row in rows(folder / "metrics.jsonl") if row["phase"] == "evaluate"]
    assert row["truncated_thinking"] == 1
    assert "cut off while thinking | 1 of 2" in to_markdown(build_page(read_run(folder)))
    older = {key: document[key] for key in document if key != "truncated_thinking"}
    assert Evaluation.from_json(older).truncated_thinking is None
    plain = teach("plain", "stage=evaluate", "stage.split=test", *SMALL, "problems.prompt=direct")
    assert read_json(plain / "evaluation" / "before.json")["truncated_thinking"] is None


def test_a_cold_start_from_traces(teach: Teaching, students: list[SampleRequest]) -> None:
    mine = teach.folder / "mine.jsonl"
    from axiom_rl.core.files import write_jsonl
    from axiom_rl.problems import make_problem

    ids = [make_problem("reverse_string", difficulty=1, index=index).id for index in range(3)]
    write_jsonl(
        mine, [{"problem_id": name, "text": text} for name in ids for text in (WRONG, RIGHT)]
    )
    traces = teach("teach", "teacher=file", f"teacher.traces={mine}") / "traces.jsonl"
    train = (
        "stage=train",
        "trainer=sft",
        f"trainer.traces={traces}",
        "trainer.args.num_train_epochs=1",
    )
    folder = teach("train", *train, *SMALL)
    assert (folder / "adapter" / "adapter_config.json").exists()
    (timing,) = [row for row in rows(folder / "metrics.jsonl") if row.get("name") == "train"]
    assert timing["solutions"] == 3
    assert all("<think>" in each.messages[-1]["content"] for each in students)
    assert (folder / "evaluation" / "after.json").exists()
    with pytest.raises(AxiomError, match="not among the training problems"):
        teach("other", *train, *SMALL, "problems.seed=5")


@pytest.mark.parametrize(
    ("text", "reasoning", "inside"),
    [
        ("<think>a</think>\nb", "a", False),
        ("<think>a", "a", True),
        ("a\n</think>\nb", "a", False),
        ("<think>a</think>\nb\n<think>c", "a\nc", True),
        ("b", "", True),  # the prompt may have begun the thinking
        ("```python\ndef f(x):\n    return '<think>'\n```", "", False),
    ],
)
def test_thinking_is_told_from_the_answer(text: str, reasoning: str, inside: bool) -> None:
    assert split_thinking(text).reasoning == reasoning
    assert cut_off_thinking(text) is inside


def test_a_template_with_a_switch_is_switched_on(resolved: ResolvedModel, tmp_path: Path) -> None:
    assert with_thinking(resolved, "think") is resolved  # its template has none
    folder = Path(shutil.copytree(resolved.folder, tmp_path / "model"))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template += "{% if not enable_thinking %}<think>\n\n</think>\n\n{% endif %}"
    tokenizer.save_pretrained(folder)
    model = replace(resolved, folder=folder)
    for values in ({}, {"enable_thinking": False}):
        switched = with_thinking(replace(model, chat_template_kwargs=values), "think")
        assert switched.chat_template_kwargs == {"enable_thinking": True}
        chat = [{"role": "user", "content": "?"}]
        text = load_tokenizer(switched).apply_chat_template(chat, tokenize=False)
        assert "<think>" not in str(text)
    assert with_thinking(model, "direct") is model
