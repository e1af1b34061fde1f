"""What counts as a candidate's time: not that of a busy machine, nor that of a stopped trainer."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from pools import LIMITS, is_well, open_pool, request, same

from axiom_rl.sandbox import process, slot
from axiom_rl.sandbox.base import Ending
from axiom_rl.sandbox.child import watch

QUICK = replace(LIMITS, cpu_s=0.1)
NO_GRACE = -4 * QUICK.cpu_s - 3.8
"""Makes a server overdue after 1.2 s: less than the stops below, more than a busy one needs."""


class FakeMachine:
    """A clock, a program's CPU clock, and how busy the machine is, all set by the test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = self.cpu_s = 0.0
        self.is_busy = False
        self.looks = 0
        monkeypatch.setattr(watch.time, "monotonic", lambda: self.now)

    def begin(self) -> None:
        self.looks += 1

    def is_crowded(self) -> bool:
        self.looks += 1
        return self.is_busy

    def run(self, clock: watch._Clock, seconds: float, share: float) -> float:
        """Let time pass as `wait` does, the program getting a share of a processor."""
        end = self.now + seconds
        while self.now < end and (left := clock.left(self.cpu_s)) > 0:
            step = max(1e-3, min(left, end - self.now))
            clock.expect(step)
            self.now += step
            self.cpu_s += share * step
        return self.now


@pytest.mark.parametrize(
    ("is_busy", "share", "ends"),
    [(False, 0.1, 7.0), (False, 0.0, 7.0), (True, 0.01, 17.0), (True, 0.0, 7.0)],
    ids=["quiet", "quiet_sleeper", "busy", "busy_sleeper"],
)
def test_wall_time_counts_unless_the_machine_is_crowded(
    is_busy: bool, share: float, ends: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = FakeMachine(monkeypatch)
    machine.is_busy = is_busy
    clock = watch._Clock(machine, 0.0, 7.0, 17.0)  # type: ignore[arg-type]
    assert machine.run(clock, 60.0, share) == pytest.approx(ends, abs=0.5)
    assert clock.was_crowded == (is_busy and share > 0)


def test_time_counts_again_when_the_machine_has_room(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = FakeMachine(monkeypatch)
    clock = watch._Clock(machine, 0.0, 7.0, 17.0)  # type: ignore[arg-type]
    for busy in (True, False, True):
        machine.is_busy = busy
        machine.run(clock, 3.0, 0.1)
    assert machine.now == pytest.approx(9.0)
    machine.is_busy = False
    assert machine.run(clock, 60.0, 0.1) == pytest.approx(13.0, abs=0.6)


def test_time_in_which_everything_was_stopped_does_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine = FakeMachine(monkeypatch)
    clock = watch._Clock(machine, 0.0, 3.0, 9.0)  # type: ignore[arg-type]
    machine.run(clock, 1.0, 0.5)
    clock.expect(0.25)
    machine.now += 3600.0
    assert machine.run(clock, 60.0, 0.5) == pytest.approx(3600.0 + 3.0 - watch.LATE_S, abs=0.6)


def test_most_programs_never_ask_how_busy_the_machine_is(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = FakeMachine(monkeypatch)
    clock = watch._Clock(machine, 0.0, 7.0, 17.0)  # type: ignore[arg-type]
    machine.run(clock, 0.09, 1.0)
    assert machine.looks == 0


TRAINER = f"""
import sys; sys.path[:0] = [{str(Path(__file__).parent)!r}, {str(Path(__file__).parents[2])!r}]
from pools import *
from dataclasses import replace
from axiom_rl.sandbox import slot
slot.GRACE_SECONDS = {NO_GRACE}
if __name__ == "__main__":
    pool = open_pool(2)
    limits = replace(LIMITS, cpu_s={QUICK.cpu_s})
    futures = [pool.submit(request("import time; time.sleep(0.4); return 1", limits), same)
               for _ in range(3)]
    print("running", flush=True)
    print(all(is_well(future.result()) for future in futures), pool.report.restarts, flush=True)
    pool.close()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "send",
    [
        pytest.param(os.kill, id="alone", marks=pytest.mark.slow),
        pytest.param(os.killpg, id="with_its_group"),
    ],
)
def test_a_stopped_trainer_blames_nobody(send: Callable[[int, int], None]) -> None:
    trainer = subprocess.Popen(
        [sys.executable, "-c", TRAINER], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    with trainer:
        assert trainer.stdout is not None
        assert trainer.stdout.readline() == "running\n"
        time.sleep(0.1)
        send(trainer.pid, signal.SIGSTOP)
        time.sleep(2.0)
        send(trainer.pid, signal.SIGCONT)
        assert trainer.stdout.readline() == "True 0\n"


@pytest.mark.slow
def test_a_call_that_holds_the_interpreter_blames_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slot, "GRACE_SECONDS", NO_GRACE)
    holder = ctypes.PyDLL(None)  # unlike CDLL, it does not let other threads run
    pool = open_pool()
    try:
        programs = [request("import time; time.sleep(0.2); return 1", QUICK)] * 3
        futures = [pool.submit(program, same) for program in programs]
        thread = threading.Thread(target=holder.sleep, args=(2,))
        thread.start()
        thread.join()
        assert all(is_well(future.result()) for future in futures)
        assert pool.report.restarts == 0
    finally:
        pool.close()


CROWDED_BOOT = """
import sys; sys.path.append(sys.argv[1]); import child.server as server; sys.path.pop()
plain = server._Server._judge
def crowded(self, limits, pages, answer):
    def tell(end, exchange):
        first = limits.output == 4711 and limits.spare_s > 0
        answer(end._replace({change}) if first else end, exchange)
    plain(self, limits, pages, tell)
server._Server._judge = crowded
server.main()
"""
MARKED = replace(LIMITS, output_bytes=4711)


@pytest.mark.parametrize(
    ("change", "seconds"),
    [
        ("why=2, crowded=True", 1),
        ("why=2", 0),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in (
                ("cpu_s=1.05, crowded=True", 1),
                ("crowded=True", 0),
                ("why=1, cpu_s=1.11, crowded=True", 0),
                ("cpu_s=1.05", 0),
            )
        ),
    ],
)
def test_a_second_judgement_where_a_busy_machine_may_be_to_blame(
    change: str, seconds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "BOOT", CROWDED_BOOT.format(change=change))
    pool = open_pool(2)
    try:
        marked = pool.submit(request("return 1", MARKED), same)
        others = [pool.submit(request("return 1"), same) for _ in range(6)]
        outcome = marked.result()
        assert all(is_well(future.result()) for future in others)
        assert pool.report.second_judgements == seconds
        expected = {"why=2": Ending.WALL_LIMIT, "why=1, cpu_s=1.11, crowded=True": Ending.CPU_LIMIT}
        assert outcome.ending is expected.get(change, Ending.EXITED)
        assert pool.report.retries == 0
    finally:
        pool.close()


@pytest.mark.slow
def test_second_judgements_run_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """While one runs, nothing else does; what waits for it runs afterwards."""
    boot = CROWDED_BOOT.format(change="why=2, crowded=True")
    monkeypatch.setattr(process, "BOOT", boot)
    pool = open_pool(2)
    try:
        wait = "import time\nbegan = time.monotonic()\ntime.sleep(0.3)\n"
        told = wait + "return [began, time.monotonic()]"
        slow = [pool.submit(request(told, MARKED), same)]
        slow += [pool.submit(request(told), same) for _ in range(3)]
        spans = [_span(future.result().frames) for future in slow]
        alone, others = spans[0], spans[1:]
        assert all(end <= alone[0] or begin >= alone[1] for begin, end in others)
    finally:
        pool.close()


def _span(frames: bytes) -> tuple[float, float]:
    numbers = frames.partition(b'["v", [')[2].partition(b"]")[0].split(b",")
    return float(numbers[0]), float(numbers[1])


@pytest.mark.slow
def test_a_sleeper_and_a_loop_are_judged_once() -> None:
    pool = open_pool()
    try:
        began = time.monotonic()
        asleep = pool.submit(request("import time; time.sleep(100)", QUICK), same).result()
        assert asleep.ending is Ending.WALL_LIMIT
        assert time.monotonic() - began < QUICK.wall_s + 1
        busy = pool.submit(request("while True: pass", QUICK), same).result()
        assert busy.ending is Ending.CPU_LIMIT
        assert pool.report.second_judgements == 0
    finally:
        pool.close()


@pytest.mark.slow
def test_threads_of_one_candidate_starve_nobody() -> None:
    threads = """
import threading
def spin():
    while True: pass
for _ in range(280): threading.Thread(target=spin, daemon=True).start()
spin()
"""
    honest = """
import time
while time.process_time() < 0.25: pass
return 1
"""
    pool = open_pool(2)
    try:
        limits = replace(LIMITS, cpu_s=0.4)
        pairs = [(threads, honest)] * 3
        futures = [pool.submit(request(body, limits), same) for pair in pairs for body in pair]
        assert all(is_well(future.result()) for future in futures[1::2])
        assert not any(is_well(future.result()) for future in futures[::2])
    finally:
        pool.close()


@pytest.mark.slow
def test_other_processes_take_no_verdict_away() -> None:
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(16)]
    pool = open_pool()
    try:
        honest = "import time\nwhile time.process_time() < 0.25: pass\nreturn 1"
        limits = replace(LIMITS, cpu_s=0.4)
        futures = [pool.submit(request(honest, limits), same) for _ in range(6)]
        assert all(is_well(future.result()) for future in futures)
    finally:
        for other in others:
            other.kill()
            other.wait()
        pool.close()
