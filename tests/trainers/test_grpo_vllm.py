"""GRPO on one living engine of vLLM: new adapter weights at each step, never the trained ones."""

from __future__ import annotations

import copy
import logging
import sys
from pathlib import Path

import pytest
import torch
from scripted_run import composed
from torn_model import train_torn_model

import axiom_rl.stages
import axiom_rl.stages.opening
from axiom_rl.run.tracking import read_metrics

pytestmark = pytest.mark.vllm
STEPS = 4
ON_GPU = torch.cuda.is_available()
MACHINE = (
    ("model.dtype=bfloat16", "model.device=cuda", "sampler.gpu_memory_utilization=0.1")
    if ON_GPU
    else ("model.dtype=float32", "model.device=cpu", "sampler.memory_gb=0.2")
)
"""The vLLM of a GPU runs on no CPU, and its LoRA kernels take no float32."""
GAP = 0.1 if ON_GPU else 1e-3


def test_the_engine_has_the_weights_of_each_step(
    wide_model_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A gap of an old adapter would be large: the learning rate is."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "vllm"]:
        monkeypatch.delitem(sys.modules, name)  # other tests look into its modules
    monkeypatch.setattr(axiom_rl.stages.opening, "write_report", lambda _folder: None)
    config = composed(
        *("trainer=grpo", "problems.types=[reverse_string,is_palindrome]", "sandbox=debug"),
        f"model.path={train_torn_model(wide_model_folder, tmp_path / 'torn')}",
        *(*MACHINE, "model.lora.r=4", "sampler.n=32"),
        *("sampler=vllm", "sampler.max_new_tokens=48"),
        *("trainer.args.max_completion_length=48", "trainer.args.learning_rate=2e-2"),
        *("trainer.forgetting=[]", f"trainer.args.max_steps={STEPS}", "trainer.signal_high=1"),
        *("trainer.signal_low=0", "trainer.args.gradient_accumulation_steps=2"),
    )
    with caplog.at_level(logging.INFO):
        axiom_rl.stages.run_stage(copy.deepcopy(config), tmp_path / "run")
    rows = [row for row in read_metrics(tmp_path / "run") if row["phase"] == "train"]
    assert len(rows) == STEPS
    assert all(row["logprob_gap"] < GAP for row in rows)
    assert caplog.text.count("vLLM's engine with") == 1, "one engine per run"
    assert caplog.text.count("vLLM's engine has the adapter") == STEPS + 1
    assert "vllm" not in sys.modules, "TRL would import it into the process that trains"
