"""What a piece of Python defines and what it lacks; a program put together from several blocks.

A definition of a name is a def, a class, or a lambda bound to it. Whatever else binds the name
(`from solution import f`, `f = lru_cache(None)(f)`, `f = f(1)`) is a use of it.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

from axiom_rl.verify.statements import BUILTINS, DEFINITIONS, Block

FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
_LOOPS = (ast.For, ast.AsyncFor, ast.While)
_TRIES = (ast.Try, ast.TryStar, ast.ExceptHandler)
_BODIES = (*_LOOPS, *_TRIES, ast.If, ast.With, ast.AsyncWith, ast.Match, ast.match_case)


class Binding(IntEnum):
    """How a statement binds a name; a higher one is the better definition."""

    NONE = 0
    REBOUND = 1
    """To something made of the name itself, or to a constant."""
    IMPORTED = 2
    ASSIGNED = 3
    STUB = 4
    """A function without a body."""
    DEFINED = 5


def definition(tree: ast.Module, name: str | None) -> Binding:
    """Return the best binding of `name` in a program; None stands for any function."""
    if name is None:
        kinds = [
            _of_function(node) if isinstance(node, FUNCTION) else Binding.DEFINED
            for node in ast.walk(tree)
            if isinstance(node, (*FUNCTION, ast.Lambda))
        ]
        return max(kinds, default=Binding.NONE)
    found = (
        kind
        for statement in flat(tree.body)
        for bound, kind in bindings(statement)
        if bound == name
    )
    return max(found, default=Binding.NONE)


def flat(statements: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield statements, and those inside `if`, `try`, `with`, loops and `match`, in order."""
    stack: list[ast.AST] = list(reversed(statements))
    while stack:
        node = stack.pop()
        if isinstance(node, ast.stmt):
            yield node
        if isinstance(node, _BODIES):
            stack.extend(reversed(list(ast.iter_child_nodes(node))))


def bindings(statement: ast.stmt) -> Iterator[tuple[str, Binding]]:
    """Yield the names that one statement (not those inside it) binds, and how."""
    if isinstance(statement, DEFINITIONS):
        is_function = isinstance(statement, FUNCTION)
        yield statement.name, _of_function(statement) if is_function else Binding.DEFINED
    elif isinstance(statement, ast.Import | ast.ImportFrom):
        for alias in statement.names:
            yield (alias.asname or alias.name).split(".")[0], Binding.IMPORTED
    elif isinstance(statement, ast.Assign | ast.AnnAssign):
        if isinstance(statement, ast.AnnAssign):
            target: ast.expr = statement.target
        elif len(statement.targets) > 1:
            target = ast.Tuple(statement.targets, ast.Store())
        else:
            target = statement.targets[0]
        if statement.value is not None:
            yield from _assigned(target, statement.value)
    for node in _expressions(statement):
        if isinstance(node, ast.NamedExpr):
            yield from _assigned(node.target, node.value)
    for target, value in _given(statement):
        for name, kind in _assigned(target, value):
            if kind is Binding.DEFINED:
                yield name, kind


def _given(statement: ast.stmt) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Yield what a loop or a `with` binds, and of what it is made."""
    if isinstance(statement, ast.For):
        yield statement.target, statement.iter
    elif isinstance(statement, ast.With):
        for item in statement.items:
            if item.optional_vars is not None:
                yield item.optional_vars, item.context_expr


def _assigned(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, Binding]]:
    if (
        isinstance(target, ast.Tuple | ast.List)
        and isinstance(value, ast.Tuple | ast.List)
        and len(target.elts) == len(value.elts)
    ):
        for one, other in zip(target.elts, value.elts, strict=True):
            yield from _assigned(one, other)
        return
    kind, read = _of_value(value)
    for node in ast.walk(target):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, Binding.REBOUND if node.id in read else kind


def _of_function(node: ast.stmt) -> Binding:
    body = getattr(node, "body", [])
    empty = all(
        isinstance(inner, ast.Pass)
        or (isinstance(inner, ast.Expr) and isinstance(inner.value, ast.Constant))
        or (isinstance(inner, ast.Raise) and "NotImplementedError" in missing(inner, ()))
        for inner in body
    )
    return Binding.STUB if empty else Binding.DEFINED


def _of_value(value: ast.expr) -> tuple[Binding, set[str]]:
    """Return how a value binds a name, and the names that it is made of."""
    inside = list(_outside_functions(value))
    read = {node.id for node in inside if isinstance(node, ast.Name)}
    if any(isinstance(node, ast.Lambda) for node in inside):
        return Binding.DEFINED, read
    is_literal = isinstance(value, ast.Constant | ast.List | ast.Dict | ast.Set | ast.JoinedStr)
    return Binding.REBOUND if is_literal else Binding.ASSIGNED, read


def _outside_functions(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a node and what is in it, but for the insides of lambdas and of nested functions."""
    stack = [node]
    while stack:
        inner = stack.pop()
        yield inner
        if not isinstance(inner, (*DEFINITIONS, ast.Lambda)):
            stack.extend(ast.iter_child_nodes(inner))


def _expressions(statement: ast.stmt) -> Iterator[ast.AST]:
    """Yield the nodes of a statement's own expressions."""
    if isinstance(statement, DEFINITIONS):
        return
    for child in ast.iter_child_nodes(statement):
        if isinstance(child, ast.expr | ast.withitem):
            yield from _outside_functions(child)


def missing(tree: ast.AST, given: Collection[str] = BUILTINS) -> set[str]:
    """Names that are read somewhere in `tree` and bound neither in it nor in `given`."""
    read: set[str] = set()
    bound = set(given)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            (read if isinstance(node.ctx, ast.Load) else bound).add(node.id)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, ast.alias):
            bound.add((node.asname or node.name).split(".")[0])
        elif isinstance(node, (*DEFINITIONS, ast.ExceptHandler, ast.MatchAs, ast.MatchStar)):
            bound.add(node.name or "")
        elif isinstance(node, ast.MatchMapping):
            bound.add(node.rest or "")
    return read - bound


@dataclass(frozen=True, slots=True)
class Program:
    """A program put together."""

    code: str
    lacks: bool
    """It reads names that nothing in it binds."""


def assembled(block: Block, others: Sequence[Block]) -> Program:
    """Return the block's code with the definitions of other blocks that it needs.

    They stand before it, but after its `from __future__` imports, which must come first; those of
    the blocks that something is taken from are taken too.
    """
    if block.tree is None:
        return Program(block.code, lacks=True)
    pieces = [
        (statement, lines, other)
        for other in others
        if other is not block and other.tree
        for lines in [other.code.split("\n")]
        for statement in other.tree.body
        if not _is_future(statement)
    ]
    numbers, lacks = _needed(block.tree, pieces)
    chosen = sorted(numbers)
    sources = {id(pieces[number][2]): pieces[number][2] for number in chosen}
    futures = [line for other in sources.values() for line in _future_lines(other)]
    added = dict.fromkeys([*futures, *(_source(*pieces[number][:2]) for number in chosen)])
    lines = block.code.split("\n")
    head = max((node.end_lineno or 0 for node in block.tree.body if _is_future(node)), default=0)
    return Program("\n".join([*lines[:head], *added, *lines[head:]]), lacks)


def _needed(
    tree: ast.Module, pieces: list[tuple[ast.stmt, list[str], Block]]
) -> tuple[set[int], bool]:
    """Return the numbers of the pieces that define what `tree` and they miss; is it not all?"""
    binders: dict[str, tuple[Binding, int]] = {}
    for number, (statement, _lines, _block) in enumerate(pieces):
        for inner in flat([statement]):
            for name, kind in bindings(inner):  # of equally good ones the last counts
                binders[name] = max(binders.get(name, (kind, number)), (kind, number))
    fillers: dict[str, list[int]] = {}
    for number, (statement, _lines, _block) in enumerate(pieces):
        for name in _filled(statement):
            fillers.setdefault(name, []).append(number)
    chosen, looked_at = set[int](), set[int]()
    own = {name for inner in flat(tree.body) for name, _kind in bindings(inner)}
    wanted, lacks, seen = missing(tree), False, set[str]()
    while wanted:
        name = wanted.pop()
        seen.add(name)
        _kind, number = binders.get(name, binders.get("*", (Binding.NONE, -1)))
        lacks |= number < 0
        uses = fillers.get(name, ()) if name in binders else ()
        for piece in [number, *(other for other in uses if other > number)]:
            if piece < 0 or (piece in looked_at and (piece != number or piece in chosen)):
                continue
            looked_at.add(piece)
            reads = missing(pieces[piece][0])
            if piece == number or not reads & own:  # what calls the answer is an example of it
                chosen.add(piece)
                wanted |= reads - own - seen
    return chosen, lacks


def _filled(statement: ast.stmt) -> set[str]:
    """Names of the containers that a statement puts something into: `a[0] = 1`, `a.append(1)`."""
    names: set[str] = set()
    for node in ast.walk(statement):
        match node:
            case ast.Subscript(value=ast.Name(id=name), ctx=ast.Store()):
                names.add(name)
            case ast.AugAssign(target=ast.Name(id=name)):
                names.add(name)
            case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id=name)))):
                names.add(name)
            case _:
                pass
    return set() if isinstance(statement, (*DEFINITIONS, ast.Assert)) else names


def _is_future(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.ImportFrom) and statement.module == "__future__"


def _future_lines(block: Block) -> list[str]:
    lines = block.code.split("\n")
    body = block.tree.body if block.tree else []
    return [_source(statement, lines) for statement in body if _is_future(statement)]


def _source(statement: ast.stmt, lines: list[str]) -> str:
    decorators = statement.decorator_list if isinstance(statement, DEFINITIONS) else []
    first = min([statement.lineno, *(node.lineno for node in decorators)])
    return "\n".join(lines[first - 1 : statement.end_lineno])
