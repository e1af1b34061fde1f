"""Tests that the model writes itself (as in CodeT): a prompt, and a parser that runs nothing.

A test is a line `assert f(args) == value` whose arguments and value are literals. What cannot be
read so is left out and counted.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from axiom_rl.core.codec import encode
from axiom_rl.core.files import append_jsonl, read_jsonl
from axiom_rl.problems.examples import literal_call
from axiom_rl.problems.prompts import Message, show_call
from axiom_rl.sampling import Sampler, SampleRequest
from axiom_rl.search.inputs import input_text
from axiom_rl.search.public import PublicProblem

SCHEMA = 1
FILE = Path("search") / "written.jsonl"
ASKED = 6
"""Tests asked for in one completion."""
MOST = 16
"""Tests of one problem that are used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenTests:
    """What the model wrote for all problems."""

    tests: dict[str, list[tuple[tuple[Any, ...], Any]]]
    """By problem id: arguments and expected value; public tests' arguments left out."""
    unread: int
    """Lines that call the function and could not be read."""
    tokens: int
    """Generated."""
    lacking: int = 0
    """Problems for which nothing was asked, as where drawing was stopped."""


def prompt(problem: PublicProblem) -> list[Message]:
    """Return the chat messages that ask for tests."""
    name = problem.entry_point
    shown = [f"assert {show_call(name, test)}" for test in problem.public_tests]
    header = f"They test a Python function `def {name}{problem.signature}:`"
    request = (
        f"Do not write the function. Write {ASKED} more tests for it, with other arguments, edge "
        f"cases among them, one in each line, in one ```python block: assert {name}(...) == ..."
    )
    content = "\n".join([problem.statement, "", header, *shown, "", request])
    return [{"role": "user", "content": content}]


def read_tests(text: str, entry_point: str) -> tuple[list[tuple[tuple[Any, ...], Any]], int]:
    """Read the tests in a completion; return them and how many lines could not be read."""
    tests, unread = [], 0
    for line in text.splitlines():
        if f"{entry_point}(" not in line or line.lstrip().startswith(("def ", "#")):
            continue
        try:
            tests.append(_test(line, entry_point))
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            unread += 1
    return tests, unread


def _test(line: str, entry_point: str) -> tuple[tuple[Any, ...], Any]:
    """Read `assert f(1) == 2`, with or without assert, a message or a comment.

    Raises:
        ValueError: if it is something else.
        SyntaxError: if it is no Python.
    """
    body = line.strip().strip("`").removeprefix("- ").removeprefix(">>> ")
    statement = ast.parse(body).body[0]
    match statement:
        case ast.Assert(test=ast.expr() as test) | ast.Expr(value=ast.expr() as test):
            pass
        case _:
            raise ValueError("no test")
    match test:
        case ast.Compare(left=left, ops=[ast.Eq() | ast.Is()], comparators=[right]):
            args, expected = literal_call(ast.unparse(left), entry_point), ast.literal_eval(right)
        case ast.UnaryOp(op=ast.Not(), operand=call):
            args, expected = literal_call(ast.unparse(call), entry_point), False
        case ast.Call() if isinstance(statement, ast.Assert):
            args, expected = literal_call(ast.unparse(test), entry_point), True
        case _:
            raise ValueError("no equality")
    encode(args), encode(expected)
    return args, expected


def draw_written(
    path: Path,
    problems: Sequence[PublicProblem],
    completions: int,
    sampler: Callable[[], Sampler],
    stream: str,
) -> WrittenTests:
    """Let the model write tests, but for those completions that `path` holds already.

    Args:
        path: search/written.jsonl of the run.
        problems: what to write tests for.
        completions: per problem.
        sampler: called only if something is left to draw.
        stream: name of the random streams.
    """
    rows = list(read_jsonl(path)) if path.exists() else []
    have = {(row["problem_id"], row["sample"]) for row in rows}
    requests = [
        SampleRequest(
            problem_id=problem.id,
            messages=tuple(prompt(problem)),
            samples=tuple(n for n in range(completions) if (problem.id, n) not in have),
            stream=stream,
        )
        for problem in problems
    ]
    requests = [request for request in requests if request.samples]
    if requests:
        for completion in sampler().sample(requests):
            row = {
                "schema": SCHEMA,
                "problem_id": completion.problem_id,
                "sample": completion.sample,
                "text": completion.text,
                "completion_tokens": completion.completion_tokens,
                "prompt_tokens": completion.prompt_tokens,
            }
            append_jsonl(path, [row])
    return read_written(path, problems)


def read_written(path: Path, problems: Sequence[PublicProblem]) -> WrittenTests:
    """Read search/written.jsonl and the tests in it, in order of the draw."""
    by_id = {problem.id: problem for problem in problems}
    rows = sorted(read_jsonl(path), key=lambda row: row["sample"]) if path.exists() else []
    # Two replays that drew beside each other may both have written a completion; it is the same.
    once = {(row["problem_id"], row["sample"]): row for row in reversed(rows)}
    rows = [row for row in reversed(once.values()) if row["problem_id"] in by_id]
    tests: dict[str, list[tuple[tuple[Any, ...], Any]]] = {key: [] for key in by_id}
    unread = 0
    for row in rows:
        problem = by_id[row["problem_id"]]
        found, failed = read_tests(row["text"], problem.entry_point)
        unread += failed
        tests[problem.id] += _fitting(problem, found)
    return WrittenTests(
        tests={key: found[:MOST] for key, found in tests.items()},
        unread=unread,
        tokens=sum(row["completion_tokens"] for row in rows),
        lacking=len(by_id.keys() - {row["problem_id"] for row in rows}),
    )


def _fitting(
    problem: PublicProblem, tests: Sequence[tuple[tuple[Any, ...], Any]]
) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Leave out the arguments of public tests, and calls with another number of arguments."""
    public = {input_text(test.args) for test in problem.public_tests}
    lengths = {len(test.args) for test in problem.public_tests}
    for args, expected in tests:
        if input_text(args) not in public and (not lengths or len(args) in lengths):
            yield args, expected
