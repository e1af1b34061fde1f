"""The sandbox that the config asks for, opened, and refused if it isolates too little."""

from __future__ import annotations

import logging
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from axiom_rl.config import SandboxConfig
from axiom_rl.core.errors import AxiomError
from axiom_rl.sandbox.base import (
    IsolationLevel,
    PoolReport,
    Sandbox,
    SandboxUnavailableError,
    missing_layers,
)
from axiom_rl.sandbox.debug import InThisProcess
from axiom_rl.sandbox.pool import Canary, ServerPool
from axiom_rl.sandbox.process import ServerSettings

log = logging.getLogger(__name__)

ISOLATION = ("full", "reduced", "process")
BUBBLEWRAP_OPTIONS = (
    *("--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"),
    *("--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"),
    *("--tmpfs", "/tmp", "--tmpfs", "/run", "--chdir", "/"),
)
"""An outer wall around the server's own layers; Landlock inside decides what can be read."""


def check_kind(config: SandboxConfig) -> None:
    """Refuse a sandbox that needs a program which is not installed, before anything is loaded.

    Raises:
        SandboxUnavailableError: naming the program.
    """
    if config.kind == "bubblewrap":
        _bubblewrap_command()


def open_sandbox(
    config: SandboxConfig, canaries: tuple[Canary, ...], without: Sequence[str] = ()
) -> Sandbox:
    """Start the sandbox of `sandbox.kind`.

    Args:
        config: the kind, its limits and the lowest isolation level accepted.
        canaries: programs whose outcome is known; a server that gets one wrong is not used.
        without: layers to leave out, by name; for tests and the benchmark.

    Raises:
        AxiomError: for a kind or level that there is not.
        SandboxUnavailableError: if the servers do not start, fail the canary, or do not reach the
            level that `sandbox.isolation` asks for.
    """
    if config.isolation not in ISOLATION:
        raise AxiomError(
            f"sandbox.isolation={config.isolation}: choose one of {', '.join(ISOLATION)}"
        )
    match config.kind:
        case "debug":
            return InThisProcess()
        case "subprocess":
            wrapper: tuple[str, ...] = ()
        case "bubblewrap":
            wrapper = _bubblewrap_command()
        case _:
            raise AxiomError(
                f"sandbox.kind={config.kind}: choose one of subprocess, bubblewrap, debug"
            )
    settings = ServerSettings(tuple(config.preload), tuple(without), wrapper)
    largest = 2 * (config.result_kb << 10) + (16 << 20)
    pool = ServerPool(config.servers or os.cpu_count() or 1, settings, canaries, largest)
    try:
        require_level(pool.report, config.isolation)
    except SandboxUnavailableError:
        pool.close()
        raise
    return pool


def require_level(report: PoolReport, wanted: str) -> None:
    """Refuse a level below the one asked for; say aloud what a low one does not do.

    Off Linux there is only one level; it is accepted with the same warning.

    Raises:
        SandboxUnavailableError: with what is missing, why, and what to type instead.
    """
    missing = missing_layers(report.layers)
    level = report.level
    if sys.platform == "linux" and level.rank < IsolationLevel(wanted).rank:
        raise SandboxUnavailableError(
            f"this machine gives the sandbox the level {level}, and sandbox.isolation={wanted} "
            f"asks for more ({missing}); type sandbox.isolation={level} to accept that candidates "
            "are contained less"
        )
    if level is IsolationLevel.FULL:
        log.info("sandbox: level %s, %d servers", level, report.servers)
    else:
        log.warning(
            "sandbox: level %s only, which does not contain hostile code (%s)",
            level,
            missing or f"no layers on {sys.platform}",
        )


def _bubblewrap_command() -> tuple[str, ...]:
    found = shutil.which("bwrap")
    if found is None:
        raise SandboxUnavailableError(
            "sandbox=bubblewrap needs the program bwrap: install bubblewrap, or use "
            "sandbox=subprocess, which needs nothing"
        )
    command = [found, *BUBBLEWRAP_OPTIONS]
    for place in (sys.base_prefix, sys.prefix, str(Path(__file__).parent.resolve())):
        command += ["--ro-bind", place, place]  # they may lie in /tmp, which is empty inside
    return tuple(command)
