"""Servers that die, stop, starve or lie cost a retry; nothing is left behind."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import threading
import time
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

from axiom_rl.sandbox import judging, process, slot
from axiom_rl.sandbox import pool as pool_module
from axiom_rl.sandbox.base import Ending, IsolationLevel, SandboxUnavailableError
from axiom_rl.sandbox.pool import ServerPool
from axiom_rl.sandbox.process import ServerSettings

MARKED = replace(LIMITS, output_bytes=4711)
"""Limits by which an injected fault knows the request that it is meant for."""
FAULTY_BOOT = """
import sys; sys.path.append(sys.argv[1]); import child.server as server; sys.path.pop()
import errno, os
plain = server._Server._judge
def refuse(*arguments):
    raise OSError(errno.{errno}, "injected")
def faulty(self, limits, *rest):
    if limits.output != 4711:
        return plain(self, limits, *rest)
    true = os.{function}
    os.{function} = refuse
    try:
        return plain(self, limits, *rest)
    finally:
        os.{function} = true
server._Server._judge = faulty
server.main()
"""

PORTABLE_BOOT = """
import os, select, sys
for name in ("memfd_create", "pidfd_open", "waitid"):
    delattr(os, name)
del select.POLLRDHUP
sys.platform = "darwin"
sys.path.append(sys.argv[1]); import child.server; sys.path.pop()
child.server.main()
"""


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_runs_and_measures() -> None:
    with_pool = open_pool(2)
    try:
        outcomes = [with_pool.submit(request(f"return {n}"), same) for n in range(50)]
        for number, future in enumerate(outcomes):
            outcome = future.result()
            assert outcome.ending is Ending.EXITED
            assert f'["v", {number},'.encode() in outcome.frames
            assert 0 < outcome.cpu_s < 1
        assert with_pool.report.servers == 2
    finally:
        with_pool.close()


def test_nothing_is_left_after_close() -> None:
    before, threads = descriptors(), threading.active_count()
    pool = open_pool(2)
    processes = processes_of(pool)
    assert len(processes) >= 2
    futures = [pool.submit(request("while True: pass"), same) for _ in range(6)]
    time.sleep(0.1)
    pool.close()
    for future in futures:
        assert future.cancelled() or isinstance(future.exception(), SandboxUnavailableError)
    assert wait_until(lambda: all(is_gone(pid) for pid in processes))
    assert descriptors() == before
    assert threading.active_count() == threads
    with pytest.raises(SandboxUnavailableError, match="closed"):
        pool.submit(request("return 1"), same)


def test_memory_is_measured_from_outside() -> None:
    pool = open_pool()
    try:
        idle = pool.submit(request("return 1"), same).result()
        busy = pool.submit(request("return len(bytearray(50 << 20))"), same).result()
        assert idle.peak_memory_mb < 10
        assert 45 < busy.peak_memory_mb < 70
    finally:
        pool.close()


def test_a_killed_server_costs_one_retry() -> None:
    pool = open_pool()
    try:
        waiting = [pool.submit(request("import time; time.sleep(0.3); return 1"), same)]
        waiting += [pool.submit(request("return 1"), same) for _ in range(5)]
        time.sleep(0.1)
        for pid in processes_of(pool):
            with contextlib.suppress(ProcessLookupError):  # what was inside it died with it
                os.kill(pid, signal.SIGKILL)
        assert all(is_well(future.result()) for future in waiting)
        assert (pool.report.retries, pool.report.restarts) == (1, 1)
    finally:
        pool.close()


@pytest.mark.slow
def test_a_stopped_server_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slot, "GRACE_SECONDS", 0.1)
    monkeypatch.setattr(process, "CLOSE_SECONDS", 0.2)
    pool = open_pool()
    try:
        stopped = processes_of(pool)
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        assert is_well(pool.submit(request("return 1", replace(LIMITS, cpu_s=0.1)), same).result())
        assert pool.report.restarts == 1
        assert wait_until(lambda: all(is_gone(pid) for pid in stopped))
    finally:
        pool.close()


def test_who_takes_down_two_servers_is_guilty() -> None:
    """Without any layer a candidate can kill its server; its neighbours are not harmed."""
    layers = ("namespaces", "landlock", "seccomp", "privileges")
    pool = open_pool(1, ServerSettings(without=layers))
    try:
        assert pool.report.level is IsolationLevel.PROCESS_ONLY
        bad = request("import os, time; os.kill(os.getppid(), 9); time.sleep(9)")
        futures = [pool.submit(each, same) for each in (bad, request("return 1"))]
        assert futures[0].result().ending is Ending.BROKE_SERVER
        assert is_well(futures[1].result())
        assert pool.report.restarts == 2
    finally:
        pool.close()


def test_a_lamed_server_is_found_by_the_canary() -> None:
    """A candidate that takes its server's descriptors away must not spoil what comes after it."""
    pool = open_pool(1, ServerSettings(without=("namespaces", "landlock", "seccomp", "privileges")))
    try:
        lame = "import os, resource\nresource.prlimit(os.getppid(), resource.RLIMIT_NOFILE, (1, 1))"
        pool.submit(request(lame), same).result()
        pool.probe().result()
        assert is_well(pool.submit(request("return 1"), same).result())
        assert pool.report.restarts >= 1
    finally:
        pool.close()


@pytest.mark.parametrize(
    ("function", "errno"),
    [
        ("fork", "EAGAIN"),
        ("dup2", "EMFILE"),  # in the child, before the candidate begins
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in (("memfd_create", "EMFILE"), ("fstat", "ENOSPC"), ("getpid", "ENOMEM"))
        ),
    ],
)
def test_a_fault_of_the_system_is_not_the_candidates(
    function: str, errno: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "BOOT", FAULTY_BOOT.format(function=function, errno=errno))
    pool = open_pool()
    try:
        bad = pool.submit(request("return 1", MARKED), same)
        good = pool.submit(request("return 1"), same)
        assert bad.result().ending is Ending.FAULT
        assert is_well(good.result())
        assert (pool.report.retries, pool.report.restarts) == (1, 2)
    finally:
        pool.close()


def test_a_pool_that_fails_its_canary_is_refused() -> None:
    before = descriptors()
    with pytest.raises(SandboxUnavailableError, match="canary"):
        ServerPool(1, ServerSettings(), ((request("return 2"), is_well),), 1 << 24)
    assert descriptors() == before


def test_a_server_that_cannot_start_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "BOOT", "raise SystemExit('no such luck')")
    with pytest.raises(SandboxUnavailableError, match="no such luck"):
        open_pool()


def test_too_few_descriptors_here_is_said() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors() + 50, hard))
    taken = []
    try:
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        for _ in range(4):
            os.close(taken.pop())
        with pytest.raises(SandboxUnavailableError, match="Too many open files"):
            open_pool(8)
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.slow
def test_a_candidate_killed_by_the_system_is_tried_again() -> None:
    """As the kernel does when the whole machine is out of memory."""
    pool = open_pool()
    try:
        idle = set(processes_of(pool))
        future = pool.submit(request("import time; time.sleep(0.6); return 1"), same)
        assert wait_until(lambda: len(processes_of(pool)) > len(idle))
        [candidate] = set(processes_of(pool)) - idle
        os.kill(candidate, signal.SIGKILL)
        assert is_well(future.result())
        assert pool.report.retries == 1
    finally:
        pool.close()


def test_servers_are_recycled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "RECYCLE_AFTER", 5)
    pool = open_pool()
    try:
        futures = [pool.submit(request("return 1"), same) for _ in range(8)]
        assert all(is_well(future.result()) for future in futures)
        assert pool.report.restarts == 1
        assert pool.report.retries == 0
    finally:
        pool.close()


@pytest.mark.slow
def test_none_waits_behind_a_slow_one_while_another_server_is_free() -> None:
    pool = open_pool(2)
    try:
        started = time.monotonic()
        slow = [pool.submit(request("import time; time.sleep(0.5)"), same) for _ in range(2)]
        assert [future.result().ending for future in slow] == [Ending.EXITED] * 2
        assert time.monotonic() - started < 0.95
        slow.append(pool.submit(request("import time; time.sleep(0.5)"), same))
        quick = [pool.submit(request("return 1"), same) for _ in range(2)]
        assert all(is_well(future.result()) for future in quick)
        assert not slow[-1].done()
    finally:
        pool.close()


def test_no_verdict_waits_for_a_large_one() -> None:
    """A record that takes long to judge is judged beside the others."""
    pool = open_pool()
    released = threading.Event()
    try:
        body = "return 'x' * 200_000"
        large = [pool.submit(request(body), lambda _: released.wait(30)) for _ in range(3)]
        small = [pool.submit(request("return 1"), same) for _ in range(5)]
        assert all(is_well(future.result(timeout=20)) for future in small)
        assert not any(future.done() for future in large)
        released.set()
        assert all(future.result(timeout=20) for future in large)
    finally:
        released.set()
        pool.close()


def test_large_records_that_wait_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "MOST_HEAVY", 2)
    pool = open_pool()
    released = threading.Event()
    try:
        body = "return 'x' * 200_000"
        large = [pool.submit(request(body), lambda _: released.wait(30)) for _ in range(8)]
        assert wait_until(lambda: pool._judging.is_full)
        time.sleep(0.2)
        assert len(pool._queue) >= 4
        released.set()
        assert all(future.result(timeout=20) for future in large)
    finally:
        released.set()
        pool.close()


def test_a_given_up_request_does_not_run() -> None:
    pool = open_pool()
    try:
        pool.submit(request("import time; time.sleep(0.2)"), same)
        futures = [pool.submit(request("return 1"), same) for _ in range(10)]
        assert futures[-1].cancel()
        assert is_well(futures[-2].result())
    finally:
        pool.close()


@pytest.mark.slow
def test_limits_hold_where_there_is_nothing_of_linux(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS: no layers, no memory files, no process watched by descriptor."""
    monkeypatch.setattr(process, "BOOT", PORTABLE_BOOT)
    pool = open_pool(2)
    try:
        assert pool.report.level is IsolationLevel.PROCESS_ONLY
        assert is_well(pool.submit(request("return 1"), same).result())
        limits = replace(LIMITS, cpu_s=0.1)
        sleeper = pool.submit(request("import time; time.sleep(9)", limits), same)
        loop = pool.submit(request("while True: pass"), same).result()
        by_cpu = (loop.ending, loop.code) == (Ending.SIGNALLED, signal.SIGXCPU)
        assert by_cpu or loop.ending is Ending.WALL_LIMIT  # the latter on a busy machine
        assert sleeper.result().ending is Ending.WALL_LIMIT
    finally:
        pool.close()
