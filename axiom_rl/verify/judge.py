"""From the record of a run to a verdict: every byte of the record is the candidate's word.

A frame can only state values. A test passes if the value stated for it is the right one; a verdict
of ACCEPTED needs a right value for every test, the closing frame, and an exit with status 0.
"""

from __future__ import annotations

import json
import re
import reprlib
import signal
import struct
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from axiom_rl.core import codec as values
from axiom_rl.core.types import FAILED_KEPT, CaseResult, Problem, Status, Verdict
from axiom_rl.sandbox.base import Ending, Limits, Outcome
from axiom_rl.sandbox.wire import PEAK_UNIT_MB
from axiom_rl.verify.compare import values_match

LENGTH = struct.Struct("<I")
MAX_DETAIL = 300
LARGEST_OTHER = 8192
"""Bytes of a frame without a value; the runner writes at most 300 characters of detail."""
SPARE_BYTES = 2**20
"""Bytes of values that are judged although larger than right ones: up to half a second's work."""
MAX_DIGITS = 40
"""The runner writes larger integers in hexadecimal."""
MEMORY_SHARE = 0.9
"""A program that dies by a signal with this share of its memory in use died of memory."""

Checker = Callable[[tuple[Any, ...], Any, Any], bool]
Decide = Callable[[Mapping[int, Any]], Sequence[bool]]
"""From the values returned, by test, to whether each is right."""


class MalformedRecord(Exception):
    """The record is not one that the runner writes."""


@dataclass(frozen=True, slots=True)
class Standard:
    """What a problem's outcomes are judged by."""

    problem: Problem
    checker: Checker | None
    largest: tuple[int, ...]
    """Per test, the length of encoded text above which a value cannot be the right one."""
    exact: tuple[bytes, ...]
    """Per test, how a frame begins that states the expected value itself."""
    decide: Decide | None = None
    """Decides over all values at once, in the place of the checker."""


def standard_of(
    problem: Problem, checker: Checker | None, decide: Decide | None = None
) -> Standard:
    """Prepare the judging of a problem; a checker may accept values of quite another size."""
    floor = 2**20 if checker else 4096
    texts = [json.dumps(values.encode(test.expected)) for test in problem.hidden_tests]
    largest = tuple(floor + 64 * len(text) for text in texts)
    exact = tuple(f'["v", {text}, '.encode() for text in texts)
    return Standard(problem, checker, largest, exact, decide)


def judge(standard: Standard, limits: Limits, outcome: Outcome) -> Verdict:
    """Return the verdict on a run."""
    total = len(standard.problem.hidden_tests)
    measured = Verdict(
        status=Status.SANDBOX_FAULT,
        passed=False,
        pass_fraction=0.0,
        total_tests=total,
        cpu_s=outcome.cpu_s,
        wall_s=outcome.wall_s,
        peak_memory_mb=outcome.peak_memory_mb,
    )
    if outcome.ending is Ending.FAULT:
        return replace(measured, detail="the sandbox failed twice; not the candidate's doing")
    if outcome.ending is Ending.BROKE_SERVER:
        detail = "took down two servers, while the canary passes"
        return replace(measured, status=Status.SECURITY_VIOLATION, detail=detail)
    try:
        record = _read_record(standard, limits, outcome)
    except MalformedRecord as error:
        return replace(measured, status=Status.SECURITY_VIOLATION, detail=_clean(str(error)))
    ended = _ending(limits, outcome, record.closed or record.load_failure is not None)
    if ended is not None and ended[0] is Status.SECURITY_VIOLATION:
        record.load_failure = None
    if standard.decide is not None and record.load_failure is None:
        _decide(standard.decide, record)
    return _verdict(measured, record, ended)


@dataclass(slots=True)
class _Record:
    idle_mb: float
    """What the child's own figures of peak memory hold beside the candidate's."""
    cases: list[CaseResult] = field(default_factory=list)
    load_failure: tuple[Status, str] | None = None
    closed: bool = False
    values: dict[int, Any] = field(default_factory=dict)
    """By test, where all of them are decided together."""
    spare: int = SPARE_BYTES
    """Bytes of values larger than right ones that are still read."""


def _verdict(measured: Verdict, record: _Record, ended: tuple[Status, str] | None) -> Verdict:
    if record.load_failure is not None:
        status, detail = record.load_failure
        return replace(measured, status=status, detail=detail)
    cases = record.cases
    if ended is not None:
        last = len(cases) - 1 if len(cases) == measured.total_tests else len(cases)
        del cases[last:]
        cases.append(CaseResult(index=last, status=ended[0], passed=False, detail=ended[1]))
    first = next((case for case in cases if not case.passed), None)
    if ended is not None and ended[0] is Status.SECURITY_VIOLATION:
        first = cases[-1]
    passed = {case.index for case in cases if case.passed}
    failed = (place for place in range(measured.total_tests) if place not in passed)
    return replace(
        measured,
        status=Status.ACCEPTED if first is None else first.status,
        failed_tests=tuple(islice(failed, FAILED_KEPT)),
        passed=first is None,
        pass_fraction=sum(case.passed for case in cases) / measured.total_tests,
        cases=tuple(_within_totals(cases, measured)),
        detail="" if first is None else first.detail,
    )


def _within_totals(cases: Sequence[CaseResult], measured: Verdict) -> list[CaseResult]:
    """Cut the child's own figures down to what was measured from outside."""
    cpu, wall = sum(case.cpu_s for case in cases), sum(case.wall_s for case in cases)
    most = measured.peak_memory_mb
    if (
        cpu <= measured.cpu_s
        and wall <= measured.wall_s
        and all(case.peak_memory_mb <= most for case in cases)
    ):
        return list(cases)
    cpu_left, wall_left = measured.cpu_s, measured.wall_s
    result = []
    for case in cases:
        cpu, wall = min(case.cpu_s, cpu_left), min(case.wall_s, wall_left)
        cpu_left, wall_left = cpu_left - cpu, wall_left - wall
        peak = min(case.peak_memory_mb, most)
        result.append(replace(case, cpu_s=cpu, wall_s=wall, peak_memory_mb=peak))
    return result


def _ending(limits: Limits, outcome: Outcome, complete: bool) -> tuple[Status, str] | None:
    """Return why the run did not come to a proper end, or None if it did."""
    match outcome.ending:
        case Ending.CPU_LIMIT:
            return Status.TIME_LIMIT, f"more than {limits.cpu_s:g} s of CPU time"
        case Ending.WALL_LIMIT:
            return Status.TIME_LIMIT, f"more than {limits.wall_s:g} s of wall time"
        case Ending.THREAD_LIMIT:
            return Status.RUNTIME_ERROR, "started more threads than the sandbox allows"
        case Ending.SIGNALLED:
            return _signalled(limits, outcome)
        case Ending.EXITED | Ending.BROKE_SERVER | Ending.FAULT:
            return _exited(limits, outcome, complete)


def _exited(limits: Limits, outcome: Outcome, complete: bool) -> tuple[Status, str] | None:
    if outcome.output_bytes >= limits.output_bytes:
        return Status.OUTPUT_LIMIT, f"printed more than {limits.output_bytes} bytes"
    if outcome.code != 0 or not complete:
        return Status.RUNTIME_ERROR, f"the process exited early with status {outcome.code}"
    return None


def _signalled(limits: Limits, outcome: Outcome) -> tuple[Status, str]:
    number = outcome.code
    if number == signal.SIGSYS:
        return Status.SECURITY_VIOLATION, "made a system call that the sandbox kills for"
    if number == signal.SIGXCPU or outcome.cpu_s >= limits.cpu_s:
        return Status.TIME_LIMIT, f"more than {limits.cpu_s:g} s of CPU time"
    if number == signal.SIGXFSZ or outcome.output_bytes >= limits.output_bytes:
        return Status.OUTPUT_LIMIT, "printed or returned more than is allowed"
    if outcome.peak_memory_mb * 2**20 >= MEMORY_SHARE * limits.memory_bytes:
        return Status.MEMORY_LIMIT, f"more than {limits.memory_bytes >> 20} MB of memory"
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    return Status.RUNTIME_ERROR, f"killed by {name}"


def _read_record(standard: Standard, limits: Limits, outcome: Outcome) -> _Record:
    record = _Record(outcome.idle_memory_mb)
    data, start = outcome.frames, 0
    most = limits.record_bytes(len(standard.problem.hidden_tests))
    while start + LENGTH.size <= len(data):
        end = start + LENGTH.size + LENGTH.unpack_from(data, start)[0]
        if end > most:  # whatever came of it, which a race with the server may decide
            raise MalformedRecord("a result longer than any")
        if end > len(data):
            break
        if record.closed or record.load_failure is not None:
            raise MalformedRecord("a result that goes on after its end")
        _read_frame(standard, data[start + LENGTH.size : end], record)
        start = end
    if start != len(data) and outcome.ending is Ending.EXITED and outcome.code == 0:
        raise MalformedRecord("a result that breaks off in the middle")
    return record


def _read_frame(standard: Standard, body: bytes, record: _Record) -> None:
    index = len(record.cases)
    tests = standard.problem.hidden_tests
    is_value = index < len(tests) and body.startswith(b'["v", ')
    if is_value and _is_too_large(standard, index, len(body), record):
        detail = "the function returned a value far larger than the right one"
        record.cases.append(_case(index, Status.WRONG_ANSWER, detail, [0.0, 0.0, 0], 0.0))
        return
    if not is_value and len(body) > LARGEST_OTHER:
        raise MalformedRecord("a result that the runner does not write")
    if index < len(tests) and standard.checker is None and body.startswith(standard.exact[index]):
        # The usual case, without decoding: what the frame states is the expected value's own text.
        record.cases.append(_exact_case(index, body[len(standard.exact[index]) :], record))
        return
    match _parse(body):
        case ["v", tree, float() as cpu, float() as wall, int() as peak] if index < len(tests):
            first = all(case.passed for case in record.cases)
            status, detail = _compare(standard, index, tree, record, first=first)
            record.cases.append(_case(index, status, detail, [cpu, wall, peak], record.idle_mb))
        case [
            "e",
            str() as word,
            str() as detail,
            float() as cpu,
            float() as wall,
            int() as peak,
        ] if index < len(tests) and word in _CASE_WORDS:
            record.cases.append(
                _case(index, Status(word), detail, [cpu, wall, peak], record.idle_mb)
            )
        case ["x", str() as word, str() as detail] if index == 0 and word in _LOAD_WORDS:
            record.load_failure = Status(word), _clean(detail)
        case ["end"] if index == len(tests) or _stopped_for_memory(record):
            record.closed = True
        case _:
            raise MalformedRecord("a result that the runner does not write")


def _is_too_large(standard: Standard, index: int, size: int, record: _Record) -> bool:
    """Whether a value need not be decoded: what is many times the right one's size is wrong.

    Of values that are merely large, only some are decoded, so that one record takes little time.
    """
    excess = size - 4 * len(standard.exact[index])
    if standard.checker is None and excess > 0:
        record.spare -= excess
        return size > standard.largest[index] or record.spare < 0
    return size > standard.largest[index]


def _exact_case(index: int, tail: bytes, record: _Record) -> CaseResult:
    try:
        [(cpu, wall, peak)] = _FIGURES.findall(tail)
        figures = [float(cpu), float(wall), int(peak)]
    except ValueError:
        raise MalformedRecord("a result that the runner does not write") from None
    return _case(index, Status.ACCEPTED, "", figures, record.idle_mb)


_FIGURES = re.compile(rb"^([\d.e+-]+), ([\d.e+-]+), (\d{1,40})\]\Z")
_CASE_WORDS = frozenset({"wrong_answer", "runtime_error", "memory_limit", "output_limit"})
_LOAD_WORDS = frozenset({"syntax_error", "runtime_error", "memory_limit", "no_code"})


def _stopped_for_memory(record: _Record) -> bool:
    return bool(record.cases) and record.cases[-1].status is Status.MEMORY_LIMIT


def _parse(body: bytes) -> Any:
    try:
        return json.loads(body, parse_int=None if sys.get_int_max_str_digits() else _small_int)
    except (ValueError, RecursionError):
        raise MalformedRecord("a result that is not JSON") from None


def _small_int(digits: str) -> int:
    """Read an integer where Python's own limit on digits is lifted: long ones take too long."""
    if len(digits) > MAX_DIGITS:
        raise ValueError("an integer that the runner does not write")
    return int(digits)


def _case(
    index: int, status: Status, detail: str, figures: list[Any], idle_mb: float
) -> CaseResult:
    cpu, wall, peak = [figure if 0 <= figure < 1e12 else 0 for figure in figures]
    return CaseResult(
        index=index,
        status=status,
        passed=status is Status.ACCEPTED,
        detail=_clean(detail),
        cpu_s=cpu,
        wall_s=wall,
        peak_memory_mb=max(0.0, peak / PEAK_UNIT_MB - idle_mb),
    )


def _compare(
    standard: Standard, index: int, tree: Any, record: _Record, *, first: bool
) -> tuple[Status, str]:
    """Judge a value; the verdict's detail shows the first wrong one, shortened."""
    try:
        value = values.decode(
            tree, hashed=standard.checker is not None or standard.decide is not None
        )
    except values.ValueTooLarge as error:
        return Status.WRONG_ANSWER, f"the function returned a value beyond the limits: {error}"
    except ValueError as error:
        raise MalformedRecord(str(error)) from None
    problem = standard.problem
    test = problem.hidden_tests[index]
    if standard.decide is not None:
        record.values[index] = value
        right = True  # so far
    elif standard.checker is None:
        right = values_match(
            value, test.expected, from_json=problem.from_json, tolerance=problem.tolerance
        )
    else:
        right = _checked(standard.checker, test.args, value, test.expected)
    if right:
        return Status.ACCEPTED, ""
    return Status.WRONG_ANSWER, f"returned {_brief(value)}" if first else ""


def _decide(decide: Decide, record: _Record) -> None:
    """Fail the tests whose values are wrong; the detail shows the first one."""
    right = decide(record.values)
    first = True
    for place, case in enumerate(record.cases):
        if case.passed and not right[case.index]:
            detail = f"returned {_brief(record.values[case.index])}" if first else ""
            case = replace(case, status=Status.WRONG_ANSWER, passed=False, detail=_clean(detail))
            record.cases[place] = case
        first = first and case.passed


def _checked(checker: Checker, args: tuple[Any, ...], value: Any, expected: Any) -> bool:
    try:
        return checker(args, value, expected) is True
    except Exception:  # noqa: BLE001 (a value of a kind the checker did not think of is wrong)
        return False


def _brief(value: Any) -> str:
    """Write a value of any size in a line."""
    try:
        return _SHORT.repr(value)
    except ValueError:  # Python writes no integer of more than 4,300 digits
        return "an integer too long to write"


class _Short(reprlib.Repr):
    """Writes sets and dicts that were not built as if they were."""

    def repr_SetItems(self, items: values.SetItems, level: int) -> str:
        kept = self.repr_list(items[: self.maxset + 1], level)[1:-1]
        return f"{{{kept}}}" if items else "set()"

    def repr_DictItems(self, items: values.DictItems, level: int) -> str:
        if level <= 0 and items:
            return "{...}"
        kept = [f"{self.repr1(k, level - 1)}: {self.repr1(v, level - 1)}" for k, v in items[:24]]
        return f"{{{', '.join([*kept, '...'][: len(items)])}}}"


_SHORT = _Short()
_SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxset = _SHORT.maxfrozenset = _SHORT.maxdict = 24
_SHORT.maxstring = _SHORT.maxlong = _SHORT.maxother = 120


def _clean(text: str) -> str:
    """Make the candidate's text safe for logs and files: printable, valid Unicode, short."""
    short = text[:MAX_DETAIL]
    if short.isprintable():
        return short
    return "".join(letter if letter.isprintable() else "?" for letter in short)
