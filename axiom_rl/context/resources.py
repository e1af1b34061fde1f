"""What a run takes in memory and samples with on this machine, decided before a model is loaded."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from functools import partial

from axiom_rl.config import (
    Config,
    DistillConfig,
    ExpertIterConfig,
    GrpoConfig,
    ModelConfig,
    SftTrainerConfig,
    TransformersSamplerConfig,
)
from axiom_rl.config.parts import named, trainings
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_json
from axiom_rl.models.load import check_four_bit, choose_device, choose_dtype
from axiom_rl.models.memory import (
    CHUNK,
    PASS_TOKENS,
    TEACHER,
    MemoryPlan,
    Workload,
    available_memory,
    check_memory,
    memory_plan,
    model_shape,
)
from axiom_rl.models.prepacked import can_keep_twice, can_prepack
from axiom_rl.models.weights.source import ResolvedModel
from axiom_rl.sampling.choose import choose_sampler

log = logging.getLogger(__name__)

PROMPT_TOKENS = 256
"""Allowance for the prompt in the memory plan, which is made before anything is tokenized."""


def check_machine(config: Config) -> None:
    """Refuse a device, a quantization or an engine that this machine does not have.

    Raises:
        AxiomError: naming the key or the package.
    """
    if config.model.quantization == "4bit":
        check_four_bit(choose_device(config.model.device))
    with_chosen_sampler(config)


def with_chosen_sampler(config: Config) -> tuple[Config, str]:
    """Return the config with sampler=auto replaced by what it means here, and why ('' if nothing).

    Raises:
        AxiomError: for sampler=vllm where vLLM is not installed.
    """
    device = choose_device(config.model.device).type
    sampler, why = choose_sampler(config.sampler, config.model, device)
    return replace(config, sampler=sampler), why


def check_context(config: Config, resolved: ResolvedModel) -> None:
    """Refuse answers that are longer than the model's context, of which the prompt is a part.

    Raises:
        AxiomError: naming the key.
    """
    if config.stage.kind in ("export", "teach"):  # which draw nothing from this model
        return
    context = read_json(resolved.folder / "config.json").get("max_position_embeddings")
    for step, own in trainings(config):
        wanted = {"sampler.max_new_tokens": config.sampler.max_new_tokens}
        if config.stage.kind == "train":
            key = "max_completion_length"
            wanted |= {f"trainer.args.{key}": own.trainer.args.get(key, 0)}
        for key, tokens in wanted.items():
            if isinstance(context, int) and tokens >= context:
                with named(step):
                    raise AxiomError(
                        f"{key}={tokens}: {resolved.name} takes {context} tokens in all, prompt "
                        f"included; give fewer, such as {key}={context // 2}"
                    )


def check_memory_plans(config: Config, resolved: ResolvedModel) -> None:
    """Print what sampling and training take; warn where it may not fit.

    Raises:
        AxiomError: if the weights alone do not fit.
    """
    said = set[str]()
    for step, own in trainings(config):
        for plan in _plans(own, resolved):
            if str(plan) in said:  # every step of a pipeline samples alike
                continue
            said.add(str(plan))
            if step:
                log.info("step %s:", step)
            log.info("%s", plan)
            with named(step):
                check_memory(plan, choose_device(config.model.device))


def check_distilling_memory(
    config: Config, student: ResolvedModel, model: ModelConfig, teacher: ResolvedModel
) -> None:
    """Print what student and teacher take together; warn where it may not fit.

    The teacher's own pass keeps nothing for a backward pass: of its activations one block's are
    alive at a time.

    Raises:
        AxiomError: if the weights alone do not fit.
    """
    device = choose_device(config.model.device)
    training = _plans(config, student)[-1]
    work = _training_work(config, 0, engine=True)
    beside = memory_plan(
        "",
        read_json(teacher.folder / "config.json"),
        replace(work, trained=True, checkpointing=True, merged_copy=False),
        dtype=choose_dtype(model.dtype, device),
        four_bit=model.quantization == "4bit",
    )
    sizes = dict(beside.parts)
    parts = (
        *training.parts,
        (TEACHER, sizes["weights"]),
        ("the teacher's logits", sizes["logits"]),
        ("the teacher's activations", sizes["activations"]),
    )
    plan = MemoryPlan(f"{training.purpose}, beside its teacher {teacher.name}", parts)
    log.info("%s", plan)
    check_memory(plan, device)


def engine_stays(config: Config, resolved: ResolvedModel) -> bool:
    """Whether there is memory for vLLM's engine and the training at the same time."""
    free = available_memory(choose_device(config.model.device))
    needed = (
        sum(plan.total for plan in _plans(own, resolved)[:2]) for _step, own in trainings(config)
    )
    return max(needed) < free


def _plans(config: Config, resolved: ResolvedModel) -> list[MemoryPlan]:
    """Return the plans of sampling and training; GRPO has vLLM's engine beside the training."""
    device = choose_device(config.model.device)
    engine = with_chosen_sampler(config)[0].sampler.backend == "vllm"
    dtype = choose_dtype(config.model.dtype, device)
    shape = read_json(resolved.folder / "config.json")
    gains = can_prepack(device, dtype)
    linear_bytes = model_shape(shape).linear_weights * dtype.itemsize
    turned = gains and _supervised(config) and can_keep_twice(linear_bytes, device)
    plans = [
        memory_plan(
            f"{purpose} with {resolved.name} ({_extent(work)})",
            shape,
            replace(
                work,
                prepacked=gains and not engine and (work.merged_copy or not work.trained),
                turned=turned and work.trained,
            ),
            dtype=dtype,
            lora=config.model.lora if work.trained else None,
            four_bit=config.model.quantization == "4bit",
            heap=device.type == "cpu",
        )
        for purpose, work in _workloads(config, engine, device.type).items()
    ]
    if engine and len(plans) > 1 and isinstance(config.trainer, GrpoConfig | DistillConfig):
        parts = tuple(part for plan in plans for part in plan.parts)
        plans.append(MemoryPlan("vLLM's engine beside the training", parts))
    return plans


def _supervised(config: Config) -> bool:
    """Whether training may keep its linear weights twice, see `prepack_frozen`."""
    supervised = isinstance(config.trainer, SftTrainerConfig | ExpertIterConfig)
    return supervised and not config.model.lora.get("use_dora", False)


def _extent(work: Workload) -> str:
    if work.rows == 1:
        return f"passes of up to {work.tokens} tokens"
    return f"{work.rows} rows of up to {work.tokens} tokens"


def _workloads(config: Config, engine: bool, device: str) -> dict[str, Workload]:
    longest = config.sampler.max_new_tokens + PROMPT_TOKENS
    works: dict[str, Workload] = {}
    if config.stage.kind == "teach":  # no student is sampled, and a teacher has its own plan
        return works
    if isinstance(config.sampler, TransformersSamplerConfig):
        works["sampling"] = Workload(
            rows=config.sampler.max_batch,
            tokens=longest,
            logit_tokens=1,
            trained=False,
            cache_bytes=config.sampler.memory_gb * 1e9 if engine and device == "cpu" else None,
        )
    if config.stage.kind == "train":
        works["training"] = _training_work(config, longest, engine)
    return works


def _training_work(config: Config, longest: int, engine: bool) -> Workload:
    args = config.trainer.args
    rows = int(args.get("per_device_train_batch_size", 8))
    training = partial(
        Workload, trained=True, checkpointing=bool(args.get("gradient_checkpointing", True))
    )
    merged_copy = config.model.quantization != "4bit" and not engine
    if isinstance(config.trainer, DistillConfig):
        answer = int(args["max_completion_length"])
        return training(
            rows=rows,
            tokens=answer + PROMPT_TOKENS,
            logit_tokens=answer,
            copied_inputs=True,
            merged_copy=merged_copy,
        )
    if isinstance(config.trainer, GrpoConfig):
        answers = rows * int(args["max_completion_length"])
        prompts = math.ceil(rows / int(args["num_generations"])) * PROMPT_TOKENS
        tokens, logit_tokens = prompts + answers, min(CHUNK, answers)
        return training(rows=1, tokens=tokens, logit_tokens=logit_tokens, merged_copy=merged_copy)
    longest = min(longest, int(args.get("max_length", longest)))
    tokens = max(longest, min(rows * longest, PASS_TOKENS))
    return training(rows=1, tokens=tokens, logit_tokens=CHUNK)
