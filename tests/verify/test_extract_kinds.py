"""extract_code on what models put around a program: right ones are found, wrong ones stay."""

import time
from typing import Any

import pytest

from axiom_rl.config import load_config
from axiom_rl.core.types import Problem, TestCase
from axiom_rl.verify import Verifier, extract_code

F = "def f(x):\n    return x + 1"


def indented(margin: str) -> str:
    """Return F with a margin before all lines but the first."""
    return F.replace("\n", "\n" + margin)


RIGHT = {
    "glued": "```def f(x):\n    return x + 1\n```",
    "glued_tag": "```python def f(x):\n    return x + 1\n```",
    "glued_tag_nospace": "```pythondef f(x):\n    return x + 1\n```",
    "glued_unclosed": "```python def f(x):\n    return x + 1",
    "answer_tag": "<answer>def f(x):\n    return x + 1</answer>",
    "answer_tag2": "<answer>def f(x):\n    return x + 1\n</answer>",
    "answer_fence": f"<answer>```python\n{F}\n```</answer>",
    "answer_fence2": f"<answer>\n```python\n{F}\n```\n</answer>",
    "bare_python_line": f"python\n{F}",
    "bare_Python_line": f"Python\n\n{F}\n\nThis adds one.",
    "python_line_in_fence": f"```\npython\n{F}\n```",
    "one_line_fence": "```python def f(x): return x + 1```",
    "one_line_fence2": "```def f(x): return x + 1```",
    "one_line_fence3": "Use ```def f(x): return x + 1```.",
    "one_line_lambda": "```python f = lambda x: x + 1```",
    "imports_glued": "```python import math\ndef f(x):\n    return math.floor(x) + 1\n```",
    "assignment_glued": "```python N = 1\ndef f(x):\n    return x + N\n```",
    "imports_glued2": "```from math import floor\ndef f(x):\n    return floor(x) + 1\n```",
    "four_space": f"Here it is:\n\n    {indented('    ')}\n\nIt adds one.",
    "four_space_after_lower": f"for example:\n\n    {indented('    ')}\n\nIt adds one.",
    "four_space_import": (
        "Here:\n\n    import math\n\n    def f(x):\n        return math.floor(x) + 1\n\nDone."
    ),
    "quote": f"> {indented('> ')}",
    "quote_prose": f"He said:\n> Use this:\n> {indented('> ')}\n",
    "quote_fence": f"> ```python\n> {indented('> ')}\n> ```",
    "quote_nospace": f">```python\n>{indented('>')}\n>```",
    "one_space": f" {indented(' ')}",
    "one_space_first": f" {F}",
    "one_space_prose": f" Here is it:\n {indented(' ')}\n It is.",
    "indented_prose": f"    Here is the code:\n\n{F}",
    "fence_in_docstring": (
        'def f(x):\n    """Doc.\n\n    ```python\n    f(1)\n    ```\n    """\n    return x + 1'
    ),
    "fence_in_docstring_fenced": (
        '```python\ndef f(x):\n    """Doc.\n\n    ```python\n    f(1)\n    ```\n    """\n'
        "    return x + 1\n```"
    ),
    "fence_in_docstring_2": (
        '```python\ndef f(x):\n    """\n```\nf(1)\n```\n"""\n    return x + 1\n```\nText\n'
        "```\nf(1)\n2\n```"
    ),
    "fence_in_comment": "```python\ndef f(x):\n    # ```\n    return x + 1\n```",
    "fence_in_comment2": (
        "```python\ndef f(x):\n    y = x  # wrap in ```python\n    return y + 1\n```"
    ),
    "fence_in_comment3": "```python\n# ```python\n# f(1)\n# ```\ndef f(x):\n    return x + 1\n```",
    "fence_in_string": "```python\ndef f(x):\n    s = '```'\n    return x + 1\n```",
    "think_comment": "```python\ndef f(x):\n    # after </think>\n    return x + 1\n```",
    "think_comment_bare": "def f(x):\n    # after </think>\n    return x + 1",
    "think_docstring": (
        '```python\ndef f(x):\n    """\n    </think>\n    """\n    return x + 1\n```'
    ),
    "think_string": "```python\nT = '''\n<think>\n'''\ndef f(x):\n    return x + 1\n```",
    "think_comment_margin": "```python\n# no </think>\ndef f(x):\n    return x + 1\n```",
    "prose_after": f"{F}\n\nThis function adds one.",
    "prose_after_adjacent": f"{F}\nThis function adds one.",
    "prose_after_in_fence": f"```python\n{F}\n\nThis function adds one.\n```",
    "prose_after_unclosed": f"```python\n{F}\n\nThis function adds one.",
    "prose_after_apostrophe": (
        f"{F}\n\nIt's x's successor: f(x) is x + 1 (see above.\n\nExplanation:\n- first, 'x'"
    ),
    "prose_colon": f"{F}\nTime: O(n)\nSpace: O(1)",
    "prose_colon_fence": f"```python\n{F}\n\nTime: O(n)\n```",
    "nfkc": "```python\ndef \uff46(x):\n    return x + 1\n```",
    "nfkc_bare": "def \uff46(x):\n    return x + 1",
    "with": (
        "```python\nimport contextlib\nwith contextlib.suppress(ImportError):\n"
        "    def f(x):\n        return x + 1\n```"
    ),
    "for": "```python\nfor _ in range(1):\n    def f(x):\n        return x + 1\n```",
    "while": "```python\nwhile True:\n    def f(x):\n        return x + 1\n    break\n```",
    "match": "```python\nmatch 1:\n    case 1:\n        def f(x):\n            return x + 1\n```",
    "exceptstar": (
        "```python\ntry:\n    raise ExceptionGroup('', [ValueError()])\n"
        "except* ValueError:\n    def f(x):\n        return x + 1\n```"
    ),
    "walrus": "```python\n(f := lambda x: x + 1)\n```",
    "walrus_if": "```python\nif f := (lambda x: x + 1):\n    pass\n```",
    "finally": "```python\ntry:\n    pass\nfinally:\n    def f(x):\n        return x + 1\n```",
    "else_for": (
        "```python\nfor i in []:\n    pass\nelse:\n    def f(x):\n        return x + 1\n```"
    ),
    "future_comment": (
        "```python\nimport math\n```\n```python\n# the answer\n"
        "from __future__ import annotations\ndef f(x: int) -> int:\n"
        "    return math.floor(x) + 1\n```"
    ),
    "future_docstring": (
        '```python\nimport math\n```\n```python\n"""The answer."""\n'
        "from __future__ import annotations\ndef f(x: int) -> int:\n"
        "    return math.floor(x) + 1\n```"
    ),
    "future_plain": (
        "```python\nfrom math import floor\n```\n```python\n"
        "from __future__ import annotations\ndef f(x: Undefined) -> int:\n"
        "    return floor(x) + 1\n```"
    ),
    "future_of_helper": (
        "```python\nfrom __future__ import annotations\ndef g(x: Undefined):\n"
        "    return x\n```\n```python\ndef f(x):\n    return g(x) + 1\n```"
    ),
    "rebind_import": (
        f"```python\n{F}\n```\nTest:\n```python\nfrom solution import f\nprint(f(1))\n```"
    ),
    "rebind_try": (
        f"```python\n{F}\n```\nTest:\n```python\ntry:\n    from solution import f\n"
        "except ImportError:\n    pass\n```"
    ),
    "rebind_cache": (
        f"```python\n{F}\n```\nTest:\n```python\nfrom functools import lru_cache\n"
        "f = lru_cache(None)(f)\n```"
    ),
    "rebind_call": f"```python\n{F}\n```\nTest:\n```python\nf = f(1)\n```",
    "rebind_const": f"```python\n{F}\n```\nTest:\n```python\nf = 2\n```",
    "rebind_bare": f"{F}\n\nTest:\n\nf = f(1)\nis what you call.",
    "rebind_stub": f"```python\n{F}\n```\nSignature:\n```python\ndef f(x): ...\n```",
    "rebind_not_implemented": (
        f"```python\n{F}\n```\nStub:\n```python\ndef f(x):\n"
        '    """Doc."""\n    raise NotImplementedError("yours")\n```'
    ),
    "end_of_turn": f"{F}<end_of_turn>",
    "rebind_helper": (
        "```python\ndef g(x):\n    return x\n```\n```python\ndef f(x):\n"
        "    return g(x) + 1\n```\n```python\nfrom solution import f, g\ng = g(1)\n```"
    ),
    "filled": "```\nt = {}\nt[1] = 1\nprint(t)\n```\n```\ndef f(x):\n    return x + t[x]\n```",
    "filled_in_a_loop": (
        "```\nt = []\nfor i in (0, 1):\n    t.append(i)\n```\n```\n"
        "def f(x):\n    return x + t[x]\n```\n```\nfor i in (0, 1):\n    t.append(f(i))\n```"
    ),
    "helper_after": (
        "```python\ndef f(x):\n    return g(x) + 1\n```\nwhere\n```python\ndef g(x):\n"
        "    return x\n```"
    ),
    "four_ticks": f"````python\n{F}\n````",
    "four_three": f"````python\n{F}\n```",
    "three_four": f"```python\n{F}\n````",
    "tilde_tick": f"~~~python\n{F}\n```",
    "nested4": f"````markdown\nText\n```python\n{F}\n```\n````",
    "list_item": f"1. First:\n   ```python\n   {indented('   ')}\n   ```\n2. Then",
    "list_item_tab": f"-\t```python\n\t{indented(chr(9))}\n\t```",
    "prefix": f"Here is the code: {F}",
    "prefix2": f"Here's the code: {F}\nThat's it.",
    "prefix3": "Sure! def f(x): return x + 1",
    "prefix_list": f"1. {indented('   ')}",
    "prefix_list2": f"- {F}",
    "prefix_helper": "- def g(x):\n      return x\n\n  def f(x):\n      return g(x) + 1",
    "prefix_python": f"python {F}",
    "prefix_fence": f"Here is the code: ```python\n{F}\n```",
    "prefix_fence_glued": "Here is the code: ```python def f(x):\n    return x + 1\n```",
    "prefix_tick": "The answer is `def f(x): return x + 1`.",
    "tick_line": f"`python\n{F}\n`",
    "two_ticks": f"``python\n{F}\n``",
    "quote_fence_str": f"'''python\n{F}\n'''",
    "close_prose": f"```python\n{F}\n``` This adds one.",
    "close_code_stop": f"```python\n{F}```<|im_end|>",
    "unclosed_then_fence": f"```python\n{F}\n\nExample:\n```python\nprint(f(1))\n```",
    "unclosed_then_output": f"```python\n{F}\n\nOutput:\n```\n2\n```",
    "torn_usage": f"```python\n{F}\n\n# Example\nprint(f(",
    "torn_test": f"```python\n{F}\n\ndef test():\n    assert f(",
    "repl": "```python\n>>> def f(x):\n...     return x + 1\n...\n>>> f(1)\n2\n```",
    "repl_bare": ">>> def f(x):\n...     return x + 1\n...\n>>> f(1)\n2",
    "repl_after": f"```python\n{F}\n\n>>> f(1)\n2\n```",
    "html": '<pre><code class="language-python">def f(x):\n    return x + 1\n</code></pre>',
    "html_entities": "<code>\ndef f(x):\n    return x + 1 if x &lt; 10**9 else x + 1\n</code>",
    "latex": "\\begin{verbatim}\n" + F + "\n\\end{verbatim}",
    "tag_python": f"[PYTHON]\n{F}\n[/PYTHON]",
    "nbsp": "```python\ndef f(x):\n\u00a0\u00a0\u00a0\u00a0return x + 1\n```",
    "zwsp": "```python\n\u200bdef f(x):\n    return x + 1\u200b\n```",
    "zwsp_fence": f"\u200b```python\n{F}\n```",
    "main_guard": f"{F}\n\nif __name__ == '__main__':\n    print(f(1))",
    "main_guard_torn": f"```python\n{F}\n\nif __name__ == '__main__':\n    print(f(",
    "sure": f"Sure\n\n{F}",
    "fx": f"{F}\n\nf(x)\n\nreturns x + 1.",
    "heading": f"### Solution\n\n{F}\n\n### Explanation\nIt adds.",
    "thinking": f"<thinking>```python\ndef f(x): return 0\n```</thinking>\n```python\n{F}\n```",
    "think_glued": f"so it is.</think>```python\n{F}\n```",
    "think_glued2": (
        f"```python\ndef f(x): return 0\n```\nso it is.</think>The answer is:\n```python\n{F}\n```"
    ),
    "think_attr": f"[THINK]\ndef f(x): return 0\n[/THINK]\n{F}",
    "mention_think": f"```python\n{F}\n```\nThis ignores `</think>` tags.",
    "docstring_margin": (
        'Here:\n\ndef f(x):\n    """\nDoc at the margin.\n    """\n    return x + 1\n\nDone.'
    ),
    "list_margin": "Here:\n\nL = [\n1,\n2,\n]\ndef f(x):\n    return x + L[0]\n\nDone.",
    "else_margin": (
        "Here:\n\nif True:\n    N = 1\nelse:\n    N = 2\n\ndef f(x):\n    return x + N\n\nDone."
    ),
    "decorated": (
        "Here:\n\nimport functools\n@functools.lru_cache(\n    None\n)\ndef f(x):\n"
        "    return x + 1\n\nDone."
    ),
    "recursionlimit": (
        "Here:\n\nimport sys\nsys.setrecursionlimit(5000)\n\ndef f(x):\n"
        "    return x + 1 if sys.getrecursionlimit() == 5000 else 0\n\nDone."
    ),
    "surrogate": f"\ud800\n```python\n{F}\n```\n\udfff",
    "nul": f"\x00\n```python\n{F}\n```\n",
    "tuple_lambda": "```python\ng, f = 1, lambda x: x + 1\n```",
    "alias": "```python\ndef g(x):\n    return x + 1\nf = g\n```",
    "partial": "```python\nimport functools, operator\nf = functools.partial(operator.add, 1)\n```",
    "class_call": "```python\nclass f(int):\n    def __new__(cls, x):\n        return x + 1\n```",
    "async": "```python\ndef f(x):\n    return x + 1\n\nasync def main():\n    await f(1)\n```",
    "typeparams": (
        "```python\nfrom typing import TypeVar\nT = TypeVar('T')\n```\n```python\n"
        "def f(x: T) -> T:\n    return x + 1\n```"
    ),
    "last": f"```python\ndef f(x):\n    return 0\n```\nBetter:\n```python\n{F}\n```",
    "broken_last": (
        f"```python\n{F}\n```\nIn pseudo-code:\n```python\ndef f(x) do\n  x + 1\nend\n```"
    ),
    "dedent": "  ```python\n    import math\n    def f(x):\n        return x + 1\n  ```",
    "attr": f"```python {{.line-numbers}}\n{F}\n```",
    "prose_bracket": "It is (simple.\nf = lambda x: x + 1",
    "indent_first": f"```python\n {F}\n```",
    "glued_try": (
        "```python try:\n    from math import floor\nexcept ImportError:\n    floor = int\n"
        "def f(x):\n    return floor(x) + 1\n```"
    ),
    "glued_loop": "```python for _ in range(1):\n    def f(x):\n        return x + 1\n```",
    "one_line_then_call": "```def f(x): return x + 1``` and try it with ```f(1)```.",
    "one_line_twice": "Use ```import math``` and ```def f(x): return math.floor(x) + 1```.",
    "one_tick_open": f"`python\n{F}`",
    "walrus_bare": "It is this:\n[f := lambda x: x + 1]\nDone.",
    "for_lambda": "```python\nfor f in [lambda x: x + 1]:\n    pass\n```",
    "with_lambda": (
        "```python\nimport contextlib\nwith contextlib.nullcontext(lambda x: x + 1) as f:\n"
        "    pass\n```"
    ),
    "use_for": f"```python\n{F}\n```\n```python\nfor f in (f, lambda x: 0):\n    print(f(1))\n```",
    "prose_return": f"{F}\nreturn value is x + 1",
    "bold": f"**Solution:** \n\n**{F}**",
}
"""Completions with a program that adds one."""

NONE = {
    "unfinished_think": f"<think>\n```python\n{F}\n```",
    "unfinished_thinking": f"<thinking>\n```python\n{F}\n```",
    "unfinished_reasoning": f"<reasoning>\n{F}",
    "unfinished_THINK": f"[THINK]\n{F}",
    "unfinished_seed_think": f"<seed:think>\n```python\n{F}\n```",
    "bot": f"<|begin_of_thought|>\n{F}",
    "think_no_answer": f"<think>\n{F}\n</think>\nI do not know.",
    "think_begun": f"{F}\n</think>\nI do not know.",
    "think_begun_fence": f"```python\n{F}\n```\nDone.</think>",
    "think_in_open_fence": f"```python\n{F}\n</think>\nNo.",
    "method": "```python\nclass Solution:\n    def f(self, x):\n        return x + 1\n```",
    "method_torn": (
        "class A:\n    def f(x):\n        return x + 1\n\n    def g(self):\n        return ("
    ),
    "nested": "```python\ndef outer():\n    def f(x):\n        return x + 1\n    return f\n```",
    "nested_torn": "```python\ndef outer():\n    def f(x):\n        return x + 1\n    return (",
    "other_name": "```python\ndef g(x):\n    return x + 1\n```",
    "torn": "```python\ndef f(x):\n    if x:\n        return x + 1\n    return (",
    "in_string": "```python\nS = 'def f(x): return x + 1'\n```",
    "in_docstring": "```python\n'''\ndef f(x):\n    return x + 1\n'''\n```",
    "in_comment": "# def f(x):\n#     return x + 1",
    "called": "```python\nprint(f(1))\n```",
    "constant": "```python\nf = 2\n```",
    "result": "```python\nf = f(1)\n```",
    "prose": "The function def f(x) adds one to x.",
    "body_only": "    return x + 1",
    "attribute": "```python\nclass A: pass\nA.f = lambda x: x + 1\n```",
    "broken_line": "```python\nprint(1) def f(x): return x + 1\n```",
    "doc_prose": "You could write `f(x)` with def f(x): and then return x + 1.",
}
"""Completions without a program that defines f."""

BROKEN = {
    "return": f"{F}\nreturn x",
    "usage": f"```python\n{F}\n\nprint(f(1)\n```",
    "helper": f"```python\ndef g(x:\n    return x\n\n{F}\n```",
    "smart": "```python\ndef f(x):\n    s = \u201ca\u201d\n    return x + 1\n```",
    "tabs": "```python\ndef f(x):\n    y = x\n\treturn y + 1\n```",
    "unindented": "```python\ndef f(x):\nreturn x + 1\n```",
    "colon": "```python\ndef f(x)\n    return x + 1\n```",
    "assert_broken": f"```python\n{F}\nassert f(1) = 2\n```",
    "py2": f"```python\n{F}\nprint f(1)\n```",
}
"""Programs that Python refuses: never mended, and never taken for none."""

WRONG = {
    "last": f"```python\n{F}\n```\n```python\ndef f(x):\n    return 0\n```",
    "last_bare": f"{F}\n\nBetter is this:\n\ndef f(x):\n    return 0\n",
    "nameerror": "```python\ndef f(x):\n    return g(x)\n```",
    "assert": f"```python\n{F}\nassert f(1) == 3\n```",
    "namefail": f"```python\n{F}\nprint(f(n))\n```",
    "whole_bare_assert": f"{F}\nassert f(1) == 3",
    "broken_last": f"```python\n{F}\n```\n```python\ndef f(x):\n    return x +\n```",
}
"""The last answer is wrong, or fails while it loads: no other takes its place."""


def run(code: str) -> Any:
    """Return f(1), as the program in `code` has it."""
    names: dict[str, Any] = {"__name__": "candidate"}
    exec(compile(code, "<candidate>", "exec", dont_inherit=True), names)
    return names["f"](1)


@pytest.mark.parametrize("kind", RIGHT)
def test_a_right_program_is_not_lost(kind: str) -> None:
    code = extract_code(RIGHT[kind], "f")
    assert code is not None
    assert run(code) == 2


@pytest.mark.parametrize("kind", NONE)
def test_none_only_where_there_is_no_program(kind: str) -> None:
    assert extract_code(NONE[kind], "f") is None


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_program_is_not_mended(kind: str) -> None:
    code = extract_code(BROKEN[kind], "f")
    assert code is not None
    with pytest.raises(SyntaxError):
        compile(code, "<candidate>", "exec")


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_answer_stays_one(kind: str) -> None:
    code = extract_code(WRONG[kind], "f")
    assert code is not None
    try:
        outcome = run(code)
    except (SyntaxError, NameError, AssertionError) as error:
        outcome = error
    assert outcome != 2


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (f"```python\n{F}\n\n>>> f(1)\n2\n```", F),
        (f"```python\n{F}\n\nThis adds one.\n```", F),
        (f"python\n{F}", F),
        (f"Time:\n\n{F}\n\nassert f(1) == 3\nThe end.", F),
        ("```python def f(x): return x```", "def f(x): return x"),
        (
            RIGHT["future_comment"],
            "# the answer\nfrom __future__ import annotations\nimport math\n"
            "def f(x: int) -> int:\n    return math.floor(x) + 1",
        ),
        (
            RIGHT["future_of_helper"],
            "from __future__ import annotations\n"
            "def g(x: Undefined):\n    return x\ndef f(x):\n    return g(x) + 1",
        ),
        (
            "```python\ns = '\ufeff\u00a0'\n\u200bdef f(x):\n\u00a0return s\n```",
            "s = '\ufeff\u00a0'\ndef f(x):\n return s",
        ),
        (F + "\nassert f(1) == 2", F + "\nassert f(1) == 2"),
    ],
)
def test_the_program_is_what_the_model_wrote(text: str, code: str) -> None:
    assert extract_code(text, "f") == code


@pytest.mark.parametrize(
    "written", ["\ufb01nd", "find", "\U0001d41f\U0001d422\U0001d427\U0001d41d"]
)
def test_names_are_compared_as_python_compares_them(written: str) -> None:
    problem = Problem(
        id="find",
        type="mine",
        difficulty=1,
        split="train",
        title="find",
        statement="",
        entry_point="\ufb01nd",
        public_tests=(),
        hidden_tests=(TestCase(args=(1,), expected=2),),
    )
    code = extract_code(f"```python\n{F.replace('f(', written + '(')}\n```", problem.entry_point)
    with Verifier(load_config().sandbox) as verifier:
        [verdict] = verifier.verify([(problem, code)])
    assert verdict.passed, verdict


MEGABYTE = {
    "ticks": "`" * 1_000_000,
    "fences": "```\n" * 10_000,
    "programs": f"```python\n{F}\n```\n" * 10_000,
    "fences_ever_shorter": "\n".join("`" * n + "\n'''a'''" for n in range(1400, 3, -1)),
    "quotes": "> " * 500_000,
    "tags": "<code>" * 160_000,
    "prefixes": "x def " * 160_000,
    "escapes": "'" + "\\'" * 500_000,
    "glued": "```" + "x:" * 500_000,
    "spaces": "\u00a0" * 1_000_000,
    "surrogates": "\ud800" * 1_000_000,
    "brackets": "(" * 1_000_000,
}


LONG = ("programs", "fences_ever_shorter", "tags", "brackets")


@pytest.mark.parametrize(
    "kind", [pytest.param(k, marks=pytest.mark.slow if k in LONG else ()) for k in MEGABYTE]
)
def test_a_megabyte_is_read_in_linear_time(kind: str) -> None:
    started = time.process_time()
    extract_code(MEGABYTE[kind], "f")
    assert time.process_time() - started < 3
