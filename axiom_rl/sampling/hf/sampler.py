"""Sampling with transformers in this process: continuous batching over a cache of slots.

A prompt is run once and its keys and values are shared out to its samples; finished rows leave at
once and waiting requests take their place. Each sample has its own random stream. What is left of
batch dependence is floating point: matrix products of other shapes round differently in bfloat16,
which can turn a token where two are nearly equally likely.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from axiom_rl.config import ModelConfig, SamplerConfig, TransformersSamplerConfig
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.progress import progress, worth
from axiom_rl.core.types import Completion
from axiom_rl.models.load import load_model, load_tokenizer
from axiom_rl.models.lora.options import load_merged
from axiom_rl.models.memory import DRAW_BYTES
from axiom_rl.models.prepacked import prepack
from axiom_rl.models.tokenizers import text_of
from axiom_rl.models.weights.source import ResolvedModel
from axiom_rl.sampling.base import EarlyStopping, Message, SampleRequest, SamplerFactory
from axiom_rl.sampling.hf.batch import Running, SlotBatch, Waiting, append, take_out
from axiom_rl.sampling.hf.decode import Decoder, Decoders
from axiom_rl.sampling.hf.next_token import stream_for
from axiom_rl.sampling.hf.slot_cache import ATTENTION


class TransformersSampler:
    """Draws completions from a model loaded with transformers."""

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        config: TransformersSamplerConfig,
        decoders: Decoders | None = None,
        early: EarlyStopping | None = None,
    ) -> None:
        """Take a model (adapters merged) and its tokenizer.

        Args:
            model: what to sample from.
            tokenizer: of the model.
            config: of the sampler.
            decoders: of the model, where several samplers share them; None makes new ones.
            early: stops samples while they are drawn; None lets all be written to their end.

        Raises:
            AxiomError: if the model has layers without full attention.
        """
        _require_full_attention(model)
        self._model = model
        self._tokenizer = tokenizer
        self._config = config
        self._decoders = decoders or Decoders(model)
        self._early = early
        self._stop = _stop_tokens(model, tokenizer)

    def stopping(self, early: EarlyStopping) -> TransformersSampler:
        """Return a sampler of the same model as every `StoppingSampler` does."""
        return TransformersSampler(
            self._model, self._tokenizer, self._config, self._decoders, early
        )

    def sample(
        self, requests: Sequence[SampleRequest], *, temperature: float | None = None
    ) -> Iterator[Completion]:
        """Sample as every `Sampler` does."""
        heat = self._config.temperature if temperature is None else temperature
        waiting = self._tokenize(requests, heat)
        if not waiting:
            return
        total = sum(len(item.samples) for item in waiting)
        with self._decoding(waiting) as (decoder, slots):
            yield from self._run(deque(_split(waiting, slots)), decoder, slots, total)

    @contextmanager
    def batch(
        self, requests: Mapping[float | None, Sequence[SampleRequest]]
    ) -> Iterator[SlotBatch]:
        """Open a batch as every `BatchSampler` does."""
        waiting = [
            item
            for heat, asked in requests.items()
            for item in self._tokenize(asked, self._config.temperature if heat is None else heat)
        ]
        by_key = {
            (item.request.problem_id, sample): item for item in waiting for sample in item.samples
        }
        with self._decoding(waiting) as (decoder, slots):
            yield SlotBatch(self, decoder, slots, by_key, self._decoders.waits)

    @contextmanager
    def _decoding(self, waiting: Sequence[Waiting]) -> Iterator[tuple[Decoder, int]]:
        """Give a decoder for these requests and its number of slots."""
        heats = {item.temperature for item in waiting}
        if len(heats) > 1 and 0 in heats:
            raise ValueError("greedy samples cannot be drawn beside others")
        longest = max(len(item.prompt) for item in waiting) + self._config.max_new_tokens
        slots = min(self._slots(longest), sum(len(item.samples) for item in waiting))
        previous = self._model.config._attn_implementation
        decoder = self._decoders.take(slots, longest, self._config.max_new_tokens)
        watched = None if self._early is None else self._early.block(self._model)
        one = min(heats) if len(heats) == 1 else None
        decoder.begin(one, self._config.top_p, watched)
        self._model.set_attn_implementation(ATTENTION)
        try:
            yield decoder, slots
        finally:
            self._model.set_attn_implementation(previous)
            self._decoders.put(decoder)

    @property
    def most_new(self) -> int:
        """Tokens that a sample may have."""
        return self._config.max_new_tokens

    def rest(self) -> None:
        """Let go of the memory that is kept for the next call."""
        self._decoders.drop()

    @torch.no_grad()  # as a decorator: inside, it would hold for our caller at each yield
    def _run(
        self, queue: deque[Waiting], decoder: Decoder, slots: int, total: int
    ) -> Iterator[Completion]:
        rows: list[Running] = []
        stopped: list[Completion] = []
        count = drawn = 0
        with progress("sampling", total, "sample") as shown:
            while queue or rows or stopped:
                while joining := self._joining(queue, decoder, slots - len(rows), slots):
                    rows += self.prefill(decoder, joining)
                done = stopped + self.finished(decoder, rows)
                count += len(done)
                drawn += sum(item.completion_tokens for item in done)
                writing = sum(len(row.tokens) for row in rows)
                begun = worth(count, drawn, len(rows), writing)
                shown.update(len(done), f"{(drawn + writing) / shown.seconds:.0f} tokens/s", begun)
                yield from done
                stopped = self.step(decoder, rows)

    def _joining(
        self, queue: deque[Waiting], decoder: Decoder, free: int, slots: int
    ) -> list[Waiting]:
        """Take from the queue what is to run now; nothing where there is no room."""
        if self._decoders.waits and 4 * free < slots:
            return []
        fitting = 0
        for item in queue:
            free -= len(item.samples)
            if free < 0:
                break
            fitting += 1
        if not fitting:
            return []
        lengths = [len(queue[number].prompt) for number in range(fitting)]
        return [queue.popleft() for _ in range(decoder.joining(lengths))]

    def prefill(self, decoder: Decoder, items: list[Waiting]) -> list[Running]:
        """Run prompts and draw the first tokens of their samples."""
        rows = [row for item in items for row in item.rows()]
        numbers = [self.numbers(item) for item in items]
        heats = [item.temperature for item in items]
        append(rows, decoder.prefill([item.prompt for item in items], numbers, heats))
        return rows

    def numbers(self, item: Waiting) -> list[list[float]]:
        """Return the random numbers of each sample, one for each token that it may have."""
        most = self._config.max_new_tokens
        return [_numbers(item.request, sample, most) for sample in item.samples]

    def finished(self, decoder: Decoder, rows: list[Running]) -> list[Completion]:
        """Take finished rows out of `rows` and the decoder, last first, and return their texts."""
        done = []
        for index in reversed(range(len(rows))):
            row = rows[index]
            if not row.tokens:  # begun with a running row's prompt; its first step is to come
                continue
            if row.tokens[-1] in self._stop or len(row.tokens) >= self._config.max_new_tokens:
                take_out(decoder, rows, index)
                done.append(self._completion(row))
        return done

    def step(self, decoder: Decoder, rows: list[Running]) -> list[Completion]:
        """Draw a token of each row; take out, and return, the samples that are stopped early."""
        if not rows:
            return []
        append(rows, decoder.step())
        if self._early is None:
            return []
        # A step is given the token before and draws the next one: that one has no hidden state yet.
        given = {n: len(row.tokens) - 1 for n, row in enumerate(rows)}
        due = [n for n, tokens in given.items() if tokens and tokens % self._early.every == 0]
        if not due:
            return []
        means = decoder.means(due, [given[n] for n in due]).numpy()
        done = []
        for index, mean in reversed([*zip(due, means, strict=True)]):  # the last row moves
            row, tokens = rows[index], given[index]
            if self._early.hopeless(row.request.problem_id, mean, row.logprobs[:tokens]):
                take_out(decoder, rows, index)
                del row.tokens[tokens:], row.logprobs[tokens:]
                done.append(self._completion(row, stopped=True))
        return done

    def _completion(self, row: Running, *, stopped: bool = False) -> Completion:
        ended = row.tokens[-1] in self._stop
        text = text_of(self._tokenizer, row.tokens[:-1] if ended else row.tokens)
        return Completion(
            problem_id=row.request.problem_id,
            sample=row.sample,
            text=text,
            prompt_tokens=len(row.prompt),
            completion_tokens=len(row.tokens),
            truncated=not ended and not stopped,
            stopped=stopped,
            prompt_ids=tuple(row.prompt),
            token_ids=tuple(row.tokens),
            logprobs=tuple(row.logprobs),
        )

    def _tokenize(self, requests: Sequence[SampleRequest], temperature: float) -> list[Waiting]:
        """Tokenize the prompts and put those of like length next to each other."""
        limit = self._model.config.max_position_embeddings - self._config.max_new_tokens
        waiting = []
        for request in requests:
            prompt = prompt_tokens(self._tokenizer, request.messages)
            if len(prompt) > limit:
                raise AxiomError(
                    f"the prompt of {request.problem_id} has {len(prompt)} tokens and the model's "
                    f"context leaves {limit}: lower sampler.max_new_tokens or shorten the prompt"
                )
            if request.samples:
                waiting.append(Waiting(request, prompt, request.samples, temperature))
        return sorted(waiting, key=lambda item: len(item.prompt))

    def _slots(self, longest: int) -> int:
        """Return the number of rows that sampler.memory_gb has room for."""
        shape = self._model.config
        head_size = getattr(shape, "head_dim", None) or (
            shape.hidden_size // shape.num_attention_heads
        )
        width = 2 * shape.num_hidden_layers * shape.num_key_value_heads * head_size
        row_bytes = longest * width * self._model.dtype.itemsize + shape.vocab_size * DRAW_BYTES
        slots = int(self._config.memory_gb * 1e9 // row_bytes)
        if slots < 1:
            raise AxiomError(
                f"one sample of {longest} tokens needs {row_bytes / 1e9:.2f} GB: raise "
                f"sampler.memory_gb={self._config.memory_gb} or lower sampler.max_new_tokens"
            )
        return min(slots, self._config.max_batch)


def prompt_tokens(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message]) -> list[int]:
    """Return the token ids of chat messages, up to where the assistant's answer begins."""
    text = tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True)
    return list(tokenizer(str(text), add_special_tokens=False)["input_ids"])


def _require_full_attention(model: PreTrainedModel) -> None:
    plain = "full_attention" if _sees_all(model.config) else "sliding_attention"
    kinds = set(getattr(model.config, "layer_types", None) or [plain])
    if kinds != {"full_attention"}:
        raise AxiomError(
            "sampler=transformers needs full attention in every layer, and this model has "
            f"{', '.join(sorted(kinds - {'full_attention'}))}: choose another model"
        )


def _sees_all(config: Any) -> bool:
    """Whether no window shorter than the context is named, as Mistral's and Phi-3's is."""
    window = getattr(config, "sliding_window", None)
    return window is None or window >= config.max_position_embeddings


def _stop_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    configured = model.generation_config.eos_token_id if model.generation_config else None
    listed = configured if isinstance(configured, list) else [configured]
    return frozenset(int(t) for t in (*listed, tokenizer.eos_token_id) if t is not None)


def _split(waiting: list[Waiting], slots: int) -> Iterator[Waiting]:
    """Cut requests with more samples than slots into several."""
    for item in waiting:
        for first in range(0, len(item.samples), slots):
            yield replace(item, samples=item.samples[first : first + slots])


def _numbers(request: SampleRequest, sample: int, count: int) -> list[float]:
    """Return the first numbers of a sample's random stream, one for each token it may have."""
    stream = stream_for(request.stream, request.problem_id, sample)
    return [stream.random() for _ in range(count)]


def load_sampler(
    resolved: ResolvedModel,
    model: ModelConfig,
    sampler: TransformersSamplerConfig,
    adapter: str | None,
) -> TransformersSampler:
    """Load the base model, an adapter merged into it where one is given, and its tokenizer.

    The adapter is merged into a copy that only samples: an unmerged one costs a multiple of the
    time per token. On a CPU the copy's weights are prepacked (`axiom_rl.models.prepacked`).

    Raises:
        AxiomError: if the adapter does not belong to the model.
    """
    own: Any
    if adapter is None:
        own, tokenizer = load_model(resolved, model)
    else:
        own, tokenizer = load_merged(resolved, adapter, model), load_tokenizer(resolved)
    prepack(own, alone=True)
    return TransformersSampler(own, tokenizer, sampler)


def open_samplers(
    resolved: ResolvedModel, model: ModelConfig, own: TransformersSamplerConfig
) -> SamplerFactory:
    """Return what loads the base model, alone or with an adapter, and samples from it."""

    def load(adapter: str | None, settings: SamplerConfig | None = None) -> TransformersSampler:
        asked = settings or own
        config = replace(
            own,
            temperature=asked.temperature,
            top_p=asked.top_p,
            max_new_tokens=asked.max_new_tokens,
        )
        return load_sampler(resolved, model, config, adapter)

    return load
