"""Repairs are drawn from public feedback, once, and set against drawing again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from handmade import problem
from test_search_stages import EVALUATE, Likely, Runs

import axiom_rl.stages.opening
from axiom_rl.core.files import read_json, read_jsonl
from axiom_rl.report.page import write_report
from axiom_rl.sampling import SampleRequest
from axiom_rl.search.repair import feedback, messages

FIXED = "```python\ndef reverse_string(s):\n    return s[::-1]\n```"
STILL = "```python\ndef reverse_string(s):\n    raise KeyError(s)\n```"
PUBLIC = problem((("ab",), "ba"), (("c",), "c"), statement="Reverse s.", signature="(s)")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (None, "holds no program"),
        (
            {"status": "wrong_answer", "failed": 0, "detail": "returned 'ab'"},
            "That program is wrong: `f('ab') == 'ba'` does not hold, it returned 'ab'.",
        ),
        (
            {"status": "runtime_error", "failed": 1, "detail": "ValueError: no"},
            "That program fails on `f('c') == 'c'`: ValueError: no.",
        ),
        (
            {"status": "syntax_error", "failed": None, "detail": "SyntaxError: invalid syntax"},
            "That program does not run: SyntaxError: invalid syntax.",
        ),
    ],
)
def test_feedback_says_what_the_public_tests_show(row: Any, said: str) -> None:
    assert said in feedback(PUBLIC, row)


def test_the_prompt_is_the_question_the_answer_and_the_feedback() -> None:
    asked = messages(PUBLIC, "direct", "```python\nx\n```", "It is wrong.")
    assert [message["role"] for message in asked] == ["user", "assistant", "user"]
    assert "Reverse s." in asked[0]["content"] and asked[2]["content"].startswith("It is wrong.")


@pytest.fixture
def run(tiny_model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runs:
    class Repairing(Runs):
        asked: list[str]

        def say(self, request: SampleRequest, sample: int) -> str:
            if "/repair_" not in request.stream:
                return super().say(request, sample)
            self.drawn.append((request.stream, request.problem_id, sample))
            self.asked.append(request.messages[-1]["content"])
            return STILL if sample == 3 else FIXED

    made = Repairing(tiny_model_folder, tmp_path)
    made.asked = []
    monkeypatch.setattr(axiom_rl.stages.opening, "write_report", lambda _folder: None)
    monkeypatch.setattr(
        axiom_rl.stages.opening, "_sampler_loader", lambda *_: lambda _a: Likely(made.say)
    )
    return made


def test_repair_against_drawing_again(run: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    asked = (*EVALUATE, "search=repair", "search.turns=2")
    folder = run("repair", *asked)
    result = read_json(folder / "search" / "repair.json")
    problems = result["problems"]
    assert result["policy"]["value"] == pytest.approx(3 / 8)
    # of 8 samples 3 pass, 0 and 7 are mended, 3 is not, 1 and 5 look right to the public tests
    assert result["scores"]["repair"]["score"]["value"] == pytest.approx(5 / 8)
    assert result["by_status"] == {
        "accepted": {"samples": 5 * problems, "public": 5 * problems, "passed": 3 * problems},
        "no_code": {"samples": problems, "public": problems, "passed": problems},
        "runtime_error": {"samples": problems, "public": 0, "passed": 0},
        "wrong_answer": {"samples": problems, "public": problems, "passed": problems},
    }
    turns = [stream for stream, _id, _n in run.drawn if "/repair_" in stream]
    assert turns.count("0/repair_1") == 3 * problems
    assert turns.count("0/repair_2") == problems  # only what still fails
    assert any("`reverse_string('hello') == 'olleh'` does not hold" in text for text in run.asked)
    assert result["scores"]["repair"]["cost"]["generated"] > result["first_tokens"]
    assert 0 <= result["scores"]["draw again"]["score"]["value"] <= 1
    for cost in (result["scores"][name]["cost"] for name in ("repair", "draw again")):
        assert cost["cpu_s"] > 0 and cost["flops"] > 2 * (cost["generated"] + cost["forward"])
    spent = [result["scores"][name]["cost"]["generated"] for name in ("draw again", "repair")]
    assert result["first_tokens"] <= spent[0] <= spent[1]
    assert "repair minus drawing again" in caplog.text
    write_report(folder)
    page = (folder / "report.md").read_text()
    assert "Repair minus drawing again" in page and "| runtime error |" in page
    drawn, rows = len(run.drawn), list(read_jsonl(folder / "completions" / "repair_1.jsonl"))
    assert read_json(run("repair", *asked) / "search" / "repair.json") == result
    assert len(run.drawn) == drawn
    assert list(read_jsonl(folder / "completions" / "repair_1.jsonl")) == rows


def test_hidden_tests_are_in_no_question(run: Any) -> None:
    folder = run("blind", *EVALUATE, "search=repair")
    from axiom_rl.problems.splits import read_splits

    splits = read_splits(folder / "problems")
    assert splits is not None and run.asked
    shown = {repr(test.args) for p in splits.test for test in p.public_tests}
    hidden = {repr(t.args[0]) for p in splits.test for t in p.hidden_tests if len(t.args[0]) > 4}
    assert hidden and not [text for text in run.asked if any(each in text for each in hidden)]
    assert shown
