"""What a model, a folder or a problem file may hold is shown as text and never becomes markup."""

from __future__ import annotations

import html
import re
import time
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from fake_run import make_run
from hypothesis import given
from hypothesis import strategies as st

from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_json, read_jsonl, write_json, write_jsonl
from axiom_rl.problems.splits import read_problems, write_problems
from axiom_rl.report.highlight import completion, python
from axiom_rl.report.page import write_report
from axiom_rl.report.policy import Styles
from axiom_rl.report.runs import compare_runs
from axiom_rl.report.sweep.page import write_sweep
from axiom_rl.run.sweep_jobs import Job

PAYLOADS = (
    "</pre><script>owned()</script>",
    "<img src=x onerror=owned()>",
    "\"><svg onload=owned()>' onmouseover='owned()",
    "</style></title><style>*{display:none}</style>",
    "<!-- <![CDATA[ --> </textarea></select></form>",
    "{{ 7 * 7 }}{% for x in y %}&#60;script&#62;",
    "javascript:owned()",
    "\x00\x1b[2J\u202e\u2028\ud800",
)
HOSTILE = " ".join(PAYLOADS)
PROGRAM = f"```python\ndef f():  # {HOSTILE}\n    return '''{HOSTILE}\n```\n{HOSTILE}"
WORDS = (
    "html head meta title style body h1 h2 h3 p nav a main section div span i table thead tbody tr "
    "th td details summary pre figure figcaption form label select option input output button "
    "noscript script svg defs g path text use clippath rect"
)
TAGS = {*WORDS.split()}


class Strict(HTMLParser):
    """Fails at whatever this program does not write itself."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.scripts = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS, tag
        self.scripts += tag == "script"
        for name, value in attrs:
            assert name != "style" and not name.startswith("on"), (tag, name)
            if "href" in name:
                assert (value or "").startswith(("#", "./")), (tag, value)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)


def check(page: Path) -> str:
    text = page.read_text(encoding="utf-8")
    assert Strict(text).scripts == 1
    assert "owned()" in text, "it is shown"
    assert not re.search("[\x00\x1b\u202e\u2028]", text)
    return text


def poison(run: Path) -> None:
    """Put hostile text wherever text of a run comes from outside this program."""
    for path in run.glob("completions/*.jsonl"):
        rows: list[dict[str, Any]] = list(read_jsonl(path))
        for row in rows:
            row["text"], row["code"] = PROGRAM, f"{HOSTILE}\n{row['phase']}"
            for kind in ("fresh", "hidden"):
                row[kind] |= {"detail": HOSTILE, "status": "wrong_answer", "passed": False}
        write_jsonl(path, rows)
    problems = run / "problems" / "train.jsonl"
    known = read_problems(problems, judged=False)
    write_problems(problems, [replace(p, title=HOSTILE, statement=HOSTILE) for p in known])
    for path in run.glob("evaluation/*.json"):
        document = read_json(path)
        document["model"] |= {"name": HOSTILE}
        for row in document["per_problem"].values():
            row["title"] = HOSTILE
        write_json(path, document)
    write_json(run / "environment.json", read_json(run / "environment.json") | {
        "command": HOSTILE, "cpu": HOSTILE, "overrides": [f"name={HOSTILE}"],
        "options": {"a": HOSTILE},
    })  # fmt: skip


def test_a_hostile_run_is_a_page_of_text(tmp_path: Path) -> None:
    run = make_run(tmp_path / "javascript:owned()" / "<b onclick='owned()'>", iterations=3)
    poison(run)
    write_report(run)
    text = check(run / "report.html")
    assert "&lt;img src=x onerror=owned()&gt;" in text and "{{ 7 * 7 }}" in text


@pytest.mark.slow
def test_a_hostile_comparison_and_sweep_are_pages_of_text(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / f"javascript:{n} <i>$x_{{$</i>", iterations=2) for n in "ab"]
    for run in runs:
        poison(run)
        write_report(run)
    compare_runs(runs, tmp_path / "out")
    text = check(tmp_path / "out" / "comparison.html")
    assert 'href="./../javascript%3Aa%20%3Ci%3E' in text
    sweep = tmp_path / "sweep"
    for number, status in enumerate(("done", "failed")):
        job = Job(number=number, folder=sweep / str(number), error=HOSTILE,
                  overrides=(f"name={HOSTILE}", f"{HOSTILE}={number}", "seed=0"),
                  status=status)  # type: ignore[arg-type]  # fmt: skip
        job.write()
        poison(make_run(job.folder))
    write_sweep(sweep)
    check(sweep / "sweep.html")


PIECES = (*"`~#'\"\\\n ab0.@<>&fr{(", "def ", "```\n", '"""')


@given(st.lists(st.sampled_from(PIECES)).map("".join))
def test_colours_change_no_character(text: str) -> None:
    for coloured in (completion(text), python(text)):
        plain = re.sub(r'<i class="[csfnkb]">|</i>', "", coloured)
        assert not re.search("[<>]", plain) and html.unescape(plain) == text


def test_programs_are_coloured_by_kind() -> None:
    text = "Try:\n```python\n@cache\ndef f(x):  # why\n    return len('a') + 12\n```\nreturn"
    coloured = completion(text)
    for kind, word in (("f", "@cache"), ("k", "def"), ("f", "f"), ("c", "# why"), ("k", "return"),
                       ("b", "len"), ("s", "&#39;a&#39;"), ("n", "12")):  # fmt: skip
        assert f'<i class="{kind}">{word}</i>' in coloured
    assert coloured.endswith("\n```\nreturn"), "words outside fences are prose"


@pytest.mark.parametrize(
    "piece", ["\n ", '"', "'''a'", "f'{", "def ", "0_", "```\n", "\\", "@", "("]
)
def test_colouring_takes_time_in_proportion_to_the_text(piece: str) -> None:
    def seconds(length: int) -> float:
        text, best = piece * (length // len(piece)), 9.0
        for _ in range(3):
            began = time.process_time()
            python(text), completion(text)
            best = min(best, time.process_time() - began)
        return best

    assert seconds(60_000) < 30 * seconds(6_000) + 0.05


def test_styles_that_could_leave_their_rule_are_refused() -> None:
    for text in ("a{}", "x: url(http://a)", "</style>", "@import 'x'", "a: b}*{c: d", "a\\62"):
        with pytest.raises(AxiomError, match="not a style of this page"):
            Styles().name(text)
