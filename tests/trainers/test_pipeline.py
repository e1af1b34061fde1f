"""A pipeline with a scripted student and teacher: what it leaves, and that a stop costs nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from scripted_run import REVERSE, Stage, Stopped, fenced

import axiom_rl.trainers.pipeline.run as pipeline
from axiom_rl.config import load_config
from axiom_rl.config.parts import iterations_of, trainings
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_json, read_jsonl, write_jsonl
from axiom_rl.report.page import write_report
from axiom_rl.report.run_folder import read_run
from axiom_rl.run.tracking import read_metrics
from axiom_rl.sampling import SampleRequest


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["trainer.steps=[]"], "nothing is trained"),
        (["trainer.steps=[teach]"], r"nothing is trained; .*stage=teach"),
        (["trainer.steps=[sft,grpo]"], r"sft has nothing to learn from: put teach before it"),
        (["trainer.steps=[sft,teach]", "trainer.sft.solutions=a"], "nobody learns what teach"),
        (["trainer.steps=[teach,grpo]"], "nobody learns what teach writes"),
        (["trainer.steps=[teach,sft,sft]"], r"sft stands there twice; .*model\.adapter="),
        (["trainer.steps=[teach,grp]"], r"did you mean grpo\? there is no step grp"),
        (["trainer.steps=[distill]"], r"no step distill; there are teach, sft, expert_iter, grpo"),
        (["trainer.sft.solutions=a.jsonl"], r"^trainer\.sft\.solutions: sft learns the traces"),
        (
            ["trainer.steps=[sft]", "trainer.sft.solutions=a", "trainer.sft.traces=b"],
            r"give one of trainer\.sft\.traces",
        ),
        (["trainer.steps=[grpo,expert_iter]"], r"^trainer\.expert_iter\.start_from=base would"),
        (["+trainer.args.max_steps=3"], r"^trainer\.args\.max_steps: .*trainer\.grpo\.args\.max_s"),
        (["+trainer.grpo.args.bf16=true"], r"^trainer\.grpo\.args\.bf16 is set by the run"),
        (["trainer.grpo.args.loss_type=x"], r"^trainer\.grpo\.args\.loss_type=x: choose"),
        (["+trainer.sft.args.packing=true"], r"^trainer\.sft\.args\.packing cannot be given"),
        (["trainer.grpo.curriculum.window=0"], r"^trainer\.grpo\.curriculum\.window=0: must be 1"),
        (["trainer.expert_iter.iterations=0", "trainer.steps=[expert_iter]"], r"expert_iter\.it"),
        (["trainer.grpo.args.learning_rat=1"], "did you mean learning_rate"),
        (["trainer.grpo.args.weight_decay=1"], r"type \+trainer\.grpo\.args\.weight_decay=VALUE"),
    ],
)
def test_what_makes_no_sense_is_refused_while_the_command_is_read(
    given: list[str], said: str
) -> None:
    with pytest.raises(AxiomError, match=said):
        load_config("trainer=pipeline", *given)


@pytest.mark.parametrize(
    "steps", ["grpo", "teach,sft", "grpo,teach,sft", "expert_iter,grpo", "teach,sft,grpo"]
)
def test_what_makes_sense_has_a_config_for_each_training(steps: str) -> None:
    config = load_config("trainer=pipeline", f"trainer.steps=[{steps}]")
    parts = dict(trainings(config))
    assert [*parts] == [name for name in steps.split(",") if name != "teach"]
    assert all(own.trainer.kind == name for name, own in parts.items())
    assert [*trainings(load_config())] == [("", load_config())]


def test_every_step_has_numbers_of_its_own() -> None:
    assert iterations_of(["teach", "expert_iter", "grpo"], 3) == {
        "teach": range(1, 2),
        "expert_iter": range(2, 5),
        "grpo": range(5, 6),
    }
