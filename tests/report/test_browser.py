"""The report in a real browser: phone and desk, light and dark, print; it stays offline and whole.

Needs the extra `browser` (Playwright drives it) and a Chromium: `playwright install chromium`, or
the system's own, such as `apt-get install chromium`.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_grpo import make_grpo_run
from fake_run import make_run
from test_hostile import poison

from axiom_rl.core.files import read_jsonl, write_jsonl
from axiom_rl.report.live import write_live
from axiom_rl.report.page import write_report
from axiom_rl.report.render import to_html
from axiom_rl.report.runs import compare_runs
from axiom_rl.report.sweep.page import write_sweep
from axiom_rl.report.watch.listing import runs_page
from axiom_rl.run.sweep_jobs import Job

api = pytest.importorskip("playwright.sync_api", reason="pip install 'axiom-rl[browser]'")

pytestmark = pytest.mark.slow

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
LEAST_CONTRAST = 4.5
"""Of text with its background, as WCAG 2 asks for in level AA."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with api.sync_playwright() as playwright:
        own = Path(playwright.chromium.executable_path)
        found = next(filter(None, map(shutil.which, NAMES)), None)
        if not own.exists() and found is None:
            pytest.skip("no Chromium here: playwright install chromium, or apt-get install it")
        path = None if own.exists() else found
        made = playwright.chromium.launch(executable_path=path)
        yield made
        made.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = make_grpo_run(tmp_path_factory.mktemp("runs") / "grpo", steps=6)
    write_report(run)
    return run / "report.html"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_the_report_is_whole_offline_and_readable(
    browser: Any, report: Path, size: dict[str, int], scheme: str
) -> None:
    page = browser.new_page(viewport=size, color_scheme=scheme)
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.goto(report.as_uri())
    assert (asked, said) == ([report.as_uri()], []), "one file, and nothing to complain about"
    assert page.evaluate("document.documentElement.scrollWidth") == size["width"], "no overflow"
    boxes = [svg.bounding_box() for svg in page.locator("figure svg").all()]
    assert len(boxes) == 11 and all(box["width"] > 250 and box["height"] > 120 for box in boxes)
    dark = luminance(color(page, "body", "backgroundColor")) < 0.5
    assert dark == (scheme == "dark")
    for part in ("p.headline", "p.weights", "nav a", "td", "th", "svg text", "figcaption",
                 ".good-text", ".bad-text", "td.key", ".filter label"):  # fmt: skip
        ink = color(page, part, "fill" if part == "svg text" else "color")
        assert contrast(ink, color(page, "body", "backgroundColor")) >= LEAST_CONTRAST, part
    page.close()


def test_a_tap_opens_prompt_sample_and_failing_test(browser: Any, report: Path) -> None:
    page = browser.new_page(viewport=PHONE)
    page.goto(report.as_uri())
    problem = page.locator("section.screen > details.problem").first
    assert not problem.locator("pre").first.is_visible()
    problem.locator("> summary").click()
    problem.locator("details > summary").first.click()
    assert "Write one Python function" in problem.locator("pre").first.inner_text()
    sample = problem.locator("details").last
    sample.locator("summary").click()
    assert sample.locator("pre").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    page.close()


def test_print_leaves_out_what_cannot_be_opened_on_paper(browser: Any, report: Path) -> None:
    page = browser.new_page(viewport=DESK, color_scheme="dark")
    page.goto(report.as_uri())
    page.emulate_media(media="print")
    assert not page.locator("section.screen").is_visible()
    assert not page.locator("nav").is_visible()
    assert luminance(color(page, "body", "backgroundColor")) > 0.9, "paper is white"
    assert page.locator("p.headline").is_visible()
    page.close()


def test_a_problem_leads_to_its_samples_and_samples_are_filtered(
    browser: Any, report: Path
) -> None:
    page = browser.new_page(viewport=PHONE)
    page.goto(report.as_uri())
    page.locator('.group a[href^="#samples-lis"]').first.click()
    opened = page.locator("details.problem[open]")
    opened.first.wait_for()  # the page opens it once it has heard of the new address
    assert opened.count() == 1 and opened.locator("summary").first.inner_text().count("lis/")
    assert abs(opened.bounding_box()["y"]) < 60, "it is what one sees now"
    every = page.locator(".sample").count()
    page.locator("form.filter select").select_option("runtime error")
    found = page.locator(".sample:not([hidden])")
    assert 0 < found.count() < every
    assert set(found.evaluate_all("all => all.map(one => one.dataset.status)")) == {"runtime error"}
    page.locator("form.filter input").fill("TRY 3")
    said = page.locator("form.filter output").inner_text()
    assert said == f"{found.count()} of {every} samples" and found.count() < 30
    assert 0 < page.locator("details.problem:not([hidden])").count() <= found.count()
    page.locator("form.filter input").press("Enter")
    page.locator("form.filter input").fill("no program says this")
    assert found.count() == 0 and page.url.startswith(report.as_uri()), "nothing is sent"
    page.close()


@pytest.mark.parametrize(("size", "columns"), [(PHONE, 1), (DESK, 2)], ids=["phone", "desk"])
def test_charts_stand_in_columns_with_their_titles_above(
    browser: Any, report: Path, size: dict[str, int], columns: int
) -> None:
    page = browser.new_page(viewport=size)
    page.goto(report.as_uri())
    figures = page.locator(".charts").nth(1).locator("figure")
    lefts = {round(figure.bounding_box()["x"]) for figure in figures.all()}
    assert figures.count() == 8 and len(lefts) == columns
    for figure in figures.all():
        title, drawn = figure.locator("h3").bounding_box(), figure.locator("svg").bounding_box()
        assert title["y"] + title["height"] <= drawn["y"]
    page.close()


def test_what_matters_of_a_wide_table_is_in_sight_and_it_shows_that_it_goes_on(
    browser: Any, report: Path
) -> None:
    page = browser.new_page(viewport=PHONE)
    page.goto(report.as_uri())
    page.wait_for_function("document.querySelectorAll('.more:not([hidden])').length > 0")
    boxes = page.locator(".scroll").all()
    wide = [b for b in boxes if b.evaluate("b => b.scrollWidth > b.clientWidth + 1")]
    assert wide
    for box in wide:
        hint = box.evaluate("b => b.nextElementSibling.innerText")
        assert "scroll sideways" in hint and box.get_attribute("tabindex") == "0"
        box.evaluate("b => { b.scrollLeft = 60; }")
        for cell in (*box.locator("td:first-child").all()[:3], *box.locator("td.key").all()[:3]):
            place = cell.bounding_box()
            assert place["x"] >= 0 and place["x"] + place["width"] <= PHONE["width"]
    page.close()


def test_a_diff_has_one_line_for_each_line(browser: Any, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    path = run / "completions" / "iter_1.jsonl"
    long = "    # " + "word " * 60
    write_jsonl(path, [row | {"code": f"{row['code']}\n\n{long}"} for row in read_jsonl(path)])
    write_report(run)
    page = browser.new_page(viewport=PHONE)
    page.goto((run / "report.html").as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    diff = page.locator("pre.diff").first
    lines = diff.inner_text().rstrip("\n").split("\n")
    spans = diff.locator("span").all_inner_texts()
    assert lines == spans and len(lines) > 4 and lines[:2] == ["--- before", "+++ after"]
    assert diff.evaluate("d => d.scrollWidth <= d.clientWidth"), "long lines wrap"
    page.close()


def test_a_live_page_comes_again_as_it_was_left(browser: Any, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", finished=False)
    write_live(run)
    page = browser.new_page(viewport=DESK)
    page.clock.install()
    page.goto((run / "report.html").as_uri())
    assert "Not final" in page.locator(".live").inner_text()
    page.locator("details.problem summary").first.click()
    page.locator("form.filter select").select_option("wrong answer")
    page.locator("h1").click()
    page.evaluate("scrollTo(0, 700)")
    was = page.locator("details[open]").count()
    page.evaluate("document.title = 'old'")
    text = (run / "report.html").read_text(encoding="utf-8")
    (run / "report.html").write_text(text.replace("<h1>", "<h1>newer "), encoding="utf-8")
    with page.expect_navigation():
        page.clock.run_for(61_000)
    assert page.locator("h1").inner_text().startswith("newer")
    assert page.evaluate("scrollY") == 700 and page.locator("details[open]").count() == was > 0
    assert page.locator("form.filter select").input_value() == "wrong answer"
    write_report(run)
    with page.expect_navigation():
        page.evaluate("document.getElementById('reload').click()")  # no scrolling
    assert page.locator(".live").count() == 0 and page.evaluate("scrollY") == 700
    assert page.locator("details[open]").count() == was
    page.close()


def test_nothing_hostile_runs_even_where_it_is_not_escaped(browser: Any, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", iterations=3)
    poison(run)
    write_report(run)
    page = browser.new_page(viewport=DESK)
    asked: list[str] = []
    page.add_init_script("window.owned = () => { window.wasOwned = true; }")
    page.on("requestfinished", lambda request: asked.append(request.url))
    path = run / "report.html"
    page.goto(path.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    assert page.locator("main script, main img, main style, main [style]").count() == 0
    assert page.evaluate("window.wasOwned") is None and len(asked) == 1
    hole = "<script>owned()</script><img src=x onerror=owned()><p style='color:red'>hole</p></main>"
    path.write_text(path.read_text(encoding="utf-8").replace("</main>", hole), encoding="utf-8")
    page.goto(path.as_uri())
    assert page.locator("main img").count() == 1, "a fault of the escaping, made on purpose"
    assert page.evaluate("window.wasOwned") is None and len(asked) == 2, "the policy holds"
    assert color(page, "main > p", "color") != (1.0, 0.0, 0.0)
    page.close()


def test_comparison_sweep_and_list_are_whole_on_a_phone(browser: Any, tmp_path: Path) -> None:
    runs = [make_run(tmp_path / "outputs" / "train" / f"2026-11-26_{n}-00-00", iterations=2)
            for n in (10, 11)]  # fmt: skip
    for run in runs:
        write_report(run)
    out = tmp_path / "outputs" / "compare" / "now"
    compare_runs(runs, out)
    sweep = tmp_path / "outputs" / "train_sweep" / "now"
    for number, rate in enumerate(("1e-5", "1e-4")):
        asked = ("trainer=grpo", f"trainer.args.learning_rate={rate}", "seed=0")
        job = Job(number=number, folder=sweep / str(number), overrides=asked, status="done")
        job.write()
        write_report(make_run(job.folder))
    write_sweep(sweep)
    listed = tmp_path / "list.html"
    listed.write_text(to_html(runs_page(tmp_path / "outputs")), encoding="utf-8")
    page = browser.new_page(viewport=PHONE)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    for path in (out / "comparison.html", sweep / "sweep.html", listed):
        page.goto(path.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"], path.name
    page.goto((sweep / "sweep.html").as_uri())
    page.locator("a", has_text="job 1").click()
    assert page.url == (sweep / "1" / "report.html").as_uri()
    page.set_viewport_size(DESK)
    page.goto((out / "comparison.html").as_uri())
    page.locator('.group a[href^="#pair0"]').first.click()
    page.locator("details[open] .pair > div").first.wait_for()
    one, other = page.locator("details[open] .pair > div").all()
    assert one.bounding_box()["y"] == other.bounding_box()["y"], "side by side"
    assert one.bounding_box()["x"] < other.bounding_box()["x"]
    page.locator("td a").first.click()
    assert page.url == (runs[0] / "report.html").as_uri() and said == []
    page.close()


def color(page: Any, selector: str, name: str) -> tuple[float, ...]:
    """Return red, green and blue in 0..1 of the first element that the selector finds."""
    script = "(element, name) => getComputedStyle(element)[name]"
    text = page.locator(selector).first.evaluate(script, name)
    return tuple(int(part) / 255 for part in re.findall(r"\d+", text)[:3])


def luminance(rgb: tuple[float, ...]) -> float:
    """Relative luminance of WCAG 2."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Contrast ratio of WCAG 2, from 1 to 21."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)
