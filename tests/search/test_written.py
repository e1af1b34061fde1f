"""Tests that the model writes are read as literals, or left out and counted."""

from __future__ import annotations

from pathlib import Path

import pytest
from handmade import problem

from axiom_rl.sampling.scripted import ScriptedSampler
from axiom_rl.search.written import MOST, draw_written, prompt, read_tests, read_written

LINES = {
    "assert f([1, 2], 3) == [3]": (([1, 2], 3), [3]),
    "assert f(-1, 'a') == (1, {2: None}), 'message'": ((-1, "a"), (1, {2: None})),
    "  f(1, 2) == 3  # a comment": ((1, 2), 3),
    "- assert f(1, 2) is None": ((1, 2), None),
    "assert f(1, 2)": ((1, 2), True),
    "assert not f(1, 2)": ((1, 2), False),
    "`assert f('#', 2) == '# no'`": (("#", 2), "# no"),
}
UNREAD = (
    "assert f(x, 2) == 3",
    "assert f(1, 2) == g(2)",
    "assert f(1, 2) > 3",
    "assert f(*[1, 2]) == 3",
    "assert f(1, y=2) == 3",
    "assert f(1, 2) == __import__('os').system('true')",
    "assert f([1, 2",
    "print(f(1, 2))",
    f"assert f({'[' * 300}, 1) == 2",
)


@pytest.mark.parametrize("line", LINES)
def test_lines_that_are_tests(line: str) -> None:
    assert read_tests(f"Here:\n```python\n{line}\n```", "f") == ([LINES[line]], 0)


@pytest.mark.parametrize("line", UNREAD)
def test_lines_that_are_none(line: str) -> None:
    assert read_tests(line, "f") == ([], 1)


def test_other_lines_do_not_count() -> None:
    assert read_tests("def f(x):\n    return 1\n# f(1)\nassert g(1) == 1\n", "f") == ([], 0)


def test_tests_are_drawn_once_and_public_ones_left_out(tmp_path: Path) -> None:
    known = problem(((1,), 1))
    text = "assert f(1) == 1\nassert f(2) == 2\nassert f(1, 2) == 3\nassert f(x) == 3"
    path = tmp_path / "written.jsonl"
    first = draw_written(path, [known], 2, lambda: ScriptedSampler({"p": [text, ""]}), "0/written")
    assert (
        first.tests == {"p": [((2,), 2)]}
        and first.unread == 1
        and first.tokens == len(text.split())
    )

    whole = path.read_text()
    path.write_text(whole + whole)  # as two replays beside each other leave it
    assert read_written(path, [known]) == first
    path.write_text(whole)

    def refuse() -> ScriptedSampler:
        raise AssertionError("nothing was left to draw")

    assert draw_written(path, [known], 2, refuse, "0/written") == first
    many = "\n".join(f"assert f({n}) == {n}" for n in range(2, 50))
    more = draw_written(path, [known], 3, lambda: ScriptedSampler({"p": ["", "", many]}), "0/w")
    assert len(more.tests["p"]) == MOST
    assert "assert f(1) == 1" in prompt(known)[0]["content"]
