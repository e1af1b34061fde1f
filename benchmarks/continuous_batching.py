"""transformers' own continuous batching against the slot cache of sampler=transformers.

    python benchmarks/continuous_batching.py                  # under 4 minutes on 2 cores
    python benchmarks/continuous_batching.py --model smollm2-135m --n 2 --tokens 16 --alike 4

One process, the model once for each (ours is prepacked); the same prompts, the same limit,
temperature 1, and both keep log-probabilities. Each way draws a few tokens first, which do not
count, then everything. Theirs is `model.continuous_batching_context_manager` with paged SDPA
attention, the one that a CPU has; a prompt is run once for all its samples (num_return_sequences),
as ours does. `--widths` are the most requests in a batch of theirs, by default all at once.

The column "alike" says whether a sample depends on what is drawn beside it: how many samples of the
first prompt are the same, drawn alone and among others with the same seed. Ours has a random stream
per sample (what is left is rounding in bfloat16). Theirs seeds the process once
(`ContinuousBatchingConfig.seed`) and draws the whole batch by one `torch.multinomial`
(`ModelRunner._sample`), so that a seed per sample would take replacing that private method.
"""

from __future__ import annotations

import argparse
import copy
import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as launch.py
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from axiom_rl.config import TransformersSamplerConfig, load_config  # noqa: E402
from axiom_rl.problems import make_problem, problem_types  # noqa: E402
from axiom_rl.problems.prompts import render  # noqa: E402
from axiom_rl.sampling import SampleRequest  # noqa: E402

Samples = dict[tuple[int, int], list[int]]
"""Token ids by number of the prompt and of the sample."""
Draw = Callable[[Sequence[int], int], Samples]
"""Draws the samples of some prompts, with at most so many tokens each."""
BLOCK = 32
"""Tokens in a page of theirs."""


class Ways:
    """Both ways to sample, on one model in memory."""

    def __init__(self, options: argparse.Namespace) -> None:
        from axiom_rl.models.load import load_model
        from axiom_rl.models.prepacked import prepack
        from axiom_rl.models.weights.resolve import resolve

        self.config = load_config(
            f"model={options.model}",
            *("sampler=transformers", "problems=basic", "sampler.temperature=1"),
        )
        self.samples = options.n
        loaded, self.tokenizer = load_model(resolve(self.config.model), self.config.model)
        self.model: Any = loaded
        self.sampled: Any = copy.deepcopy(loaded)
        prepack(self.sampled, alone=True)
        problems = [
            make_problem(kind, difficulty=1, split="train", seed=0, index=0)
            for kind in problem_types()["basic"]
        ]
        self.chats = [list(render(problem, self.config.problems.prompt)) for problem in problems]

    def ours(self, prompts: Sequence[int], limit: int) -> Samples:
        """Draw with sampler=transformers."""
        from axiom_rl.sampling.hf.sampler import TransformersSampler

        settings = self.config.sampler
        assert isinstance(settings, TransformersSamplerConfig)
        sampler = TransformersSampler(
            self.sampled, self.tokenizer, replace(settings, max_new_tokens=limit)
        )
        requests = [
            SampleRequest(
                problem_id=str(number),
                messages=tuple(self.chats[number]),
                samples=tuple(range(self.samples)),
                stream="0/benchmark",
            )
            for number in prompts
        ]
        return {
            (int(item.problem_id), item.sample): list(item.token_ids)
            for item in sampler.sample(requests)
        }

    def theirs(self, width: int) -> Draw:
        """Return what draws with transformers' continuous batching, `width` requests at a time."""
        from transformers import ContinuousBatchingConfig, GenerationConfig

        stop = self.model.generation_config.eos_token_id

        def draw(prompts: Sequence[int], limit: int) -> Samples:
            inputs = [self.tokenizer(self._text(number))["input_ids"] for number in prompts]
            longest = max(map(len, inputs)) + limit
            blocks = width * (math.ceil(longest / BLOCK) + 1)
            self.model.set_attn_implementation("paged|sdpa")
            try:
                with self.model.continuous_batching_context_manager(
                    GenerationConfig(
                        do_sample=True,
                        temperature=1.0,
                        top_k=0,
                        top_p=1.0,
                        max_new_tokens=limit,
                        eos_token_id=stop,
                        pad_token_id=self.tokenizer.pad_token_id,
                        num_return_sequences=self.samples,
                    ),
                    continuous_batching_config=ContinuousBatchingConfig(
                        block_size=BLOCK,
                        num_blocks=blocks,
                        max_batch_tokens=max(512, width),
                        max_requests_per_batch=width,
                        return_logprobs=True,
                        seed=0,
                    ),
                ) as manager:
                    names = manager.add_requests(inputs, max_new_tokens=limit)
                    return self._collected(manager, dict(zip(names, prompts, strict=True)))
            finally:
                self.model.set_attn_implementation("sdpa")

        return draw

    def _text(self, number: int) -> str:
        return str(
            self.tokenizer.apply_chat_template(
                self.chats[number], tokenize=False, add_generation_prompt=True
            )
        )

    def _collected(self, manager: Any, numbers: dict[str, int]) -> Samples:
        """Wait for every sample; those beside a prompt's first are named after it."""
        drawn: Samples = {}
        while len(drawn) < len(numbers) * self.samples:
            result = manager.get_result(timeout=1)
            if result is None:
                if not manager.is_running():
                    raise RuntimeError("the thread of continuous batching ended")
                continue
            if result.error is not None:
                raise RuntimeError(result.error)
            name, _, child = result.request_id.partition("__child#")
            drawn[numbers[name], int(child or -1)] = list(result.generated_tokens)
        return drawn


def alike(draw: Draw, limit: int, prompts: int) -> tuple[int, int]:
    """Return how many samples of the first prompt are the same, drawn alone and among others."""
    alone, among = draw([0], limit), draw(range(prompts), limit)
    return sum(among[key] == tokens for key, tokens in alone.items()), len(alone)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="qwen2.5-coder-0.5b", help="a file of conf/model")
    parser.add_argument("--n", type=int, default=4, help="samples of each of the ten prompts")
    parser.add_argument("--tokens", type=int, default=128, help="at most so many a sample")
    parser.add_argument("--widths", default="", help="theirs; all samples at once if not given")
    parser.add_argument("--alike", type=int, default=16, help="tokens for the column alike")
    options = parser.parse_args()
    ways = Ways(options)
    every = len(ways.chats)
    widths = [int(width) for width in options.widths.split(",") if width] or [every * options.n]
    rows: dict[str, Draw] = {"sampler=transformers (slot cache)": ways.ours}
    rows |= {f"transformers, {width} in a batch": ways.theirs(width) for width in widths}
    print(f"{os.cpu_count()} cores, {ways.model.dtype}, {vars(options)}")
    print(f"{'way':40} {'tokens/s':>9} {'tokens':>7} {'seconds':>8} {'CPU s':>7} {'alike':>7}")
    for title, draw in rows.items():
        try:
            draw([0], 4)
            began, cpu = time.monotonic(), time.process_time()
            tokens = sum(map(len, draw(range(every), options.tokens).values()))
            took, cpu = time.monotonic() - began, time.process_time() - cpu
            same = "{} of {}".format(*alike(draw, options.alike, min(every, 3)))
        except (RuntimeError, ValueError, MemoryError) as error:
            print(f"{title:40} cannot run here: {type(error).__name__}: {error}")
            continue
        print(
            f"{title:40} {tokens / took:9.1f} {tokens:7} {took:8.1f} {cpu:7.1f} {same:>7}",
            flush=True,
        )


if __name__ == "__main__":
    main()
