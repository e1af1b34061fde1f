"""Memory as it is measured: near the plan on a real run, and no growth from length to length."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from axiom_rl.run.tracking import read_metrics

ROOT = Path(__file__).parents[2]

TWELVE_LENGTHS = """
import ctypes
from peft import LoraConfig, get_peft_model
from transformers import Qwen2Config, Qwen2ForCausalLM
import torch
from axiom_rl.models.memory import bound_kernel_caches
from axiom_rl.trainers.packed import pack, packed_logprobs

bound_kernel_caches()

class Heap(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "abcdefghij"]

libc = ctypes.CDLL(None)
libc.mallinfo2.restype = Heap
sizes = {"hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 2}
heads = {"num_attention_heads": 14, "num_key_value_heads": 2, "vocab_size": 500}
model = Qwen2ForCausalLM(Qwen2Config(**sizes, **heads)).to(torch.bfloat16)
model = get_peft_model(model, LoraConfig(target_modules="all-linear"))
used = []
for length in range(30, 90, 3):
    packed = pack([[1] * 40] * 2, [[2] * length] * 2)
    with torch.autocast("cpu", torch.bfloat16):
        packed_logprobs(model.get_base_model(), packed, 1.0).sum().backward()
    model.zero_grad()
    used.append(libc.mallinfo2().h)  # uordblks: bytes in use
print(used[-1] - used[4])
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="mallinfo2 is glibc's")
def test_a_pass_of_another_length_keeps_nothing() -> None:
    """Without bounds 15 more lengths keep 15 to 20 MB each."""
    done = subprocess.run(
        [sys.executable, "-c", TWELVE_LENGTHS], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 30e6


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="the plan is then of the GPU's memory")
def test_the_plan_is_within_15_percent_of_a_grpo_runs_peak(tmp_path: Path) -> None:
    """On the smallest real model, so hot that its answers are as long as they may be."""
    options = (
        *("model=smollm2-135m", "trainer=grpo", "sampler=transformers", "sampler.n=2"),
        *("problems.types=[is_palindrome,fizzbuzz]", "trainer.forgetting=[]"),
        *("trainer.signal_low=0", "trainer.signal_high=1", "trainer.rewards={fraction: 1.0}"),
        *("trainer.args.max_steps=1", "trainer.max_extra_groups=0", "sampler.max_new_tokens=32"),
        *("trainer.args.gradient_accumulation_steps=2", "trainer.args.max_completion_length=160"),
        *("trainer.args.temperature=2", "trainer.args.beta=0.01"),  # else such rows are skipped
        f"hydra.run.dir={tmp_path}/run",
    )
    done = subprocess.run(
        [sys.executable, str(ROOT / "launch.py"), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
    )
    assert done.returncode == 0, done.stdout[-3000:]
    planned = max(float(size) for size in re.findall(r"([0-9.]+) GB  in all", done.stdout))
    peaks = [row["peak_memory_gb"] for row in read_metrics(tmp_path / "run", "timing")]
    assert planned == pytest.approx(max(peaks), rel=0.15)
