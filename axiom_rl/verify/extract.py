"""From the text of a completion to the program in it.

In order of preference:

1. the last complete fenced block that defines the entry point (or, without one, any function);
   it need not parse, so that a broken answer is judged as a syntax error;
2. an unclosed fence at the end (a truncated completion), if what is there parses;
3. a bare function in the text, if it parses.

Text between `<think>` and `</think>` is never an answer, closed or not. A program spread over
several blocks is put together: top-level imports, functions, classes and assignments of other
blocks are placed before the chosen one if it, or what was so added, uses their names and does not
define them. Everything else in other blocks (example calls, prints, output) is left out; the
chosen block itself is kept as it stands, prints, asserts and main guard included. Fenced blocks of
the prompt count as such other blocks: a program to complete gives imports and functions that the
completion need not repeat.

The time taken is linear in the length of the text, whatever the text.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator, Sequence

from axiom_rl.verify.fences import Block, Budget, dedent, fenced_blocks, without_fences

_THINK = re.compile(r"^[ \t]*<(/?)think>|<(/)think>[ \t]*$", re.MULTILINE | re.IGNORECASE)
_THINK_END = re.compile(r"</think>", re.IGNORECASE)
_STARTS_CODE = re.compile(r"(?:async |def |class |@|from \w|import \w|[A-Za-z_]\w* ?(?::|=))")
_FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
_NAMED = (*_FUNCTION, ast.ClassDef)
_BUILTINS = frozenset(dir(builtins)) | {"__name__", "__file__", "__doc__"}


def extract_code(
    completion_text: str, entry_point: str | None = None, *, shown: str = ""
) -> str | None:
    """Return the program in a completion, or None if there is none.

    Args:
        completion_text: what the model wrote, prose and all.
        entry_point: name of the function that the program must define; None accepts any function.
        shown: what the prompt showed; the completion may use names from fenced blocks in it.
    """
    text = completion_text.replace("\r\n", "\n").replace("\r", "\n").replace("\ufeff", "")
    text = _without_thinking(text)
    budget = Budget(text)
    blocks = fenced_blocks(text, budget)
    given = [block for block in fenced_blocks(shown, Budget(shown)) if block.tree]
    for closed in (True, False):
        for block in reversed(blocks):
            if block.closed == closed and _is_answer(block, entry_point):
                return _assembled(block, [*given, *(other for other in blocks if other.tree)])
    return _bare_function(text, entry_point, budget, given)


def _without_thinking(text: str) -> str:
    """Drop thinking: a closing tag without an opening one ends thinking that the prompt began."""
    kept: list[str] = []
    start = 0
    while match := _THINK.search(text, start):
        if match[1] or match[2]:
            kept.clear()
            start = match.end()
            continue
        kept.append(text[start : match.start()])
        end = _THINK_END.search(text, match.end())
        start = end.end() if end else len(text)
    return "\n".join([*kept, text[start:]])


def _is_answer(block: Block, entry_point: str | None) -> bool:
    if block.tree is not None:
        return _defines(block.tree, entry_point)
    if not block.closed or not block.python:
        return False
    name = r"\w+" if entry_point is None else re.escape(entry_point)
    return bool(re.search(rf"^(?:async )?def[ \t]+{name}[ \t]*[(\[]", block.code, re.MULTILINE))


def _defines(tree: ast.Module, entry_point: str | None) -> bool:
    if entry_point is None:
        return any(isinstance(node, _FUNCTION) for node in ast.walk(tree))
    return any(entry_point in _bound(statement) for statement in _flat(tree.body))


def _bound(statement: ast.stmt) -> set[str]:
    """Names that a top-level definition, import or assignment binds."""
    if isinstance(statement, _NAMED):
        return {statement.name}
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name).split(".")[0] for alias in statement.names}
    if isinstance(statement, ast.Assign | ast.AnnAssign):
        return {
            node.id
            for node in ast.walk(statement)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        }
    return set()


def _flat(statements: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield statements and, of `if` and `try`, those inside (without recursion)."""
    stack: list[ast.AST] = list(reversed(statements))
    while stack:
        node = stack.pop()
        if isinstance(node, ast.stmt):
            yield node
        if isinstance(node, ast.If | ast.Try | ast.ExceptHandler):
            stack.extend(ast.iter_child_nodes(node))


def _missing(tree: ast.AST) -> set[str]:
    """Names that are read somewhere in `tree` and bound nowhere in it."""
    read: set[str] = set()
    bound = set(_BUILTINS)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            (read if isinstance(node.ctx, ast.Load) else bound).add(node.id)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, ast.alias):
            bound.add((node.asname or node.name).split(".")[0])
        elif isinstance(node, (*_NAMED, ast.ExceptHandler, ast.MatchAs, ast.MatchStar)):
            bound.add(node.name or "")
    return read - bound


def _assembled(block: Block, others: Sequence[Block]) -> str:
    """Return the block's code after the definitions of other blocks that it needs."""
    if block.tree is None or block.code.lstrip().startswith("from __future__"):
        return block.code  # a future import must come first
    pieces = [
        (statement, lines)
        for other in others
        if other is not block and other.tree
        for lines in [other.code.split("\n")]
        for statement in other.tree.body
    ]
    needed = _needed(block.tree, pieces) if pieces else ()
    return "\n".join([*needed, block.code])


def _needed(tree: ast.Module, pieces: list[tuple[ast.stmt, list[str]]]) -> Iterator[str]:
    """Yield, in order, the source of the pieces that bind what `tree` and they miss."""
    binders: dict[str, int] = {}
    for number, (statement, _lines) in enumerate(pieces):
        for inner in _flat([statement]):
            binders.update(dict.fromkeys(_bound(inner), number))  # the last definition counts
    chosen: set[int] = set()
    own = {name for statement in _flat(tree.body) for name in _bound(statement)}
    wanted = _missing(tree)
    while wanted:
        name = wanted.pop()
        number = binders.get(name, binders.get("*", -1))
        if number >= 0 and number not in chosen:
            chosen.add(number)
            wanted |= _missing(pieces[number][0]) - own
    for number in sorted(chosen):
        statement, lines = pieces[number]
        yield "\n".join(lines[_first_line(statement) - 1 : statement.end_lineno])


def _first_line(statement: ast.stmt) -> int:
    decorators = statement.decorator_list if isinstance(statement, _NAMED) else []
    return min([statement.lineno, *(node.lineno for node in decorators)])


def _bare_function(
    text: str, entry_point: str | None, budget: Budget, given: Sequence[Block]
) -> str | None:
    code = dedent(without_fences(text))
    tree = budget.parse(code)
    if tree is not None:
        whole = Block(code, tree, python=True, closed=True)
        return _assembled(whole, given) if _defines(tree, entry_point) else None
    parts = [
        Block(part, tree, python=True, closed=True)
        for part in _paragraphs(code.split("\n"))
        if (tree := budget.parse(part)) is not None
    ]
    for part in reversed(parts):
        if _is_answer(part, entry_point):
            return _assembled(part, [*given, *parts])
    return None


def _paragraphs(lines: list[str]) -> Iterator[str]:
    """Yield the runs of lines that begin like code at the margin and go on indented."""
    run: list[str] = []
    for line in [*lines, "."]:
        at_margin = bool(line.strip()) and line[0] not in " \t)]}#"
        if at_margin and not (run and run[-1].startswith("@")):
            if run:
                yield "\n".join(run).rstrip()
            run = []
        if run or _STARTS_CODE.match(line):
            run.append(line)
