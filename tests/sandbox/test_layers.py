"""The level reached, what each layer's absence does to it, and what is refused below it."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pools import (
    CANARY,
    is_well,
    open_pool,
    request,
    same,
    tree_below,
    wait_until,
)

from axiom_rl.config import load_config
from axiom_rl.core.errors import AxiomError
from axiom_rl.sandbox.base import (
    Ending,
    IsolationLevel,
    PoolReport,
    SandboxUnavailableError,
    level_of,
)
from axiom_rl.sandbox.child.containment import landlock
from axiom_rl.sandbox.child.containment.namespaces import MOST_PROCESSES
from axiom_rl.sandbox.kinds import BUBBLEWRAP_OPTIONS, open_sandbox, require_level
from axiom_rl.sandbox.process import ServerSettings

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="layers are Linux only")

LAYERS = ("namespaces", "root", "privileges", "landlock", "seccomp", "rlimits", "threads")
ALL_ON = dict.fromkeys(LAYERS, "on")


@pytest.mark.parametrize(
    ("missing", "level"),
    [
        ((), IsolationLevel.FULL),
        (("namespaces", "root"), IsolationLevel.FULL),
        (("threads",), IsolationLevel.REDUCED),
        (("landlock",), IsolationLevel.REDUCED),
        (("seccomp", "namespaces"), IsolationLevel.REDUCED),
        (("seccomp", "landlock"), IsolationLevel.PROCESS_ONLY),
        (("rlimits",), IsolationLevel.PROCESS_ONLY),
        (("privileges",), IsolationLevel.PROCESS_ONLY),
        (tuple(ALL_ON), IsolationLevel.PROCESS_ONLY),
    ],
)
def test_levels(missing: tuple[str, ...], level: IsolationLevel) -> None:
    assert level_of({**ALL_ON, **dict.fromkeys(missing, "refused")}) is level


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_can_be_missing(name: str) -> None:
    """Each is found missing by itself, and candidates still run."""
    pool = open_pool(1, ServerSettings(without=(name,)))
    try:
        layers = pool.report.layers
        assert layers[name] == "left out"
        assert pool.report.level is level_of(layers)
        assert is_well(pool.submit(request("return 1"), same).result())
    finally:
        pool.close()


def test_a_layer_that_does_not_hold_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule that opens the root of the file system: Landlock is on, and useless."""
    monkeypatch.setattr("axiom_rl.sandbox.process._preload_places", lambda _modules: ([], ["/"]))
    pool = open_pool()
    try:
        assert pool.report.layers["landlock"] == "self-test failed"
        assert pool.report.level is IsolationLevel.REDUCED
    finally:
        pool.close()


@pytest.mark.parametrize(("have", "wanted"), [("process", "full"), ("reduced", "full")])
def test_less_than_asked_for_is_refused(have: str, wanted: str) -> None:
    report = PoolReport(IsolationLevel(have), {**ALL_ON, "seccomp": "refused: no"}, 1)
    with pytest.raises(
        SandboxUnavailableError, match=f"sandbox.isolation={have}.*accept"
    ) as caught:
        require_level(report, wanted)
    assert "seccomp: refused: no" in str(caught.value)


def test_less_is_accepted_by_name_and_said_aloud(caplog: pytest.LogCaptureFixture) -> None:
    require_level(PoolReport(IsolationLevel.PROCESS_ONLY, {"seccomp": "refused"}), "process")
    assert "does not contain hostile code (seccomp: refused)" in caplog.text


def test_other_systems_get_a_warning_and_not_a_refusal(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    require_level(PoolReport(IsolationLevel.PROCESS_ONLY), "full")
    assert "no layers on darwin" in caplog.text


def test_this_refusal_leaves_nothing_behind() -> None:
    before = set(tree_below(os.getpid()))
    config = load_config("sandbox.servers=1").sandbox
    with pytest.raises(SandboxUnavailableError, match="landlock: left out"):
        open_sandbox(config, (CANARY,), ["landlock"])
    assert set(tree_below(os.getpid())) <= before


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("sandbox.isolation=much", "full, reduced, process"),
        ("sandbox.kind=jail", "subprocess, bubblewrap, debug"),
        ("sandbox.preload=[no_such_module]", "no module no_such_module"),
    ],
)
def test_impossible_settings_are_named(override: str, words: str) -> None:
    with pytest.raises(AxiomError, match=words):
        open_sandbox(load_config(override).sandbox, (CANARY,))


def test_bubblewrap_is_asked_for_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(SandboxUnavailableError, match="install bubblewrap"):
        open_sandbox(load_config("sandbox=bubblewrap").sandbox, (CANARY,))


def bubblewrap_works() -> bool:
    """Whether bwrap is installed and may make the namespaces that the servers want."""
    probe = ["bwrap", *BUBBLEWRAP_OPTIONS, "true"]
    return shutil.which("bwrap") is not None and not subprocess.run(probe, check=False).returncode


@pytest.mark.skipif("not bubblewrap_works()", reason="bubblewrap does not work here")
def test_bubblewrap_goes_around_the_servers() -> None:
    before = set(tree_below(os.getpid()))
    sandbox = open_sandbox(
        load_config("sandbox=bubblewrap", "sandbox.servers=1").sandbox, (CANARY,)
    )
    below = set(tree_below(os.getpid())) - before
    try:
        assert sandbox.report.level is IsolationLevel.FULL
        assert any("bwrap" in Path(f"/proc/{pid}/comm").read_text() for pid in below)
        assert is_well(sandbox.submit(request("return 1"), same).result())
        peek = request("import os; return 1 + len(os.listdir('/tmp'))")
        assert not is_well(sandbox.submit(peek, same).result())
    finally:
        sandbox.close()
    assert wait_until(lambda: set(tree_below(os.getpid())) <= before)


SWARM = """
import ctypes
libc, thread, started = ctypes.CDLL(None), ctypes.c_ulong(), 0
start = libc.pthread_create
attributes = ctypes.create_string_buffer(128)
libc.pthread_attr_init(attributes)
libc.pthread_attr_setstacksize(attributes, ctypes.c_size_t(16384))
while started < 6000 and not start(ctypes.byref(thread), attributes, libc.{what}, None):
    started += 1
return started
"""
NO_NAMESPACES = (sys.executable, str(Path(__file__).with_name("no_namespaces.py")))


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param(ServerSettings(), id="namespaces"),
        *(
            pytest.param(settings, id=name, marks=pytest.mark.slow)
            for name, settings in {
                "left out": ServerSettings(without=("namespaces",)),
                "refused": ServerSettings(wrapper=NO_NAMESPACES),
                "no limit of the kernel": ServerSettings(without=("namespaces", "privileges")),
            }.items()
        ),
    ],
)
def test_threads_are_bounded_on_every_path(settings: ServerSettings) -> None:
    pool = open_pool(2, settings)
    try:
        assert pool.report.layers["threads"] == "on"
        if "privileges" not in settings.without:
            assert pool.report.level is IsolationLevel.FULL
        futures = [
            pool.submit(request(SWARM.format(what=what)), same)
            for what in ("pause", "abs", "pause")
        ]
        neighbours = [pool.submit(request("return 1"), same) for _ in range(20)]
        for future in futures[::2]:
            outcome = future.result()
            if outcome.ending is not Ending.THREAD_LIMIT:
                started = int(outcome.frames[9:].split(b",")[0])
                assert 100 < started <= MOST_PROCESSES
        assert all(is_well(future.result()) for future in neighbours)
        assert pool.report.restarts == 0
    finally:
        pool.close()


def test_of_the_machine_only_what_may_be_read_exists() -> None:
    pool = open_pool()
    try:
        if pool.report.layers["root"] != "on":
            pytest.skip(f"no root of our own: {pool.report.layers['root']}")
        hidden = [__file__, "/etc/passwd", "/proc/self/stat", "/sys/kernel", "/var", "/boot"]
        seen = f"""
import os, json
def looks(path):
    for look in (os.stat, os.lstat, os.readlink, os.statvfs, lambda p: os.open(p, 0o10000000)):
        try:
            look(path)
            return True
        except OSError:
            pass
    return False
packages = os.path.join(os.path.dirname(os.__file__), "site-packages")
inside = os.listdir(packages) if os.path.isdir(packages) else []
return [looks(path) for path in {hidden!r}] + [inside, os.uname().nodename, len(json.dumps(1))]
"""
        outcome = pool.submit(request(seen), same).result()
        wanted = f'["v", [{", ".join(["false"] * len(hidden))}, [], "sandbox", 1],'
        assert wanted.encode() in outcome.frames, outcome
    finally:
        pool.close()


def test_debug_runs_here_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        sandbox = open_sandbox(load_config("sandbox=debug").sandbox, ())
    assert "INSIDE THIS PROCESS" in caplog.text
    assert sandbox.report.level is IsolationLevel.NONE
    outcome = sandbox.submit(request("import os; return os.getpid()"), same).result()
    assert f'["v", {os.getpid()},'.encode() in outcome.frames
    sandbox.probe().result()
    sandbox.close()


def test_installed_packages_are_not_part_of_the_standard_library() -> None:
    readable = list(landlock.standard_library())
    assert any(path.endswith("/json") for path in readable)
    assert not any("site-packages" in path or "dist-packages" in path for path in readable)
