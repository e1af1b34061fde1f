"""Problems as chat messages. Prompts are short: a small model on a slow machine reads each one."""

from __future__ import annotations

from typing import Any, Literal, assert_never, get_args

from axiom_rl.core.types import Problem, TestCase
from axiom_rl.problems.registry import unknown_name
from axiom_rl.problems.sources.assertions import is_condition

Style = Literal["direct", "chain_of_thought", "few_shot", "think"]
STYLES: tuple[Style, ...] = get_args(Style)

Message = dict[str, str]
"""`role` and `content`, as chat templates take them."""

DIRECT = "Answer with the function alone, in one ```python block."
WHOLE_PROGRAM = "Answer with the whole program, imports included, in one ```python block."
REASONED = (
    "First think step by step, in a few short sentences. Then give the function in one "
    "```python block."
)
THINK = (
    "First reason inside <think> and </think> tags: the idea, why it is right, the edge cases. "
    "After </think> give the function in one ```python block."
)

EXPLAIN = (
    "This function is right. Now write the reasoning that comes before such a function: what to "
    "compute, how, and which cases are special. One paragraph of at most 80 words, in plain "
    "sentences, without code."
)

SHOTS: tuple[tuple[str, str], ...] = (
    (
        "Return the number of vowels (aeiou) in the lower-case string s.\n\n"
        "Write one Python function `def count_vowels(s):`\n"
        "count_vowels('banana') == 3\n\n" + DIRECT,
        "```python\ndef count_vowels(s):\n    return sum(c in 'aeiou' for c in s)\n```",
    ),
    (
        "Return the position of the largest number in a list, the first one if it occurs more "
        "than once, or -1 for an empty list.\n\n"
        "Write one Python function `def argmax(nums):`\n"
        "argmax([3, 8, 8]) == 1\n\n" + DIRECT,
        "```python\ndef argmax(nums):\n    if not nums:\n        return -1\n"
        "    return nums.index(max(nums))\n```",
    ),
)
"""Tasks of no type in the registry, so that no prompt gives an answer away."""


def render(problem: Problem, style: str) -> list[Message]:
    """Return the chat messages that put `problem` to a model.

    Raises:
        AxiomError: for a style other than direct, chain_of_thought, few_shot and think.
    """
    match _style(style):
        case "direct":
            return [_user(_question(problem, DIRECT))]
        case "chain_of_thought":
            return [_user(_question(problem, REASONED))]
        case "few_shot":
            shots = [
                message
                for question, answer in SHOTS
                for message in (_user(question), {"role": "assistant", "content": answer})
            ]
            return [*shots, _user(_question(problem, DIRECT))]
        case "think":
            return [_user(_question(problem, THINK))]
        case unreachable:
            assert_never(unreachable)


def render_explaining(problem: Problem, code: str) -> list[Message]:
    """Return the chat messages that ask for the reasoning behind a program that is right.

    Rationalisation, as in Zelikman et al. 2022, STaR; there the answer is the hint, here it is the
    model's own program, which the verifier has accepted.
    """
    answer = {"role": "assistant", "content": fenced_answer(code)}
    return [*render(problem, "direct"), answer, _user(EXPLAIN)]


def thought_answer(reasoning: str, code: str) -> str:
    """Return the one form in which an answer of the style `think` is trained on.

    It is what templates that render thinking by themselves (Qwen3's) make of it, too.
    """
    return f"<think>\n{reasoning.strip()}\n</think>\n\n{fenced_answer(code)}"


def fenced_answer(code: str) -> str:
    """Return the form in which a program alone is trained on."""
    return f"```python\n{code.strip()}\n```"


def show_call(entry_point: str, test: TestCase) -> str:
    """Return a test as text, e.g. `two_sum([2, 7], 9) == [0, 1]`."""
    call = f"{entry_point}({', '.join(map(_shown, test.args))})"
    if is_condition(test.expected):
        return f"{call}  # decided by the benchmark's own test code"
    return f"{call} == {_shown(test.expected)}"


def _shown(value: Any) -> str:
    try:
        return repr(value)
    except ValueError:  # Python writes no integer of more than 4,300 digits
        return hex(value) if isinstance(value, int) else "(integers too long to write)"


def _style(style: str) -> Style:
    for known in STYLES:
        if style == known:
            return known
    raise unknown_name("problems.prompt", style, STYLES)


def _user(content: str) -> Message:
    return {"role": "user", "content": content}


def _question(problem: Problem, request: str) -> str:
    if not problem.signature:  # the statement is a program to complete
        whole = request.replace(DIRECT, WHOLE_PROGRAM).replace("the function in", "the program in")
        return f"{problem.statement}\n\n{whole}"
    calls = [show_call(problem.entry_point, test) for test in problem.public_tests]
    header = f"Write one Python function `def {problem.entry_point}{problem.signature}:`"
    return "\n".join([problem.statement, "", header, *calls, "", request])
