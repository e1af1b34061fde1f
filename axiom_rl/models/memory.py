"""What a model takes in memory, worked out before anything is loaded.

The arithmetic is for decoder-only transformers with grouped-query attention and a gated MLP
(Qwen2, Llama). What must be resident (weights, adapter, optimizer) is exact; the rest is counted
for the longest rows and comes within 15 % of what is measured where rows are that long
(tests/models/test_memory.py counts the tensors that a pass keeps; the slow
tests/trainers/test_measured_memory.py measures a run).
"""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import torch
from transformers import PretrainedConfig

from axiom_rl.core.errors import AxiomError

GB = 1e9

PROGRAM_BYTES = 700_000_000
"""Python with torch, transformers, PEFT and TRL loaded."""

ADAPTER_BYTES = 4
"""Adapter weights, their gradients and the optimizer's moments are float32."""

FOUR_BIT_BYTES = 0.53
"""Per weight, with the scales of NF4 double quantization."""


COPY = "merged copy for sampling"
HEAD = "prepacked head for sampling"
TURNED = "weights once more for the backward pass"
TEACHER = "the teacher's weights"
RESIDENT = frozenset({"weights", COPY, HEAD, TURNED, TEACHER, "adapter", "gradients", "optimizer"})
"""Parts of a plan that are counted and not estimated."""

KERNELS = {"LRU_CACHE_CAPACITY": 32, "ONEDNN_PRIMITIVE_CACHE_CAPACITY": 64}
"""Compiled kernels that stay, by environment variable; a layer has about 30 of them."""

HOLES = 0.6
"""Measured share of the activations that lies between them on glibc's heap, and is no use.

Giving each large tensor pages of its own (M_MMAP_THRESHOLD) takes the holes away and costs a tenth
of the pass, since the system clears every page anew.
"""

CHUNK = 512
"""Positions projected to the vocabulary at a time: 0.2 GB of bfloat16 for 152,000 tokens."""
ROWS_OF_LOGITS = {"cpu": 16, "cuda": 128, "mps": 128}
"""Of these as many are in float32 at a time: on a CPU what its cache holds, on a GPU what keeps it
busy."""
PASS_TOKENS = 640
"""Tokens of one forward and backward pass, unless a single row is longer."""
DRAW_BYTES = 20
"""Per row and vocabulary entry of one step of sampling: logits, float32 copy, softmax, sums."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelShape:
    """The sizes of a decoder-only transformer that memory depends on."""

    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    tied: bool

    @property
    def linears(self) -> dict[str, tuple[int, int]]:
        """Input and output width of each linear layer of a block."""
        queries, keys = self.heads * self.head_dim, self.kv_heads * self.head_dim
        return {
            "q_proj": (self.hidden, queries),
            "k_proj": (self.hidden, keys),
            "v_proj": (self.hidden, keys),
            "o_proj": (queries, self.hidden),
            "gate_proj": (self.hidden, self.intermediate),
            "up_proj": (self.hidden, self.intermediate),
            "down_proj": (self.intermediate, self.hidden),
        }

    @property
    def linear_weights(self) -> int:
        """Parameters of all blocks' linear layers (norms and biases are under 0.1 %)."""
        return self.layers * sum(rows * columns for rows, columns in self.linears.values())

    @property
    def embedding_weights(self) -> int:
        """Parameters of the input and output embeddings."""
        return self.vocabulary * self.hidden * (1 if self.tied else 2)


def model_shape(hf_config: PretrainedConfig | Mapping[str, Any]) -> ModelShape:
    """Read the sizes from a transformers configuration or the contents of a config.json."""
    fields = hf_config if isinstance(hf_config, Mapping) else hf_config.to_dict()
    heads = fields["num_attention_heads"]
    return ModelShape(
        layers=fields["num_hidden_layers"],
        hidden=fields["hidden_size"],
        intermediate=fields["intermediate_size"],
        heads=heads,
        kv_heads=fields.get("num_key_value_heads") or heads,
        head_dim=fields.get("head_dim") or fields["hidden_size"] // heads,
        vocabulary=fields["vocab_size"],
        tied=bool(fields.get("tie_word_embeddings")),
    )


def kv_cache_bytes_per_token(
    hf_config: PretrainedConfig | Mapping[str, Any], bytes_per_value: int = 2
) -> int:
    """Return the key-value cache of one token of one row: 12,288 bytes for Qwen 0.5B."""
    shape = model_shape(hf_config)
    return 2 * shape.layers * shape.kv_heads * shape.head_dim * bytes_per_value


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What is done with the model; the widest batch counts."""

    rows: int
    """Rows of one batch on the device (not counting gradient accumulation)."""
    tokens: int
    """Tokens of its longest row, prompt and completion."""
    logit_tokens: int
    """Tokens per row for which logits are computed: 1 in generation."""
    trained: bool
    copied_inputs: bool = False
    """PEFT casts each layer's input to float32 and autocast casts it back (distillation)."""
    checkpointing: bool = False
    """Gradient checkpointing: activations are computed twice instead of kept."""
    cache_bytes: float | None = None
    """Key-value cache of a fixed size; None means as much as rows and tokens need."""
    prepacked: bool = False
    """What samples has its linear layers prepacked: a tied head is there twice."""
    turned: bool = False
    """The linear weights are prepacked for both passes of training."""
    merged_copy: bool = False
    """A second copy of the blocks' weights, with the adapter merged, samples (GRPO)."""


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """An itemised estimate; `str(plan)` prints it."""

    purpose: str
    parts: tuple[tuple[str, float], ...]
    """Name and bytes."""

    @property
    def total(self) -> float:
        """Bytes in all."""
        return sum(size for _, size in self.parts)

    @property
    def resident(self) -> float:
        """Bytes that are there from the first step to the last, whatever the lengths."""
        return sum(size for name, size in self.parts if name in RESIDENT)

    def __str__(self) -> str:
        """Return one line per part, largest first, and the sum."""
        ordered = sorted(self.parts, key=lambda part: -part[1])
        lines = [f"  {size / GB:6.2f} GB  {name}" for name, size in ordered]
        return "\n".join(
            [f"memory for {self.purpose}:", *lines, f"  {self.total / GB:6.2f} GB  in all"]
        )


def memory_plan(
    purpose: str,
    hf_config: PretrainedConfig | Mapping[str, Any],
    work: Workload,
    *,
    dtype: torch.dtype,
    lora: Mapping[str, Any] | None = None,
    four_bit: bool = False,
    heap: bool = False,
) -> MemoryPlan:
    """Estimate the memory of one phase of a run.

    Args:
        purpose: Named in the printed plan and the error, e.g. "training Qwen (batch 8 x 512)".
        hf_config: The model's configuration, or the contents of its config.json.
        work: The widest batch.
        dtype: Of weights and activations.
        lora: Options of the adapter, None where there is none or it is merged.
        four_bit: Whether the blocks' weights are stored in 4 bits.
        heap: Whether activations lie on the C library's heap (CPU), with holes between them.
    """
    shape = model_shape(hf_config)
    size = dtype.itemsize
    adapter = lora_weights(shape, lora) if lora is not None else 0
    linear = shape.linear_weights * (FOUR_BIT_BYTES if four_bit else size)
    parts = [
        ("program", float(PROGRAM_BYTES)),
        ("weights", linear + shape.embedding_weights * size),
        (
            "logits",
            work.rows * work.logit_tokens * shape.vocabulary * _logit_bytes(size, work, heap),
        ),
    ]
    if adapter:
        parts.append(("adapter", adapter * ADAPTER_BYTES))
    if work.merged_copy:
        parts.append((COPY, shape.linear_weights * size))
    if work.turned:
        parts.append((TURNED, shape.linear_weights * size))
    if work.prepacked and (shape.tied or work.merged_copy):
        parts.append((HEAD, shape.vocabulary * shape.hidden * size))
    if work.trained:
        activations = work.rows * work.tokens * _activation_bytes(shape, size, work)
        parts += [
            ("gradients", adapter * ADAPTER_BYTES),
            ("optimizer", adapter * ADAPTER_BYTES * 2),
            ("activations", activations),
        ]
        if heap:
            parts.append(("holes in the heap", HOLES * activations))
    else:
        needed = work.rows * work.tokens * kv_cache_bytes_per_token(hf_config, size)
        parts.append(("key-value cache", needed if work.cache_bytes is None else work.cache_bytes))
    return MemoryPlan(purpose, tuple(parts))


def lora_weights(shape: ModelShape, lora: Mapping[str, Any]) -> int:
    """Return the parameters of an adapter: rank times input plus output width of each layer."""
    targets = lora.get("target_modules", "all-linear")
    widths = [
        sum(pair)
        for name, pair in shape.linears.items()
        if targets == "all-linear" or name in targets
    ]
    return int(lora.get("r", 8)) * sum(widths) * shape.layers


def check_memory(plan: MemoryPlan, device: torch.device) -> None:
    """Compare a plan with what the device has free; warn where only the estimate is above it.

    Raises:
        AxiomError: if not even what must be resident fits, saying how much that is, how much there
            is and what to turn down.
    """
    free = available_memory(device)
    if plan.resident > free:
        raise AxiomError(
            f"{plan.purpose} needs {plan.resident / GB:.1f} GB of memory for weights alone and "
            f"{free / GB:.1f} GB are free on {device}.\n{plan}\nChoose a smaller model, e.g. "
            "model=smollm2-135m, or free memory"
        )
    needed = plan.total - (0 if device.type == "cpu" else PROGRAM_BYTES)
    if needed > free:
        log.warning(
            "%s may take %.1f GB of memory, an estimate for the longest rows, and %.1f GB are free "
            "on %s. If it is killed, turn down %s",
            plan.purpose,
            needed / GB,
            free / GB,
            device,
            "trainer.args.per_device_train_batch_size, trainer.args.max_completion_length or "
            "trainer.args.max_length (training), sampler.memory_gb or sampler.max_batch (sampling)",
        )


def available_memory(device: torch.device) -> float:
    """Return the bytes free on a device; for the CPU also within the container's limit.

    On a GPU what PyTorch holds and does not use counts as free, and a share that this process was
    limited to (`torch.cuda.set_per_process_memory_fraction`) as all there is.
    """
    if device.type == "cuda":
        unclaimed, total = torch.cuda.mem_get_info(device)
        reserved = torch.cuda.memory_reserved(device)
        limit = torch.cuda.get_per_process_memory_fraction(device.index) * total
        unused = reserved - torch.cuda.memory_allocated(device)
        return float(min(unclaimed, limit - reserved) + unused)
    free = float(psutil.virtual_memory().available)
    if device.type == "mps":
        return min(free, float(torch.mps.recommended_max_memory()))
    return min(free, _container_limit())


def _container_limit() -> float:
    """Bytes left under the control group's memory limit; infinite where there is none."""
    group = Path("/sys/fs/cgroup")
    try:
        limit = (group / "memory.max").read_text().strip()
        used = int((group / "memory.current").read_text())
        reclaimable = dict(
            line.split() for line in (group / "memory.stat").read_text().splitlines()
        )
    except FileNotFoundError:
        return float("inf")
    if limit == "max":
        return float("inf")
    return float(int(limit) - used + int(reclaimable.get("inactive_file", 0)))


def _logit_bytes(size: int, work: Workload, cpu: bool) -> float:
    """Per position and vocabulary entry, at the widest moment of HeadLogprobs.forward.

    The products; beside them a few rows in float32, with three temporaries.
    """
    rows = ROWS_OF_LOGITS["cpu" if cpu else "cuda"]
    return size + 16 * rows / CHUNK if work.trained else DRAW_BYTES


def _activation_bytes(shape: ModelShape, size: int, work: Workload) -> int:
    """Per token, what the backward pass of a LoRA model on all layers keeps.

    In each block: the norms' float32 inputs and their outputs, queries, keys, values and output of
    attention, its mask, which is made anew in each block, and gate, up, activation and product of
    the MLP.
    """
    norms = 2 * shape.hidden * (4 + size)
    copies = 4 * shape.hidden * size if work.copied_inputs and size < 4 else 0
    heads = 2 * (shape.heads + shape.kv_heads)
    attention = size * heads * shape.head_dim + size * work.rows * work.tokens
    mlp = 4 * size * shape.intermediate
    block = norms + copies + attention + mlp
    if work.checkpointing:
        return shape.layers * shape.hidden * size + block
    return shape.layers * block


def bound_kernel_caches() -> None:
    """Keep few compiled kernels of oneDNN, so that training does not grow with each new length.

    Two caches, oneDNN's own and that of PyTorch's binding, keep up to 1,024 kernels each, one for
    every shape of every matrix product. Packed rows have another length at every pass: some 20 MB a
    pass stayed for good, and lay between large tensors, so that glibc's heap could not give back
    the room around them. A pass runs the same kernels layer after layer; few are enough for that.

    Read when the first kernel is made, so call this before a model is loaded. Values that the user
    has set in the environment stay.
    """
    for name, kernels in KERNELS.items():
        os.environ.setdefault(name, str(kernels))


def free_memory() -> None:
    """Give what is no longer used back to the system, or to the device.

    PyTorch's CPU tensors of many sizes leave holes in glibc's heap, which keeps them: without the
    trim a run of expert iteration grows from one iteration to the next.
    """
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # not in every C library
        if trim is not None:
            trim(0)
