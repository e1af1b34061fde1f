"""How many completions hold no program by this extractor, and by that of an earlier checkout.

    git worktree add ../before a33465c
    python benchmarks/extraction.py outputs/*/* --before ../before --show 100

Reads completions/*.jsonl and problems/*.jsonl of run folders; equal completions count once.
`--show` prints completions without a program, for a reading.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from omegaconf import OmegaConf

from axiom_rl.config import load_config
from axiom_rl.core.types import Problem
from axiom_rl.problems.splits import read_problems
from axiom_rl.verify import Verifier, extract_code

Row = tuple[str, Problem, str]
"""Model, problem and completion."""

EARLIER = """
import json, sys
from axiom_rl.verify.extract import extract_code
json.dump([extract_code(text, name, shown=shown) for text, name, shown in json.load(sys.stdin)],
          sys.stdout)
"""


def completions(run: Path) -> Iterator[Row]:
    """Yield the completions of a run with its model's name."""
    config = OmegaConf.load(run / "config.yaml")
    model = str(config.model.name)
    files = sorted((run / "problems").glob("*.jsonl"))
    problems = {item.id: item for file in files for item in read_problems(file, judged=False)}
    for file in sorted((run / "completions").glob("*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            if row["problem_id"] in problems:
                yield model, problems[row["problem_id"]], row["text"]


def extracted(rows: Sequence[Row], checkout: Path | None) -> list[str | None]:
    """Return the program in each completion, by this extractor or that of a checkout."""
    if checkout is None:
        return [
            extract_code(text, item.entry_point, shown=item.statement) for _, item, text in rows
        ]
    done = subprocess.run(
        [sys.executable, "-P", "-c", EARLIER],
        input=json.dumps([(text, item.entry_point, item.statement) for _, item, text in rows]),
        env={"PYTHONPATH": str(checkout), "PATH": ""},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    codes: list[str | None] = json.loads(done.stdout)
    return codes


def passes(rows: Sequence[Row], codes: Sequence[str | None]) -> list[bool]:
    """Return which programs pass their problem's hidden tests."""
    with Verifier(load_config().sandbox) as verifier:
        candidates = [(item, code) for (_, item, _), code in zip(rows, codes, strict=True)]
        return [verdict.passed for verdict in verifier.verify(candidates)]


def main() -> None:
    """Print the shares, in all and by model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--before", type=Path, help="checkout with an earlier extractor")
    parser.add_argument("--show", type=int, default=0, help="completions to print")
    given = parser.parse_args()
    found = {(m, item.id, text): (m, item, text) for run in given.runs for m, item, text in
             completions(run)}  # fmt: skip
    rows = list(found.values())
    kinds = {"now": extracted(rows, None)}
    if given.before is not None:
        kinds["before"] = extracted(rows, given.before)
    print("| extractor | model | completions | no program | programs that pass |")
    print("|---|---|---:|---:|---:|")
    for kind, codes in kinds.items():
        right = passes(rows, codes)
        for model in ["all", *sorted({model for model, _, _ in rows})]:
            own = [at for at, row in enumerate(rows) if model in ("all", row[0])]
            none = sum(codes[at] is None for at in own)
            share = f"{none} ({100 * none / len(own):.1f} %)"
            print(f"| {kind} | {model} | {len(own)} | {share} | {sum(right[at] for at in own)} |")
    without = [row for row, code in zip(rows, kinds["now"], strict=True) if code is None]
    for model, item, text in random.Random(0).sample(without, min(given.show, len(without))):
        print(f"\n===== {model}, {item.id} ({item.entry_point})\n{text}")


if __name__ == "__main__":
    main()
