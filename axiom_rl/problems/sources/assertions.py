"""Assert statements of a benchmark as test cases: arguments for the sandbox, the rest kept here.

The benchmark's own test code is trusted and runs in this process, once, when it is loaded; each
assert then becomes a test case instead of a check:

- `assert f(args) == value` becomes `TestCase(args, value)`, whatever expressions args and value
  are: they are evaluated where they stand, in loops too.
- Any other condition with one call of f, such as `abs(f(1.5) - 0.5) < 1e-6`, becomes
  `TestCase(args, condition)`, and the condition is decided in the parent, over the decoded plain
  value (`check`). It is kept as source text with the variables it mentions, so that problems stay
  plain data in problems/*.jsonl. The candidate gets the arguments alone in both cases.
"""

from __future__ import annotations

import ast
import builtins
import copy
import random
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from axiom_rl.core.codec import encode
from axiom_rl.core.types import TestCase
from axiom_rl.problems.base import Args

VALUE = "_value"
"""Name of the returned value in a condition."""
OTHER_SIDE = "_other_side"
"""Name of what it is compared with."""


class Unconvertible(Exception):
    """The tests need something that is no plain value, such as an object of a candidate's class."""


@dataclass
class Recorder:
    """What the rewritten asserts call, in the order of the test code."""

    setup: str
    cases: list[TestCase] = field(default_factory=list)

    def equal(self, args: Args, expected: Any) -> None:
        """Record `f(*args) == expected`."""
        self._add(args, expected)

    def condition(self, args: Args, source: str, names: dict[str, Any]) -> None:
        """Record a condition on the value, with the variables that it mentions."""
        plain = {name: value for name, value in names.items() if _is_plain(value)}
        self._add(args, {"assert": source, "names": plain, "setup": self.setup})

    def _add(self, args: Args, expected: Any) -> None:
        case = TestCase(args=copy.deepcopy(args), expected=copy.deepcopy(expected))
        for value in (*case.args, case.expected):
            if not _is_plain(value):
                raise Unconvertible(f"needs a value of type {type(value).__name__}")
        self.cases.append(case)


def convert(
    test_code: str, function: str, *, namespace: dict[str, Any], setup: str = ""
) -> tuple[TestCase, ...]:
    """Run test code with its asserts rewritten; return the test cases, values and conditions.

    Args:
        test_code: assert statements, or a function `check(candidate)` that holds them.
        function: name by which the asserts call the candidate.
        namespace: the reference solution's names, which test code may use; it is changed.
        setup: source of imports and functions that conditions need when they are decided.

    Raises:
        Unconvertible: if an assert calls the candidate more than once, or needs other than plain
            values.
    """
    recorder = Recorder(setup)
    tree = ast.fix_missing_locations(_Rewriter(function).visit(ast.parse(test_code)))
    state = random.getstate()
    random.seed(0)  # some tests of HumanEval draw their inputs
    try:
        exec(compile(tree, "<tests>", "exec"), {**namespace, "_recorder": recorder})
    finally:
        random.setstate(state)
    return tuple(recorder.cases)


def is_condition(expected: Any) -> bool:
    """Tell whether what a test expects is a condition, and not a value."""
    return isinstance(expected, dict) and expected.keys() == {"assert", "names", "setup"}


def check(_args: Args, value: Any, expected: Any) -> bool:
    """Decide one assert over a decoded value; a condition that cannot be computed is false."""
    if not is_condition(expected):
        return bool(value == expected)
    names = {**_names_of(expected["setup"]), **expected["names"], VALUE: value}
    try:
        return bool(eval(_compiled(expected["assert"]), names))
    except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError):
        return False


def show_condition(call: str, expected: Any) -> str:
    """Return a condition as text, with the call in the value's place and variables named."""
    text = str(expected["assert"]).replace(VALUE, call)
    names = ", ".join(f"{name} = {value!r}" for name, value in expected["names"].items())
    return f"{text}  # {names}" if names else text


class _Rewriter(ast.NodeTransformer):
    """Turns each assert into a call of the recorder, and `check` into a block that runs."""

    def __init__(self, function: str) -> None:
        self._function = function
        self._results: dict[str, ast.Call] = {}
        """Variables that hold a value of the candidate, with the call that gave it."""

    def visit_Module(self, node: ast.Module) -> ast.Module:
        self.generic_visit(node)
        if any(isinstance(part, ast.FunctionDef) and part.name == "check" for part in node.body):
            node.body += ast.parse("check(None)").body
        return node

    def visit_Assign(self, node: ast.Assign) -> ast.stmt:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call() as call) if self._is_call(
                call
            ):
                self._results[name] = call
                return ast.Pass()
            case _:
                return node

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self._results.get(node.id, node)

    def visit_Assert(self, node: ast.Assert) -> ast.stmt:
        self.generic_visit(node)
        calls = [part for part in ast.walk(node.test) if self._is_call(part)]
        if not calls:
            return ast.Pass()
        if len(calls) > 1:
            raise Unconvertible(f"calls {self._function} more than once in one assert")
        (call,) = calls
        assert isinstance(call, ast.Call)
        if call.keywords:
            raise Unconvertible("calls with keyword arguments")
        match node.test:
            case ast.Compare(left=left, ops=[ast.Eq() | ast.Is()], comparators=[expected]) if (
                left is call
            ):
                args = ast.Tuple(elts=call.args, ctx=ast.Load())
                return _statement("equal", args, expected)
            case ast.Compare(left=left, ops=[operator], comparators=[other]) if call in ast.walk(
                left
            ):
                named = ast.Compare(left, [operator], [ast.Name(OTHER_SIDE, ast.Load())])
                return self._condition(named, call, {OTHER_SIDE: other})
            case test:
                return self._condition(test, call, {})

    def _condition(self, test: ast.expr, call: ast.Call, known: dict[str, ast.expr]) -> ast.stmt:
        """Record the condition, with the variables it mentions evaluated where it stands."""
        source = ast.unparse(_Replacer(call).visit(test))
        names = {name: ast.Name(name, ast.Load()) for name in _variables(source)} | known
        display = ast.Dict([ast.Constant(name) for name in names], list(names.values()))
        args = ast.Tuple(elts=call.args, ctx=ast.Load())
        return _statement("condition", args, ast.Constant(source), display)

    def _is_call(self, node: ast.AST) -> bool:
        match node:
            case ast.Call(func=ast.Name(id=name)):
                return name == self._function
            case _:
                return False


class _Replacer(ast.NodeTransformer):
    """Puts the value's name in the place of one call."""

    def __init__(self, call: ast.Call) -> None:
        self._call = call

    def visit_Call(self, node: ast.Call) -> ast.expr:
        if node is self._call:
            return ast.Name(id=VALUE, ctx=ast.Load())
        self.generic_visit(node)
        return node


def _statement(method: str, *arguments: ast.expr) -> ast.stmt:
    recorder = ast.Name(id="_recorder", ctx=ast.Load())
    function = ast.Attribute(value=recorder, attr=method, ctx=ast.Load())
    return ast.Expr(ast.Call(func=function, args=list(arguments), keywords=[]))


def _variables(source: str) -> list[str]:
    names = {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
    return sorted(name for name in names - {VALUE} if not hasattr(builtins, name))


def _is_plain(value: Any) -> bool:
    try:
        encode(value)
    except TypeError:
        return False
    return True


@lru_cache(maxsize=256)
def _compiled(source: str) -> Any:
    return compile(source, "<condition>", "eval")


@lru_cache(maxsize=256)
def _names_of(setup: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(compile(setup, "<setup>", "exec"), names)
    return names
