"""What tokens mean: their text, and whether two models have one tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from transformers import PreTrainedTokenizerBase

from axiom_rl.core.text import THINKING_MARK

MARKS = ("bos_token_id", "eos_token_id", "unk_token_id")
"""Special tokens that begin and end texts. What only fills up rows is masked, and may differ."""
PROBES = (
    "def two_sum(nums, target):\n    return [i for i, x in enumerate(nums) if x == target]\n",
    "```python\n\tif a != b and c >= 1_000:  # naïve, 日本語, 🙂\n```\n",
    "<think>\nThe answer is 42.\n</think>\n\n  Two  spaces, x=-3.14e10;",
)
"""Texts that another list of merges, or another way to cut words, would cut otherwise."""


def text_of(tokenizer: PreTrainedTokenizerBase, tokens: Sequence[int]) -> str:
    """Return the text of an answer, without special tokens but for those around thinking.

    Some models' `<think>` is special as their end of a message is; without it what they thought
    would read as what they answer.
    """
    marks = _thinking_marks(tokenizer)
    parts, start = [], 0
    for place, token in enumerate(tokens):
        if token in marks:
            parts += [_decoded(tokenizer, tokens[start:place]), marks[token]]
            start = place + 1
    return "".join([*parts, _decoded(tokenizer, tokens[start:])])


def _decoded(tokenizer: PreTrainedTokenizerBase, tokens: Sequence[int]) -> str:
    # The clean-up would take spaces out of programs.
    text = tokenizer.decode(
        list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False
    )
    return str(text)


@lru_cache(maxsize=8)
def _thinking_marks(tokenizer: PreTrainedTokenizerBase) -> dict[int, str]:
    """Return the special tokens around thinking, with their texts."""
    return {
        number: token.content
        for number, token in tokenizer.added_tokens_decoder.items()
        if token.special and THINKING_MARK.fullmatch(token.content.strip())
    }


def tokenizer_difference(student: PreTrainedTokenizerBase, teacher: PreTrainedTokenizerBase) -> str:
    """Say in what two tokenizers differ; '' if a token id means the same to both.

    Compared are the vocabulary, added tokens included, the special tokens, and how texts are cut.
    """
    ours, theirs = student.get_vocab(), teacher.get_vocab()
    if ours != theirs:
        only = sorted(set(ours.items()) ^ set(theirs.items()))
        token = only[0][0]
        return (
            f"of {len(ours)} and {len(theirs)} tokens {len({text for text, _ in only})} differ, "
            f"such as {token!r}: {_number(ours, token)} and {_number(theirs, token)}"
        )
    for mark in MARKS:
        pair = getattr(student, mark), getattr(teacher, mark)
        if pair[0] != pair[1]:
            names = [
                _text(tokenizer, number)
                for tokenizer, number in zip((student, teacher), pair, strict=True)
            ]
            return f"{mark.removesuffix('_id')} is {names[0]} and {names[1]}"
    for text in PROBES:
        cuts = [t(text, add_special_tokens=False)["input_ids"] for t in (student, teacher)]
        if cuts[0] != cuts[1]:
            return f"they cut {text[:20]!r} into {len(cuts[0])} and {len(cuts[1])} tokens"
    return ""


def _number(vocabulary: dict[str, int], token: str) -> str:
    return f"token {vocabulary[token]}" if token in vocabulary else "no token"


def _text(tokenizer: PreTrainedTokenizerBase, number: int | None) -> str:
    return "none" if number is None else repr(tokenizer.convert_ids_to_tokens(number))
