"""What ends a server, or keeps the next one from starting, neither ends the pool nor cheats it."""

from __future__ import annotations

import contextlib
import logging
import os
import resource
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from pools import (
    LIMITS,
    is_gone,
    is_well,
    open_pool,
    processes_of,
    request,
    same,
    wait_until,
)

from axiom_rl.sandbox import process, vacancies
from axiom_rl.sandbox.base import Ending, IsolationLevel, SandboxUnavailableError
from axiom_rl.sandbox.pool import ServerPool
from axiom_rl.sandbox.process import ServerSettings

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="layers are Linux only")

SLOW = request("import time; time.sleep(0.8); return 1")
FULL_BOOT = """
import errno, os, sys; sys.path.append(sys.argv[1]); import child.server as server; sys.path.pop()
def refuse(*arguments):
    raise OSError(errno.{errno}, os.strerror(errno.{errno}))
{where} = refuse
server.main()
"""


def kill_servers(pool: ServerPool) -> None:
    for pid in processes_of(pool):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@contextmanager
def no_descriptors() -> Iterator[None]:
    """Leave this process not one descriptor."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 256), hard))
    taken = []
    try:
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        yield
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.slow
@pytest.mark.parametrize("servers", [1, 2])
def test_no_descriptors_at_a_restart(servers: int, caplog: pytest.LogCaptureFixture) -> None:
    pool = open_pool(servers)
    try:
        with caplog.at_level(logging.WARNING):
            waiting = [pool.submit(SLOW, same) for _ in range(3)]
            time.sleep(0.1)
            victims = processes_of(pool)
            with no_descriptors():
                for pid in victims:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                assert wait_until(lambda: "Too many open files" in caplog.text)
                time.sleep(0.6)
                assert not any(future.done() for future in waiting)
            assert all(is_well(future.result(20)) for future in waiting)
        assert pool.report.restarts == servers
        pool.probe().result(20)
    finally:
        pool.close()


@pytest.mark.slow
def test_one_place_without_room_does_not_hold_up_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pool = open_pool(2)
    try:
        monkeypatch.setattr(process, "BOOT", FULL_BOOT.format(errno="EAGAIN", where="os.fork"))
        waiting = [pool.submit(SLOW, same) for _ in range(4)]
        time.sleep(0.1)
        os.kill(pool._slots[0].server.process.pid, signal.SIGKILL)
        assert all(is_well(future.result(20)) for future in waiting)
        pool.probe().result(20)
        monkeypatch.undo()
        assert wait_until(lambda: len(pool._slots) == 2)
    finally:
        pool.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("errno", "where"),
    [
        ("EAGAIN", "os.fork"),
        pytest.param("ENFILE", "os.memfd_create", marks=pytest.mark.slow),
        pytest.param("ENOMEM", "server._preload", marks=pytest.mark.slow),
    ],
)
def test_a_new_server_without_room_is_tried_again(
    errno: str, where: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(vacancies, "VACANT_SECONDS", 0.05)
    pool = open_pool()
    try:
        boot = FULL_BOOT.format(errno=errno, where=where)
        plain = process.BOOT
        monkeypatch.setattr(process, "BOOT", boot)
        future = pool.submit(SLOW, same)
        time.sleep(0.1)
        kill_servers(pool)
        assert wait_until(lambda: "no room for a server" in caplog.text)
        time.sleep(1)  # longer than three starts take
        assert not future.done()
        monkeypatch.setattr(process, "BOOT", plain)
        assert is_well(future.result(20))
    finally:
        pool.close()


def test_without_room_for_long_the_reason_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vacancies, "PATIENCE_SECONDS", 0.2)
    pool = open_pool()
    try:
        futures = [pool.submit(SLOW, same) for _ in range(4)]
        time.sleep(0.3)
        victims = processes_of(pool)
        with no_descriptors():
            for pid in victims:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            errors = [future.exception(20) for future in futures[1:]]
        for error in errors:
            assert isinstance(error, SandboxUnavailableError)
            assert "Too many open files" in str(error)
        with pytest.raises(SandboxUnavailableError, match="Too many open files"):
            pool.submit(SLOW, same)
    finally:
        pool.close()


def test_who_waits_when_the_pool_closes_gets_the_reason() -> None:
    pool = open_pool()
    futures = [pool.submit(SLOW, same) for _ in range(5)]
    pool.close()
    for future in futures:
        assert isinstance(future.exception(1), SandboxUnavailableError)


@pytest.mark.slow
def test_a_server_that_comes_back_weaker_is_not_used() -> None:
    pool = open_pool(2)
    try:
        assert pool.report.level is IsolationLevel.FULL
        pool._settings = ServerSettings(without=("seccomp",))
        futures = [pool.submit(SLOW, same) for _ in range(6)]
        time.sleep(0.1)
        kill_servers(pool)
        errors = [error for future in futures if (error := future.exception(20)) is not None]
        assert errors
        for error in errors:
            assert "the level reduced instead of full (" in str(error)
            assert "seccomp: left out" in str(error)
        assert pool.report.level is IsolationLevel.FULL
    finally:
        pool.close()


@pytest.mark.slow
def test_a_server_that_comes_back_weaker_once_costs_a_start() -> None:
    pool = open_pool()
    try:
        strong, pool._settings = pool._settings, ServerSettings(without=("landlock",))
        future = pool.submit(SLOW, same)
        time.sleep(0.1)
        kill_servers(pool)
        assert wait_until(lambda: pool.report.restarts >= 1)
        pool._settings = strong
        assert is_well(future.result(20))
        assert pool.report.level is IsolationLevel.FULL
    finally:
        pool.close()


def test_who_is_killed_twice_did_it_himself() -> None:
    """What kills it comes from outside here; a program that found a way would look the same."""
    pool = open_pool()

    def runs() -> bool:
        """Whether the candidate itself runs, and not a canary or a server's test of its layers."""
        slot = pool._slots[0] if pool._slots else None
        return slot is not None and slot.proven and bool(slot.jobs) and not slot.is_probing

    try:
        asleep = request("import time; time.sleep(1.5)", replace(LIMITS, cpu_s=1.0))
        future = pool.submit(asleep, same)
        for times in range(2):
            assert wait_until(lambda times=times: pool.report.retries == times and runs())  # type: ignore[misc]
            time.sleep(0.1)
            os.kill(processes_of(pool)[-1], signal.SIGKILL)
        outcome = future.result(20)
        assert (outcome.ending, outcome.code) == (Ending.SIGNALLED, signal.SIGKILL)
        assert pool.report.retries == 1
    finally:
        pool.close()


@pytest.mark.slow
def test_a_stopped_server_leaves_no_orphan(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the inside out: whoever is outside reaps what is inside."""
    monkeypatch.setattr(process, "CLOSE_SECONDS", 0.5)
    pool = open_pool()
    stopped = processes_of(pool)
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    pool.close()
    assert wait_until(lambda: all(is_gone(pid) for pid in stopped))
    assert not any(Path(f"/proc/{pid}").exists() for pid in stopped)
