"""One decoding step of all running rows: forward pass, draw and bookkeeping, all on the device.

On a GPU a step is launched hundreds of times slower than it is computed, so it is recorded once as
a CUDA graph and replayed: for a few numbers of rows and a few reaches (positions that attention
looks at), rounded up, free rows computed along. What a step needs lies on the device when it
begins (the last tokens, the lengths, each row's random numbers of its whole text), and the host
waits for it once, to read which tokens were drawn. On a CPU the same function runs directly, over
exactly the running rows.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedModel

from axiom_rl.models.memory import available_memory
from axiom_rl.sampling.hf.next_token import draw_tokens
from axiom_rl.sampling.hf.slot_cache import SlotCache

log = logging.getLogger(__name__)

RECORDED = frozenset(("qwen2", "qwen3", "llama"))
"""Values of model_type whose forward pass waits for no number from the device."""
LEAST_ROWS, LEAST_REACH = 8, 128
"""Smallest sizes of a recorded step; the others are their doubles, up to what the cache holds."""
PREFILL_TOKENS, PREFILL_PROMPTS = 16_384, 16
"""Padded tokens and prompts of one prefill on a GPU."""
KEEP_FREE = 8
"""A decoder is kept while this many times its memory is free beside it."""

Drawn = tuple[list[int], list[float]]
"""Tokens and their log-probabilities, one of each per row."""


@dataclass(frozen=True, slots=True)
class Ways:
    """How a decoder runs."""

    rounded: bool
    """Whether sizes are rounded up to those of recorded steps, and the memory is kept."""
    recorded: bool
    """Whether steps are CUDA graphs."""
    prefill_prompts: int
    """Most prompts of one forward pass."""


def ways_for(model: PreTrainedModel) -> Ways:
    """Return how `model` is best run: recorded on a GPU where its architecture allows it."""
    on_gpu = model.device.type == "cuda"
    plain = getattr(model, "hf_quantizer", None) is None and not hasattr(model, "peft_config")
    return Ways(
        rounded=on_gpu,
        recorded=on_gpu and plain and model.config.model_type in RECORDED,
        prefill_prompts=PREFILL_PROMPTS if on_gpu else 1,
    )


class Decoder:
    """The running rows of one model."""

    def __init__(
        self, model: PreTrainedModel, ways: Ways, slots: int, longest: int, most_new: int
    ) -> None:
        """Make room for rows.

        Args:
            model: with the attention of `axiom_rl.sampling.hf.slot_cache`.
            ways: how to run it.
            slots: rows that can run at the same time.
            longest: tokens that a row can reach, prompt included.
            most_new: tokens that can be drawn for a row.
        """
        device = model.device
        self._model = model
        self._ways = ways
        self.cache = SlotCache(model.config.num_hidden_layers, slots, longest, device)
        # MPS has no float64, and draw_tokens works on the CPU there.
        self._at = torch.device("cpu") if device.type == "mps" else device
        self._numbers = torch.zeros(slots, most_new, dtype=torch.float64, device=self._at)
        self._news = torch.zeros(2, slots, dtype=torch.long, device=self._at)
        self._heats = torch.ones(slots, device=self._at)
        self._settings: tuple[float | None, float] = (1.0, 1.0)
        self._watched: torch.nn.Module | None = None
        self._sums: torch.Tensor | None = None
        self._graphs: dict[tuple[Any, ...], torch.cuda.CUDAGraph] = {}

    @property
    def bytes(self) -> int:
        """Memory of the keys and values."""
        return 0 if self.cache.store is None else self.cache.store.nbytes

    @property
    def on_cpu(self) -> bool:
        """Whether each row makes a step longer."""
        return self._model.device.type == "cpu"

    def begin(
        self, temperature: float | None, top_p: float, watched: torch.nn.Module | None = None
    ) -> None:
        """Free all rows; draw with these settings from now on.

        Args:
            temperature: 0 is greedy; None: each row is given its own, above 0.
            top_p: see `draw_tokens`.
            watched: block of the model whose hidden states are summed up as tokens are drawn, see
                `means`: by the passes that draw, so that no token is read for them.
        """
        self.cache.clear()
        self._settings = (temperature, top_p)
        self._watched = watched
        if watched is None:
            return
        if self._sums is None:  # kept from then on: a recorded step knows its address
            width = self._model.config.hidden_size
            self._sums = torch.zeros(self.cache.slots, width, device=self._model.device)
        self._sums.zero_()

    def means(self, rows: Sequence[int], tokens: Sequence[int]) -> torch.Tensor:
        """Return (rows, width) on the CPU: means of what the watched block gave out.

        Args:
            rows: of the running ones.
            tokens: of each, how many it was given so far: all that it drew but the newest.
        """
        assert self._sums is not None
        return self._sums[list(rows)].cpu() / torch.tensor(tokens)[:, None]

    def _sum_up(self, _block: Any, _given: Any, output: Any) -> None:
        """Add a step's hidden states (rows, 1, width) to the sums of its rows."""
        hidden = (output[0] if isinstance(output, tuple) else output)[:, -1].float()
        assert self._sums is not None
        # What has drawn nothing is a free row, or one that is given its prompt's last token.
        nothing = self.cache.drawn[: len(hidden), None] == 0
        self._sums[: len(hidden)] += hidden.masked_fill(nothing, 0.0)

    def fits(self, slots: int, longest: int, most_new: int) -> bool:
        """Whether there is room for this much."""
        have = (self.cache.slots, self.cache.longest, self._numbers.shape[1])
        return all(a >= b for a, b in zip(have, (slots, longest, most_new), strict=True))

    def joining(self, prompts: Sequence[int]) -> int:
        """Return how many of the next prompts, by their numbers of tokens, one prefill takes."""
        most = 0
        for count, tokens in enumerate(prompts[: self._ways.prefill_prompts], start=1):
            most = max(most, tokens)
            if count > 1 and count * most > PREFILL_TOKENS:
                return count - 1
        return min(len(prompts), self._ways.prefill_prompts)

    def prefill(
        self,
        prompts: Sequence[Sequence[int]],
        uniforms: Sequence[Sequence[Sequence[float]]],
        temperatures: Sequence[float] | None = None,
    ) -> Drawn:
        """Add rows and draw their first tokens.

        Args:
            prompts: token ids.
            uniforms: for each prompt, for each row that begins with it, its random numbers.
            temperatures: for each prompt, of its rows, where `begin` was given none.
        """
        cache, device = self.cache, self._model.device
        samples = [len(rows) for rows in uniforms]
        lengths = [len(prompt) for prompt in prompts]
        first, width = cache.running, max(lengths)
        padded = [[*prompt, *[0] * (width - len(prompt))] for prompt in prompts]
        # The head runs at the distinct last positions alone: (prompts, ends, vocabulary).
        ends = sorted({length - 1 for length in lengths})
        cache.begin_prefill(samples)
        assert cache.owners is not None
        owners = cache.owners
        output: Any = self._model(
            input_ids=torch.tensor(padded, device=device),
            position_ids=torch.arange(width, device=device)[None],
            attention_mask=None,  # causal: what pads a prompt comes behind it
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=torch.tensor(ends, device=device),
        )
        cache.end_prefill(lengths, samples)
        end = torch.tensor([ends.index(length - 1) for length in lengths], device=device)
        rows = slice(first, cache.running)
        self._number(rows, [n for group in uniforms for n in group])
        if temperatures is not None:
            self._heats[rows] = torch.tensor(temperatures, device=self._at)[owners.to(self._at)]
        # (new rows, vocabulary): each row's prompt, at that prompt's last position.
        self._draw(output.logits[owners, end[owners]], rows)
        return self._read(rows)

    def share(
        self,
        row: int,
        prompt: Sequence[int],
        uniforms: Sequence[Sequence[float]],
        temperature: float | None = None,
    ) -> None:
        """Add rows with the prompt of a running one; the next step draws their first tokens.

        Args:
            row: the running one.
            prompt: its token ids.
            uniforms: of each new row, its random numbers.
            temperature: of the new rows, where `begin` was given none.
        """
        first = self.cache.running
        self.cache.share(row, prompt, len(uniforms))
        rows = slice(first, self.cache.running)
        self._number(rows, uniforms)
        if temperature is not None:
            self._heats[rows] = temperature

    def step(self) -> Drawn:
        """Add a token to each running row."""
        cache = self.cache
        rows, reach = cache.running, max(cache.filled) + 1
        if self._ways.rounded:
            rows = rounded(rows, LEAST_ROWS, cache.slots)
            reach = rounded(reach, LEAST_REACH, cache.longest)
        cache.rows = rows
        if self._ways.recorded:
            self._graph(rows, reach).replay()
        else:
            self._advance(rows, reach)
        cache.count_step()
        return self._read(slice(0, cache.running))

    def release(self, row: int) -> int:
        """Free one row; the last running row takes its place. Returns that row's old index."""
        last = self.cache.release(row)
        self._numbers[row] = self._numbers[last]
        self._heats[row] = self._heats[last]
        if self._watched is not None:
            assert self._sums is not None
            self._sums[row] = self._sums[last]
            self._sums[last] = 0.0
        return last

    def _number(self, rows: slice, uniforms: Sequence[Sequence[float]]) -> None:
        numbers = torch.tensor(uniforms, dtype=torch.float64)
        self._numbers[rows, : numbers.shape[1]] = numbers.to(self._at)

    def _advance(self, rows: int, reach: int) -> None:
        cache = self.cache
        mask = cache.mask(reach)
        if self._ways.rounded:  # once here, not in each layer's kernel
            mask = torch.zeros_like(mask, dtype=self._model.dtype).masked_fill_(~mask, -torch.inf)
        block = self._watched
        # Here and not in prefill: prompts are no part of the completion.
        with nullcontext() if block is None else block.register_forward_hook(self._sum_up):
            output: Any = self._model(
                input_ids=cache.tokens[:rows, None],
                position_ids=cache.lengths[:rows, None],
                attention_mask=mask,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
        cache.end_step()
        self._draw(output.logits[:, -1], slice(0, rows))

    def _draw(self, logits: torch.Tensor, rows: slice) -> None:
        """Draw the next token of some rows, each with its own next number."""
        cache = self.cache
        # Row r's uniform number for its t-th token is column t, whatever else runs beside it.
        place = cache.drawn[rows, None].to(self._at)
        uniforms = self._numbers[rows].gather(1, place)[:, 0]
        temperature, top_p = self._settings
        heat = self._heats[rows] if temperature is None else temperature
        tokens, logprobs = draw_tokens(logits, uniforms, heat, top_p)
        cache.tokens[rows] = tokens.to(cache.tokens.device)
        cache.drawn[rows] += cache.live[rows]
        self._news[0, rows] = tokens
        self._news[1, rows] = logprobs.view(torch.int32).long()  # one copy to the host, not two

    def _read(self, rows: slice) -> Drawn:
        """Wait for the device, and return what was drawn."""
        # The one place where the host waits. Row 1 holds the bits of float32 as integers.
        tokens, logprobs = self._news[:, rows].cpu()
        return tokens.tolist(), logprobs.int().view(torch.float32).tolist()

    def _graph(self, rows: int, reach: int) -> torch.cuda.CUDAGraph:
        key = (rows, reach, id(self._watched), *self._settings)
        if key not in self._graphs:
            self._graphs[key] = self._record(rows, reach)
        return self._graphs[key]

    def _record(self, rows: int, reach: int) -> torch.cuda.CUDAGraph:
        state, current = self.cache.state.clone(), torch.cuda.current_stream()
        sums = None if self._watched is None or self._sums is None else self._sums.clone()
        aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        aside.wait_stream(current)
        with torch.cuda.stream(aside):
            self._advance(rows, reach)  # libraries make their work space outside of the graph
        current.wait_stream(aside)
        # The warm-up drew a token and moved the lengths: set them back, in the same memory, whose
        # address the graph records. The key it wrote is overwritten by the real step.
        self.cache.state.copy_(state)
        if sums is not None and self._sums is not None:
            self._sums.copy_(sums)
        graph = torch.cuda.CUDAGraph()
        # One step at a time: all graphs may work in the same memory.
        pool = next((other.pool() for other in self._graphs.values()), None)
        with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
            self._advance(rows, reach)
        return graph


class Decoders:
    """Keeps a model's decoder, with its memory and recorded steps, for its next use.

    Only where sizes are rounded: on a CPU the memory is worth more than the time to make it.
    """

    def __init__(self, model: PreTrainedModel, ways: Ways | None = None) -> None:
        """Begin without one.

        Args:
            model: whose weights may change, but stay where they are in memory.
            ways: None means the best ones.
        """
        self._model = model
        self._ways = ways or ways_for(model)
        self._kept: Decoder | None = None

    @property
    def waits(self) -> bool:
        """Whether new rows had better wait until a quarter of the slots is free.

        A prefill takes as long as tens of recorded steps.
        """
        return self._ways.recorded

    def take(self, slots: int, longest: int, most_new: int) -> Decoder:
        """Return a decoder with room for this much; nobody else has it until it is put back."""
        kept, self._kept = self._kept, None
        if kept is not None and kept.fits(slots, longest, most_new):
            return kept
        del kept  # its memory first
        if self._ways.rounded:
            longest += -longest % LEAST_REACH
        return Decoder(self._model, self._ways, slots, longest, most_new)

    def put(self, decoder: Decoder) -> None:
        """Give a decoder back; it is kept where training still has room beside it."""
        device = self._model.device
        roomy = device.type != "cuda" or available_memory(device) > KEEP_FREE * decoder.bytes
        if self._ways.rounded and roomy:
            self._kept = decoder

    def drop(self) -> None:
        """Let go of the memory."""
        self._kept = None


def rounded(size: int, least: int, most: int) -> int:
    """Return the smallest of least, 2 least, 4 least, ... and most that is `size` or more."""
    found = least
    while found < size:
        found *= 2
    return min(found, most)
