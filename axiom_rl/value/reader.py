"""Reading completions with the frozen policy: hidden states of one layer, and log-probabilities.

The layers behind that one are read only where log-probabilities are asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from peft import PeftModel
from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerBase

from axiom_rl.core.errors import AxiomError
from axiom_rl.core.types import Completion, Problem
from axiom_rl.models.load import load_model, load_tokenizer
from axiom_rl.models.lora.options import load_merged
from axiom_rl.models.weights.resolve import resolve
from axiom_rl.problems.prompts import render
from axiom_rl.sampling.hf.sampler import prompt_tokens
from axiom_rl.value.recipe import FrozenPolicy, Recipe, SampleFeatures

PASS_TOKENS = 4096
"""Completion tokens of one forward pass, padding included, unless a single one is longer."""
LOGIT_TOKENS = 512
"""The same where logits are wanted: (tokens, vocabulary) floats, 0.3 GB for 152,000 words."""


class FeatureReader:
    """Reads completions of one model."""

    def __init__(
        self,
        model: PreTrainedModel | PeftModel,
        tokenizer: PreTrainedTokenizerBase,
        style: str,
        recipe: Recipe,
        temperature: float | None = None,
    ) -> None:
        """Hook into the layer that is read.

        Without a temperature the model is cut behind it; what is left of it is of no other use.
        """
        base: Any = model.get_base_model() if isinstance(model, PeftModel) else model
        self._base = base
        self._decoder: Any = base.get_decoder()
        layers = self._decoder.layers
        kept = blocks_read(recipe, len(layers))
        self._temperature = temperature
        if temperature is None:
            self._decoder.layers = layers[:kept]
            self._decoder.config.num_hidden_layers = kept
        self._seen: list[torch.Tensor] = []
        layers[kept - 1].register_forward_hook(self._keep)
        self._tokenizer = tokenizer
        self._style = style
        self._every = recipe.every
        self._device = base.device

    def read(
        self, problem: Problem, completions: Sequence[Completion]
    ) -> list[tuple[SampleFeatures, int]]:
        """Return the features of some completions of one problem, and the tokens read for each.

        The prompt is read once for each pass and its keys and values are shared; its tokens count
        as the first completion's.

        Raises:
            AxiomError: if the prompt is not the one that was sampled from.
        """
        prompt = prompt_tokens(self._tokenizer, render(problem, self._style))
        for completion in completions:  # 0: the text was not drawn for this prompt
            if completion.prompt_tokens not in (0, len(prompt)):
                raise AxiomError(
                    f"the prompt of {problem.id} has {len(prompt)} tokens here and had "
                    f"{completion.prompt_tokens} when it was sampled from: its chat template or "
                    "tokenizer is another; draw the pool anew"
                )
        tokens = [self._tokens(completion) for completion in completions]
        order = sorted(range(len(tokens)), key=lambda place: len(tokens[place]))
        most = PASS_TOKENS if self._temperature is None else LOGIT_TOKENS
        found: dict[int, tuple[SampleFeatures, int]] = {}
        while order:
            part = [order.pop()]  # the longest of those left
            width = len(tokens[part[0]])
            while order and (len(part) + 1) * width <= most:
                part.append(order.pop())
            read = self._pass(prompt, [tokens[place] for place in part])
            for place, features in zip(part, read, strict=True):
                own = len(prompt) if place == part[0] else 0
                found[place] = features, own + len(tokens[place])
        return [found[place] for place in range(len(tokens))]

    @torch.inference_mode()
    def _pass(self, prompt: list[int], rows: list[list[int]]) -> list[SampleFeatures]:
        """Read rows of tokens that follow one prompt, padded on the right: attention is causal."""
        cache = DynamicCache()
        _hidden, before = self._run(torch.tensor([prompt], device=self._device), cache, last=1)
        cache.batch_repeat_interleave(len(rows))
        width = max(map(len, rows))
        padded = [[*row, *[row[-1]] * (width - len(row))] for row in rows]
        hidden, logits = self._run(torch.tensor(padded, device=self._device), cache)
        # (rows, width, size): sums over the tokens up to each one.
        sums = hidden.float().cumsum(dim=1)
        logprobs: list[torch.Tensor | None] = [None] * len(rows)
        if before is not None and logits is not None:
            # What each token follows: the first one the prompt, the others the token before.
            logprobs = [
                self._logprobs(torch.cat([before[0], logits[place, : len(row) - 1]]), row)
                for place, row in enumerate(rows)
            ]
        return [self._means(sums[n], logprobs[n], len(row)) for n, row in enumerate(rows)]

    def _logprobs(self, logits: torch.Tensor, row: list[int]) -> torch.Tensor:
        """Return the log-probability of each token of a row: (length, vocabulary) to (length,)."""
        assert self._temperature is not None
        tempered = logits.float() / self._temperature
        chosen = tempered.gather(1, torch.tensor(row, device=logits.device)[:, None])[:, 0]
        return chosen - tempered.logsumexp(dim=-1)

    def _means(
        self, sums: torch.Tensor, logprobs: torch.Tensor | None, length: int
    ) -> SampleFeatures:
        places = (*range(self._every, length, self._every), length)
        at = torch.tensor(places, device=sums.device)
        means = np.asarray((sums[at - 1] / at[:, None]).cpu(), dtype=np.float32)
        if logprobs is None:
            return SampleFeatures(places, means)
        running = np.cumsum(np.asarray(logprobs.cpu(), dtype=np.float64))
        ends = np.asarray(places)
        return SampleFeatures(places, means, np.asarray(running[ends - 1] / ends, dtype=np.float32))

    def _run(
        self, tokens: torch.Tensor, cache: DynamicCache, last: int = 0
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return hidden states, and, with a temperature, the logits of the last tokens; 0: all."""
        self._seen.clear()
        given = {"input_ids": tokens, "past_key_values": cache, "use_cache": True}
        if self._temperature is None:
            self._decoder(**given)
            return self._seen.pop(), None
        logits: torch.Tensor = self._base(**given, logits_to_keep=last).logits
        return self._seen.pop(), logits

    def _keep(self, _layer: Any, _given: Any, output: Any) -> None:
        self._seen.append(output[0] if isinstance(output, tuple) else output)

    def _tokens(self, completion: Completion) -> list[int]:
        """Return the tokens drawn; of older rows, which have none, those of the text."""
        if completion.token_ids:
            return list(completion.token_ids)
        ids = list(self._tokenizer(completion.text, add_special_tokens=False)["input_ids"])
        return ids or [int(self._tokenizer.eos_token_id)]


def blocks_read(recipe: Recipe, blocks: int) -> int:
    """Return the number of the block, from 1, whose output is read of a model with so many.

    Layer k is hidden_states[k] in transformers: what the k-th block gives out.
    """
    return max(1, round(recipe.layer * blocks))


def open_reader(frozen: FrozenPolicy, recipe: Recipe) -> FeatureReader:
    """Load the policy that reads the samples.

    Raises:
        AxiomError: if the weights found here are others.
    """
    resolved = resolve(frozen.model)
    if resolved.sha256 != frozen.base["sha256"]:
        raise AxiomError(
            f"the samples are of {frozen.base['name']} ({frozen.base['format']}), and the weights "
            f"found here are {resolved.name} ({resolved.format}): name the same by model.path="
        )
    model: PreTrainedModel | PeftModel
    if frozen.model.adapter is None:
        model, tokenizer = load_model(resolved, frozen.model)
    else:
        model = load_merged(resolved, frozen.model.adapter, frozen.model)
        tokenizer = load_tokenizer(resolved)
    return FeatureReader(model, tokenizer, frozen.style, recipe, frozen.temperature)
