"""Seconds of one GRPO step: stock TRL and axiom-rl on the same model, prompt and token counts.

    python benchmarks/grpo_step.py
    python benchmarks/grpo_step.py --lengths natural --steps 3

A step is sampling one group and one optimizer step on it; judging programs is left out on both
sides (its share of a step is in every run's metrics.jsonl). With `--lengths fixed` no answer may
end before --tokens tokens, so that all variants do the same work; with `natural` answers end by
themselves and the lengths differ from variant to variant. Rewards alternate, so that every row has
an advantage. Each variant runs in a process of its own, one after the other; the first step
of each, which warms up, is left out of the mean.

Variants: stock TRL as it loads by default (float32), stock TRL on bfloat16 weights, and ours on
bfloat16 with each measure taken away in turn.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

VARIANTS = {
    "stock-float32": "stock TRL, float32 weights (its default)",
    "stock": "stock TRL, bfloat16 weights",
    "ours": "axiom-rl",
    "ours-unmerged": "axiom-rl, sampling through the unmerged adapter",
    "ours-padded": "axiom-rl, TRL's padded training pass",
}


def main() -> None:
    options = parse()
    if options.only:
        print(json.dumps(measure(options.only, options)))
        return
    rows = {name: in_own_process(name) for name in options.variants}
    print(f"{os.cpu_count()} cores; {vars(options)}")
    print(f"{'variant':48} {'step s':>8} {'sampling':>9} {'rest':>7} {'tokens':>7} {'of stock':>9}")
    for name, row in rows.items():
        ratio = row["step"] / rows["stock"]["step"] if "stock" in rows else float("nan")
        print(
            f"{VARIANTS[name]:48} {row['step']:8.1f} {row['sampling']:9.1f} "
            f"{row['step'] - row['sampling']:7.1f} {row['tokens']:7.0f} {ratio:9.2f}"
        )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="qwen2.5-coder-0.5b", help="a file of conf/model")
    parser.add_argument("--group", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=256)
    parser.add_argument("--steps", type=int, default=3, help="the first is left out")
    parser.add_argument("--lengths", choices=("fixed", "natural"), default="fixed")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--only", choices=VARIANTS, help=argparse.SUPPRESS)
    return parser.parse_args()


def in_own_process(name: str) -> dict[str, float]:
    print(f"measuring {VARIANTS[name]}", file=sys.stderr)
    done = subprocess.run(
        [sys.executable, *sys.argv, "--only", name], stdout=subprocess.PIPE, text=True, check=True
    )
    row: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return row


def measure(name: str, options: argparse.Namespace) -> dict[str, float]:
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import torch

    from axiom_rl.config import load_config
    from axiom_rl.models.load import load_model
    from axiom_rl.models.lora.merged_copy import MergedCopy
    from axiom_rl.models.lora.options import new_lora
    from axiom_rl.models.weights.resolve import resolve

    config = load_config("trainer=grpo", f"model={options.model}")
    dtype = torch.float32 if name == "stock-float32" else torch.bfloat16
    torch.manual_seed(0)
    base, tokenizer = load_model(resolve(config.model), config.model, dtype=dtype)
    copy = MergedCopy(base) if name in ("ours", "ours-padded") else None
    model = new_lora(base, config.model.lora)
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        make = stock_trainer if name.startswith("stock") else our_trainer
        trainer = make(model, tokenizer, copy, config, options, clock, Path(folder))
        if name == "ours-padded":
            trainer.packs = False
        trainer.add_callback(clock.callback())
        trainer.train()
    return clock.means()


class Clock:
    """Seconds of each step and of the sampling in it, and tokens."""

    def __init__(self) -> None:
        self.steps: list[float] = []
        self.sampling: list[float] = []
        self.tokens: list[float] = []

    def callback(self) -> Any:
        from transformers import TrainerCallback

        clock = self

        class Steps(TrainerCallback):
            # From end to end: what samples may run before a step is said to begin.
            def on_train_begin(self, *_args: Any, **_kwargs: Any) -> None:
                self.last = time.monotonic()

            def on_step_end(self, *_args: Any, **_kwargs: Any) -> None:
                now = time.monotonic()
                clock.steps.append(now - self.last)
                self.last = now

        return Steps()

    def means(self) -> dict[str, float]:
        columns: dict[str, list[float]] = {
            "step": self.steps,
            "sampling": self.sampling,
            "tokens": self.tokens,
        }
        return {key: sum(values[1:]) / len(values[1:]) for key, values in columns.items()}


def arguments(config: Any, options: argparse.Namespace) -> dict[str, Any]:
    return dict(config.trainer.args) | {
        "max_steps": options.steps,
        "num_generations": options.group,
        "per_device_train_batch_size": options.group,
        "gradient_accumulation_steps": 1,
        "max_completion_length": options.tokens,
        "save_strategy": "no",
    }


def prompt() -> list[dict[str, str]]:
    from axiom_rl.problems import make_problem
    from axiom_rl.problems.prompts import render

    return render(make_problem("edit_distance", difficulty=2, split="train", seed=0), "direct")


def alternate(completions: list[Any], **_columns: Any) -> list[float | None]:
    return [float(row % 2) for row in range(len(completions))]


def stock_trainer(
    model: Any, tokenizer: Any, copy: Any, config: Any, options: Any, clock: Clock, folder: Path
) -> Any:
    from datasets import Dataset
    from trl.trainer.grpo_config import GRPOConfig
    from trl.trainer.grpo_trainer import GRPOTrainer

    class Timed(GRPOTrainer):
        def _generate_single_turn(self, *args: Any, **kwargs: Any) -> Any:
            started = time.monotonic()
            drawn: Any = super()._generate_single_turn
            ids, logprobs = drawn(*args, **kwargs)
            clock.sampling.append(time.monotonic() - started)
            clock.tokens.append(sum(map(len, ids)))
            return ids, logprobs

    args = arguments(config, options) | {
        "bf16": model.get_base_model().dtype.itemsize == 2,
        "use_cpu": model.device.type == "cpu",
        "output_dir": str(folder),
        "report_to": "none",
        "disable_tqdm": True,
        "logging_steps": 1000,
    }
    if options.lengths == "fixed":
        args["generation_kwargs"] = {"min_new_tokens": options.tokens}
    return Timed(
        model=model,
        args=GRPOConfig(**args),
        reward_funcs=[alternate],
        train_dataset=Dataset.from_list([{"prompt": prompt()}]),
        processing_class=tokenizer,
    )


def our_trainer(
    model: Any, tokenizer: Any, copy: Any, config: Any, options: Any, clock: Clock, folder: Path
) -> Any:
    from dataclasses import replace

    from axiom_rl.sampling import SampleRequest
    from axiom_rl.sampling.hf.decode import Decoders
    from axiom_rl.sampling.hf.sampler import TransformersSampler
    from axiom_rl.trainers.grpo.options import grpo_config
    from axiom_rl.trainers.grpo.trainer import GrpoTrainer

    settings = replace(config.sampler, temperature=1.0, max_new_tokens=options.tokens)
    decoders = Decoders(copy.model) if copy is not None else None

    def draw(step: int, groups: int) -> list[tuple[Any, float]]:
        started = time.monotonic()
        if copy is not None:
            copy.sync(model)
        sampled = copy.model if copy is not None else model.get_base_model().eval()
        sampler = TransformersSampler(sampled, tokenizer, settings, decoders)
        if options.lengths == "fixed":
            sampler._stop = frozenset()
        request = SampleRequest(
            problem_id="edit_distance",
            messages=tuple(prompt()),
            samples=tuple(range(options.group)),
            stream=f"0/{step}",
        )
        rows = list(sampler.sample([request]))
        clock.sampling.append(time.monotonic() - started)
        clock.tokens.append(sum(len(row.token_ids) for row in rows))
        return [(row, float(row.sample % 2)) for row in rows]

    return GrpoTrainer(
        model,
        grpo_config(arguments(config, options), model, folder, seed=0),
        tokenizer,
        draw,
        [],
        config.trainer.importance_cap,
    )


if __name__ == "__main__":
    main()
