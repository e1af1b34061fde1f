"""The chat template as a pure function: of the messages and `model.chat_template_kwargs` alone.

The values are written into the template itself, at its head. So everything that renders a prompt
(samplers, TRL's trainers, a program that loads an exported model) renders the same one without
passing them on. The clock is written out of it in the same way: a template that asks for the date
is an error that names the key.
"""

from __future__ import annotations

import keyword
from pathlib import Path
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from transformers import PreTrainedTokenizerBase

from axiom_rl.core.errors import AxiomError

KEY = "model.chat_template_kwargs"

GIVEN = frozenset(
    ("messages", "tools", "documents", "add_generation_prompt", "raise_exception", "strftime_now")
)
"""Names that transformers gives a template; special tokens are given too."""

CLOCK = (
    "{% macro strftime_now(format) %}{{ raise_exception('it asks for the time of day') }}"
    "{% endmacro %}"
)

QUESTION, ANSWER = "How long is a list?", "Call len(it)."
CONVERSATIONS = (
    [{"role": "user", "content": QUESTION}],
    [
        {"role": "user", "content": "Hello."},
        {"role": "assistant", "content": "Hi."},
        {"role": "user", "content": QUESTION},
    ],
)
"""Shapes of the prompts that are rendered: a question, and one after worked examples."""


def template_text(given: str | None) -> str | None:
    """Return the text of `model.chat_template`, which is a file or the template itself.

    Raises:
        AxiomError: if it is neither.
    """
    if given is None or "{{" in given or "{%" in given:
        return given
    file = Path(given).expanduser()
    if not file.is_file():
        raise AxiomError(
            f"model.chat_template={given!r:.80} is neither a file nor a Jinja template; most "
            "models have one in tokenizer_config.json or chat_template.jinja"
        )
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise AxiomError(f"model.chat_template={given}: cannot be read as text: {error}") from error


def template_names(tokenizer: PreTrainedTokenizerBase) -> set[str]:
    """Return the names that a tokenizer's template uses, which has been set by `set_template`."""
    return {
        node.name
        for node in _environment().parse(str(tokenizer.chat_template)).find_all(nodes.Name)
    }


def set_template(
    tokenizer: PreTrainedTokenizerBase, name: str, template: str | None, values: dict[str, Any]
) -> None:
    """Give the tokenizer the template of this run, checked by rendering prompts with it.

    Args:
        tokenizer: changed in place.
        name: of the model, for messages.
        template: in the place of the tokenizer's own; None keeps that.
        values: what the template is rendered with.

    Raises:
        AxiomError: if there is no template, or it is damaged, needs a value that is not given, does
            not take one that is, or depends on more than messages and values.
    """
    own = template if template is not None else _own_template(tokenizer, name)
    own = own.removeprefix("\ufeff")  # of a file: a prompt does not begin with it
    try:
        tree = _environment().parse(own)
    except jinja2.TemplateError as error:
        raise AxiomError(f"the chat template of {name} is damaged: {error}") from error
    taken = {node.name for node in tree.find_all(nodes.Name)}
    check_plain(values)
    _check_values(values, taken, name)
    filters = {node.name for node in tree.find_all(nodes.Filter)}
    if "random" in filters or "lipsum" in taken:
        raise AxiomError(f"the chat template of {name} draws at random; a prompt must not")
    head = "".join(f"{{% set {key} = {value!r} %}}" for key, value in sorted(values.items()))
    head += CLOCK if "strftime_now" in taken else ""
    # trim_blocks takes the newline after a block away, so the template's own text stays as it is
    tokenizer.chat_template = f"{head}\n{own}" if head else own
    _try_out(tokenizer, name, taken)


def _own_template(tokenizer: PreTrainedTokenizerBase, name: str) -> str:
    own: Any = tokenizer.chat_template
    if isinstance(own, dict):  # several, by purpose
        own = own.get("default")
    if not isinstance(own, str) or not own.strip():
        raise AxiomError(
            f"the tokenizer of {name} has no chat template: this is a base model; choose an "
            "instruction-tuned one (most are named ...-Instruct), or give a template: "
            "model.chat_template=FILE.jinja"
        )
    return own


def _check_values(values: dict[str, Any], taken: set[str], name: str) -> None:
    for key in values:
        if key in GIVEN or not key.isidentifier() or keyword.iskeyword(key):
            raise AxiomError(f"{KEY}.{key}: no value of that name can be given to a template")
        if key not in taken:
            free = ", ".join(sorted(taken - GIVEN)[:12])
            raise AxiomError(
                f"{KEY}.{key}: the chat template of {name} takes no such value; {free}"
            )


def check_plain(values: dict[str, Any]) -> None:
    """Refuse values that cannot be written into a template.

    Raises:
        AxiomError: naming the key.
    """
    for key, value in values.items():
        if not _is_plain(value):
            raise AxiomError(f"{KEY}.{key}={value!r}: must be text, a number, true, false or null")


def _is_plain(value: object) -> bool:
    if isinstance(value, list):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
    return (
        value is None
        or isinstance(value, str | int)
        or (isinstance(value, float) and abs(value) < float("inf"))
    )


def _try_out(tokenizer: PreTrainedTokenizerBase, name: str, taken: set[str]) -> None:
    """Render prompts of each shape, alone and with an answer; each must hold what was said."""
    for prompt in CONVERSATIONS:
        answered = [*prompt, {"role": "assistant", "content": ANSWER}]
        try:
            text = str(
                tokenizer.apply_chat_template(prompt, tokenize=False, add_generation_prompt=True)
            )
            whole = str(tokenizer.apply_chat_template(answered, tokenize=False))
        except Exception as error:  # whatever a template can raise, TypeError and its own included
            hint = ""
            if "strftime_now" in taken and "date_string" in taken:
                hint = f"; type +{KEY}.date_string='26 Jul 2024'"
            elif "strftime_now" in taken:
                hint = "; give one with a fixed date: model.chat_template=FILE.jinja"
            raise AxiomError(
                f"the chat template of {name} cannot be rendered: {error}{hint}"
            ) from error
        if QUESTION not in text or ANSWER not in whole:
            raise AxiomError(f"the chat template of {name} leaves messages out of the prompt")


class _Generation(Extension):
    """transformers' block around what the assistant says; only its content matters here."""

    tags = {"generation"}  # noqa: RUF012 (Jinja's own declaration)

    def parse(self, parser: Parser) -> list[nodes.Node]:
        """Return the block's content."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _environment() -> ImmutableSandboxedEnvironment:
    return ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
    )
