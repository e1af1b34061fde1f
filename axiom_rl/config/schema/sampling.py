"""The schema of conf/sampler and conf/sandbox."""

from __future__ import annotations

from dataclasses import dataclass

from omegaconf import MISSING


@dataclass
class SamplerConfig:
    """How completions are drawn for evaluation and collection."""

    backend: str = MISSING
    """transformers, vllm, vllm_server or auto."""
    n: int = MISSING
    """Samples per problem."""
    temperature: float = MISSING
    """0 means greedy."""
    top_p: float = MISSING
    """Draw from the likeliest tokens that make up this share; 1 means all."""
    max_new_tokens: int = MISSING
    """Longest completion, in tokens; GRPO takes it too, where trainer.args.max_completion_length is
    not given."""


@dataclass
class TransformersSamplerConfig(SamplerConfig):
    """Batched generation with transformers, in this process."""

    memory_gb: float = MISSING
    """Budget for the key-value cache and logits of one batch; sets the batch size."""
    max_batch: int = MISSING
    """Upper bound of rows in one batch."""


@dataclass
class VllmSamplerConfig(TransformersSamplerConfig):
    """An engine of vLLM in a process of its own, or (auto) whatever is faster here.

    On a CPU `memory_gb` is the size of the key-value cache; on a GPU `gpu_memory_utilization` is.
    """

    gpu_memory_utilization: float = MISSING
    """Share of the GPU's memory that the engine may use, weights included."""
    adapters: str = MISSING
    """How model N+1 is sampled: lora (LoRA requests), merge (into the engine's own weights) or
    auto (merge on a CPU, lora on a GPU)."""
    start_timeout_s: float = MISSING
    """Seconds until the engine must be up."""
    answer_timeout_s: float = MISSING
    """Seconds without a sign of life after which the engine counts as stuck."""


@dataclass
class VllmServerConfig(SamplerConfig):
    """A running server of vLLM, or another one with OpenAI's completions interface."""

    url: str | None = MISSING
    """Address up to the version, e.g. http://localhost:8000/v1, without user, password or key.
    Needed; null is an error."""
    served_model: str | None = MISSING
    """Name under which the server has the base model; null means the first one it lists."""
    in_flight: int = MISSING
    """Requests open at the same time at most."""
    timeout_s: float = MISSING
    """Seconds that one request may take."""
    retries: int = MISSING
    """Further tries of a request that failed, with growing waits between them."""


@dataclass
class SandboxConfig:
    """Where candidates run, and within which limits."""

    kind: str = MISSING
    """subprocess, bubblewrap or debug."""
    time_limit_s: float = MISSING
    """CPU seconds of one candidate for all its tests; the wall limit is twice that plus 1 s."""
    memory_mb: int = MISSING
    """Address space that a candidate may add to the sandbox's own."""
    output_kb: int = MISSING
    """Bytes a candidate may print, in KiB."""
    result_kb: int = MISSING
    """Size of the encoded return values of all tests together, in KiB."""
    servers: int | None = MISSING
    """Warm server processes; null means one per core."""
    isolation: str = MISSING
    """Lowest level accepted: full, reduced or process."""
    preload: list[str] = MISSING
    """Modules imported in the servers before candidates run, e.g. numpy."""
