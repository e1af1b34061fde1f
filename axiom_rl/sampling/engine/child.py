"""The child process that vLLM runs in: `python -m axiom_rl.sampling.engine.child CHANNEL LIFELINE`.

The only module that imports vLLM. It takes token ids and gives token ids; see engine.py for the
other side. Tokens are drawn by `draw_tokens`, the function of the transformers sampler, from the
same random streams: vLLM's own seeds fail on CPU as soon as a prompt is run in two pieces, cost a
pass over the vocabulary per sample, and give other log-probabilities than `Completion` asks for.
"""

from __future__ import annotations

import itertools
import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from random import Random
from typing import Any

import torch
from vllm import SamplingParams
from vllm.engine.arg_utils import EngineArgs
from vllm.lora.request import LoRARequest
from vllm.sampling_params import RequestOutputKind
from vllm.v1.engine.llm_engine import LLMEngine
from vllm.v1.sample.logits_processor import BatchUpdate, LogitsProcessor, MoveDirectionality

from axiom_rl.sampling.engine.process import EngineSettings
from axiom_rl.sampling.engine.protocol import Adapter, Ask, EndedSample, News, Prompt
from axiom_rl.sampling.hf.next_token import draw_tokens, stream_for

NEWS_S = 1.0
"""Longest time between two messages while sampling."""
CHOSEN = 1e9
"""Logit that vLLM's own greedy choice cannot miss."""


@dataclass(slots=True)
class Stream:
    """The random numbers of one sample, by position, and the log-probabilities drawn with them.

    By position, because vLLM may ask for the same token twice (a prompt run in two pieces).
    """

    random: Random
    temperature: float
    top_p: float
    numbers: list[float] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)

    def number(self, position: int) -> float:
        """Return the uniform number of one token."""
        while len(self.numbers) <= position:
            self.numbers.append(self.random.random())
        return self.numbers[position]

    def record(self, position: int, logprob: float) -> None:
        """Keep the log-probability of one token, in the place of an earlier try."""
        self.logprobs[position:] = [logprob]


STREAMS: dict[str, Stream] = {}
"""Streams of the running samples by key."""


class OwnDraw(LogitsProcessor):  # type: ignore[misc]  # vLLM is not installed where mypy runs
    """Draws the next tokens of the whole batch and leaves vLLM nothing but the greedy choice."""

    def __init__(self, vllm_config: Any, device: torch.device, is_pin_memory: bool) -> None:
        """Begin with an empty batch."""
        self._rows: dict[int, tuple[Stream, list[int]]] = {}

    def is_argmax_invariant(self) -> bool:
        """Say that this changes the greedy choice; it makes it."""
        return False

    def update_state(self, batch_update: BatchUpdate | None) -> None:
        """Follow the rows of vLLM's batch as samples come, go and move."""
        if batch_update is None:
            return
        for index in batch_update.removed:
            self._rows.pop(index, None)
        for index, params, _prompt, output in batch_update.added:
            self._rows[index] = (STREAMS[params.extra_args["key"]], output)
        for first, second, way in batch_update.moved:
            row, other = self._rows.pop(first, None), self._rows.pop(second, None)
            if row is not None:
                self._rows[second] = row
            if other is not None and way is MoveDirectionality.SWAP:
                self._rows[first] = other

    def apply(self, logits: torch.Tensor) -> torch.Tensor:
        """Draw one token per row of logits (rows, vocabulary) and raise it above all others."""
        if not self._rows:  # vLLM measures memory with a batch that nobody asked for
            return logits
        rows = [self._rows[index] for index in range(len(logits))]
        places = [len(output) for _stream, output in rows]
        numbers = [row[0].number(place) for row, place in zip(rows, places, strict=True)]
        uniforms = torch.tensor(numbers, dtype=torch.float64)
        first = rows[0][0]
        tokens, logprobs = draw_tokens(logits, uniforms, first.temperature, first.top_p)
        for row, place, logprob in zip(rows, places, logprobs.tolist(), strict=True):
            row[0].record(place, logprob)
        return logits.scatter_(1, tokens[:, None], CHOSEN)


class Engine:
    """One vLLM engine, and the adapter that it samples with."""

    def __init__(self, settings: EngineSettings) -> None:
        """Load the base model."""
        self._settings = settings
        on_gpu = settings.device == "cuda"
        loras: dict[str, Any] = {}
        if settings.lora_rank is not None:
            loras = {"enable_lora": True, "max_loras": 1, "max_lora_rank": settings.lora_rank}
        self._engine = LLMEngine.from_engine_args(
            EngineArgs(
                model=settings.model,
                dtype=settings.dtype,
                max_model_len=settings.context,
                max_num_seqs=settings.max_batch,
                kv_cache_memory_bytes=settings.cache_bytes,
                gpu_memory_utilization=settings.gpu_memory_utilization,
                enable_prefix_caching=True,
                enable_sleep_mode=on_gpu,
                enforce_eager=not on_gpu,  # on a CPU compiling takes a minute and gains nothing
                async_scheduling=False,  # a token is drawn when those before it are known
                skip_tokenizer_init=True,
                generation_config="vllm",
                disable_log_stats=True,
                logits_processors=[OwnDraw],
                worker_extension_cls="axiom_rl.models.lora.merge_to_disk.MergingWorker",
                **loras,
            )
        )
        self._lora: LoRARequest | None = None
        self._numbers = itertools.count(1)
        self._asleep = False

    def use(self, message: Adapter) -> None:
        """EndedSample with an adapter from here on; None is the base model, to the last bit."""
        self._wake()
        if self._settings.lora_rank is not None:
            number = next(self._numbers)
            folder = message.folder
            self._lora = LoRARequest(f"adapter_{number}", number, folder) if folder else None
            return
        arguments = (self._settings.model, message.folder, self._settings.dtype)
        self._engine.collective_rpc("load_merged", args=arguments)

    def rest(self) -> None:
        """Give the GPU's memory to others until the next sample; on a CPU there is no such mode."""
        if self._settings.device == "cuda" and not self._asleep:
            self._engine.sleep(level=1)
            self._asleep = True

    def sample(self, ask: Ask, channel: Connection[Any, Any]) -> None:
        """Draw all samples, telling of each as it ends; any message from the parent stops it.

        Prefixes are shared within one call alone: keys and values of an earlier one may be those of
        other weights, and numbers would round differently with them than without.
        """
        self._wake()
        if not self._engine.reset_prefix_cache():
            raise RuntimeError("vLLM's prefix cache is in use while no sample is running")
        for text in ask.texts:
            self._add(text, ask)
        prompts = {text.key: text for text in ask.texts}
        tokens, said, done = 0, time.monotonic(), list[EndedSample]()
        while self._engine.has_unfinished_requests():
            if channel.poll():
                channel.recv()
                self._engine.abort_request(list(STREAMS))
                break
            ended = list(self._step(prompts))
            tokens += sum(len(sample.token_ids) for sample in ended)
            done += ended
            if done or time.monotonic() - said > NEWS_S:
                running = sum(len(stream.logprobs) for stream in STREAMS.values())
                channel.send(News(samples=tuple(done), tokens=tokens + running, end=False))
                said, done = time.monotonic(), []
        STREAMS.clear()
        channel.send(News(samples=(), tokens=tokens, end=True))

    def _add(self, text: Prompt, ask: Ask) -> None:
        STREAMS[text.key] = Stream(stream_for(*text.stream), ask.temperature, ask.top_p)
        params = SamplingParams(
            temperature=0,  # OwnDraw has drawn already
            max_tokens=ask.max_new_tokens,
            stop_token_ids=list(ask.stop),
            ignore_eos=True,  # `stop` has it
            detokenize=False,
            output_kind=RequestOutputKind.FINAL_ONLY,
            extra_args={"key": text.key},
        )
        prompt = {"prompt_token_ids": list(text.prompt)}
        self._engine.add_request(text.key, prompt, params, lora_request=self._lora)

    def _step(self, prompts: dict[str, Prompt]) -> Iterator[EndedSample]:
        for output in self._engine.step():
            if output.finished:
                (ended,) = output.outputs
                yield EndedSample(
                    key=output.request_id,
                    token_ids=tuple(ended.token_ids),
                    logprobs=tuple(STREAMS.pop(output.request_id).logprobs),
                    stopped=ended.finish_reason == "stop",
                )

    def _wake(self) -> None:
        if self._asleep:
            self._engine.wake_up()
            self._asleep = False


def serve(channel: Connection[Any, Any]) -> None:
    """Make the engine and do what the parent asks, one message after the other."""
    channel.send("engine")
    engine = Engine(channel.recv())
    channel.send("ready")
    while True:
        match channel.recv():
            case Adapter() as message:
                engine.use(message)
                channel.send("used")
            case Ask() as ask:
                engine.sample(ask, channel)
            case "rest":
                engine.rest()
                channel.send("rested")
            case "stop":  # came when the sampling had just ended
                continue
            case other:
                raise ValueError(f"no such message: {other!r}")


def end_with_parent(lifeline: int) -> None:
    """End this process when the parent is gone, whatever it is doing."""
    os.read(lifeline, 1)
    os._exit(0)


def main(arguments: Sequence[str]) -> None:
    """Serve the parent until it goes."""
    channel, lifeline = (int(argument) for argument in arguments)
    threading.Thread(target=end_with_parent, args=(lifeline,), daemon=True).start()
    serve(Connection(channel))


if __name__ == "__main__":
    sys.modules.setdefault("axiom_rl.sampling.engine.child", sys.modules["__main__"])
    main(sys.argv[1:])
