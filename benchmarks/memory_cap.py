"""The 12 GB preset in a process that may take no more: two GRPO steps of a 1.5B model.

    python benchmarks/memory_cap.py
    python benchmarks/memory_cap.py --gb 8 model.quantization=4bit

On a GPU the process's share of the card is limited (torch.cuda.set_per_process_memory_fraction), so
that what does not fit fails as it would on a card of that size; the context of CUDA, some 0.5 GB,
lies outside. Prints the peak. On a CPU nothing is limited and the peak is the resident set's.
"""

from __future__ import annotations

import argparse
import logging
import resource
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

SHORT = (
    "trainer=grpo_12gb",
    "problems=hard",
    "problems.types=[edit_distance]",
    "problems.sizes.val=1",
    "sampler=transformers",
    "model=qwen2.5-coder-1.5b",
    "trainer.args.max_steps=2",
    "trainer.dynamic_sampling=false",
    "trainer.forgetting=[]",
    "trainer.signal_low=0",
    "trainer.signal_high=1",
)
"""Two steps of the preset, with little around them."""


def main() -> None:
    """Train under the cap, and say what it took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gb", type=float, default=12.0)
    parser.add_argument("overrides", nargs="*")
    options = parser.parse_args()
    typed = {override.split("=")[0] for override in options.overrides}
    overrides = [item for item in SHORT if item.split("=")[0] not in typed] + options.overrides
    import torch

    from axiom_rl.config import load_config
    from axiom_rl.stages import run_stage

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    on_gpu = torch.cuda.is_available()
    if on_gpu:
        whole = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, options.gb * 1e9 / whole))
    try:
        with tempfile.TemporaryDirectory(prefix="axiom-rl-") as folder:
            run_stage(load_config(*overrides), Path(folder) / "run")
    finally:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        if on_gpu:
            peak = torch.cuda.max_memory_reserved()
        limit = f", at most {options.gb:g} GB allowed" if on_gpu else " (resident set)"
        print(f"peak {peak / 1e9:.2f} GB{limit}", flush=True)


if __name__ == "__main__":
    main()
