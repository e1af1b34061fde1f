"""What drawing ahead of a round saves and throws away: recorded tries are drawn again on paper.

    python benchmarks/lookahead.py outputs/*/*/completions/attempts_1.jsonl

Tries of unsolved problems come in rounds (axiom_rl/gold/collect.py). Each file is replayed step by
step, with rounds that wait for each other and with those to come filling the batch up to --ahead
rows, by the same rule as the run's. A step of r rows takes `--step-ms` + r * `--row-ms`. A sample
that was not recorded, since its problem was solved before, gets the length of another one.
"""

from __future__ import annotations

import argparse
import random
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from axiom_rl.gold.collect import rounds, to_come
from axiom_rl.rollouts.records import read_rollouts
from axiom_rl.sampling.base import Key
from axiom_rl.sampling.hf.batch import AHEAD_ROWS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path, help="completions/attempts_*.jsonl")
    parser.add_argument("--ahead", nargs="+", type=int, default=[0, 16, AHEAD_ROWS, 48, 80])
    parser.add_argument("--slots", type=int, default=80, help="sampler.max_batch")
    parser.add_argument("--first", type=int, default=8, help="sampler.n")
    parser.add_argument("--attempts", type=int, default=64, help="trainer.max_attempts")
    parser.add_argument("--budget", type=int, default=128, help="trainer.max_retries")
    parser.add_argument("--step-ms", type=float, default=45.0, help="of a step, whatever runs")
    parser.add_argument("--row-ms", type=float, default=2.6, help="of each row in a step")
    options = parser.parse_args()
    for path in options.files:
        print(path)
        for ahead in options.ahead:
            found = replay(path, ahead, options)
            print(
                f"  {ahead:2} rows ahead: {found.seconds:5.1f} s, {found.steps:4} steps, "
                f"{found.tokens:5} tokens asked for, {found.discarded:5} thrown away"
            )


@dataclass
class Replay:
    """One collection, as far as it is drawn."""

    lengths: dict[Key, int]
    passes: frozenset[Key]
    running: dict[Key, int] = field(default_factory=dict)
    finished: set[Key] = field(default_factory=set)
    asked: set[Key] = field(default_factory=set)
    seconds: float = 0.0
    steps: int = 0
    tokens: int = 0
    discarded: int = 0

    def length(self, key: Key) -> int:
        if key not in self.lengths:
            known = [length for (name, _), length in self.lengths.items() if name == key[0]]
            self.lengths[key] = random.Random(str(key)).choice(known)
        return self.lengths[key]

    def solved(self) -> dict[str, int]:
        found = defaultdict(list)
        for name, sample in self.finished & self.passes:
            found[name].append(sample)
        return {name: min(samples) for name, samples in found.items()}

    def step(self, options: argparse.Namespace) -> None:
        self.steps += 1
        self.seconds += (options.step_ms + options.row_ms * len(self.running)) / 1000
        self.running = {key: drawn + 1 for key, drawn in self.running.items()}
        done = {key for key, drawn in self.running.items() if drawn >= self.length(key)}
        self.finished |= done
        for key in done:
            del self.running[key]


def replay(path: Path, ahead: int, options: argparse.Namespace) -> Replay:
    """Draw a collection again, with at most `ahead` rows in flight where some run ahead."""
    said = {(r.completion.problem_id, r.completion.sample): r for r in read_rollouts(path)}
    lengths = {key: item.completion.completion_tokens for key, item in said.items()}
    passes = frozenset(key for key, item in said.items() if item.hidden and item.hidden.passed)
    world, missing = Replay(lengths, passes), sorted({name for name, _ in said})
    plan = [*rounds(range(options.first, options.attempts), options.first)]
    left = options.budget
    for number, samples in enumerate(plan, start=1):
        now = samples[: left // len(missing)] if missing else samples[:0]
        wanted = [(name, sample) for name in missing for sample in now]
        left -= len(wanted)
        world.asked.update(wanted)
        while not world.finished.issuperset(wanted):
            coming = [*to_come(missing, plan[number:], left, world.solved())]
            for key in world.running.keys() - {*wanted, *coming}:
                world.discarded += world.running.pop(key)
            begun = world.running.keys() | world.finished
            fresh = [key for key in wanted if key not in begun]
            fresh = fresh[: options.slots - len(world.running)]
            room = max(ahead - len(world.running) - len(fresh), 0)
            fresh += islice((key for key in coming if key not in begun), room)
            world.running |= dict.fromkeys(fresh, 0)
            world.step(options)
        missing = [name for name in missing if not world.passes.intersection(wanted_of(name, now))]
    world.tokens = sum(world.length(key) for key in world.asked)
    world.discarded += sum(world.running.values())
    world.discarded += sum(world.length(key) for key in world.finished - world.asked)
    return world


def wanted_of(name: str, samples: range) -> list[Key]:
    return [(name, sample) for sample in samples]


if __name__ == "__main__":
    main()
