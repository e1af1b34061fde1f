"""extract_code: every shape of completion text seen from small and large models."""

import ast
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from axiom_rl.verify.extract import extract_code

F = "def f(x):\n    return x + 1"
FENCED = f"```python\n{F}\n```"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(FENCED, id="plain"),
        pytest.param(f"Sure!\n\n{FENCED}\n\nThis adds one.", id="prose_around"),
        pytest.param(FENCED.replace("\n", "\r\n"), id="crlf"),
        pytest.param(FENCED.replace("\n", "\r"), id="cr"),
        pytest.param("\ufeff" + FENCED, id="bom_before_the_fence"),
        pytest.param(f"```python\n\ufeff{F}\n```", id="bom_inside"),
        pytest.param(f"~~~\n{F}\n~~~", id="tildes"),
        pytest.param(f"~~~~python\n{F}\n~~~~", id="long_tildes"),
        pytest.param(f"```PYTHON\n{F}\n```", id="upper_case_tag"),
        pytest.param(f"```Py3\n{F}\n```", id="other_tag"),
        pytest.param(f"``` python \n{F}\n``` ", id="spaces_around_tag"),
        pytest.param(f'```python title="f.py"\n{F}\n```', id="attributes"),
        pytest.param(f"```{{.python}}\n{F}\n```", id="pandoc_attributes"),
        pytest.param(f"```\n{F}\n```", id="no_tag"),
        pytest.param(f"```text\n{F}\n```", id="wrong_tag_but_python"),
        pytest.param("1. Code:\n\n    " + FENCED.replace("\n", "\n    "), id="indented"),
        pytest.param("- " + FENCED.replace("\n", "\n  "), id="on_a_bullet"),
        pytest.param("\t" + FENCED.replace("\n", "\n\t"), id="indented_by_tab"),
        pytest.param(f"Here: ```python\n{F}\n```", id="opens_after_prose"),
        pytest.param(f"```python\n{F}```", id="closes_after_code"),
        pytest.param(f"```python\n{F}\n```<|im_end|>", id="stop_token"),
        pytest.param(f"{F}<\uff5cend\u2581of\u2581sentence\uff5c>", id="deepseek_stop_token"),
        pytest.param(f"```python\n{F}", id="never_closed"),
        pytest.param(f"````markdown\n{FENCED}\n````", id="long_wrapper"),
        pytest.param(f"```markdown\n{FENCED}\n```", id="same_length_wrapper"),
        pytest.param(f"```\n{FENCED}\n```", id="untagged_wrapper"),
        pytest.param(f"```bash\npip install x\n```\n{FENCED}", id="shell_before"),
        pytest.param(f"{FENCED}\n```\n>>> f(1)\n2\n```", id="session_after"),
        pytest.param(f"{FENCED}\n```python\nprint(f(1))\n```", id="example_after"),
        pytest.param(f"```python\ndef f(x): 0\n```\nBetter:\n{FENCED}", id="last_wins"),
        pytest.param(f"{FENCED}\n```python\ndef f(x):\n    return", id="complete_before_unclosed"),
        pytest.param(f"{FENCED}\n```python\ndef g(", id="torn_tail"),
        pytest.param(f"```python\nunclosed prose (\n{FENCED}", id="block_never_closed_before"),
        pytest.param(f"Use ```f``` so:\n{FENCED}", id="inline_triple_ticks"),
        pytest.param(f"<think>\n```python\ndef f(x): 0\n```\n</think>\n{FENCED}", id="thinking"),
        pytest.param(
            f"hm ```python\ndef f(x): 0\n```\n</think>\n{FENCED}", id="think_begun_before"
        ),
        pytest.param(f"<think>so</think>{FENCED}", id="think_on_one_line"),
        pytest.param(f"<think>a</think>\n{FENCED}\n<think>\ndef f(x): 0", id="thinks_again"),
        pytest.param(f"<THINK>\n```\ndef f(x): 0\n```\n</THINK>\n{FENCED}", id="think_in_capitals"),
        pytest.param(F, id="bare"),
        pytest.param(f"Here is it:\n\n{F}\n\nIt adds one.", id="bare_in_prose"),
        pytest.param("    " + F.replace("\n", "\n    "), id="bare_indented"),
        pytest.param(f"def f( is what I define:\n\n{F}\nThat's it.", id="bare_after_a_mention"),
    ],
)
def test_finds_the_function(text: str) -> None:
    assert extract_code(text, "f") == F
    assert extract_code(text) is not None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   \n\n",
        "I cannot solve this.",
        "```\n```",
        "```python\n```",
        "```",
        "`" * 50,
        "```python\nprint(1)\n```",
        "```python\ndef g(x):\n    return x\n```",
        f"<think>\n{FENCED}",
        f"<think>\n{FENCED}\n</think>\nNo idea.",
        f"{FENCED}\n</think>",
        "```python\ndef f(x):\n    return (",
        "def f(x):\n    return (",
        "The function def f(x) is simple",
        "```ruby\ndef f(x)\n  x + 1\nend\n```",
        "```python\nclass Solution:\n    def f(self, x):\n        return x\n```",
        "\x00",
    ],
)
def test_nothing_to_judge(text: str) -> None:
    assert extract_code(text, "f") is None


@pytest.mark.parametrize(
    "body",
    [
        f"{F}\n\nprint(f(1))\nassert f(1) == 2",
        f'{F}\n\nif __name__ == "__main__":\n    print(f(1))',
        "def f(x):\n    return x +",
        "from __future__ import annotations\n" + F,
        'def f(x):\n    """Doc.\n\n    ```\n    >>> f(1)\n    ```\n    """\n    return x',
        'def f(x):\n    """Doc.\n\n    ```python\n    f(1)\n    ```\n    """\n    return x',
        "def f(x):\n\treturn x",
        "import math\n\n\n@staticmethod\ndef f(x):\n    return math.floor(x)",
        "f = lambda x: x",
        "try:\n    import a\nexcept ImportError:\n    def f(x):\n        return 0",
        "async def f(x):\n    return x",
        "s = 'two\u2028lines'\n" + F,
    ],
)
def test_a_block_is_kept_as_it_stands(body: str) -> None:
    assert extract_code(f"Text\n```python\n{body}\n```\nmore", "f") == body


def test_puts_together_what_earlier_blocks_define() -> None:
    text = (
        "```python\nfrom typing import List\nimport os\nprint('hi')\n```\n"
        "A helper:\n```python\nLIMIT = 3\n\n@staticmethod\ndef helper(x):\n"
        "    return min(x, LIMIT)\n\nprint(helper(2))\n```\n"
        "```python\ndef f(x: List) -> int:\n    return helper(x)\n```\n"
        "```python\nprint(f(1))\n```"
    )
    code = extract_code(text, "f")
    assert code == (
        "from typing import List\nLIMIT = 3\n@staticmethod\ndef helper(x):\n"
        "    return min(x, LIMIT)\ndef f(x: List) -> int:\n    return helper(x)"
    )


def test_a_star_import_of_another_block_is_taken_when_a_name_is_missing() -> None:
    text = "```python\nfrom math import *\n```\n```python\ndef f(x):\n    return floor(x)\n```"
    assert extract_code(text, "f") == "from math import *\ndef f(x):\n    return floor(x)"


def test_other_versions_of_the_function_are_left_out() -> None:
    text = f"```python\ndef f(x):\n    return g(x)\ndef g(x): return f(0)\n```\n{FENCED}"
    assert extract_code(text, "f") == F


def test_a_bare_function_comes_with_its_import_and_helper() -> None:
    main = F.replace("x + 1", "g(math.pi)")
    text = f"Solution:\nimport math\n\n{main}\nand\ndef g(x):\n  return x\nOK?"
    code = extract_code(text, "f")
    assert code == "def g(x):\n  return x\nimport math\n\ndef f(x):\n    return g(math.pi)"


def test_the_whole_text_as_code_is_kept_whole() -> None:
    code = f"import math\n\n{F}\n\nprint(f(1))"
    assert extract_code(code + "\n", "f") == code


def test_invalid_escapes_do_not_warn() -> None:
    code = "def f(x):\n    return '\\d'"
    assert extract_code(f"```python\n{code}\n```", "f") == code


HOSTILE = {
    "ticks": "`" * 100_000,
    "ticks_then_letter": "`" * 100_000 + "x`",
    "tick_pairs": "``` " * 25_000,
    "openers": "```python\n" * 10_000,
    "openers_then_closers": "```python\n" * 9_000 + "```\n" * 2_500,
    "openers_with_quotes": "```python\n'''\n" * 7_000 + "```\n" * 10,
    "bare_fences": "```\n" * 25_000,
    "tildes_and_ticks": "~~~\n```\n" * 12_500,
    "long_block_many_openers": "```py\n" * 60 + "'''a\n" * 20_000 + "```\n" * 5,
    "blank_lines": "\n" * 100_000,
    "blank_lines_in_a_block": "```\n" + " \n" * 50_000 + "```",
    "spaces": " " * 100_000,
    "thinking": "<think>" * 14_000,
    "thinking_lines": "<think>\n" * 12_500,
    "think_ends": "</think>\n" * 11_000,
    "think_ends_spaced": ("</think>" + " " * 90 + "x") * 1_000,
    "bare_defs": "def f(:\n" * 12_500,
    "bare_good_defs": "def f(): 0\nprose here\n" * 4_000,
    "decorators": "@a\n" * 33_000,
    "assignments_elsewhere": "```\n" + "a=b\n" * 20_000 + "```\n```\ndef f(): return b\n```",
    "parentheses": "```\ndef f():\n" + "(" * 100_000 + "\n```",
    "else_ifs": "```\nif 1:\n f=1\n" + "elif 1:\n f=1\n" * 2_000 + "```",
    "minus": "```\ndef f():0\n" + "-" * 99_000 + "1\n```",
    "additions": "```\nf=" + "1+" * 49_000 + "1\n```",
    "nul": "```\ndef f(): 0\n" + "\x00" * 99_000 + "\n```",
    "digits": "1" * 100_000 + ". ```",
    "bullets": "- " * 50_000,
}


QUICK = ("ticks", "openers_then_closers", "think_ends_spaced", "bare_defs", "additions")


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in HOSTILE],
)
def test_hostile_text_takes_linear_time(name: str) -> None:
    started = time.process_time()
    extract_code(HOSTILE[name], "f")
    assert time.process_time() - started < 2.0


FRAGMENTS = ["```", "```python", "~~~", "\n", "def f(x):", "    return x", "'''", "<think>", "\t"]
FRAGMENTS += [
    "</think>",
    "prose ",
    "@a\n",
    "import g\n",
    "\r\n",
    "\x00",
    "\ud800",
    "f = 1",
    "if 1:\n",
]


@settings(deadline=None, max_examples=200)
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=30).map("".join) | st.text(max_size=60))
def test_never_raises(text: str) -> None:
    for entry_point in ("f", None):
        code = extract_code(text, entry_point)
        assert code is None or code.strip()


@settings(deadline=None, max_examples=100)
@given(st.text("abc .,:!?\n", max_size=80), st.text("abc .,:!?\n", max_size=80))
def test_prose_around_changes_nothing(before: str, after: str) -> None:
    code = extract_code(f"{before}\n\n{FENCED}\n\n{after}", "f")
    assert code == F
    ast.parse(code)


SHOWN = "Complete:\n```python\nimport math\n\ndef g(x):\n    return x\n\ndef f(x):\n    ...\n```"


@pytest.mark.parametrize("form", ["```python\n{}\n```", "{}"], ids=["fenced", "bare"])
def test_names_that_the_prompt_gives_may_be_used(form):
    code = extract_code(form.format("def f(x):\n    return g(math.pi)"), "f", shown=SHOWN)
    assert code == ("import math\ndef g(x):\n    return x\ndef f(x):\n    return g(math.pi)")


def test_the_prompt_alone_is_no_answer():
    assert extract_code("I do not know.", "f", shown=SHOWN) is None
    assert extract_code(FENCED, "f", shown=SHOWN) == F
    own = "```python\ndef g(x):\n    return 1\n```\n```python\ndef f(x):\n    return g(x)\n```"
    code = extract_code(own, "f", shown=SHOWN)
    assert code is not None and "return 1" in code and "return x" not in code
