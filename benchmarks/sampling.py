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
import shutil
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

from axiom_rl.config import (  # noqa: E402
    Config,
    TransformersSamplerConfig,
    VllmSamplerConfig,
    load_config,
)
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


def rounds(config: Config) -> int:
    """Return how often to draw: on a GPU the first time compiles kernels and is left out."""
    from axiom_rl.models.load import choose_device

    return 2 if choose_device(config.model.device).type == "cuda" else 1


def timed(draw: Callable[[], int], times: int) -> Row:
    """Draw everything some times over and return tokens and seconds of the last."""
    tokens, started = 0, time.monotonic()
    for _ in range(times):
        started = time.monotonic()
        tokens = draw()
    return {"tokens": tokens, "seconds": time.monotonic() - started}


def sampled(sampler: Sampler, config: Config, samples: int) -> Row:
    """Draw with one of our samplers."""
    asked = requests(config, samples)
    return timed(
        lambda: sum(item.completion_tokens for item in sampler.sample(asked)), rounds(config)
    )


def loaded() -> Row:
    """Return how long it took from this process's start until now."""
    return {"load": time.monotonic() - STARTED}


@contextmanager
def engine(config: Config) -> Iterator[Any]:
    """Have a running engine of ours for a while."""
    from axiom_rl.models.weights.resolve import resolve
    from axiom_rl.sampling.engine.sampler import VllmEngine

    settings = config.sampler
    assert isinstance(settings, VllmSamplerConfig)
    with tempfile.TemporaryDirectory() as folder:
        made = VllmEngine(resolve(config.model), config.model, settings, Path(folder) / "log")
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
        return row | sampled(made.sampler(adapter), config, samples)


def run_raw(config: Config, samples: int, adapter: str | None) -> Row:
    """LLM.chat of vLLM in this process: nothing of ours, no seeds, no log-probabilities.

    On a GPU with vLLM's defaults but for the number of samples at the same time and the share of
    the memory; on a CPU, where its defaults keep a core free, set up as ours unless asked for.
    """
    from axiom_rl.models.load import choose_device
    from axiom_rl.models.weights.resolve import resolve

    folder = str(resolve(config.model).folder)
    settings = config.sampler
    assert isinstance(settings, VllmSamplerConfig)
    options: dict[str, Any] = {"gpu_memory_utilization": settings.gpu_memory_utilization}
    if choose_device(config.model.device).type == "cpu":
        options = {
            "dtype": "bfloat16",
            "max_model_len": 4096,
            "kv_cache_memory_bytes": int(settings.memory_gb * 1e9),
            "enforce_eager": os.environ.get("VLLM_ENABLE_V1_MULTIPROCESSING") == "0",
        }
    from vllm import LLM, SamplingParams

    llm = LLM(folder, max_num_seqs=settings.max_batch, **options)
    row = loaded()
    chats = [list(r.messages) for r in requests(config, samples) for _ in r.samples]
    params = SamplingParams(
        temperature=config.sampler.temperature, max_tokens=config.sampler.max_new_tokens
    )

    def draw() -> int:
        outputs = llm.chat(chats, params, use_tqdm=False)
        return sum(len(output.outputs[0].token_ids) for output in outputs)

    return row | timed(draw, rounds(config))


def run_transformers(config: Config, samples: int, adapter: str | None) -> Row:
    """sampler=transformers."""
    from axiom_rl.models.weights.resolve import resolve
    from axiom_rl.sampling.hf.sampler import load_sampler

    settings = config.sampler
    assert isinstance(settings, TransformersSamplerConfig)
    sampler = load_sampler(resolve(config.model), config.model, settings, None)
    return loaded() | sampled(sampler, config, samples)


def run_generate(config: Config, samples: int, adapter: str | None) -> Row:
    """model.generate of transformers in static batches, padded to the longest prompt."""
    from axiom_rl.models.load import load_model
    from axiom_rl.models.weights.resolve import resolve

    loaded_model, tokenizer = load_model(resolve(config.model), config.model)
    model: Any = loaded_model
    settings = config.sampler
    assert isinstance(settings, TransformersSamplerConfig)
    row = loaded()
    texts = [
        tokenizer.apply_chat_template(list(r.messages), tokenize=False, add_generation_prompt=True)
        for r in requests(config, samples)
        for _ in r.samples
    ]

    def draw() -> int:
        tokens = 0
        for first in range(0, len(texts), settings.max_batch):
            batch = texts[first : first + settings.max_batch]
            inputs = tokenizer(batch, return_tensors="pt", padding=True, add_special_tokens=False)
            drawn = model.generate(
                **inputs.to(model.device),
                do_sample=True,
                temperature=config.sampler.temperature,
                top_k=0,
                max_new_tokens=config.sampler.max_new_tokens,
            )[:, inputs["input_ids"].shape[1] :]
            tokens += int((drawn != tokenizer.pad_token_id).sum())
        return tokens

    return row | timed(draw, rounds(config))


Way = Callable[[Config, int, "str | None"], Row]
OURS = {"OMP_WAIT_POLICY": "passive"}
SAME = {**OURS, "VLLM_ENABLE_V1_MULTIPROCESSING": "0", "OMP_NUM_THREADS": str(os.cpu_count())}
RAW = {} if shutil.which("nvidia-smi") else SAME
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
    "raw": ("raw vLLM", run_raw, ["sampler=vllm"], RAW),
    "raw_default": ("raw vLLM, its defaults on a CPU too", run_raw, ["sampler=vllm"], {}),
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
    rows = {way: row for way, row in results.items() if row is not None}
    print(table(rows))
    if {"vllm", "raw"} <= rows.keys():
        ours, raw = (rows[way]["tokens"] / rows[way]["seconds"] for way in ("vllm", "raw"))
        print(f"sampler=vllm without an adapter draws {ours / raw:.2f} of raw vLLM's tokens/s")


if __name__ == "__main__":
    main()
