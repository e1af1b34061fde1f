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

from axiom_rl.report.page import write_report

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
                 ".good-text", ".bad-text"):  # fmt: skip
        ink = color(page, part, "fill" if part == "svg text" else "color")
        assert contrast(ink, color(page, "body", "backgroundColor")) >= LEAST_CONTRAST, part
    page.close()


def test_a_tap_opens_prompt_sample_and_failing_test(browser: Any, report: Path) -> None:
    page = browser.new_page(viewport=PHONE)
    page.goto(report.as_uri())
    problem = page.locator("section.screen > details").first
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
