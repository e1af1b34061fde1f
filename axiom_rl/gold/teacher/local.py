"""A model of this project as the teacher: its own loading, its own sampler."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from axiom_rl.config import (
    CONF_DIR,
    LocalTeacherConfig,
    ModelConfig,
    SamplerConfig,
    TransformersSamplerConfig,
    VllmSamplerConfig,
    composed_option,
)
from axiom_rl.context.run_context import Policy, RunContext
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_json
from axiom_rl.gold.teacher.asking import TeacherAnswer, style_of
from axiom_rl.models.load import check_four_bit, choose_device, choose_dtype
from axiom_rl.models.lora.options import RECORDED, check_adapter_folder, check_same_base
from axiom_rl.models.memory import Workload, check_memory, free_memory, memory_plan
from axiom_rl.models.prepacked import can_prepack
from axiom_rl.models.thinking import with_thinking
from axiom_rl.models.weights.resolve import resolve
from axiom_rl.models.weights.source import ResolvedModel
from axiom_rl.sampling import Sampler, SampleRequest
from axiom_rl.sampling.base import Releasable, SamplerFactory
from axiom_rl.sampling.choose import choose_sampler
from axiom_rl.sampling.engine.sampler import VllmEngine
from axiom_rl.sampling.hf.batch import AHEAD_ROWS
from axiom_rl.sampling.hf.sampler import open_samplers

log = logging.getLogger(__name__)

LIMIT = "max_new_tokens"
PROMPT_TOKENS = 256
"""Allowance for the prompt in the memory plan."""


class LocalTeacher:
    """Samples from a model that is loaded when it is first asked."""

    exhausted = ""
    least = AHEAD_ROWS

    def __init__(self, config: LocalTeacherConfig, folder: Path) -> None:
        """Find the model and state what it takes; nothing is loaded yet.

        Args:
            config: names the model.
            folder: of the run, for what vLLM prints.

        Raises:
            AxiomError: if there is no such model, its weights do not fit into memory, or the
                adapter is of another model.
        """
        model = teacher_model(config)
        self._resolved = with_thinking(resolve(model), style_of(config.reasoning))
        if config.adapter is not None:
            check_same_base(check_adapter_folder(config.adapter), self._resolved)
        self._config, self._adapter = config, config.adapter
        self.name = self._resolved.name + (f" with {config.adapter}" if config.adapter else "")
        self._resources = ExitStack()
        self._sampler: Sampler | None = None
        self._load = self._loader(model, folder / "vllm_teacher.log")

    def answers(self, requests: Sequence[SampleRequest]) -> Iterator[TeacherAnswer]:
        """Yield what the model samples."""
        try:
            if self._sampler is None:
                self._sampler = self._load(self._adapter)
            for completion in self._sampler.sample(requests):
                yield TeacherAnswer(completion=completion)
        except AxiomError as error:  # the sampler is the teacher's own, and so is its limit
            raise AxiomError(str(error).replace(f"sampler.{LIMIT}", f"teacher.{LIMIT}")) from error

    def measured(self, context: RunContext) -> tuple[RunContext, Policy]:
        """Return a context whose evaluations are of the teacher, and the teacher as a policy."""
        found, config = self._resolved, self._config
        identity = {key: getattr(found, key) for key in RECORDED} | {"source": found.source}
        sampler = replace(
            context.sampler,
            temperature=config.temperature,
            top_p=config.top_p,
            max_new_tokens=config.max_new_tokens,
        )
        style = style_of(config.reasoning)
        own = replace(context, model=identity, sampler=sampler, style=style)
        return own, Policy(self._adapter, self._load)

    def close(self) -> None:
        """Let go of the model's memory, for the student."""
        if isinstance(self._sampler, Releasable):
            self._sampler.rest()
        self._sampler = None
        self._resources.close()
        free_memory()

    def _loader(self, model: ModelConfig, log_file: Path) -> SamplerFactory:
        device = choose_device(model.device)
        if model.quantization == "4bit":
            check_four_bit(device)
        sampler, why = choose_sampler(teacher_sampler(self._config), model, device.type)
        if why:
            log.info("teacher: %s", why)
        if isinstance(sampler, VllmSamplerConfig):
            engine = VllmEngine(self._resolved, model, sampler, log_file, stays=False)
            self._resources.callback(engine.close)
            return engine.sampler
        assert isinstance(sampler, TransformersSamplerConfig)
        _check_memory(self._resolved, model, sampler)
        return open_samplers(self._resolved, model, sampler)


def teacher_model(config: LocalTeacherConfig) -> ModelConfig:
    """Return the model that teacher.model names: an option of conf/model, or a path.

    Raises:
        AxiomError: if it is neither.
    """
    presets = sorted(path.stem for path in (CONF_DIR / "model").glob("*.yaml"))
    named = config.model in presets
    place = Path(config.model).expanduser()
    if not named and not place.exists():
        raise AxiomError(
            f"teacher.model={config.model}: neither a path nor one of {', '.join(presets)}"
        )
    if not named and (place / "adapter_config.json").is_file():
        raise AxiomError(
            f"teacher.model={config.model} is a LoRA adapter: give its base model as "
            f"teacher.model, and teacher.adapter={config.model}"
        )
    own: ModelConfig = composed_option("model", config.model if named else presets[0])
    if not named:
        own = replace(own, path=str(place), chat_template=None, chat_template_kwargs={})
    return replace(own, dtype=config.dtype, device=config.device, quantization=config.quantization)


def teacher_sampler(config: LocalTeacherConfig) -> SamplerConfig:
    """Return how the teacher is sampled: the settings of conf/sampler, its own temperature."""
    own: SamplerConfig = composed_option("sampler", config.backend)
    return replace(
        own,
        temperature=config.temperature,
        top_p=config.top_p,
        max_new_tokens=config.max_new_tokens,
    )


def _check_memory(
    resolved: ResolvedModel, model: ModelConfig, sampler: TransformersSamplerConfig
) -> None:
    device = choose_device(model.device)
    dtype = choose_dtype(model.dtype, device)
    work = Workload(
        rows=sampler.max_batch,
        tokens=sampler.max_new_tokens + PROMPT_TOKENS,
        logit_tokens=1,
        trained=False,
        prepacked=can_prepack(device, dtype),
    )
    plan = memory_plan(
        f"the teacher {resolved.name} ({work.rows} rows of up to {work.tokens} tokens)",
        read_json(resolved.folder / "config.json"),
        work,
        dtype=dtype,
        four_bit=model.quantization == "4bit",
        heap=device.type == "cpu",
    )
    log.info("%s", plan)
    check_memory(plan, device)
