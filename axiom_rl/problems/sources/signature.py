"""Parameter lists as users write them: `(nums: List[int]) -> int`, `def f(x):`, `f(x)`, `x`."""

from __future__ import annotations

import ast
import math
import re
import textwrap


def read_signature(text: str, entry_point: str) -> str | None:
    """Return a parameter list as prompts show it, `(nums: List[int]) -> int`.

    Args:
        text: in any spelling: with or without `def`, name, parentheses, colon and return type.
        entry_point: the name that it may give, and no other.

    Returns:
        None where the text is no parameter list, or one of another function.
    """
    header = re.sub(r"^def\s+", "", _header(text))
    named = re.match(r"([^\W\d]\w*)\s*\(", header)
    if named:
        if named[1] != entry_point:
            return None
        header = header[len(named[1]) :].lstrip()
    if not header.startswith("("):
        parameters, arrow, returned = header.partition("->")
        header = f"({parameters.strip()}) {arrow} {returned}".strip()
    node = _parsed(header)
    if node is None:
        return None
    return _shown(node)


def _header(text: str) -> str:
    """Return the text without what a stub has besides: decorators, comments, a body, the colon."""
    text = textwrap.dedent(text).strip()
    for whole in (text, f"{text}\n    pass"):
        body = _body(whole)
        if len(body) == 1 and isinstance(body[0], ast.FunctionDef):
            return f"{body[0].name}{_shown(body[0])}"
    return text.removesuffix("...").rstrip().rstrip(":").rstrip()


def default_signature(least: int, most: int) -> str:
    """Return a parameter list that takes from `least` to `most` arguments."""
    names = [f"argument_{place + 1}" for place in range(most)]
    return f"({', '.join([*names[:least], *(f'{name}=None' for name in names[least:])])})"


def arity(signature: str) -> tuple[int, float]:
    """Return the least and the greatest number of positional arguments that are taken."""
    node = _parsed(signature)
    assert node is not None
    parameters = node.args
    if any(default is None for default in parameters.kw_defaults):
        return 1, 0  # one must be given by name: no test can
    most = len(parameters.posonlyargs) + len(parameters.args)
    return most - len(parameters.defaults), math.inf if parameters.vararg else most


def _shown(node: ast.FunctionDef) -> str:
    returned = "" if node.returns is None else f" -> {ast.unparse(node.returns)}"
    return f"({ast.unparse(node.args)}){returned}"


def _parsed(header: str) -> ast.FunctionDef | None:
    match _body(f"def f{header}: pass"):
        case [ast.FunctionDef(body=[ast.Pass()]) as node]:
            return node
        case _:
            return None


def _body(code: str) -> list[ast.stmt]:
    """Return the statements of a program; none where it is no Python."""
    try:
        return ast.parse(code).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
