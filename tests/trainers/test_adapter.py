"""The adapter a run leaves, loaded by plain transformers and PEFT, is the run's own model N+1."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from scripted_run import Stage
from transformers import AutoModelForCausalLM, AutoTokenizer

from axiom_rl.config import Config, ProceduralConfig, TransformersSamplerConfig, load_config
from axiom_rl.core.errors import AxiomError
from axiom_rl.models.weights.source import ResolvedModel
from axiom_rl.problems.prompts import render
from axiom_rl.problems.splits import build_splits
from axiom_rl.sampling import SampleRequest
from axiom_rl.sampling.hf.sampler import load_sampler, prompt_tokens

UNMERGED = {torch.float32: 1e-5, torch.bfloat16: 0.02}
"""Largest difference of a logit between the adapter merged and beside the base, where the adapter
itself moves logits by 1.6. In bfloat16 merging rounds each weight to 8 bits."""


@pytest.fixture(scope="module")
def trained(tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of one iteration with a large learning rate, so that the adapter tells."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        import axiom_rl.stages.opening

        stage = Stage(
            (
                f"model.path={tiny_model_folder}",
                *("problems.types=[reverse_string]", "model.device=cpu", "model.dtype=float32"),
                *("sandbox=debug", "sampler.n=4", "trainer.iterations=1", "model.lora.r=4"),
                *("trainer.args.learning_rate=3e-2", "trainer.args.num_train_epochs=4"),
            )
        )
        patch.setattr(axiom_rl.stages.opening, "_sampler_loader", lambda *_: stage.load)
        return stage.run(folder)


@pytest.fixture(params=["float32", pytest.param("bfloat16", marks=pytest.mark.slow)])
def config(request: pytest.FixtureRequest, tiny_model_folder: Path) -> Config:
    return load_config(
        f"model.path={tiny_model_folder}",
        f"model.dtype={request.param}",
        *("model.device=cpu", "sampler.temperature=0", "sampler.max_new_tokens=24"),
    )


def plain(folder: Path, base: Path, dtype: torch.dtype) -> Any:
    """What a user types, without a line of this project."""
    model = AutoModelForCausalLM.from_pretrained(base, dtype=dtype)
    return PeftModel.from_pretrained(model, folder / "adapter").eval()


def test_the_merged_adapter_is_the_runs_own_model(
    trained: Path, config: Config, resolved: ResolvedModel, tiny_model_folder: Path
) -> None:
    dtype = getattr(torch, config.model.dtype)
    assert isinstance(config.sampler, TransformersSamplerConfig)
    sampler = load_sampler(resolved, config.model, config.sampler, str(trained / "adapter"))
    own: Any = sampler._model
    unmerged = plain(trained, tiny_model_folder, dtype)
    merged = plain(trained, tiny_model_folder, dtype).merge_and_unload()
    for name, weight in merged.named_parameters():
        module, _, kind = name.rpartition(".")
        assert getattr(own.get_submodule(module), kind).equal(weight), name

    tokenizer = AutoTokenizer.from_pretrained(tiny_model_folder)
    base = AutoModelForCausalLM.from_pretrained(tiny_model_folder, dtype=dtype).eval()
    differs = 0
    assert isinstance(config.problems, ProceduralConfig)
    problems = build_splits(config.problems).train
    assert len(problems) == 10
    for problem in problems:
        messages = tuple(render(problem, "direct"))
        request = SampleRequest(problem_id=problem.id, messages=messages, samples=(0,), stream="0")
        (drawn,) = sampler.sample([request])
        prompt = torch.tensor([prompt_tokens(tokenizer, messages)])
        mask = torch.ones_like(prompt)
        greedy = merged.generate(prompt, attention_mask=mask, do_sample=False, max_new_tokens=24)
        text = tokenizer.decode(greedy[0, prompt.shape[1] :], skip_special_tokens=True)
        assert drawn.text == text
        with torch.inference_mode():
            logits = [model(prompt).logits.float() for model in (merged, unmerged, base)]
        gap = float((logits[0] - logits[1]).abs().max())
        assert gap < UNMERGED[dtype]
        differs += bool((logits[0] - logits[2]).abs().max() > 1)
    assert differs, "the adapter must change something, or this test says nothing"


@pytest.mark.usefixtures("recwarn")
def test_an_exported_model_is_the_merged_one(
    trained: Path, stage: Stage, tiny_model_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "merged"
    given = (f"model.adapter={trained}/adapter", f"stage.output={out}")
    stage.run(tmp_path / "run", "stage=export", *given)
    exported = AutoModelForCausalLM.from_pretrained(out).state_dict()
    merged = plain(trained, tiny_model_folder, torch.float32).merge_and_unload().state_dict()
    assert all(exported[key].equal(value) for key, value in merged.items())
    assert AutoTokenizer.from_pretrained(out).chat_template
    with pytest.raises(AxiomError, match=r"exists|empty"):
        stage.run(tmp_path / "again", "stage=export", *given)


@pytest.mark.usefixtures("recwarn")
def test_a_run_evaluates_a_trained_adapter(trained: Path, stage: Stage, tmp_path: Path) -> None:
    adapter = trained / "adapter"
    stage.run(tmp_path / "a", "stage=evaluate", f"model.adapter={adapter}")
    assert stage.adapters == [str(adapter)]
    with pytest.raises(AxiomError, match=r"did you mean .*adapter"):
        stage.run(tmp_path / "b", "stage=evaluate", f"model.adapter={trained}")
