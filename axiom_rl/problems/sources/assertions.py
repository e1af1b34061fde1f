"""Test code of a benchmark as test cases: arguments for the sandbox, decisions kept out of it.

`TestCode.record` runs a row's test code with its reference (see replay.py) and returns test cases.
Where every assert is `f(args) == value` they are plain ones. Where an assert asks for something
else (a helper, a loop, two calls, an argument changed in place) the candidate gets the arguments
alone, as ever, and the test code decides over what it returned, in a process of its own
(`TestCode.replay`) and within a time limit. The code is kept in the first such test, so that
problems stay plain data in problems/*.jsonl.
"""

from __future__ import annotations

import marshal
import os
import pickle
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from axiom_rl.core.types import Problem, TestCase
from axiom_rl.problems.base import Args
from axiom_rl.problems.sources.referee import ITERATOR, MATCH, MOST_ITEMS
from axiom_rl.problems.sources.replay import HEAD

EXACT = "exact"
"""Checker of benchmark problems whose tests are values: Python's own ==, as in their asserts."""
ASSERTIONS = "assertions"
"""Checker of benchmark problems whose test code decides."""
CONDITION = "condition"
"""The one key of what a test expects where the test code decides."""
SECONDS = 10.0
"""CPU time of one run of a row's test code."""
WALL_FACTOR = 6.0
"""Wall time allowed for each second of CPU time: other processes may have the processor."""
ENTRY = "_axiom_entry"
MAIN = "from axiom_rl.problems.sources.replay import main; main()"


class Unconvertible(Exception):
    """The row cannot be used; the message says what its tests need."""


class _Ended(Unconvertible):
    """There is no answer: the process ended, or was too late."""

    def __init__(self, message: str, *, used_its_time: bool) -> None:
        super().__init__(message)
        self.used_its_time = used_its_time


class TestCode:
    """Runs test code of benchmarks in a process of its own, started when it is first needed."""

    __test__ = False  # not a pytest class

    def __init__(self, seconds: float = SECONDS) -> None:
        """Remember the CPU time that one run may take."""
        self._seconds = seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False
        self._lock = threading.Lock()

    def __enter__(self) -> TestCode:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process, whatever it is doing."""
        self._closed = True
        process = self._process
        if process is not None:
            process.kill()
        with self._lock:
            self._stop()

    def record(self, program: str, tests: str, function: str) -> tuple[TestCase, ...]:
        """Run test code with the reference and return the test cases, in the order of its calls.

        Args:
            program: the reference solution, with what the tests need besides.
            tests: assert statements, or a function `check(candidate)` that holds them.
            function: name of the reference's function.

        Raises:
            Unconvertible: naming what these tests need and cannot have.
        """
        script = {"program": program, "tests": tests, "function": function}
        found = self._ask("record", script, None)
        calls = [tuple(args) for args in found["calls"]]
        if all(found["expected"]):
            values = [expected["value"] for expected in found["expected"]]
            return tuple(map(TestCase, calls, values))
        script |= {"groups": found["groups"], "in_place": found["in_place"]}
        expected: list[Any] = [{CONDITION: None} for _ in calls]
        for group, wanted in zip(found["groups"], found["expected"], strict=True):
            if wanted:
                (call,) = group
                expected[call] = wanted["value"]
        first = next(number for number, value in enumerate(expected) if is_condition(value))
        expected[first] = {CONDITION: script}
        return tuple(map(TestCase, calls, expected))

    def replay(self, tests: Sequence[TestCase], values: Mapping[int, Any]) -> list[bool]:
        """Return for each test whether the test code accepts the values returned.

        Args:
            tests: of a problem whose checker is ASSERTIONS.
            values: what the candidate returned, by the test's index; tests without one are wrong.
        """
        script = script_of(tests) | {"calls": [test.args for test in tests]}
        for _try in range(2):
            try:
                right: list[bool] = self._ask("replay", script, dict(values))
            except _Ended as end:
                if self._closed:
                    raise
                if end.used_its_time:
                    break
                continue  # killed from outside, perhaps: that is not the candidate's doing
            return right
        return [False] * len(tests)

    def answers(self, program: str, function: str, inputs: list[Any]) -> list[Any]:
        """Return what a reference gives for each list of arguments.

        Raises:
            Unconvertible: if it raises, takes too long, or gives what is no plain value.
        """
        script = {"program": program, "function": function}
        found: list[Any] = self._ask("answers", script, inputs)
        return found

    def _ask(self, kind: str, script: dict[str, Any], more: Any) -> Any:
        with self._lock:
            if self._closed:
                raise _Ended("its test code was stopped: the run ends", used_its_time=False)
            process = self._start()
            request = pickle.dumps((kind, script, more, self._seconds))  # marshal: no Fractions
            deadline = time.monotonic() + WALL_FACTOR * self._seconds
            try:
                assert process.stdin is not None
                process.stdin.write(HEAD.pack(len(request)) + request)
                process.stdin.flush()
                size = HEAD.unpack(_read(process, HEAD.size, deadline))[0]
                outcome, found = marshal.loads(_read(process, size, deadline))
            except (OSError, EOFError, TimeoutError) as error:
                raise self._ended(process, error) from None
            except BaseException:  # Ctrl-C: the answer must not become that of the next request
                self._stop()
                raise
        if outcome == "refused":
            raise Unconvertible(found)
        return found

    def _ended(self, process: subprocess.Popen[bytes], error: Exception) -> _Ended:
        """Say why there is no answer, and end the process."""
        late = isinstance(error, TimeoutError)
        if not late:
            process.wait()
        self._stop()
        used_its_time = process.returncode == -signal.SIGPROF
        if late or used_its_time:
            text = f"its test code takes more than {self._seconds:g} s"
        else:
            text = f"its test code ends its process with status {process.returncode}"
        return _Ended(text, used_its_time=used_its_time)

    def _start(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._stop()
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", MAIN],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
                    "PYTHONHASHSEED": "0",  # loops over sets make the same calls each time
                    "OPENBLAS_NUM_THREADS": "1",
                },
                start_new_session=True,  # Ctrl-C is for the run
            )
        return self._process

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            with self._process as process:  # closes the pipes
                process.wait()
            self._process = None


def is_condition(expected: Any) -> bool:
    """Tell whether what a test of a benchmark expects is decided by its test code."""
    return isinstance(expected, dict) and expected.keys() == {CONDITION}


def needs_code(problem: Problem, tests: Sequence[TestCase]) -> bool:
    """Tell whether test code decides over some of these tests of a problem."""
    return problem.checker == ASSERTIONS and any(is_condition(test.expected) for test in tests)


def check(_args: Args, value: Any, expected: Any) -> bool:
    """Decide one `f(args) == value` as Python does."""
    return not is_condition(expected) and bool(value == expected)


def script_of(tests: Sequence[TestCase]) -> dict[str, Any]:
    """Return the test code that decides these tests.

    Raises:
        ValueError: if none of them holds it.
    """
    for test in tests:
        if is_condition(test.expected) and test.expected[CONDITION] is not None:
            script: dict[str, Any] = test.expected[CONDITION]
            return script
    raise ValueError("the tests lack the test code that decides them")


def adapted(problem: Problem, tests: Sequence[TestCase], code: str) -> tuple[str, str]:
    """Return the program and entry point to run, where test code decides.

    What is added states iterators, views, ranges, deques and matches of `re` as plain values, and,
    where the tests look at arguments after the call, those.
    """
    if not needs_code(problem, tests):
        return code, problem.entry_point
    after = script_of(tests)["in_place"]
    return f"{code}\n\n{_ADDED.format(function=problem.entry_point, after=after)}", ENTRY


_ADDED = f"""
import builtins as {ENTRY}_builtins
if {ENTRY}_builtins.callable({ENTRY}_builtins.globals().get("{{function}}")):
    def {ENTRY}(*args):
        import builtins, itertools, re
        from collections import abc, deque
        value = {{function}}(*args)
        for kind in (abc.KeysView, abc.ValuesView, abc.ItemsView, deque):
            if builtins.isinstance(value, kind):
                value = (f"\\0{{{{kind.__name__}}}}", builtins.list(value))
        if builtins.type(value) is builtins.range:
            value = ("\\0range", [value.start, value.stop, value.step])
        if builtins.isinstance(value, re.Match):
            value = ({MATCH!r}, value.span(), (value.group(), *value.groups()))
        elif builtins.hasattr(builtins.type(value), "__next__"):
            value = ({ITERATOR!r}, builtins.list(itertools.islice(value, {MOST_ITEMS})))
        return (value, args) if {{after}} else value
"""
"""Uses no name that the program may have given another meaning."""


def _read(process: subprocess.Popen[bytes], size: int, deadline: float) -> bytes:
    """Read `size` bytes of the process's output.

    Raises:
        EOFError: if it ends before.
        TimeoutError: if the deadline passes before.
    """
    assert process.stdout is not None
    descriptor, parts = process.stdout.fileno(), bytearray()
    waiting = select.poll()  # select() takes no descriptor above 1,023
    waiting.register(descriptor, select.POLLIN)
    while len(parts) < size:
        if not waiting.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise TimeoutError
        part = os.read(descriptor, size - len(parts))
        if not part:
            raise EOFError
        parts += part
    return bytes(parts)
