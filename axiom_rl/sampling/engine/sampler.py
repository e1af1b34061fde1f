"""Sampling with vLLM: one engine per run in a process of its own, whatever adapters come and go.

On a CPU an adapter is merged into the engine's weights in place, from the pristine base on disk; on
a GPU it comes as a LoRA request. Neither touches weights that train: the engine has its own.
Each sample has a seed of its own, made from the name of its stream, and vLLM's own sampler draws:
the same seed gives the same samples on the same engine with the same settings and requests, up to
what the batch's shape changes in floating point. Samples drawn one by one, or by a resumed run, may
part from those of an unbroken one; only sampler=transformers in float32 promises that they do not.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from axiom_rl.config import ModelConfig, SamplerConfig, VllmSamplerConfig
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_json
from axiom_rl.core.progress import progress
from axiom_rl.core.types import Completion
from axiom_rl.models.load import load_tokenizer
from axiom_rl.models.lora.options import check_adapter_folder, check_same_base
from axiom_rl.models.lora.plain import check_plain_lora
from axiom_rl.models.tokenizers import text_of
from axiom_rl.models.weights.source import ResolvedModel
from axiom_rl.sampling.base import SampleRequest
from axiom_rl.sampling.engine.process import EngineProcess
from axiom_rl.sampling.engine.protocol import Adapter, Ask, EndedSample, News, Prompt
from axiom_rl.sampling.engine.settings import engine_settings, stop_tokens
from axiom_rl.sampling.hf.next_token import seed_for
from axiom_rl.sampling.hf.sampler import prompt_tokens

log = logging.getLogger(__name__)


class VllmEngine:
    """The engine of a run. Starts when first sampled from; `close` ends its process."""

    def __init__(
        self,
        resolved: ResolvedModel,
        model: ModelConfig,
        config: VllmSamplerConfig,
        log_file: Path,
        *,
        stays: bool = True,
    ) -> None:
        """Prepare; nothing is started yet.

        Args:
            resolved: the base weights.
            model: device, dtype and the options of its adapters.
            config: of the sampler.
            log_file: for what vLLM prints.
            stays: whether the engine stays in memory while something else (training) needs some.

        Raises:
            AxiomError: if vLLM cannot sample this model or its adapters.
        """
        self._resolved = resolved
        self._config = config
        self._log_file = log_file
        self._stays = stays
        self._tokenizer: PreTrainedTokenizerBase = load_tokenizer(resolved)
        self._stop = stop_tokens(resolved.folder, self._tokenizer)
        self.settings = engine_settings(resolved, model, config)
        self._process: EngineProcess | None = None
        self._in_use = ""
        """Identity of the adapter that the engine samples with; '' is the base model."""

    def sampler(self, adapter: str | None, settings: SamplerConfig | None = None) -> VllmSampler:
        """Return a sampler of the base model with an adapter, or of the base alone.

        Costs nothing: the engine takes the adapter when its sampler is sampled from, and takes it
        again when the folder holds other weights by then. Samplers share the engine in turns.

        Args:
            adapter: folder of an adapter; None is the base model.
            settings: temperature, top_p and max_new_tokens; None means those of the engine.

        Raises:
            AxiomError: if the folder holds no plain LoRA adapter of this base model.
        """
        if adapter is not None:
            checked = check_adapter_folder(adapter)
            check_plain_lora(read_json(checked / "adapter_config.json"))
            check_same_base(checked, self._resolved)
        folder = None if adapter is None else Path(adapter).resolve()
        return VllmSampler(self, folder, settings or self._config)

    def draw(
        self, adapter: Path | None, requests: Sequence[SampleRequest], config: SamplerConfig
    ) -> Iterator[Completion]:
        """Yield one completion per requested sample, as it finishes; see `Sampler.sample`."""
        # Refused by the model's context before an engine starts, then by what that has room for.
        asked = self._texts(requests, config.max_new_tokens, self.settings.context)
        if not asked:
            return
        process = self.use(adapter)
        if process.context < self.settings.context:
            asked = self._texts(requests, config.max_new_tokens, process.context)
        ask = Ask(
            texts=tuple(text for _request, _sample, text in asked.values()),
            temperature=config.temperature,
            top_p=config.top_p,
            max_new_tokens=config.max_new_tokens,
            stop=self._stop,
        )
        process.send(ask)
        ended = False
        try:
            with progress("sampling", len(asked), "sample") as shown:
                while not ended:
                    news: News = process.receive()
                    ended = news.end
                    note = f"{news.tokens / shown.seconds:.0f} tokens/s"
                    shown.update(len(news.samples), note)
                    yield from (self._completion(*asked[s.key], s) for s in news.samples)
        except GeneratorExit:  # the caller has enough; nothing is half read
            if not ended:
                self._stop_sampling(process)
            raise
        except BaseException:  # Ctrl-C may have come in the middle of a message
            self.close()
            raise

    def rest(self) -> None:
        """Make room for training: sleep on a GPU; on a CPU end the engine where it must."""
        if self._process is None:
            return
        if self._stays or self.settings.device == "cuda":
            self._process.send("rest")
            self._process.receive()
        else:
            log.info("vLLM's engine ends while the model trains, for its memory is needed")
            self.close()

    def close(self) -> None:
        """End the engine's process; sampling again would start another."""
        if self._process is not None:
            self._process.close()
        self._process, self._in_use = None, ""

    @property
    def _room(self) -> str:
        """The option that gives the engine its memory."""
        on_cpu = self.settings.device == "cpu"
        return "sampler.memory_gb" if on_cpu else "sampler.gpu_memory_utilization"

    @property
    def pid(self) -> int | None:
        """Process id of the engine, None while there is none."""
        return None if self._process is None else self._process.pid

    def start(self) -> EngineProcess:
        """Start the engine if it is not up, and return its process.

        Raises:
            AxiomError: if it does not come up.
        """
        if self._process is not None and not self._process.alive:
            self.close()
        if self._process is None:
            started = time.monotonic()
            self._process = EngineProcess(
                self.settings,
                self._log_file,
                start_s=self._config.start_timeout_s,
                answer_s=self._config.answer_timeout_s,
            )
            log.info(
                "vLLM's engine with %s is up in %.0f s: %s on %s, texts of up to %d tokens",
                self._resolved.name,
                time.monotonic() - started,
                self.settings.dtype,
                self.settings.device,
                min(self.settings.context, self._process.context),
            )
        return self._process

    def use(self, adapter: Path | None) -> EngineProcess:
        """Have the engine sample with an adapter's weights as they are on disk now.

        Does nothing where it has them already. Each merge starts from the pristine base.
        """
        process = self.start()
        wanted = "" if adapter is None else _identity(adapter)
        if wanted == self._in_use:
            return process
        started = time.monotonic()
        process.send(Adapter(None if adapter is None else str(adapter)))
        process.receive()
        self._in_use = wanted
        log.info(
            "vLLM's engine has %s in %.1f s",
            "the base weights" if adapter is None else f"the adapter {adapter}",
            time.monotonic() - started,
        )
        return process

    def _stop_sampling(self, process: EngineProcess) -> None:
        """Clear the way for the next call."""
        if process is self._process and process.alive:
            process.send("stop")
            while not process.receive().end:
                continue

    def _texts(
        self, requests: Sequence[SampleRequest], max_new_tokens: int, context: int
    ) -> dict[str, tuple[SampleRequest, int, Prompt]]:
        """Return one text per sample by key; samples of one prompt next to each other."""
        found = {}
        for number, request in enumerate(requests):
            prompt = tuple(prompt_tokens(self._tokenizer, request.messages))
            room = context - max_new_tokens
            if len(prompt) > room:
                raise AxiomError(
                    f"the prompt of {request.problem_id} has {len(prompt)} tokens and there is "
                    f"room for {max(room, 0)} (context {context}, "
                    f"at most {max_new_tokens} new tokens): lower "
                    f"sampler.max_new_tokens, shorten the prompt or raise {self._room}"
                )
            for sample in request.samples:
                key = f"{number}/{sample}"
                seed = seed_for(request.stream, request.problem_id, sample)
                found[key] = (request, sample, Prompt(key=key, prompt=prompt, seed=seed))
        return found

    def _completion(
        self, request: SampleRequest, number: int, text: Prompt, drawn: EndedSample
    ) -> Completion:
        ids = drawn.token_ids
        return Completion(
            problem_id=request.problem_id,
            sample=number,
            text=text_of(self._tokenizer, ids[:-1] if drawn.stopped else ids),
            prompt_tokens=len(text.prompt),
            completion_tokens=len(ids),
            truncated=not drawn.stopped,
            prompt_ids=text.prompt,
            token_ids=ids,
            logprobs=drawn.logprobs,
        )


class VllmSampler:
    """The engine with one adapter; several of them may share an engine in turns."""

    def __init__(self, engine: VllmEngine, adapter: Path | None, config: SamplerConfig) -> None:
        """EndedSample from `engine` with an adapter; None is the base model."""
        self._engine = engine
        self._adapter = adapter
        self._config = config

    def sample(
        self, requests: Sequence[SampleRequest], *, temperature: float | None = None
    ) -> Iterator[Completion]:
        """EndedSample as every `Sampler` does.

        Raises:
            AxiomError: also if the engine does not start, ends or is stuck.
        """
        config = (
            self._config if temperature is None else replace(self._config, temperature=temperature)
        )
        yield from self._engine.draw(self._adapter, requests, config)

    def rest(self) -> None:
        """Let the engine make room until it is sampled from again."""
        self._engine.rest()


def _identity(adapter: Path) -> str:
    """Return the hash of an adapter's files: a folder's content may change between two uses."""
    found = hashlib.sha256()
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        found.update((adapter / name).read_bytes())
    return found.hexdigest()
