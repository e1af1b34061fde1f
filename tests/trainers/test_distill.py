"""On-policy distillation of a tiny student: the divergence falls, a stop costs nothing."""

from __future__ import annotations

import copy
import inspect
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from scripted_run import Stopped, composed
from test_grpo_run import TIMES, torn_model  # noqa: F401 (fixture)
from torn_model import TASKS, answers
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast
from trl.trainer.distillation_trainer import DistillationTrainer

import axiom_rl.stages
import axiom_rl.stages.opening
from axiom_rl.config import load_config
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_json, read_jsonl, write_json
from axiom_rl.evaluation.score import read_evaluation
from axiom_rl.models.tokenizers import tokenizer_difference
from axiom_rl.problems import make_problem
from axiom_rl.problems.prompts import render
from axiom_rl.run.folder import Run as FinishedRun
from axiom_rl.run.tracking import Tracker, read_metrics
from axiom_rl.sampling.hf.sampler import prompt_tokens
from axiom_rl.trainers.distill.options import check_distill
from axiom_rl.trainers.distill.trainer import StudentTrainer

Run = Callable[..., Path]


@pytest.fixture(scope="module")
def teacher(torn_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: F811
    """The torn model, taught a little more: it prefers the right ones of the answers it gives."""
    folder = tmp_path_factory.mktemp("distil") / "teacher"
    shutil.copytree(torn_model, folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(12):
        for name in TASKS:
            problem = make_problem(name, difficulty=1, split="train", seed=0, index=0)
            prompt = prompt_tokens(tokenizer, render(problem, "direct"))
            right = [*tokenizer(answers(name)[0])["input_ids"], tokenizer.eos_token_id]
            labels = [-100] * len(prompt) + right
            model(
                input_ids=torch.tensor([[*prompt, *right]]), labels=torch.tensor([labels])
            ).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(folder)
    return folder


@pytest.fixture
def run(
    torn_model: Path,  # noqa: F811
    teacher: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Run:
    """Return a function that distils the teacher into the torn model; the report is left out."""
    monkeypatch.setattr(axiom_rl.stages.opening, "write_report", lambda _folder: "")

    def run(folder: Path, *overrides: str) -> Path:
        config = composed(
            *("trainer=distill", "problems.types=[reverse_string,is_palindrome]", "sandbox=debug"),
            *(f"model.path={torn_model}", "model.dtype=float32", "model.device=cpu"),
            *(f"teacher.model={teacher}", "model.lora.r=4", "sampler.n=8"),
            *("sampler.max_new_tokens=48", "trainer.args.learning_rate=5e-3"),
            *("trainer.args.max_steps=4", "trainer.args.save_steps=2"),
            *("trainer.args.gradient_accumulation_steps=2",),
            *overrides,
        )
        axiom_rl.stages.run_stage(copy.deepcopy(config), folder)
        return folder

    return run


def outcome(folder: Path) -> dict[str, Any]:
    rows = read_metrics(folder)
    return {
        "metrics": [{k: v for k, v in row.items() if k not in TIMES} for row in rows],
        "samples": list(read_jsonl(folder / "completions" / "distill.jsonl")),
        "adapter": (folder / "adapter" / "adapter_model.safetensors").read_bytes(),
        "finished": read_json(folder / "checkpoints" / "state.json")["finished"],
        "files": sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()),
    }


def test_the_divergence_from_the_teacher_falls(run: Run, tmp_path: Path) -> None:
    folder = run(tmp_path / "run", "trainer.args.max_steps=8")
    rows = read_metrics(folder, "train")
    assert [row["step"] for row in rows] == list(range(1, 9))
    losses = [row["loss"] for row in rows]
    assert sum(losses[-2:]) < 0.5 * sum(losses[:2])
    before, after = (read_evaluation(folder / f"evaluation/{n}.json") for n in ("before", "after"))
    assert after.pass_at_1.value > before.pass_at_1.value, "it gives the teacher's answers"
    samples = list(read_jsonl(folder / "completions" / "distill.jsonl"))
    assert len(samples) == sum(row["samples"] for row in rows) == 8 * 8
    assert sum(row["tokens"] for row in rows) == sum(r["completion_tokens"] for r in samples)
    assert all(row["hidden"]["status"] and row["token_ids"] for row in samples)
    for name in ("before", "after", "iter_1"):
        assert (folder / "evaluation" / f"{name}.json").exists()
    trained = [row for row in read_metrics(folder, "timing") if row["name"] == "train"]
    assert trained[0]["steps"] == 8 and trained[0]["tokens"] == sum(r["tokens"] for r in rows)
    recorded = read_json(folder / "adapter" / "adapter_config.json")
    assert recorded["peft_type"] == "LORA"


PLACES = ("log 1", "log 3", "before train/1", "before evaluate/iter_1")


@pytest.mark.slow
def test_a_run_that_is_stopped_goes_on_as_if_it_had_not_been(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = outcome(run(tmp_path / "whole"))
    left = list(PLACES)
    log, finish = Tracker.log, FinishedRun.finish

    def stop_at(place: str) -> None:
        if place in left:
            left.remove(place)
            raise Stopped

    def logging(tracker: Tracker, phase: Any, iteration: int, **columns: Any) -> None:
        log(tracker, phase, iteration, **columns)
        stop_at(f"log {columns.get('step')}" if phase == "train" else phase)

    def finishing(finished: FinishedRun, phase: str) -> None:
        stop_at(f"before {phase}")
        finish(finished, phase)

    monkeypatch.setattr(Tracker, "log", logging)
    monkeypatch.setattr(FinishedRun, "finish", finishing)
    for _ in PLACES:
        with pytest.raises(Stopped):
            run(tmp_path / "stopped")
    assert not left
    found = outcome(run(tmp_path / "stopped"))
    assert found == whole
    assert outcome(run(tmp_path / "stopped")) == whole, "a finished run is left alone"


def test_another_tokenizer_is_refused_before_weights_are_loaded(
    run: Run, tmp_path: Path, tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    shutil.copytree(tiny_model_folder, other)
    tokenizer = read_json(other / "tokenizer.json")
    vocabulary = tokenizer["model"]["vocab"]
    one, two = "a", "b"
    vocabulary[one], vocabulary[two] = vocabulary[two], vocabulary[one]
    write_json(other / "tokenizer.json", tokenizer)

    def load(*_args: Any, **_options: Any) -> None:
        raise AssertionError("weights are loaded")

    monkeypatch.setattr("axiom_rl.trainers.distill.run.load_model", load)
    with pytest.raises(
        AxiomError, match=r"another tokenizer than .* 2 differ, such as 'a'.*stage=teach"
    ):
        run(tmp_path / "run", f"teacher.model={other}")
    assert not (tmp_path / "run").exists()


def test_what_makes_two_tokenizers_differ(tiny_model_folder: Path, tmp_path: Path) -> None:
    def changed(**values: Any) -> Any:
        made = AutoTokenizer.from_pretrained(tiny_model_folder)
        for key, value in values.items():
            setattr(made, key, value)
        return made

    own = changed()
    assert tokenizer_difference(own, changed()) == ""
    assert tokenizer_difference(own, changed(pad_token="<|im_start|>")) == "", "padding is masked"
    assert "eos_token is '<|im_end|>' and '<|endoftext|>'" in tokenizer_difference(
        own, changed(eos_token="<|endoftext|>")
    )
    more = changed()
    more.add_tokens(["<tool>"])
    assert "such as '<tool>': no token and token 384" in tokenizer_difference(own, more)
    merges = read_json(tiny_model_folder / "tokenizer.json")
    merges["model"]["merges"] = merges["model"]["merges"][:3]
    shutil.copytree(tiny_model_folder, tmp_path / "merges")
    write_json(tmp_path / "merges" / "tokenizer.json", merges)
    few = AutoTokenizer.from_pretrained(tmp_path / "merges")
    assert "they cut" in tokenizer_difference(own, few)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["teacher.adapter=somewhere"], r"^teacher\.adapter=somewhere: .*stage=export"),
        (["teacher.model=qwen2.5-coder-9b"], r"^teacher\.model=qwen2\.5-coder-9b: neither"),
        (["+trainer.args.use_vllm=true"], r"^trainer\.args\.use_vllm cannot be given"),
        (["+trainer.args.teacher_model_name_or_path=x"], "the teacher is teacher.model"),
        (["+trainer.args.num_train_epochs=2"], "set by the run itself"),
        (["trainer.args.max_steps=0"], r"max_steps=0: must be above 0"),
        (["trainer.args.max_steps=1.5"], r"max_steps=1\.5: must be a whole number"),
        (["trainer.args.beta=2"], r"DistillationConfig refuses these options: beta must be in"),
        (["trainer.args.save_strategy=epoch"], r"save_strategy=epoch: choose steps"),
    ],
)
def test_what_cannot_be_distilled_is_refused_before_anything_is_written(
    run: Run, tmp_path: Path, given: list[str], said: str
) -> None:
    with pytest.raises(AxiomError, match=said):
        run(tmp_path / "run", *given)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("given", [["teacher=file", "teacher.traces=a.jsonl"], ["teacher=api"]])
def test_a_teacher_that_gives_text_alone_is_refused(tmp_path: Path, given: list[str]) -> None:
    said = rf"{given[0]} has none: type teacher=local teacher\.model=MODEL, or .*stage=teach"
    with pytest.raises(AxiomError, match=said):
        axiom_rl.stages.run_stage(load_config("trainer=distill", *given), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_student_itself_is_no_teacher(
    run: Run,
    tmp_path: Path,
    torn_model: Path,  # noqa: F811
) -> None:
    with pytest.raises(AxiomError, match="is the student itself"):
        run(tmp_path / "run", f"teacher.model={torn_model}")


def test_what_is_overridden_in_trl_has_trls_signatures() -> None:
    for name in ("_generate_single_turn",):
        ours, theirs = (getattr(c, name) for c in (StudentTrainer, DistillationTrainer))
        assert [*inspect.signature(ours).parameters] == [*inspect.signature(theirs).parameters]
        source = inspect.getsource(DistillationTrainer._generate)
        assert f"completion_ids = self.{name}(prompt_ids, images, multimodal_fields)" in source
    own = {name for name in vars(StudentTrainer) if callable(getattr(StudentTrainer, name))}
    assert own == {"__init__", "create_model_card", "_generate_single_turn"}


def test_the_defaults_are_options_that_trl_takes() -> None:
    check_distill(load_config("trainer=distill").trainer.args)
