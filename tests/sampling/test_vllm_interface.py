"""What vllm.py and merge.py rely on in vLLM 0.31, its CUDA code included: no GPU and no engine.

On CUDA vLLM runs its second model runner (vllm/v1/worker/gpu), on a CPU without Triton its first.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import textwrap
from pathlib import Path
from typing import Any

import pytest

from axiom_rl.sampling.engine.process import EngineSettings
from axiom_rl.sampling.engine.protocol import Ask, Prompt

# vLLM's imports warn of their own and of others' deprecations.
pytestmark = [pytest.mark.vllm, pytest.mark.filterwarnings("ignore")]

ASK = Ask(texts=(), temperature=0.7, top_p=0.9, max_new_tokens=32, stop=(2,))
TEXT = Prompt(key="0/0", prompt=(5, 6), seed=2**63 - 1)


def settings(device: str, lora_rank: int | None) -> EngineSettings:
    return EngineSettings(
        model="model",
        device=device,
        dtype="bfloat16",
        context=512,
        max_batch=80,
        cache_bytes=10**9 if device == "cpu" else None,
        gpu_memory_utilization=0.4,
        lora_rank=lora_rank,
    )


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("lora_rank", [None, 16])
def test_the_engine_takes_our_options(
    wide_model_folder: Path, device: str, lora_rank: int | None
) -> None:
    from vllm.engine.arg_utils import EngineArgs

    from axiom_rl.sampling.engine.child import engine_options

    made = dataclasses.replace(settings(device, lora_rank), model=str(wide_model_folder))
    options = engine_options(made)
    known = {field.name for field in dataclasses.fields(EngineArgs)}
    assert options.keys() <= known
    assert "logits_processors" not in options
    arguments: Any = EngineArgs(**options)
    assert arguments.enforce_eager == (device == "cpu"), "CUDA graphs on a GPU"
    assert arguments.max_model_len == (512 if device == "cpu" else -1)
    assert arguments.async_scheduling is (True if device == "cuda" else None)


def test_its_modes_ranks_and_defaults_are_as_we_know_them() -> None:
    from typing import get_args

    from vllm.config.lora import MaxLoRARanks
    from vllm.config.model import LogprobsMode
    from vllm.config.scheduler import SchedulerConfig

    from axiom_rl.sampling.engine.settings import RANKS

    assert "processed_logprobs" in get_args(LogprobsMode)
    assert set(RANKS) <= set(get_args(MaxLoRARanks))
    assert "async_scheduling" in {field.name for field in dataclasses.fields(SchedulerConfig)}


def test_a_sample_takes_our_options() -> None:
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind, SamplingType

    from axiom_rl.sampling.engine.child import sampling_options

    made = SamplingParams(**sampling_options(TEXT, ASK))
    assert made.sampling_type == SamplingType.RANDOM_SEED
    assert (made.seed, made.logprobs, made.flat_logprobs) == (2**63 - 1, 0, True)
    assert (made.temperature, made.top_p, made.max_tokens) == (0.7, 0.9, 32)
    assert made.output_kind == RequestOutputKind.FINAL_ONLY
    greedy = SamplingParams(**sampling_options(TEXT, dataclasses.replace(ASK, temperature=0.0)))
    assert (greedy.sampling_type, greedy.logprobs) == (SamplingType.GREEDY, None)


def test_the_drawn_tokens_log_probability_comes_first() -> None:
    from vllm.logprobs import FlatLogprobs

    from axiom_rl.sampling.engine.child import drawn

    found = FlatLogprobs()
    found.append_fast([7], [-0.5], iter([1]), [None])  # type: ignore[arg-type]
    found.append_fast([8, 9], [-1.5, -0.1], iter([2, 1]), [None, None])  # type: ignore[arg-type]
    assert drawn(found) == (-0.5, -1.5)


METHODS = {
    "from_engine_args": ("engine_args",),
    "add_request": ("request_id", "prompt", "params", "lora_request"),
    "abort_request": ("request_ids",),
    "has_unfinished_requests": (),
    "step": (),
    "reset_prefix_cache": (),
    "sleep": ("level",),
    "wake_up": (),
    "collective_rpc": ("method", "args"),
}


@pytest.mark.parametrize("name", METHODS)
def test_the_engine_has_the_methods_we_call(name: str) -> None:
    from vllm.v1.engine.llm_engine import LLMEngine

    assert set(METHODS[name]) <= inspect.signature(getattr(LLMEngine, name)).parameters.keys()


def attributes_of_self(function: Any) -> set[str]:
    """Names of methods that a function calls on self."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    return {
        node.func.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "self"
    }


def test_both_model_runners_take_new_weights() -> None:
    from vllm.v1.worker.gpu.model_runner import GPUModelRunner as Second
    from vllm.v1.worker.gpu_model_runner import GPUModelRunner as First

    assert "weights_iterator" in inspect.signature(First.reload_weights).parameters
    assert "GPUModelRunnerV1.reload_weights(self" in inspect.getsource(Second.reload_weights)
    called = attributes_of_self(First.reload_weights)
    assert "get_model" in called
    assert all(callable(getattr(runner, name)) for runner in (First, Second) for name in called)


def test_a_context_can_be_shortened_to_what_the_card_holds() -> None:
    """max_model_len=-1: the engine finds the length, tells its workers, and we read it."""
    from vllm.v1.core import kv_cache_utils
    from vllm.v1.engine.core import EngineCore
    from vllm.v1.engine.llm_engine import LLMEngine
    from vllm.v1.worker.gpu.model_runner import GPUModelRunner as Second
    from vllm.v1.worker.gpu_model_runner import GPUModelRunner as First

    fitted = inspect.getsource(kv_cache_utils._auto_fit_max_model_len)
    assert "vllm_config.model_config.max_model_len = auto_fit_max" in fitted
    assert '"update_max_model_len"' in inspect.getsource(EngineCore)
    assert all(callable(runner.update_max_model_len) for runner in (First, Second))
    assert "self.model_config = vllm_config.model_config" in inspect.getsource(LLMEngine.__init__)


def test_our_worker_extension_fits_every_worker() -> None:
    """vLLM refuses an extension that has a name of the worker's."""
    from vllm.v1.worker.cpu_worker import CPUWorker
    from vllm.v1.worker.gpu_worker import Worker

    from axiom_rl.models.lora.merge_to_disk import MergingWorker

    ours = [name for name in vars(MergingWorker) if not name.startswith("__")]
    assert ours == ["load_merged"]
    assert not any(hasattr(worker, name) for worker in (Worker, CPUWorker) for name in ours)
    assert "self.model_runner" in inspect.getsource(Worker)


def test_the_second_runner_draws_with_the_seed_and_gives_what_it_drew_from() -> None:
    """Greedy, seeded and processed log-probabilities, in vllm/v1/worker/gpu/sample."""
    from vllm.v1.worker.gpu.sample.sampler import Sampler
    from vllm.v1.worker.gpu.sample.states import SamplingStates

    added = inspect.getsource(SamplingStates.add_request)
    assert "self.seeds.np[req_idx] = seed" in added
    assert "num_logprobs = sampling_params.logprobs" in added
    drawing = inspect.getsource(Sampler)
    assert "self.sampling_states.seeds.gpu" in drawing
    assert "if self.logprobs_mode in PROCESSED_LOGPROBS_MODES:" in drawing
    assert "logprobs_mode" in inspect.signature(Sampler).parameters
    seeds = SamplingStates.__init__
    assert "torch.int64" in inspect.getsource(seeds), "63 bits fit"


def test_the_first_runner_sets_a_seed_back_only_for_prompts_in_pieces() -> None:
    """What a CPU's generator cannot; vllm.py turns such pieces off there."""
    from vllm.v1.worker.gpu_model_runner import GPUModelRunner

    source = inspect.getsource(GPUModelRunner)
    assert source.count("gen.set_offset(gen.get_offset() - 4)") == 1
    assert "generator.manual_seed(sampling_params.seed)" in source
