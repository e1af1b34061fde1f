"""launch.py whose stage is a few lines: a job runs, crashes, hangs or is killed as its name says.

Any other job scores by its seed and learning rate.
"""

from __future__ import annotations

import logging
import os
import resource
import signal
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

from omegaconf import OmegaConf

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import axiom_rl.stages  # noqa: E402
from axiom_rl.config import Config  # noqa: E402
from axiom_rl.core.errors import AxiomError  # noqa: E402
from axiom_rl.core.files import write_text  # noqa: E402


def run_stage(config: Config, folder: Path) -> None:
    """Leave an evaluation, unless the job is told to fail."""
    if config.stage.kind == "compare":
        real_stage(config, folder)
        return
    log.info("visible GPUs: %s", os.environ.get("CUDA_VISIBLE_DEVICES"))
    settings = OmegaConf.to_yaml(OmegaConf.create(asdict(replace(config, resume=None))))
    write_text(folder / "config.yaml", settings)
    write_text(folder / "started" / str(os.getpid()), config.name)
    first = len([*(folder / "started").iterdir()]) == 1
    if config.name != "hang" or first:
        misbehave(config.name)
    rate = 0.3 + 0.1 * config.seed + (0.3 if config.trainer.args["learning_rate"] > 1e-4 else 0.0)
    leave_evaluation(folder, rate, config.seed)


def misbehave(how: str) -> None:
    """Fail in a way that real jobs do."""
    match how:
        case "crash":
            raise RuntimeError("the loss is NaN")
        case "user":
            raise AxiomError("trainer=sft needs trainer.solutions=path.jsonl")
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "memory":
            resource.setrlimit(resource.RLIMIT_AS, (2**29, 2**29))
            bytearray(2**30)
        case "hang":
            time.sleep(600)
        case _:
            pass


def leave_evaluation(folder: Path, rate: float, seed: int) -> None:
    """Write evaluation/after.json as a real run does."""
    from fake_run import BASIC, evaluation

    from axiom_rl.evaluation.score import write_evaluation

    rates = dict.fromkeys(BASIC, min(rate, 1.0))
    write_evaluation(folder / "evaluation" / "after.json", evaluation(rates, seed=seed))


log = logging.getLogger("axiom_rl")
real_stage = axiom_rl.stages.run_stage
axiom_rl.stages.run_stage = run_stage
if __name__ == "__main__":
    program = (ROOT / "launch.py").read_text(encoding="utf-8")  # runpy would change sys.argv[0]
    exec(compile(program, str(ROOT / "launch.py"), "exec"), {"__name__": "__main__"})
