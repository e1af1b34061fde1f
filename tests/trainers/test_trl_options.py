"""Every option of TRL is allowed, the run's own or refused; all of it is known by name at once."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import TrainingArguments
from trl.trainer.distillation_config import DistillationConfig
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.sft_config import SFTConfig

from axiom_rl.config import load_config
from axiom_rl.config.trl_options import (
    ALLOWED,
    BITSANDBYTES_OPTIMIZERS,
    CHOICES,
    NEEDS_METRICS,
    OPTIMIZERS,
    OURS,
    REFUSED,
    check_trl_options,
)
from axiom_rl.core.errors import AxiomError
from axiom_rl.trainers.options import build_options, check_options, name_the_device

MANUAL = Path(__file__).resolve().parents[2] / "docs" / "guides" / "trl_options.md"
FIND = "axiom_rl.config.trl_options.importlib.util.find_spec"
CONFIGS = (SFTConfig, GRPOConfig, DistillationConfig)
TRAINERS = {
    "SFTConfig": ("sft", "expert_iter"),
    "GRPOConfig": ("grpo",),
    "DistillationConfig": ("distill",),
}


@pytest.mark.parametrize("config", CONFIGS)
def test_every_option_of_trl_is_in_one_list(config: type) -> None:
    name = config.__name__
    known = {field.name for field in dataclasses.fields(config)}
    lists = (ALLOWED[name], OURS[name], REFUSED[name].keys() & known)
    assert set().union(*lists) == known, "classify what is new in TRL; drop what is gone"
    assert sum(map(len, lists)) == len(known), "in one list alone"
    assert CHOICES[name].keys() | {"optim", *NEEDS_METRICS} <= ALLOWED[name]


def test_no_reason_is_left_for_an_option_that_is_gone() -> None:
    known = {field.name for config in CONFIGS for field in dataclasses.fields(config)}
    assert {name for refused in REFUSED.values() for name in refused} <= known


def test_the_manual_names_every_option() -> None:
    page = MANUAL.read_text(encoding="utf-8")
    assert not [key for names in ALLOWED.values() for key in names if f"`{key}`" not in page]


@pytest.mark.parametrize("config", [config.__name__ for config in CONFIGS])
def test_what_a_run_cannot_honour_is_refused_with_the_reason(config: str) -> None:
    for key, reason in REFUSED[config].items():
        wanted = rf"^trainer\.args\.{key} cannot be given: {re.escape(reason)}; leave it out$"
        with pytest.raises(AxiomError, match=wanted):
            check_trl_options(config, {key: True})
    for key in OURS[config]:
        with pytest.raises(AxiomError, match=rf"^trainer\.args\.{key} is set by the run itself"):
            check_trl_options(config, {key: None})


@pytest.mark.parametrize(
    ("config", "given", "said"),
    [
        ("GRPOConfig", "mask_truncated_completions=true", "cannot be given"),
        ("GRPOConfig", "eval_strategy=steps", "trainer.eval_every"),
        ("SFTConfig", "eval_strategy=epoch", "no problems to evaluate on"),
        ("SFTConfig", "optim=adamw_8bit", "needs bitsandbytes: pip install"),
        ("GRPOConfig", "optim=galore_adamw", "choose adamw_torch"),
        ("SFTConfig", "optim=adam", "choose adamw_torch"),
        ("SFTConfig", "eos_token=X", "model="),
        ("SFTConfig", "chat_template_path=a.jinja", "model="),
        ("SFTConfig", "packing=true", "without padding"),
        ("GRPOConfig", "save_only_model=true", "goes on from whole checkpoints"),
        ("GRPOConfig", "cast_lm_head_to_fp32=true", "model.dtype=float32"),
        ("SFTConfig", "lr_scheduler_type=reduce_lr_on_plateau", "watches a metric"),
        ("SFTConfig", "save_strategy=best", "watches a metric"),
        ("SFTConfig", "loss_type=dtf", "choose nll, dft"),
        ("GRPOConfig", "loss_type=drgrpo", "choose grpo, dapo"),
        ("GRPOConfig", "use_vllm=true", "sampler=vllm"),
        ("GRPOConfig", "learning_rat=1", "did you mean learning_rate"),
        ("SFTConfig", "num_generations=4", "SFTConfig has no such option"),
        ("GRPOConfig", "bf16=true", "is set by the run itself"),
    ],
)
def test_options_are_refused_while_the_command_is_read(
    monkeypatch: pytest.MonkeyPatch, config: str, given: str, said: str
) -> None:
    monkeypatch.setattr(FIND, lambda _name: None)
    for trainer in TRAINERS[config]:
        with pytest.raises(AxiomError, match=rf"^trainer\.args\..*{said}"):
            load_config(f"trainer={trainer}", f"++trainer.args.{given}")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("trainer.args.weight_decay=0.1", r"does not list .*: type \+trainer\.args\.weight_decay="),
        ("trainer.args.packing=true", r"^trainer\.args\.packing cannot be given: rows run packed"),
        ("model.lora.use_dora=true", r"type \+model\.lora\.use_dora="),
        ("model.lora.bias=all", r"^model\.lora\.bias cannot be given: an adapter is"),
        ("trainer.args.learning_rat=1", r"unknown key .*did you mean learning_rate"),
    ],
)
def test_an_option_that_conf_does_not_list_is_told_apart_from_a_typo(given: str, said: str) -> None:
    with pytest.raises(AxiomError, match=said):
        load_config(given)


def test_reading_a_command_imports_no_trl() -> None:
    """What makes the refusal quick: names are known without the library."""
    code = (
        "import sys\n"
        "from axiom_rl.config import load_config\n"
        "try:\n    load_config('trainer=grpo', '+trainer.args.mask_truncated_completions=true')\n"
        "except Exception as error:\n    print(type(error).__name__)\n"
        "print(sorted({'torch', 'trl', 'peft', 'transformers'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stdout.splitlines() == ["AxiomError", "[]"]


@pytest.mark.parametrize("config", CONFIGS)
def test_every_allowed_optimizer_is_there(config: type) -> None:
    for name in OPTIMIZERS:
        check_trl_options(config.__name__, {"optim": name})
        assert build_options(config, {"optim": name, "output_dir": "x", "bf16": False})


def test_optimizers_of_bitsandbytes_need_the_package_and_a_gpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(FIND, lambda _name: "there")
    for name in BITSANDBYTES_OPTIMIZERS:
        check_trl_options("SFTConfig", {"optim": name})
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(AxiomError, match=r"optim=adamw_8bit needs an NVIDIA GPU"):
        check_options(SFTConfig, {"optim": "adamw_8bit"})


@pytest.mark.parametrize("config", CONFIGS)
def test_several_visible_gpus_are_no_data_parallel(
    monkeypatch: pytest.MonkeyPatch, config: type, tmp_path: Path
) -> None:
    """transformers counts what it sees, multiplies the batch by it and wraps the model."""
    setup: Any = TrainingArguments._setup_devices

    def four(self: Any) -> torch.device:
        found: torch.device = setup.func(self)
        self._n_gpu = 4
        return found

    monkeypatch.setattr(TrainingArguments, "_setup_devices", property(four))
    stock = config(output_dir=str(tmp_path), bf16=False, report_to="none", use_cpu=True)
    assert stock.n_gpu == 4
    options = {"output_dir": str(tmp_path), "bf16": False, "use_cpu": True}
    made = build_options(config, options | {"per_device_train_batch_size": 8})
    assert (made.n_gpu, made.train_batch_size) == (1, 8)


def test_the_one_gpu_that_is_used_is_named(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: f"Card {index}")
    caplog.set_level("INFO")
    name_the_device(torch.device("cpu"))
    assert not caplog.messages
    name_the_device(torch.device("cuda"))
    assert caplog.messages == [
        "4 GPUs are visible and one is used: cuda:0 (Card 0); choose another with "
        "CUDA_VISIBLE_DEVICES"
    ]
