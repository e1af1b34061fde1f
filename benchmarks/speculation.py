"""Would rows that are alone gain by guessing ahead? Recorded samples are drawn again on paper.

    python benchmarks/speculation.py outputs/*/*/completions/before.jsonl
    python benchmarks/speculation.py --model qwen2.5-coder-0.5b --tokens 8 16 24 32 40

Drafts are those of axiom_rl/sampling/hf/speculate.py. A draft counts as accepted where the recorded
sample went on with the same token, which is what the row's own random stream drew. What it saves is
steps, what it costs is tokens: a step over t tokens takes `--step-ms` + t * `--token-ms`. The
second command measures both: CPU seconds of a decoding step by the tokens in it, on one thread.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from axiom_rl.rollouts.records import read_rollouts
from axiom_rl.sampling import SampleRequest
from axiom_rl.sampling.hf.batch import Running
from axiom_rl.sampling.hf.speculate import ALONE, Guesses


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path, help="completions/*.jsonl")
    parser.add_argument("--rows", type=int, default=ALONE, help="rows left")
    parser.add_argument("--slots", type=int, default=80, help="rows in flight before that")
    parser.add_argument("--step-ms", type=float, default=80.0, help="of a step, whatever is in it")
    parser.add_argument("--token-ms", type=float, default=2.95, help="of each token in a step")
    parser.add_argument("--model", help="a file of conf/model: measure a step instead")
    parser.add_argument("--tokens", nargs="+", type=int, default=[8, 16, 24, 32, 40, 80])
    options = parser.parse_args()
    if options.model:
        for tokens, seconds in measure(options.model, options.tokens):
            print(f"{tokens:4} tokens in a step: {1000 * seconds:6.1f} ms of CPU")
        return
    print(f"a step: {options.step_ms} ms + {options.token_ms} ms a token; {options.rows} rows left")
    whole = [0.0, 0.0]
    for path in options.files:
        plain, fast = (replay(path, guessing, options) for guessing in (False, True))
        whole = [whole[0] + plain.seconds, whole[1] + fast.seconds]
        print(
            f"{plain.seconds / max(fast.seconds, 1e-9):5.2f} times as fast, "
            f"{plain.steps:4} -> {fast.steps:4} steps for {plain.tokens:4} tokens, "
            f"{fast.accepted / max(fast.drafted, 1):4.0%} of {fast.drafted:4} drafted: {path}"
        )
    print(f"{whole[0] / max(whole[1], 1e-9):5.2f} times as fast in all")


@dataclass
class Tail:
    """What the end of a phase takes."""

    seconds: float = 0.0
    steps: int = 0
    tokens: int = 0
    drafted: int = 0
    accepted: int = 0


def read(path: Path) -> list[tuple[Running, list[int]]]:
    """Return samples, nothing of them drawn, and their tokens."""
    found = []
    for item in read_rollouts(path):
        said = item.completion
        request = SampleRequest(
            problem_id=said.problem_id, messages=(), samples=(said.sample,), stream=""
        )
        row = Running(request, said.sample, [0] * said.prompt_tokens)
        found.append((row, list(said.token_ids)))
    return sorted((one for one in found if one[1]), key=lambda one: len(one[0].prompt))


def replay(path: Path, guessing: bool, options: argparse.Namespace) -> Tail:
    """Draw the samples again; return what the end takes, from `options.rows` rows on."""
    waiting, tail, guesses = read(path), Tail(), Guesses()
    running: list[tuple[Running, list[int]]] = []
    while waiting or running:
        while waiting and len(running) < options.slots:
            running.append(waiting.pop(0))
        alone = not waiting and len(running) <= options.rows
        rows = [row for row, _ in running]
        drafts = guesses.drafts(rows, 10**6) if alone and guessing else [[] for _ in rows]
        for (row, tokens), draft in zip(running, drafts, strict=True):
            rest = tokens[len(row.tokens) :]
            right = len(
                [*takewhile(lambda pair: pair[0] == pair[1], zip(draft, rest[:-1], strict=False))]
            )
            row.tokens += rest[: right + 1]
            guesses.learn(row.key, draft, right)
            if alone:
                tail.tokens += right + 1
                tail.drafted += len(draft)
                tail.accepted += right
        if alone:
            tail.steps += 1
            width = 1 + max(map(len, drafts))  # the rows of a step are as wide as the widest
            tail.seconds += (options.step_ms + options.token_ms * width * len(rows)) / 1000
        for row, tokens in running:
            if len(row.tokens) == len(tokens):
                guesses.keep(*row.key, tokens)
        running = [one for one in running if len(one[0].tokens) < len(one[1])]
    return tail


def measure(model_name: str, counts: list[int]) -> list[tuple[int, float]]:
    """Return CPU seconds of a decoding step by its tokens; a row of its own for each of them.

    Tokens of one row would share its keys, so that attention costs a little less than here.
    """
    import torch

    from axiom_rl.config import load_config
    from axiom_rl.models.load import load_model
    from axiom_rl.models.weights.resolve import resolve
    from axiom_rl.sampling.hf.decode import Decoder, ways_for
    from axiom_rl.sampling.hf.slot_cache import ATTENTION

    torch.set_num_threads(1)
    config = load_config(f"model={model_name}", "model.device=cpu")
    model, _ = load_model(resolve(config.model), config.model)
    model.set_attn_implementation(ATTENTION)
    decoder, found = Decoder(model, ways_for(model), max(counts), 320, 256), []
    with torch.no_grad():
        for count in counts:
            decoder.begin(0.7, 1.0)
            decoder.prefill([[100 + place for place in range(150)]], [[[0.5] * 256] * count])
            decoder.step()
            started = time.process_time()
            for _ in range(5):
                decoder.step()
            found.append((count, (time.process_time() - started) / 5))
    return found


if __name__ == "__main__":
    main()
