"""Whether two models have one tokenizer: then a token of one means the same text to the other."""

from __future__ import annotations

from transformers import PreTrainedTokenizerBase

MARKS = ("bos_token_id", "eos_token_id", "unk_token_id")
"""Special tokens that begin and end texts. What only fills up rows is masked, and may differ."""
PROBES = (
    "def two_sum(nums, target):\n    return [i for i, x in enumerate(nums) if x == target]\n",
    "```python\n\tif a != b and c >= 1_000:  # naïve, 日本語, 🙂\n```\n",
    "<think>\nThe answer is 42.\n</think>\n\n  Two  spaces, x=-3.14e10;",
)
"""Texts that another list of merges, or another way to cut words, would cut otherwise."""


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
