from __future__ import annotations

import html
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from fake_run import BASIC, HOSTILE, MODEL, draw, make_run, problem, write_phase

from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_jsonl, write_jsonl
from axiom_rl.core.text import MINUS, duration, percent, points
from axiom_rl.evaluation.score import read_evaluation, write_evaluation
from axiom_rl.report.blocks import harmless
from axiom_rl.report.page import write_report
from axiom_rl.report.policy import source
from axiom_rl.run.tracking import Tracker


class Outline(HTMLParser):
    """Tags, external references and text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.outside: list[str] = []
        self.words: list[str] = []
        self.inline: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name == "style" or name.startswith("on"):
                self.inline.append(f"{tag} {name}")
            if name in ("src", "href", "xlink:href") and not (value or "").startswith("#"):
                self.outside.append(f"{tag} {value}")

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def outline(run: Path) -> Outline:
    page = Outline()
    page.feed((run / "report.html").read_text(encoding="utf-8"))
    return page


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    run = make_run(tmp_path_factory.mktemp("runs") / "finished")
    write_report(run)
    return run


def test_the_headline_gives_both_rates_the_interval_and_the_answer(finished):
    before = read_evaluation(finished / "evaluation" / "before.json").pass_at_1.value
    after = read_evaluation(finished / "evaluation" / "after.json").pass_at_1.value
    headline = (finished / "report.md").read_text().splitlines()[2]
    assert headline.startswith("**Model N+1 is better than model N: ")
    assert f"{percent(before)} → {percent(after)} of samples pass" in headline
    assert "95 % interval" in headline


def test_everything_a_reader_asks_for_is_on_both_pages(finished):
    markdown = (finished / "report.md").read_text()
    page = " ".join(" ".join(outline(finished).words).split())
    for text in (
        MODEL["name"],
        MODEL["format"],
        MODEL["sha256"],
        "wheels",
        "9855bb5c0ffee (with uncommitted changes)",
        "python launch.py problems=basic seed=0",
        "Intel(R) Xeon(R) Processor",
        "sandbox isolation",
        "fresh tests",
        "new variants, new types or outside benchmarks",
        "problems solved at least once",
        "failed samples",
        "new unique solutions",
        "duplicates filtered",
        "wrong answer",
        "Training loss over the run.",
        "took 19.0 s of CPU time beside the sampling, which waited 8.4 s for verdicts",
        "waiting for verdicts",
        "peak memory 5.20 GB",
        "5,120",
    ):
        assert text in markdown, text
        assert text in page, text


def test_a_regression_stands_first_among_the_problems(finished):
    rows = re.findall(r"^\| (.+?) \| █.*\|$", (finished / "report.md").read_text(), re.MULTILINE)
    problems = [row for row in rows if row in {name.replace("_", " ").title() for name in BASIC}]
    assert problems[0] == "Max Subarray"
    assert f"▼ {MINUS}3" in (finished / "report.html").read_text()


def test_the_page_is_one_file_whose_policy_allows_its_own_style_and_script_alone(finished):
    page = outline(finished)
    assert page.outside == []
    assert (page.tags.count("script"), page.tags.count("style")) == (1, 1)
    text = (finished / "report.html").read_text()
    assert "url(http" not in text
    policy = html.unescape(re.findall(r'Content-Security-Policy" content="([^"]*)"', text)[0])
    hashes = [
        source(re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)[0])
        for tag in ("style", "script")
    ]
    assert policy == (
        f"default-src 'none'; style-src {hashes[0]}; script-src {hashes[1]}; base-uri 'none'; "
        "form-action 'none'"
    )
    assert not page.inline, "what no hash can name: style attributes and handlers"


def test_the_page_follows_light_dark_print_and_phone(finished):
    text = (finished / "report.html").read_text()
    for rule in ("prefers-color-scheme: dark", "@media print", "max-width: 40rem", "viewport"):
        assert rule in text
    assert "var(--series-1)" in text
    assert "#030101" not in text


def test_report_md_s_pictures_exist(finished):
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", (finished / "report.md").read_text())
    assert pictures == ["charts/loss.png"]
    for picture in pictures:
        assert (finished / picture).read_bytes().startswith(b"\x89PNG")


def test_every_table_row_of_report_md_has_as_many_cells_as_its_header(finished):
    for table in re.findall(r"(?:^\|.*\|\n)+", (finished / "report.md").read_text(), re.MULTILINE):
        widths = {len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}
        assert len(widths) == 1, table


def test_several_iterations_have_learning_curves(tmp_path):
    run = make_run(tmp_path / "run", iterations=3)
    write_report(run)
    assert (run / "charts" / "accuracy.png").exists()
    assert "Pass rate by iteration and split" in (run / "report.md").read_text()


def test_train_on_fresh_and_on_hidden_tests_are_two_curves(tmp_path):
    tracker = Tracker(tmp_path)
    for iteration in range(3):
        for tests, rate in (("fresh tests", 0.5), ("hidden tests", 0.75)):
            row = {"split": "train", "tests": tests, "accuracy": rate, "low": 0.4, "high": 0.8}
            tracker.log("evaluate", iteration, **row)
    write_report(tmp_path)
    text = (tmp_path / "report.md").read_text()
    assert "| 2 | train | 50.0 % |" in text
    assert "| 2 | train, hidden tests | 75.0 % |" in text
    assert "train, hidden tests" in (tmp_path / "report.html").read_text()


def test_the_report_reads_the_run_folder_alone_and_may_be_written_again(finished, tmp_path):
    moved = tmp_path / "finished"
    shutil.copytree(finished, moved)
    write_report(moved)
    first, second = ((run / "report.md").read_text() for run in (finished, moved))
    assert first.splitlines()[1:] == second.splitlines()[1:]


def test_a_run_cut_off_before_training_says_so(tmp_path):
    run = make_run(tmp_path / "run", finished=False)
    (run / "evaluation" / "iter_1.json").unlink()
    write_report(run)
    text = (run / "report.md").read_text()
    assert "the run has not finished" in text.splitlines()[2]
    assert "there is no evaluation after training" in text
    assert "better" not in text


def test_a_run_cut_off_between_iterations_names_the_one_it_shows(tmp_path):
    run = make_run(tmp_path / "run", iterations=2, finished=False)
    write_report(run)
    assert "'after' is iteration 2, its last so far" in (run / "report.md").read_text()


def test_an_evaluation_alone_is_a_report_without_comparison(tmp_path):
    run = make_run(tmp_path / "run", finished=False)
    (run / "evaluation" / "iter_1.json").unlink()
    (run / "config.yaml").write_text("stage:\n  kind: evaluate\n")
    write_report(run)
    text = (run / "report.md").read_text()
    assert text.splitlines()[2].startswith("**Qwen2.5-Coder-0.5B-Instruct passes 55.0 %")
    assert "not finished" not in text


def test_an_empty_folder_has_a_truthful_report(tmp_path):
    write_report(tmp_path)
    assert "No evaluation has finished" in (tmp_path / "report.md").read_text()


def test_a_torn_last_line_does_no_harm(tmp_path):
    run = make_run(tmp_path / "run")
    for name in ("metrics.jsonl", "completions/before.jsonl"):
        with (run / name).open("a") as file:
            file.write('{"schema": 1, "phase": "trai')
    write_report(run)
    assert "better" in (run / "report.md").read_text().splitlines()[2]


def test_evaluations_that_cannot_be_compared_are_shown_with_the_reason(tmp_path):
    run = make_run(tmp_path / "run")
    path = run / "evaluation" / "after.json"
    document = json.loads(path.read_text())
    document["sampler"]["temperature"] = 1.0
    path.write_text(json.dumps(document))
    write_report(run)
    text = (run / "report.md").read_text()
    assert "sampler.temperature: 0.7 against 1.0" in text
    assert "is better" not in text


def test_a_missing_folder_or_a_damaged_file_is_named(tmp_path):
    with pytest.raises(AxiomError, match="no such run folder"):
        write_report(tmp_path / "none")
    (tmp_path / "evaluation").mkdir()
    (tmp_path / "evaluation" / "before.json").write_text("{")
    with pytest.raises(AxiomError, match=r"before\.json"):
        write_report(tmp_path)


def test_hostile_completions_stay_text(tmp_path):
    run = make_run(tmp_path / "run")
    path = run / "completions" / "before.jsonl"
    rows = list(read_jsonl(path))
    rows[0]["text"] = HOSTILE
    rows[0]["fresh"]["passed"] = False
    rows[0]["fresh"]["detail"] = HOSTILE
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    write_report(run)
    page = outline(run)
    assert page.tags.count("script") == 1 and not page.inline
    text = (run / "report.html").read_text(encoding="utf-8")
    assert "&lt;script&gt;alert" in text
    assert "\u202e" not in text
    assert "\x00" not in text
    assert r"\u202e" in text


def test_faults_of_the_sandbox_are_told(tmp_path):
    run = make_run(tmp_path / "run")
    path = run / "evaluation" / "after.json"
    document = json.loads(path.read_text())
    path.write_text(json.dumps(document | {"faults": 3}))
    write_report(run)
    assert "the sandbox itself failed on 3 samples" in (run / "report.md").read_text()


def test_a_large_sampled_set_gets_a_heat_map_and_folded_rows(tmp_path, sampled_evaluations):
    for name, result in zip(("before", "after"), sampled_evaluations, strict=True):
        write_evaluation(tmp_path / "evaluation" / f"{name}.json", result)
    write_report(tmp_path)
    text = (tmp_path / "report.md").read_text()
    assert "| type | level 1 | level 2 | level 3 |" in text
    assert "| knapsack | 20 |" in text
    assert "paired t interval over problems" in text
    page = (tmp_path / "report.html").read_text()
    assert "All 60 problems, largest losses first" in page
    assert page.count('class="heat sticky"') == 1


def test_thousands_of_completions_are_cut_to_a_page_that_opens(tmp_path):
    problems = [problem("lis", index=i) for i in range(120)]
    completions, verdicts = draw(problems, [0.5] * 120, 16, seed=0)
    write_phase(tmp_path, "before", completions, verdicts)
    write_report(tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert "360 of 1920 completions, failing ones first" in page
    assert len(page) < 1_000_000


def test_the_solutions_of_both_models_are_compared(finished, tmp_path):
    run = tmp_path / "finished"
    shutil.copytree(finished, run)
    path = run / "completions" / "iter_1.jsonl"
    rows = [row | {"code": row["code"] + "# shorter\n"} for row in read_jsonl(path)]
    write_jsonl(path, rows)
    write_report(run)
    assert "+# shorter" in (run / "report.html").read_text()


def test_numbers_are_written_for_people():
    assert [duration(s) for s in (0.25, 59.94, 192, 3900, None)] == [
        "0.2 s", "59.9 s", "3 min 12 s", "1 h 05 min", "",
    ]  # fmt: skip
    assert [percent(v) for v in (0.9625, 1.0, None, float("nan"))] == [
        "96.3 %", "100.0 %", "not known", "not known",
    ]  # fmt: skip
    assert [points(v) for v in (0.338, -0.05, -0.0001)] == [
        "+33.8 points",
        f"{MINUS}5.0 points",
        "+0.0 points",
    ]
    assert harmless("a\tb\nc\u200bd\ud800") == "a\tb\nc\\u200bd\\ud800"
