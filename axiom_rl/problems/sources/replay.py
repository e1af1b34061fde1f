"""A benchmark's own test code, run in a process of its own.

Test code is trusted, and yet it may loop, exit, read standard input or import what is not there;
here it harms nobody. It is run in two ways:

- *Recorded*, once, when the benchmark is loaded: the reference answers each call of the candidate,
  and the calls become tests. Where every assert is `f(args) == value`, the tests are those values.
- *Replayed*, for each candidate, where asserts ask for more than a value: the values that the
  candidate returned in the sandbox answer the same calls, and the asserts decide. An assert that
  fails does not end the run; it fails the calls made since the assert before it.

Requests are pickled (plain values and Fractions, which the trainer decoded itself) and answers
marshalled, a four-byte length before each. A request that takes too long ends the process, and
`axiom_rl.problems.sources.assertions` starts another.
"""

from __future__ import annotations

import ast
import contextlib
import copy
import marshal
import os
import pickle
import random
import resource
import signal
import struct
import sys
import types
import warnings
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, BinaryIO

from axiom_rl.problems.sources.referee import (
    Recorder,
    Referee,
    Refused,
    Replayer,
    Values,
    changed,
    described,
    plain,
)

HEAD = struct.Struct("<I")
MEMORY = 8 << 30
"""Bytes of address space; numpy alone reserves some."""


class _Rewriter(ast.NodeTransformer):
    """Turns each assert into a decision of the referee, which the run goes on after."""

    def visit_Assert(self, node: ast.Assert) -> ast.stmt:
        line = ast.Constant(node.lineno)
        match node.test:
            case ast.Constant(value=value) if value:
                return ast.Pass()
            case ast.Compare(left=left, ops=[ast.Eq()], comparators=[right]):
                decision = _referee("equal", left, right, line, _by(left), _by(right))
            case ast.Compare(
                left=left, ops=[ast.Is()], comparators=[ast.Constant(value=None) as right]
            ):
                decision = _referee("equal", left, right, line, _by(left), _by(right))
            case test:
                decision = _referee("decide", test, line)
        caught = ast.Attribute(ast.Name("__referee__", ast.Load()), "Caught", ast.Load())
        failed = _referee("failed", line)
        handler = ast.ExceptHandler(caught, None, [ast.Expr(failed)])
        return ast.Try([ast.Expr(decision)], [handler], [], [])


def _by(side: ast.expr) -> ast.expr:
    """Return the name of what a side calls, if it is such a call."""
    match side:
        case ast.Call(func=ast.Name(id=name)):
            return ast.Name(name, ast.Load())
        case _:
            return ast.Constant(None)


def _referee(method: str, *arguments: ast.expr) -> ast.Call:
    function = ast.Attribute(ast.Name("__referee__", ast.Load()), method, ast.Load())
    return ast.Call(function, list(arguments), [])


def run_tests(script: dict[str, Any], referee: Referee) -> None:
    """Run test code with a referee in the candidate's place.

    Raises:
        Refused: if the program lacks the entry point, or the tests cannot be compiled.
        BaseException: whatever the code raises.
    """
    names: dict[str, Any] = {"__name__": "tests"}
    exec(_program(script["program"]), names)
    reference = names.get(script["function"])
    if not callable(reference):
        raise Refused(f"its program defines no function {script['function']}")
    referee.reference = reference
    own = {
        **names,
        script["function"]: referee.call,
        "candidate": referee.call,
        "__candidate__": referee.call,
        "__referee__": referee,
    }
    random.seed(0)  # some tests of HumanEval draw their inputs
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(0)
    exec(_tests(script["tests"]), own)


@lru_cache(maxsize=64)
def _program(source: str) -> types.CodeType:
    return compile(source, "<reference>", "exec")


@lru_cache(maxsize=64)
def _tests(source: str) -> types.CodeType:
    tree = ast.parse(source)
    if calls_check(tree):
        tree.body += ast.parse("check(__candidate__)").body
    tree = ast.fix_missing_locations(_Rewriter().visit(tree))
    return compile(tree, "<tests>", "exec")


def calls_check(tree: ast.Module) -> bool:
    """Tell whether the code defines `check(candidate)` and leaves it to others to call it."""
    defined = any(isinstance(node, ast.FunctionDef) and node.name == "check" for node in tree.body)
    called = any(
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Call)
        and isinstance(node.value.func, ast.Name)
        and node.value.func.id == "check"
        for node in tree.body
    )
    return defined and not called


def record(script: dict[str, Any]) -> dict[str, Any]:
    """Return the calls, their groups and what each group expects: {"value": v}, or {} for more.

    Raises:
        Refused: naming what these tests need and cannot have.
    """
    done = Recorder()
    try:
        run_tests(script, done)
    except SystemExit:
        raise Refused("its test code exits") from None
    except ModuleNotFoundError as error:
        raise Refused(f"needs the module {error.name}, which is not installed") from None
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 (trusted, and may be broken)
        raise Refused(f"its test code raises {described(error)}") from None
    if not done.calls:
        raise Refused(f"its tests never call {script['function']}")
    if done.open:
        if not done.groups and "raise" not in script["tests"]:
            raise Refused("its tests assert nothing")
        done.groups.append(done.open)
    expected = [
        {"value": done.expected[number]} if number in done.expected else {}
        for number in range(len(done.groups))
    ]
    if not all(expected):
        check_calls(script, done)
    return {
        "calls": done.calls,
        "groups": done.groups,
        "expected": expected,
        "in_place": not all(expected) and (done.in_place or _looks_back(script)),
    }


def check_calls(script: dict[str, Any], done: Recorder) -> None:
    """Refuse tests that call the candidate with what it returned: those calls are not known."""
    strayed = _nested(script)
    for values in ({}, {call: changed(value) for call, value in done.values.items()}):
        other = Replayer(done.calls, done.groups, values, in_place=False)
        with contextlib.suppress(Exception, SystemExit):  # on such a value, outside an assert
            run_tests(script, other)
        strayed |= other.strayed
    if strayed:
        raise Refused(f"calls {script['function']} with, or because of, what it returned before")


def _looks_back(script: dict[str, Any]) -> bool:
    """Tell whether what is given to the candidate by name is also read elsewhere in the tests.

    A candidate may have changed it, also where the reference does not.
    """
    tree = ast.parse(script["tests"])
    given: set[str] = set()
    apart = set[int]()
    for call in _calls(tree, script):
        for argument in (*call.args, *(keyword.value for keyword in call.keywords)):
            inside = list(ast.walk(argument))
            apart.update(map(id, inside))
            if not any(isinstance(node, ast.Call) for node in inside):  # of a copy it sees nothing
                given.update(node.id for node in inside if isinstance(node, ast.Name))
    return any(
        isinstance(node, ast.Name)
        and isinstance(node.ctx, ast.Load)
        and node.id in given
        and id(node) not in apart
        for node in ast.walk(tree)
    )


def _nested(script: dict[str, Any]) -> bool:
    """Tell whether a call of the candidate stands inside the arguments of another."""
    return any(
        next(_calls(argument, script), None) is not None
        for call in _calls(ast.parse(script["tests"]), script)
        for argument in call.args
    )


def _calls(tree: ast.AST, script: dict[str, Any]) -> Iterator[ast.Call]:
    for part in ast.walk(tree):
        names = script["function"], "candidate"
        if isinstance(part, ast.Call) and getattr(part.func, "id", None) in names:
            yield part


def replay(script: dict[str, Any], values: Values) -> list[bool]:
    """Return for each recorded call whether the tests accept what the candidate returned for it."""
    referee = Replayer(script["calls"], script["groups"], values, script["in_place"])
    try:
        run_tests(script, referee)
    except BaseException:  # noqa: BLE001 (a value that the test code cannot work with is wrong)
        referee.wrong |= referee.recent
    else:
        referee.closed |= referee.recent
    return referee.verdicts()


def answers(script: dict[str, Any], inputs: list[Any]) -> list[Any]:
    """Return what the reference gives for each list of arguments.

    Raises:
        Refused: if it raises, or gives what is no plain value.
    """
    names: dict[str, Any] = {"__name__": "tests"}
    try:
        exec(_program(script["program"]), names)
        return [plain(names[script["function"]](*copy.deepcopy(args))) for args in inputs]
    except Exception as error:  # noqa: BLE001 (a reference may raise anything)
        raise Refused(f"its own reference raises {described(error)}") from None


def _answer(kind: str, script: dict[str, Any], more: Any) -> tuple[str, Any]:
    try:
        match kind:
            case "record":
                return "done", record(script)
            case "replay":
                return "done", replay(script, more)
            case _:
                return "done", answers(script, more)
    except Refused as refusal:
        return "refused", str(refusal)
    except RecursionError:
        return "refused", "its test code recurses without end"
    except BaseException as error:  # noqa: BLE001 (whatever comes, the next row has its turn)
        return "refused", f"its test code raises {described(error)}"


def serve(requests: BinaryIO, replies: BinaryIO) -> None:
    """Answer requests until there are no more; a timer ends the process if one takes too long."""
    while len(head := requests.read(HEAD.size)) == HEAD.size:
        kind, script, more, seconds = pickle.loads(requests.read(HEAD.unpack(head)[0]))
        signal.setitimer(signal.ITIMER_PROF, seconds)
        body = marshal.dumps(_answer(kind, script, more))
        signal.setitimer(signal.ITIMER_PROF, 0)
        replies.write(HEAD.pack(len(body)) + body)
        replies.flush()


def main() -> None:
    """Take standard input and output for requests and replies; test code gets empty ones."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)  # ends the process
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.set_int_max_str_digits(0)
    warnings.simplefilter("ignore")  # MBPP has odd escapes in strings
    serve(requests, replies)
