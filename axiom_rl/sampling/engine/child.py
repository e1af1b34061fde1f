"""The child process that vLLM runs in: `python -m axiom_rl.sampling.engine.child CHANNEL LIFELINE`.

The only module that imports vLLM. It takes token ids and gives token ids; see engine.py for the
other side. vLLM's own sampler draws, with one seed per sample; log-probabilities are the engine's,
after temperature and nucleus. tests/sampling/test_vllm_interface.py has what this module and
merge.py rely on in vLLM.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Any

from vllm import SamplingParams
from vllm.engine.arg_utils import EngineArgs
from vllm.lora.request import LoRARequest
from vllm.sampling_params import RequestOutputKind
from vllm.v1.engine.llm_engine import LLMEngine

from axiom_rl.sampling.engine.process import EngineSettings
from axiom_rl.sampling.engine.protocol import Adapter, Ask, EndedSample, News, Prompt, Ready

NEWS_S = 1.0
"""Longest time between two messages while sampling."""


def engine_options(settings: EngineSettings) -> dict[str, Any]:
    """Return the arguments of vllm.EngineArgs."""
    options: dict[str, Any] = {
        "model": settings.model,
        "dtype": settings.dtype,
        # -1: on a GPU as long as the model's context, or what its share of the card has room for. A
        # context of 40,960 or 131,072 tokens in whole would keep the engine off a card of 12 GB.
        "max_model_len": -1 if settings.device == "cuda" else settings.context,
        "max_num_seqs": settings.max_batch,
        "kv_cache_memory_bytes": settings.cache_bytes,
        "gpu_memory_utilization": settings.gpu_memory_utilization,
        "enable_prefix_caching": True,
        "skip_tokenizer_init": True,
        "generation_config": "vllm",
        "disable_log_stats": True,
        "logprobs_mode": "processed_logprobs",
        "worker_extension_cls": "axiom_rl.models.lora.merge_to_disk.MergingWorker",
    }
    if settings.device == "cuda":
        options |= {"enable_sleep_mode": True, "async_scheduling": True}
    else:
        # Compiling takes a minute on a CPU and gains nothing. A prompt must not be run in pieces:
        # vLLM 0.31 would set back the seeded generator after each piece, which one on a CPU cannot
        # ('CPU Generator does not use offset').
        options |= {"enforce_eager": True, "enable_chunked_prefill": False}
    if settings.lora_rank is not None:
        options |= {"enable_lora": True, "max_loras": 1, "max_lora_rank": settings.lora_rank}
    return options


def sampling_options(text: Prompt, ask: Ask) -> dict[str, Any]:
    """Return the arguments of vllm.SamplingParams for one sample."""
    return {
        "temperature": ask.temperature,
        "top_p": ask.top_p,
        "seed": text.seed,
        "max_tokens": ask.max_new_tokens,
        "stop_token_ids": list(ask.stop),
        "ignore_eos": True,  # `stop` has it
        "detokenize": False,
        "output_kind": RequestOutputKind.FINAL_ONLY,
        # A greedy choice has probability 1 under the distribution that is drawn from.
        "logprobs": 0 if ask.temperature > 0 else None,  # 0: of the drawn token alone
        "flat_logprobs": True,
    }


class Engine:
    """One vLLM engine, and the adapter that it samples with."""

    def __init__(self, settings: EngineSettings) -> None:
        """Load the base model."""
        self._settings = settings
        self._engine = LLMEngine.from_engine_args(EngineArgs(**engine_options(settings)))
        self._lora: LoRARequest | None = None
        self._numbers = itertools.count(1)
        self._asleep = False

    @property
    def context(self) -> int:
        """Tokens of the longest text that there is room for."""
        return int(self._engine.model_config.max_model_len)

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
        running = {text.key for text in ask.texts}
        for text in ask.texts:
            params = SamplingParams(**sampling_options(text, ask))
            prompt = {"prompt_token_ids": list(text.prompt)}
            self._engine.add_request(text.key, prompt, params, lora_request=self._lora)
        tokens, said, done = 0, time.monotonic(), list[EndedSample]()
        while self._engine.has_unfinished_requests():
            if channel.poll():
                channel.recv()
                self._engine.abort_request(list(running))
                break
            ended = list(self._step())
            running.difference_update(sample.key for sample in ended)
            tokens += sum(len(sample.token_ids) for sample in ended)
            done += ended
            if done or time.monotonic() - said > NEWS_S:
                channel.send(News(samples=tuple(done), tokens=tokens, end=False))
                said, done = time.monotonic(), []
        channel.send(News(samples=(), tokens=tokens, end=True))

    def _step(self) -> Iterator[EndedSample]:
        for output in self._engine.step():
            if output.finished:
                (ended,) = output.outputs
                ids = tuple(ended.token_ids)
                yield EndedSample(
                    key=output.request_id,
                    token_ids=ids,
                    logprobs=(0.0,) * len(ids) if ended.logprobs is None else drawn(ended.logprobs),
                    stopped=ended.finish_reason == "stop",
                )

    def _wake(self) -> None:
        if self._asleep:
            self._engine.wake_up()
            self._asleep = False


def drawn(logprobs: Any) -> tuple[float, ...]:
    """Return the drawn tokens' log-probabilities from a vllm.logprobs.FlatLogprobs.

    The first entry of each position is the drawn token's; a second would be there if asked for.
    """
    return tuple(float(logprobs.logprobs[start]) for start in logprobs.start_indices)


def serve(channel: Connection[Any, Any]) -> None:
    """Make the engine and do what the parent asks, one message after the other."""
    channel.send("engine")
    engine = Engine(channel.recv())
    channel.send(Ready(context=engine.context))
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
    """End this process and those that vLLM started when the parent is gone, whatever they do."""
    os.read(lifeline, 1)
    os.killpg(0, signal.SIGKILL)


def main(arguments: Sequence[str]) -> None:
    """Serve the parent until it goes."""
    channel, lifeline = (int(argument) for argument in arguments)
    threading.Thread(target=end_with_parent, args=(lifeline,), daemon=True).start()
    serve(Connection(channel))


if __name__ == "__main__":
    sys.modules.setdefault("axiom_rl.sampling.engine.child", sys.modules["__main__"])
    main(sys.argv[1:])
