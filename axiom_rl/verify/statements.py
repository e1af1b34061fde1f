"""Python in the middle of prose: which lines of a text are statements, found in linear time.

A statement is a line at some margin with everything that belongs to it: lines indented deeper,
`else` and `except`, open brackets, strings over several lines. It is taken whole or not at all.
"""

from __future__ import annotations

import ast
import builtins
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

PARSED_PER_CHARACTER = 8
PARSED_ALWAYS = 1_000_000
"""Characters handed to the parser at most: so many, and so many per character of the text."""
PARSER_START = 200
"""What one more call of the parser costs, in characters."""

BUILTINS = frozenset(dir(builtins)) | {"__name__", "__file__", "__doc__"}
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_IMPORTS = (ast.Import, ast.ImportFrom)
_USES = (ast.Expr, ast.Assert, ast.For, ast.While, ast.With)
_LITERAL = re.compile(
    r'''#[^\n]*|"""|\'\'\'|"(?:[^"\\\n]|\\.)*"?|'(?:[^'\\\n]|\\.)*'?|[()\[\]{}]'''
)
_DEFINES = re.compile(r"(?:async[ \t]+def|def|class|import|from)[ \t]|@")
_HEADER = re.compile(r"(?:async|def|class|if|for|while|with|try|match)\b")
_GOES_ON = re.compile(r"(?:elif|else|except|finally)\b")
_BROKEN_CODE = re.compile(
    r"(?:async[ \t]+def|def|class|from|import|return|assert|raise|yield|del|global)[ \t]"
    r"|(?:if|for|while|with|elif|except|match|print)\b.*[:=(\[]|(?:else|try|finally)[ \t]*:|@\w"
    r"|[A-Za-z_]\w*[ \t]*(?:[(\[.][^ ]|[-+*/%|&^]?=)"
)
_PROMPT = re.compile(r"[ \t]*(?:(>>>|In \[\d{1,9}\]:)(?: |(?=\w)|$)|\.\.\.:?(?: |$))")


@dataclass(frozen=True, slots=True)
class Block:
    """Lines of a text that are, or should be, one program."""

    code: str
    tree: ast.Module | None
    """None where the code does not parse."""
    closed: bool
    """Nothing is missing at its end."""
    tag: str = ""
    """What the fence says that it is."""
    start: int = 0
    end: int = 0
    """Lines of the text that it takes up, from `start` up to, not including, `end`."""


class Budget:
    """How many characters may still be parsed."""

    def __init__(self, text: str) -> None:
        self.left = PARSED_PER_CHARACTER * len(text) + PARSED_ALWAYS

    def parse(self, code: str) -> ast.Module | None:
        """Return the syntax tree, or None if `code` is not Python or the budget is spent."""
        self.left -= len(code) + PARSER_START
        if self.left < 0:
            return None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # invalid escapes are the candidate's business
                return ast.parse(code)
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            return None

    def parse_dedented(self, code: str) -> tuple[str, ast.Module | None]:
        """Return `code` without the indentation of the whole, and its tree."""
        for version in (versions := _dedented(code)):
            tree = self.parse(version)
            if tree is not None:
                return version, tree
        return versions[-1], None


def literals(text: str, start: int = 0, stop: int | None = None) -> Iterator[tuple[int, int]]:
    """Yield where comments and strings, and (as empty spans) brackets, begin and end.

    A string in triple quotes that does not end before `stop` is none: the quotes are skipped.
    """
    position, never_ends = start, set[str]()
    stop = len(text) if stop is None else stop
    while match := _LITERAL.search(text, position, stop):
        found, position = match[0], match.end()
        if found in ('"""', "'''"):
            end = -1 if found in never_ends else _string_end(text, found, position, stop)
            if end < 0:
                never_ends.add(found)
                continue
            position = end
            yield match.start(), position
        elif len(found) == 1 and found in "()[]{}":
            yield match.start(), match.start()
        else:
            yield match.start(), position


def _string_end(text: str, quotes: str, position: int, stop: int) -> int:
    while (found := text.find(quotes, position, stop)) >= 0:
        before = found
        while before > position and text[before - 1] == "\\":
            before -= 1
        if (found - before) % 2 == 0:
            return found + len(quotes)
        position = found + 1
    return -1


def _dedented(code: str) -> list[str]:
    """Return `code` without the margin of all its lines; without one, also in two other ways.

    These are: the first line alone moved to the margin (a space before the answer), and the first
    line's margin taken off every line that has it (lines of a string stand where they like).
    """
    lines = code.rstrip().split("\n")
    lines = lines[next((at for at, line in enumerate(lines) if line.strip()), 0) :]
    margins = [line[: len(line) - len(line.lstrip(" \t"))] for line in lines if line.strip()]
    if not margins:
        return [""]
    least, most = min(margins), max(margins)
    common = next((at for at, letter in enumerate(least) if letter != most[at]), len(least))
    versions = ["\n".join(line[common:] for line in lines)]
    first = margins[0]
    if len(first) > common:
        versions.append("\n".join([lines[0].lstrip(" \t"), *lines[1:]]))
        versions.append("\n".join(line.removeprefix(first) for line in lines))
    return versions


def pythons(lines: Sequence[str], budget: Budget) -> tuple[list[Block], bool]:
    """Return the runs of statements in lines that are Python and prose, and what is neither.

    Returns:
        blocks, in order, each of statements that follow each other at one margin; and whether
        there is also something that looks like code and does not parse.
    """
    code, whole = budget.parse_dedented("\n".join(lines))
    if whole is not None and not any(map(_words_in(whole), whole.body)):
        found = [Block(code, whole, closed=True, start=0, end=len(lines))] if whole.body else []
        return found, False
    statements = [
        (start, end, budget.parse_dedented("\n".join(lines[start:end]))[1])
        for start, end in _statements(lines, budget)
    ]
    trees = [tree for _start, _end, tree in statements if tree]
    is_prose = _prose_in(*trees)
    blocks: list[Block] = []
    is_broken = False
    run: list[tuple[int, int]] = []
    for start, end, tree in [*statements, (len(lines), len(lines), None)]:
        is_code = tree is not None and not any(map(is_prose, tree.body))
        if run and not (is_code and _margin(lines[start]) == _margin(lines[run[0][0]])):
            first, last = run[0][0], run[-1][1]
            code, whole = budget.parse_dedented("\n".join(lines[first:last]))
            if whole is not None:
                blocks.append(Block(code, whole, closed=True, start=first, end=last))
            run = []
        if is_code:
            run.append((start, end))
        elif tree is None and start < end:
            is_broken |= looks_like_code(lines[start].strip())
    return blocks, is_broken


def looks_like_code(line: str) -> bool:
    """Whether a line, without its margin, that does not parse is code rather than prose."""
    return _BROKEN_CODE.match(line) is not None


def remark_in(*trees: ast.Module) -> Callable[[ast.stmt], bool]:
    """Return what tells a remark like `Time: O(n)` from code: names in it mean nothing."""
    known = BUILTINS.union(*map(_stored, trees))

    def is_remark(statement: ast.stmt) -> bool:
        match statement:
            case ast.AnnAssign(value=None, annotation=value):
                return _reads_other_than(known, value)
            case _:
                return False

    return is_remark


def _words_in(*trees: ast.Module) -> Callable[[ast.stmt], bool]:
    """Return what tells words that happen to parse, also `Sure` and `python`, from code."""
    is_remark = remark_in(*trees)
    known = BUILTINS.union(*map(_stored, trees))
    inside = [node for tree in trees for node in ast.walk(tree)]
    parameters = {node.arg for node in inside if isinstance(node, ast.arg)}

    def are_words(statement: ast.stmt) -> bool:
        if isinstance(statement, ast.Return) and statement.value:  # `return value is a list`
            return _reads_other_than(known | parameters, statement.value)
        if not isinstance(statement, ast.Expr):
            return is_remark(statement)
        does = any(isinstance(node, ast.Call | ast.NamedExpr) for node in ast.walk(statement))
        return not does and _reads_other_than(known, statement.value)

    return are_words


def _prose_in(*trees: ast.Module) -> Callable[[ast.stmt], bool]:
    """Return what tells a sentence's words and examples from a program, in a text of both.

    Besides words these are calls with unknown names, and statements that define nothing and use
    what the text defines: calls, loops, asserts. A program by itself is kept with them.
    """
    are_words = _words_in(*trees)
    known = BUILTINS.union(*map(_stored, trees))
    defined = {
        node.name for tree in trees for node in ast.walk(tree) if isinstance(node, DEFINITIONS)
    }

    def is_prose(statement: ast.stmt) -> bool:
        if are_words(statement) or not isinstance(statement, _USES):
            return are_words(statement)
        inside = list(ast.walk(statement))
        defines = any(isinstance(node, (*DEFINITIONS, *_IMPORTS, ast.NamedExpr)) for node in inside)
        if isinstance(statement, ast.Expr) and _reads_other_than(known, statement.value):
            return not defines
        uses = any(isinstance(node, ast.Name) and node.id in defined for node in inside)
        return uses and not defines

    return is_prose


def _reads_other_than(known: frozenset[str], value: ast.expr) -> bool:
    names = (node.id for node in ast.walk(value) if isinstance(node, ast.Name))
    return any(name not in known for name in names)


def _margin(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" \t"))]


def _stored(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, DEFINITIONS):
            yield node.name
        elif isinstance(node, ast.alias):
            yield (node.asname or node.name).split(".")[0]


def _statements(lines: Sequence[str], budget: Budget) -> Iterator[tuple[int, int]]:
    """Yield the lines of each statement, or of each line of prose, in order."""
    inside, deeper = _shape(lines)
    start = end = -1
    margin = depth = 0
    takes_more = compound = decorated = prose = False
    for number, line in enumerate(lines):
        text = line.strip()
        if start >= 0 and inside[number]:
            end, depth = number + 1, depth + deeper[number]
            continue
        if not text or text[0] == "#":
            continue
        indent = len(line) - len(line.lstrip(" \t"))
        adjacent = end == number
        if start >= 0 and (
            (depth > 0 and adjacent and not prose and not _DEFINES.match(text))
            or (adjacent and lines[number - 1].endswith("\\"))
            or (depth > 0 and text[0] in ")]}")
            or (indent > margin and takes_more)
            or (indent == margin and (decorated or (compound and _GOES_ON.match(text))))
        ):
            if decorated and indent == margin:
                decorated = text[0] == "@"
                takes_more = compound = not decorated
        else:
            if start >= 0:
                yield start, end
            start, margin, depth = number, indent, 0
            prose = text[0].isalpha() and "=" not in text and not looks_like_code(text)
            decorated = text[0] == "@"
            compound = takes_more = bool(_HEADER.match(text)) and _is_header(
                text, budget, is_open=deeper[number] > 0
            )
        end, depth = number + 1, max(0, depth + deeper[number])
    if start >= 0:
        yield start, end


def _is_header(text: str, budget: Budget, *, is_open: bool) -> bool:
    """Tell `for x in y:` from `for example:`; a `def` is always taken for one."""
    if is_open or text.startswith(("def ", "async def ")):
        return True
    if text.startswith("match"):
        return budget.parse(text + "\n case _: pass") is not None
    after = "\nfinally: pass" if text.startswith("try") else ""
    return any(budget.parse(text + body + after) is not None for body in ("\n pass", ""))


def _shape(lines: Sequence[str]) -> tuple[list[bool], list[int]]:
    """Return which lines begin inside a string, and by how much each deepens the brackets."""
    text = "\n".join(lines)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    inside, deeper = [False] * len(lines), [0] * len(lines)
    at = 0
    for start, end in literals(text):
        while starts[at + 1] <= start:
            at += 1
        if start == end:
            deeper[at] += 1 if text[start] in "([{" else -1
        while starts[at + 1] < end:
            at += 1
            inside[at] = True
    return inside, deeper


def typed_lines(lines: Sequence[str]) -> list[str]:
    """Return what was typed in an interactive session."""
    typed: list[str] = []
    in_session = False
    for line in lines:
        prompt = _PROMPT.match(line)
        if prompt and (in_session or prompt[1]):
            typed.append(line[prompt.end() :])
        in_session = bool((prompt and (in_session or prompt[1])) or (in_session and line.strip()))
    return typed
