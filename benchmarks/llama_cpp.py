"""llama.cpp's batched decoding against a decoding step of sampler=transformers, on a CPU.

    cmake -B build -DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=ON
    cmake --build build --target llama-batched-bench
    python convert_hf_to_gguf.py MODEL --outtype bf16 --outfile bf16.gguf     # and q8_0
    python benchmarks/llama_cpp.py build/bin/llama-batched-bench bf16.gguf q8_0.gguf

The first three in a checkout of llama.cpp; MODEL is the folder that `python launch.py stage=list`
loads from, in the cache of converted models. For each number of rows every program in turn: theirs
with one prompt shared by all rows (`-pps`), ours with one and with up to ten prompts. Theirs draws
no token (the benchmark feeds random ones), ours draws and keeps log-probabilities. `--tokens` is
kept short, so that few of our rows end before the last step; tokens/s count what was generated.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import time
from pathlib import Path

from continuous_batching import Ways  # which puts the project on the path

PROMPT = 128
"""Tokens of their prompt; ours have 90 to 160."""


def theirs(program: Path, model: Path, rows: int, tokens: int) -> tuple[float, float]:
    """Return their tokens per second: of decoding alone, and with the prompt."""
    options = f"-b 2048 -ub 512 -npp {PROMPT} -ntg {tokens} -npl {rows} -pps -t {os.cpu_count()}"
    options += f" -c {PROMPT + rows * (tokens + 8)} --output-format jsonl"
    done = subprocess.run(
        [str(program), "-m", str(model), *options.split()],
        check=True,
        capture_output=True,
        text=True,
    )
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if not found:
        raise SystemExit(f"{program} printed no row: {done.stdout[-500:]}")
    return found[-1]["speed_tg"], rows * tokens / found[-1]["t"]


def ours(ways: Ways, rows: int, prompts: int, tokens: int) -> tuple[float, float]:
    """Return our tokens per second with the prompts, and how full the rows were."""
    ways.samples = rows // prompts
    began = time.monotonic()
    drawn = sum(map(len, ways.ours(range(prompts), tokens).values()))
    return drawn / (time.monotonic() - began), drawn / (rows * tokens)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", type=Path, help="llama-batched-bench")
    parser.add_argument("files", type=Path, nargs="+", help="GGUF files of the same model")
    parser.add_argument("--model", default="qwen2.5-coder-0.5b", help="a file of conf/model")
    parser.add_argument("--rows", default="8,40,80")
    parser.add_argument("--tokens", type=int, default=48)
    options = parser.parse_args()
    options.n = 1
    ways = Ways(options)
    ways.ours([0], 4)
    print(f"{os.cpu_count()} cores, {ways.model.dtype}, {options.tokens} tokens a row")
    print(f"{'rows':>4}  {'way':34} {'decoding':>9} {'with prompt':>12}   tokens/s")
    for rows in map(int, options.rows.split(",")):
        for prompts in (1, min(rows, len(ways.chats))):
            speed, full = ours(ways, rows, prompts, options.tokens)
            name = f"ours, prompts: {prompts} ({full:.0%} full)"
            print(f"{rows:4}  {name:34} {'':9} {speed:12.1f}", flush=True)
        for file in options.files:
            decoding, whole = theirs(options.program, file, rows, options.tokens)
            print(f"{rows:4}  llama.cpp {file.stem:24} {decoding:9.1f} {whole:12.1f}", flush=True)


if __name__ == "__main__":
    main()
