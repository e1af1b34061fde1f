"""A prompt is a function of messages, template and chat_template_kwargs: never of the clock."""

from __future__ import annotations

import importlib.util
import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from axiom_rl.config import load_config
from axiom_rl.core.errors import AxiomError
from axiom_rl.models.load import load_tokenizer
from axiom_rl.models.template import set_template
from axiom_rl.models.weights.resolve import resolve
from axiom_rl.sampling.hf.sampler import prompt_tokens

TRL = importlib.util.find_spec("trl")
assert TRL is not None and TRL.origin is not None
PUBLISHED = Path(TRL.origin).parent / "chat_templates"
"""The templates that models are published with, as TRL carries them."""

CHAT = [{"role": "user", "content": "Sum a list."}]
ANSWERED = [*CHAT, {"role": "assistant", "content": "sum(nums)"}]
PLAIN = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"


@pytest.fixture
def folder(tiny_model_folder: Path, tmp_path: Path) -> Path:
    """The tiny model without a template of its own: a base model."""
    folder = tmp_path / "base"
    shutil.copytree(tiny_model_folder, folder)
    (folder / "chat_template.jinja").unlink()
    return folder


def load(folder: Path, template: str | None = None, **values: Any) -> PreTrainedTokenizerBase:
    """The tokenizer of a run with this template, by the typed configuration."""
    config = load_config(f"model.path={folder}").model
    config.chat_template, config.chat_template_kwargs = template, values
    return load_tokenizer(resolve(config))


def render(tokenizer: PreTrainedTokenizerBase, chat: list[dict[str, str]] = CHAT) -> str:
    return str(tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True))


def on_another_day(monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers.utils import chat_template_utils

    class Later(datetime):
        @classmethod
        def now(cls, *_: Any) -> Any:
            return datetime(2031, 5, 6)

    monkeypatch.setattr(chat_template_utils, "datetime", Later)


def test_a_base_model_without_a_template_is_refused_and_takes_one(
    folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(AxiomError, match=r"no chat template: .*model\.chat_template=FILE\.jinja"):
        load(folder)
    file = tmp_path / "plain vorlage ü.jinja"
    file.write_text(PLAIN, encoding="utf-8")
    assert render(load(folder, PLAIN)) == render(load(folder, str(file))) == "user: Sum a list.\n"
    config = load_config(f"model.path={folder}", f'model.chat_template="{file}"').model
    assert render(load_tokenizer(resolve(config))) == "user: Sum a list.\n"


def test_a_byte_order_mark_of_a_file_begins_no_prompt(folder: Path) -> None:
    (folder / "own.jinja").write_text(f"\ufeff{PLAIN}", encoding="utf-8")
    assert render(load(folder, str(folder / "own.jinja"))) == "user: Sum a list.\n"
    (folder / "own.jinja").rename(folder / "chat_template.jinja")
    assert render(load(folder)) == "user: Sum a list.\n"


def test_llamas_template_is_refused_without_a_date_and_the_same_every_day_with_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    template = str(PUBLISHED / "llama3_2.jinja")
    with pytest.raises(AxiomError, match=r"time of day.*type \+model\.chat_template_kwargs\.date_"):
        load(folder, template)
    date = load_config("model=llama-3.2-1b").model.chat_template_kwargs
    first = render(load(folder, template, **date))
    assert "Today Date: 26 Jul 2024" in first
    on_another_day(monkeypatch)
    assert render(load(folder, template, **date)) == first
    stock = AutoTokenizer.from_pretrained(folder)  # the date given as transformers takes it
    stock.chat_template = Path(template).read_text()
    assert first == stock.apply_chat_template(
        CHAT, tokenize=False, add_generation_prompt=True, **date
    )
    assert "06 May 2031" in render(stock)  # which is what this guards against


@pytest.mark.parametrize("thinking", [True, False])
def test_qwen3s_thinking_is_switched_as_transformers_switches_it(
    folder: Path, thinking: bool
) -> None:
    text = (PUBLISHED / "qwen3.jinja").read_text()
    ours = load(folder, text, enable_thinking=thinking)
    stock = AutoTokenizer.from_pretrained(folder)
    stock.chat_template = text
    for chat in (CHAT, ANSWERED, [*ANSWERED, *CHAT], [{"role": "system", "content": "Be"}, *CHAT]):
        assert render(ours, chat) == stock.apply_chat_template(
            chat, tokenize=False, add_generation_prompt=True, enable_thinking=thinking
        )
    assert ("<think>\n\n</think>" in render(ours)) is not thinking
    assert load_config("model=qwen3-0.6b").model.chat_template_kwargs == {"enable_thinking": False}


@pytest.mark.slow
def test_published_templates_are_kept_to_the_letter(folder: Path) -> None:
    """Written at the head of a template, values and the clock leave its own text as it stands."""
    stock, ours = AutoTokenizer.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    refused = set()
    for file in sorted(PUBLISHED.glob("*.jinja")):
        stock.chat_template = "\n  " + file.read_text()
        values = {"date_string": "1 May"} if "date_string" in stock.chat_template else {}
        try:
            set_template(ours, "base", stock.chat_template, values)
        except AxiomError:
            refused.add(file.stem.removesuffix("_training"))
            continue
        for chat in (CHAT, ANSWERED):
            assert render(ours, chat) == stock.apply_chat_template(
                chat, tokenize=False, add_generation_prompt=True, **values
            )
    # those that ask for the time, for pictures, or for a token that this tokenizer has not
    pictures, clock = {"idefics3", "llava_next", "smolvlm"}, {"gptoss", "muse_glimmer"}
    assert refused == pictures | clock | {"llama3"}


def test_every_way_to_render_has_the_values_the_export_included(
    folder: Path, tmp_path: Path
) -> None:
    from trl.data_utils import apply_chat_template

    template = "{{ greeting }}, {{ tone.word }}! " + PLAIN
    tokenizer = load(folder, template, greeting='it\'s "héllo" {{ %} 🐍', tone={"word": [1, None]})
    text = 'it\'s "héllo" {{ %} 🐍, [1, None]! user: Sum a list.\n'
    assert render(tokenizer) == text
    assert tokenizer.decode(prompt_tokens(tokenizer, CHAT)) == text  # all our samplers
    row = {"prompt": CHAT, "completion": [{"role": "assistant", "content": "sum(nums)"}]}
    assert apply_chat_template(row, tokenizer)["prompt"] == text  # TRL, for SFT and GRPO
    tokenizer.save_pretrained(tmp_path / "exported")
    assert render(AutoTokenizer.from_pretrained(tmp_path / "exported")) == text


@pytest.mark.parametrize(
    ("template", "values", "complaint"),
    [
        ("nothing/there.jinja", {}, r"neither a file nor a Jinja template"),
        ("{% for m in messages %}{{ m.content }}", {}, "is damaged: Unexpected end"),
        ("{{ 'hello' }}", {}, "leaves messages out"),
        (
            "{{ messages[-1].content }}{{ strftime_now('%H') }}",
            {},
            "the time of day; give one with",
        ),
        ("{{ ['a', 'b'] | random }}" + PLAIN, {}, "draws at random"),
        ("{{ lipsum(1) }}" + PLAIN, {}, "draws at random"),
        ("{{ raise_exception('no system') }}" + PLAIN, {}, "cannot be rendered: no system"),
        ("{{ missing.part }}" + PLAIN, {}, "cannot be rendered: 'missing' is undefined"),
        (PLAIN, {"enable_thinkin": False}, r"enable_thinkin: the chat template of base takes no"),
        (PLAIN, {"messages": []}, r"kwargs\.messages: no value of that name"),
        (PLAIN, {"a b": 1}, "no value of that name"),
        (PLAIN + "{{ x }}", {"x": float("nan")}, r"x=nan: must be text, a number"),
    ],
)
def test_a_template_or_value_that_is_wrong_is_one_line(
    folder: Path, template: str, values: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(AxiomError, match=complaint) as caught:
        load(folder, template, **values)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [{1: "x"}, {"deep": [{2: 1}]}, b"x"])
def test_a_value_that_no_template_can_hold_is_refused(folder: Path, value: Any) -> None:
    """And not turned into another one on the way: {1: 'x'} is not {'1': 'x'}."""
    with pytest.raises(AxiomError, match=r"model\.chat_template_kwargs\.tone=.*must be text"):
        load(folder, PLAIN + "{{ tone }}", tone=value)
