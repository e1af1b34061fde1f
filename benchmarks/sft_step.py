"""Seconds of one supervised fine-tuning step: stock TRL and axiom-rl on the same rows.

    python benchmarks/sft_step.py

The rows are eight of the basic problems with their oracles' source, twice each (with the docstring
and without), so that a batch of eight has few equal prompts, as gold solutions have. Weights
bfloat16, LoRA, effective batch 8, the options of conf/trainer/args/sft.yaml. Each variant runs in a
process of its own, one after the other; the first step, which warms up, is left out of the mean.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

VARIANTS = {
    "stock-2": "TRL's padded pass, 2 rows at a time",
    "stock-8": "TRL's padded pass, 8 rows at a time",
    "ours-2": "packed, 2 rows at a time",
    "ours-8": "packed, passes of at most 640 tokens (the default)",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="qwen2.5-coder-0.5b", help="a file of conf/model")
    parser.add_argument("--steps", type=int, default=4, help="2 or more; the first is left out")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--only", choices=VARIANTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        print(json.dumps(measure(options.only, options.model, options.steps)))
        return
    print(f"{os.cpu_count()} cores; {vars(options)}")
    for name in options.variants:
        row = in_own_process(name)
        print(
            f"{VARIANTS[name]:54} {row['step']:6.1f} s a step, loss {row['loss']:.4f}, "
            f"peak {row['peak_gb']:.1f} GB"
        )


def in_own_process(name: str) -> dict[str, float]:
    command = [sys.executable, *sys.argv, "--only", name]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    row: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return row


def measure(name: str, model_name: str, steps: int) -> dict[str, float]:
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import torch
    from datasets import Dataset
    from transformers import TrainerCallback

    from axiom_rl.config import load_config
    from axiom_rl.models.load import load_model
    from axiom_rl.models.lora.options import new_lora
    from axiom_rl.models.weights.resolve import resolve
    from axiom_rl.trainers.sft.run import prepare, sft_config
    from axiom_rl.trainers.sft.trainer import PackedSFTTrainer

    config = load_config("trainer=sft", f"model={model_name}")
    torch.manual_seed(0)
    base, tokenizer = load_model(resolve(config.model), config.model, dtype=torch.bfloat16)
    model = new_lora(base, config.model.lora)
    kind, size = name.split("-")
    seconds: list[float] = []

    class Steps(TrainerCallback):
        def on_step_begin(self, *_args: Any, **_kwargs: Any) -> None:
            self.started = time.monotonic()

        def on_step_end(self, *_args: Any, **_kwargs: Any) -> None:
            seconds.append(time.monotonic() - self.started)

    with tempfile.TemporaryDirectory() as folder:
        args = dict(config.trainer.args) | {
            "max_steps": steps,
            "per_device_train_batch_size": int(size),
            "gradient_accumulation_steps": 8 // int(size),
            "save_strategy": "no",
        }
        trl_args = sft_config(args, model, Path(folder), seed=0)
        if kind == "ours":
            prepare(model, trl_args)
        trainer = PackedSFTTrainer(
            model=model,
            args=trl_args,
            train_dataset=Dataset.from_list(rows()),
            processing_class=tokenizer,
            callbacks=[Steps()],
        )
        trainer.packs = kind == "ours"
        loss = trainer.train().training_loss
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # kB on Linux
    return {"step": sum(seconds[1:]) / len(seconds[1:]), "loss": loss, "peak_gb": peak}


def rows() -> list[dict[str, Any]]:
    from axiom_rl.problems import make_problem
    from axiom_rl.problems.prompts import render
    from axiom_rl.problems.types.basic import TYPES

    made = []
    for problem_type in TYPES[:8]:  # 16 rows: every batch is whole
        problem = make_problem(problem_type.name, difficulty=1, split="train", seed=0)
        tree = ast.parse(inspect.getsource(problem_type.oracle))
        for strip in (False, True):
            function = tree.body[0]
            assert isinstance(function, ast.FunctionDef)
            if strip:
                function.body = function.body[1:]
            answer = f"```python\n{ast.unparse(tree)}\n```"
            completion = [{"role": "assistant", "content": answer}]
            made.append({"prompt": render(problem, "direct"), "completion": completion})
    return made


if __name__ == "__main__":
    main()
