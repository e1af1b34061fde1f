"""Ways of sampling side by side: the same prompts, each way in a process of its own.

    python benchmarks/sampling.py                        # all ways that are installed
    python benchmarks/sampling.py --ways vllm,raw --n 8  # some of them

Prints a table. "tokens/s" is over sampling alone; "load" is the time from nothing to a model that
can sample (imports included); "new weights" is the time from an adapter's folder to sampling with
it, where the base is loaded already. Vary one of the machine's loads and the figures change: run it
on an idle one.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

STARTED = time.monotonic()
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from axiom_rl.config import Config, load_config  # noqa: E402
from axiom_rl.problems import make_problem, problem_types  # noqa: E402
from axiom_rl.problems.prompts import render  # noqa: E402
from axiom_rl.sampling import Sampler, SampleRequest  # noqa: E402

Row = dict[str, float]


def requests(config: Config, samples: int) -> list[SampleRequest]:
    """Ask for some samples of each basic problem."""
    problems = [
        make_problem(kind, difficulty=1, split="train", seed=0, index=0)
        for kind in problem_types()["basic"]
    ]
    return [
        SampleRequest(
            problem_id=problem.id,
            messages=tuple(render(problem, config.problems.prompt)),
            samples=tuple(range(samples)),
            stream="0/benchmark",
        )
        for problem in problems
    ]


def timed(sampler: Sampler, asked: list[SampleRequest]) -> Row:
    """Draw them all."""
    started = time.monotonic()
    tokens = sum(item.completion_tokens for item in sampler.sample(asked))
    return {"tokens": tokens, "seconds": time.monotonic() - started}


def loaded() -> Row:
    """Return how long it took from this process's start until now."""
    return {"load": time.monotonic() - STARTED}


@contextmanager
def engine(config: Config) -> Iterator[Any]:
    """Have a running engine of ours for a while."""
    from axiom_rl.models.weights.resolve import resolve
    from axiom_rl.sampling.engine.sampler import VllmEngine

    with tempfile.TemporaryDirectory() as folder:
        made = VllmEngine(resolve(config.model), config.model, config.sampler, Path(folder) / "log")
        try:
            made.start()
            yield made
        finally:
            made.close()


def run_vllm(config: Config, samples: int, adapter: str | None) -> Row:
    """sampler=vllm: the base model, or it with an adapter in the way of sampler.adapters."""
    with engine(config) as made:
        row = loaded()
        if adapter is not None:
            started = time.monotonic()
            made.use(Path(adapter))
            row["new weights"] = time.monotonic() - started
        sampler = made.sampler(adapter)
        return row | timed(sampler, requests(config, samples))


def run_raw(config: Config, samples: int, adapter: str | None) -> Row:
    """LLM.chat of vLLM in this process: nothing of ours, no seeds, no log-probabilities."""
    from axiom_rl.models.weights.resolve import resolve

    folder = str(resolve(config.model).folder)
    from vllm import LLM, SamplingParams

    llm = LLM(
        folder,
        dtype="bfloat16",
        max_model_len=4096,
        max_num_seqs=config.sampler.max_batch,
        kv_cache_memory_bytes=int(config.sampler.memory_gb * 1e9),
        enforce_eager=os.environ.get("VLLM_ENABLE_V1_MULTIPROCESSING") == "0",
    )
    row = loaded()
    chats = [list(r.messages) for r in requests(config, samples) for _ in r.samples]
    params = SamplingParams(
        temperature=config.sampler.temperature, max_tokens=config.sampler.max_new_tokens
    )
    started = time.monotonic()
    outputs = llm.chat(chats, params, use_tqdm=False)
    tokens = sum(len(output.outputs[0].token_ids) for output in outputs)
    return row | {"tokens": tokens, "seconds": time.monotonic() - started}


def run_transformers(config: Config, samples: int, adapter: str | None) -> Row:
    """sampler=transformers."""
    from axiom_rl.models.weights.resolve import resolve
    from axiom_rl.sampling.hf.sampler import load_sampler

    sampler = load_sampler(resolve(config.model), config.model, config.sampler, None)
    return loaded() | timed(sampler, requests(config, samples))


def run_generate(config: Config, samples: int, adapter: str | None) -> Row:
    """model.generate of transformers in static batches, padded to the longest prompt."""
    from axiom_rl.models.load import load_model
    from axiom_rl.models.weights.resolve import resolve

    model, tokenizer = load_model(resolve(config.model), config.model)
    row = loaded()
    texts = [
        tokenizer.apply_chat_template(list(r.messages), tokenize=False, add_generation_prompt=True)
        for r in requests(config, samples)
        for _ in r.samples
    ]
    tokens, started = 0, time.monotonic()
    for first in range(0, len(texts), config.sampler.max_batch):
        batch = texts[first : first + config.sampler.max_batch]
        inputs = tokenizer(batch, return_tensors="pt", padding=True, add_special_tokens=False)
        drawn = model.generate(
            **inputs,
            do_sample=True,
            temperature=config.sampler.temperature,
            top_k=0,
            max_new_tokens=config.sampler.max_new_tokens,
        )[:, inputs["input_ids"].shape[1] :]
        tokens += int((drawn != tokenizer.pad_token_id).sum())
    return row | {"tokens": tokens, "seconds": time.monotonic() - started}


Way = Callable[[Config, int, "str | None"], Row]
OURS = {"OMP_WAIT_POLICY": "passive"}
SAME = {**OURS, "VLLM_ENABLE_V1_MULTIPROCESSING": "0", "OMP_NUM_THREADS": str(os.cpu_count())}
WAYS: dict[str, tuple[str, Way, list[str], dict[str, str]]] = {
    "vllm": ("sampler=vllm", run_vllm, ["sampler=vllm"], OURS),
    "merge": (
        "sampler=vllm, adapter merged",
        run_vllm,
        ["sampler=vllm", "sampler.adapters=merge"],
        OURS,
    ),
    "lora": (
        "sampler=vllm, adapter as LoRA request",
        run_vllm,
        ["sampler=vllm", "sampler.adapters=lora"],
        OURS,
    ),
    "raw": ("raw vLLM, set up as ours", run_raw, ["sampler=vllm"], SAME),
    "raw_default": ("raw vLLM, its defaults", run_raw, ["sampler=vllm"], {}),
    "transformers": ("sampler=transformers", run_transformers, ["sampler=transformers"], OURS),
    "generate": ("model.generate, static batches", run_generate, ["sampler=transformers"], OURS),
}
"""Title, function, options and environment of each way."""


def make_adapter(config: Config, folder: Path) -> None:
    """Save an adapter of the configured kind that changes the weights a little."""
    import torch

    from axiom_rl.models.load import load_model
    from axiom_rl.models.lora.options import new_lora, save_adapter
    from axiom_rl.models.weights.resolve import resolve

    torch.manual_seed(0)
    resolved = resolve(config.model)
    model = new_lora(load_model(resolved, config.model)[0], config.model.lora)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.normal_(0, 1e-4)
    save_adapter(model, folder, resolved)


def measure(way: str, arguments: argparse.Namespace, adapter: Path) -> Row | None:
    """Run one way in a fresh process; None where it fails, its last line printed."""
    command = [sys.executable, __file__, "--child", way, "--n", str(arguments.n)]
    command += ["--adapter", str(adapter), *arguments.options]
    environment = os.environ | WAYS[way][3]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    results = [line for line in done.stdout.splitlines() if line.startswith('{"load"')]
    if not results:
        print(f"{WAYS[way][0]}: {(done.stderr.strip() or 'no result').splitlines()[-1]}")
        return None
    row: Row = json.loads(results[-1])
    speed = row["tokens"] / row["seconds"]
    print(f"{WAYS[way][0]}: {speed:.1f} tokens/s, loaded in {row['load']:.1f} s", flush=True)
    return row


def table(rows: dict[str, Row]) -> str:
    """Return the rows as a Markdown table."""
    lines = ["| way | tokens/s | tokens | seconds | load s | new weights s | peak GB |"]
    lines += ["|---|---:|---:|---:|---:|---:|---:|"]
    for way, row in rows.items():
        new = f"{row['new weights']:.1f}" if "new weights" in row else ""
        lines.append(
            f"| {WAYS[way][0]} | {row['tokens'] / row['seconds']:.1f} | {row['tokens']:.0f} | "
            f"{row['seconds']:.1f} | {row['load']:.1f} | {new} | {row['peak']:.1f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure the ways asked for, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--n", type=int, default=8, help="samples of each of the ten problems")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--adapter", help=argparse.SUPPRESS)
    parser.add_argument("options", nargs="*", help="overrides, e.g. model=smollm2-135m")
    arguments = parser.parse_args()
    if arguments.child:
        _title, run, options, _environment = WAYS[arguments.child]
        adapter = arguments.adapter if arguments.child in ("merge", "lora") else None
        config = load_config(*options, *arguments.options)
        row = run(config, arguments.n, adapter)
        usage = max(
            resource.getrusage(who).ru_maxrss
            for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        )
        print(json.dumps(row | {"peak": usage * 1024 / 1e9}), flush=True)
        return
    with tempfile.TemporaryDirectory() as folder:
        adapter = Path(folder) / "adapter"
        make_adapter(load_config(*arguments.options), adapter)
        results = {way: measure(way, arguments, adapter) for way in arguments.ways.split(",")}
    print(table({way: row for way, row in results.items() if row is not None}))


if __name__ == "__main__":
    main()
