"""Small mistakes put into right programs: one changed operator, constant or condition each."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.GtE),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.LtE),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
}


def mutants(source: str) -> Iterator[str]:
    """Programs that differ from `source` in one place, or lack one statement."""
    tree = ast.parse(source)
    yield from _without_a_statement(tree)
    for place, node in enumerate(ast.walk(tree)):
        for change in range(_changes(node)):
            copied = copy.deepcopy(tree)
            _apply(list(ast.walk(copied))[place], change)
            yield ast.unparse(copied)


def _without_a_statement(tree: ast.Module) -> Iterator[str]:
    for place, node in enumerate(ast.walk(tree)):
        for index, statement in enumerate(_body(node)):
            if isinstance(statement, ast.Assign | ast.AugAssign | ast.Expr | ast.Return):
                copied = copy.deepcopy(tree)
                _body(list(ast.walk(copied))[place])[index] = ast.Pass()
                yield ast.unparse(copied)


def _body(node: ast.AST) -> list[ast.stmt]:
    body = getattr(node, "body", [])  # a lambda's is an expression
    return body if isinstance(body, list) else []


def _changes(node: ast.AST) -> int:
    match node:
        case ast.Compare(ops=[operator]):
            return len(COMPARISONS.get(type(operator), ()))
        case ast.BinOp(op=operator) | ast.AugAssign(op=operator):
            return int(type(operator) in OPERATORS)
        case ast.Constant(value=bool()) | ast.BoolOp() | ast.UnaryOp(op=ast.Not()):
            return 1
        case ast.Constant(value=int()) | ast.If() | ast.IfExp():
            return 2  # one less, one more; never, always
        case ast.Constant(value=str()):
            return 1
        case _:
            return 0


def _apply(node: ast.AST, change: int) -> None:
    match node:
        case ast.Compare(ops=[operator]):
            node.ops = [COMPARISONS[type(operator)][change]()]
        case ast.BinOp(op=operator) | ast.AugAssign(op=operator):
            node.op = OPERATORS[type(operator)]()
        case ast.Constant(value=bool(value)):
            node.value = not value
        case ast.Constant(value=int(value)):
            node.value = value + (1 if change else -1)
        case ast.Constant(value=str(value)):
            node.value = value[1:] or "?"
        case ast.If() | ast.IfExp():
            node.test = ast.Constant(bool(change))
        case ast.BoolOp():
            node.op = ast.And() if isinstance(node.op, ast.Or) else ast.Or()
        case ast.UnaryOp():
            node.op = ast.UAdd()  # `+x` of a truth value has the same truth value
