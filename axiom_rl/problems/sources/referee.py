"""Who answers the calls of a benchmark's test code, and takes down what its asserts decide.

A group is the calls made since the assert before: what an assert decides, it decides for them.
"""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections import deque
from collections.abc import Callable
from typing import Any

MOST_CALLS = 20_000
"""Calls that a row's tests may make of the candidate."""
MOST_ITEMS = 10**6
"""Of an iterator or range that a candidate returned: test code may make a list of it."""
MAX_DEPTH = 150
"""Of values, as in `axiom_rl.core.codec`."""
ITERATOR, MATCH = "\0iterator", "\0match"
"""First element of the tuple that stands for an iterator's items, or for a match of `re`."""
VIEWS: dict[str, Callable[[list[Any]], Any]] = {
    "\0KeysView": lambda items: dict.fromkeys(items).keys(),
    "\0ValuesView": lambda items: dict(enumerate(items)).values(),
    "\0ItemsView": lambda items: dict(items).items(),
    "\0range": lambda parts: range(*parts)[:MOST_ITEMS],
    "\0deque": deque,
}
"""The same for what holds items and is no plain value, with what makes it of them."""

Values = dict[int, Any]
"""What the candidate returned, by the number of the call; calls without a value are missing."""


class Refused(BaseException):
    """Why a row cannot be used. Not an Exception, which test code may catch."""


class Unknown(Exception):
    """An operation on a value that the candidate did not return."""


class _Missing:
    """In the place of a value that the candidate did not return: whatever is done with it fails."""

    def _fail(self, *_args: Any, **_kwargs: Any) -> Any:
        raise Unknown


_OPERATIONS = """
eq ne lt le gt ge bool iter next len getitem setitem contains call hash str repr format array
add radd sub rsub mul rmul truediv rtruediv floordiv rfloordiv mod rmod pow rpow neg pos abs
int float complex index round enter exit and rand or ror xor rxor invert getattr
"""
for _name in _OPERATIONS.split():
    setattr(_Missing, f"__{_name}__", _Missing._fail)


class _Match:
    """In the place of a match object of `re`: true, with its groups and its span."""

    def __init__(self, span: tuple[int, int], groups: tuple[Any, ...]) -> None:
        self._span, self._groups = span, groups

    def group(self, *places: int) -> Any:
        found = tuple(self._groups[place] for place in places or (0,))
        return found[0] if len(found) == 1 else found

    def groups(self) -> tuple[Any, ...]:
        return self._groups[1:]

    def span(self) -> tuple[int, int]:
        return self._span


def plain(value: Any, depth: int = 0) -> Any:
    """Return a deep copy made of plain types alone.

    Raises:
        Refused: for any other value, or one nested deeper than values may be.
    """
    if depth > MAX_DEPTH:
        raise Refused(f"needs a value nested deeper than {MAX_DEPTH}")
    for kind in (bool, int, float, complex, str, bytes):
        if isinstance(value, kind):
            return value if type(value) in (kind, bool) else _bare(kind, value)
    match value:
        case None:
            return None
        case dict():
            return {plain(k, depth + 1): plain(item, depth + 1) for k, item in value.items()}
        case list() | tuple() | set() | frozenset():
            base = next(k for k in (list, tuple, set, frozenset) if isinstance(value, k))
            return base(plain(item, depth + 1) for item in value)
        case _:
            raise Refused(f"needs a value of type {type(value).__name__}")


def _bare(kind: Any, value: Any) -> Any:
    return kind.__new__(kind, value)


def same(one: Any, other: Any) -> bool:
    """Tell whether two plain values are the same, NaN included."""
    try:
        return bool(one == other) or repr(one) == repr(other)
    except RecursionError:
        return False


class Referee:
    """What rewritten asserts call: closes the group of calls that an assert is about."""

    Caught = Exception

    reference: Callable[..., Any]

    def __init__(self) -> None:
        self.open: list[int] = []
        """Calls made since the last assert."""
        self.groups: list[list[int]] = []

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Answer a call of the candidate."""
        raise NotImplementedError

    def close(self, passed: bool, line: int) -> None:
        """Take down what the assert in this line decides about the open calls."""
        raise NotImplementedError

    def decide(self, truth: Any, line: int) -> None:
        """Close the group by a condition."""
        self.close(bool(truth), line)

    def equal(self, left: Any, right: Any, line: int, *_by: Any) -> None:
        """Close the group by a comparison of what, where a side is a call, `_by` returned."""
        self.close(bool(left == right), line)

    def failed(self, line: int) -> None:
        """Close the group: its condition could not be computed."""
        self.close(False, line)


class Recorder(Referee):
    """Answers by the reference and notes the calls."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, ...]] = []
        self.values: Values = {}
        self.expected: dict[int, Any] = {}
        """By group, the value that its one call must return; other groups have conditions."""
        self.in_place = False

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Note a call and answer it by the reference."""
        given = plain(positional(self.reference, args, kwargs))
        if len(self.calls) >= MOST_CALLS:
            raise Refused(f"makes more than {MOST_CALLS} calls")
        try:
            value = self.reference(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 (a reference may raise anything)
            raise Refused(f"its own reference raises {described(error)}") from None
        try:
            self.in_place |= not same(plain(positional(self.reference, args, kwargs)), given)
        except Refused:
            self.in_place = True
        with contextlib.suppress(Refused):
            self.values[len(self.calls)] = plain(value)
        self.open.append(len(self.calls))
        self.calls.append(given)
        return value

    def failed(self, line: int) -> None:
        """Say what the assert raised; called where it is handled."""
        error = sys.exc_info()[1]
        assert error is not None
        raise Refused(f"the assert in line {line} of its tests raises {described(error)}")

    def equal(self, left: Any, right: Any, line: int, *by: Any) -> None:
        """Close the group; where a side is its one call, the other side is the value of that."""
        alone = len(self.open) == 1 and self.call in by
        before = len(self.groups)
        super().equal(left, right, line)
        if alone and len(self.groups) > before:
            value = right if by[0] == self.call else left
            with contextlib.suppress(Refused):  # `== object()` is a condition, and may hold
                self.expected[before] = plain(value)

    def close(self, passed: bool, line: int) -> None:
        """Note the group of calls that an assert is about."""
        if not passed:
            raise Refused(f"its own reference fails the assert in line {line} of its tests")
        if self.open:
            self.groups.append(self.open)
            self.open = []
        elif self.groups:  # one more assert about the last calls
            self.expected.pop(len(self.groups) - 1, None)


class Replayer(Referee):
    """Answers by what a candidate returned in the sandbox."""

    def __init__(self, calls: list[Any], groups: list[list[int]], values: Values, in_place: bool):
        super().__init__()
        self.calls, self.values, self.in_place = calls, values, in_place
        self.group_of = {call: number for number, group in enumerate(groups) for call in group}
        self.closed: set[int] = set()
        self.wrong: set[int] = set()
        self.recent: set[int] = set()
        """Groups of the calls that the next assert is about, or that the last one was about."""
        self.cursor = 0
        self.strayed = False

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Answer the next call with these arguments by what the candidate returned for it."""
        args = positional(self.reference, args, kwargs)
        number = self._find(args)
        if number is None:
            self.strayed = True
            self.wrong |= self.recent
            return _Missing()
        self.cursor = number + 1
        if not self.open:
            self.recent = set()
        self.open.append(number)
        group = self.group_of[number]
        self.recent.add(group)
        if number not in self.values:
            self.wrong.add(group)
            return _Missing()
        value = self.values[number]
        if self.in_place:
            value, after = value
            for own, new in zip(args, after, strict=False):
                write_back(own, new)
        return revived(value)

    def _find(self, args: tuple[Any, ...]) -> int | None:
        """Return the next recorded call with these arguments: a short circuit leaves some out."""
        try:
            given = plain(args)
        except (Refused, Unknown):
            return None
        for number in range(self.cursor, len(self.calls)):
            if same(self.calls[number], given):
                return number
        return None

    def close(self, passed: bool, line: int) -> None:
        """Take down that the open calls, or the last ones again, are right or wrong."""
        self.closed |= self.recent
        if not passed:
            self.wrong |= self.recent
        self.open = []

    def verdicts(self) -> list[bool]:
        """Return for each call whether its group was decided, and for the candidate."""
        right = self.closed - self.wrong
        return [self.group_of[call] in right for call in range(len(self.calls))]


def positional(function: Callable[..., Any], args: tuple[Any, ...], kwargs: Any) -> tuple[Any, ...]:
    """Return the arguments of a call as positional ones.

    Raises:
        Refused: if the function takes one of them by name alone.
    """
    if not kwargs:
        return args
    try:
        bound = inspect.signature(function).bind(*args, **kwargs)
    except (TypeError, ValueError) as error:
        raise Refused(f"calls with arguments that do not fit: {error}") from None
    if bound.kwargs:  # one in the middle has its default
        bound.apply_defaults()
    if bound.kwargs:
        raise Refused("calls with arguments that can be given by name alone")
    return bound.args


def changed(value: Any) -> Any:
    """Return a value of the same kind that differs wherever it can."""
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 7
        case str():
            return f"{value}~"
        case list() | tuple():
            return type(value)(map(changed, value))
        case dict():
            return {key: changed(item) for key, item in value.items()}
        case _:
            return value


def write_back(own: Any, new: Any) -> None:
    """Change an argument as the candidate changed its copy."""
    match own, new:
        case list(), list():
            own[:] = new
        case (dict(), dict()) | (set(), set()):
            own.clear()
            own.update(new)
        case _:
            pass  # cannot be changed


def revived(value: Any) -> Any:
    """Return the iterator, match or view that a tagged value stands for, or the value."""
    match value:
        case (str(tag), list() as items) if tag in VIEWS:
            return VIEWS[tag](items)
        case (tag, list() as items) if tag == ITERATOR:
            return iter(items)
        case (tag, (int(), int()) as span, tuple() as groups) if tag == MATCH and groups:
            return _Match(span, groups)
        case _:
            return value


def described(error: BaseException) -> str:
    """Return an error's name and the start of its message."""
    return f"{type(error).__name__}: {str(error)[:200]}"
