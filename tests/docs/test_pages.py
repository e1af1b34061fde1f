"""The manual agrees with the code: its pages, links, map, walk, messages and columns."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from axiom_rl.config import CONF_DIR

ROOT = CONF_DIR.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
SOURCES = sorted((ROOT / "axiom_rl").rglob("*.py"))


def text_of(page: Path) -> str:
    """The page without its code blocks, where brackets mean other things."""
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)


def links(page: Path) -> list[str]:
    found = re.findall(r"\]\(([^)\s]+)\)", text_of(page))
    return [link for link in found if not link.startswith(("http:", "https:", "mailto:"))]


def anchors(page: Path) -> set[str]:
    """Slugs of a page's headings, as the toc extension of Markdown makes them."""
    headings = re.findall(r"^#+ (.*)$", text_of(page), flags=re.M)
    plain = [re.sub(r"[^\w\s-]", "", heading).strip().lower() for heading in headings]
    return {re.sub(r"[-\s]+", "-", heading) for heading in plain}


def test_every_page_is_in_the_navigation_or_is_a_result() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    listed = set(re.findall(r": ([\w/]+\.md)$", text, flags=re.M))
    there = {page.relative_to(DOCS).as_posix() for page in PAGES}
    assert listed <= there
    rest = there - listed
    dated = {name for name in rest if re.match(r"results/\d{4}-\d\d-\d\d_\w+\.md$", name)}
    experiments = {
        name for name in rest if re.match(r"results/experiments/(\d\d_|cold_)\w+\.md$", name)
    }
    assert rest == dated | experiments
    overview = links(DOCS / "results" / "index.md")
    named = {f"results/{link.partition('#')[0]}" for link in overview}
    assert dated <= named, "results/index.md has a row for every dated page"


def test_no_link_is_broken() -> None:
    broken = []
    for page in [*PAGES, ROOT / "README.md", ROOT / "CONTRIBUTING.md"]:
        for link in links(page):
            path, _, anchor = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            if not target.exists():
                broken.append(f"{page.relative_to(ROOT)}: {link}")
            elif anchor and target.suffix == ".md" and anchor not in anchors(target):
                broken.append(f"{page.relative_to(ROOT)}: {link}: no such heading")
    assert not broken, "\n".join(broken)


def test_the_map_names_the_folders_there_are() -> None:
    text = (DOCS / "development" / "map.md").read_text(encoding="utf-8")
    house = text[text.index("    axiom_rl/\n") : text.index("    hydra_plugins/")]
    named = set(re.findall(r"^      (\w+)/ ", house, flags=re.M))
    found = {path.parent.name for path in (ROOT / "axiom_rl").glob("*/__init__.py")}
    assert named == found
    tested = (ROOT / "tests" / "test_imports.py").read_text(encoding="utf-8")
    rooms = ast.literal_eval(re.search(r"^DIRECTION = (\(.*?^\))", tested, re.S | re.M)[1])
    line = " > ".join(" | ".join(names) for names in rooms[1:])
    assert line in " ".join(text.split())


def test_the_walk_leads_through_functions_that_exist() -> None:
    text = (DOCS / "development" / "walk.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| `(\S+)` \| `(\w+)` \|", text, flags=re.M)
    assert 8 <= len(rows) <= 12
    for _number, path, name in rows:
        assert re.search(rf"def {name}\(", (ROOT / path).read_text(encoding="utf-8")), path


def strings_of_the_code() -> str:
    """Every string of the package, one a line; what a message fills in is `...`."""
    found: list[str] = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = [p.value if isinstance(p, ast.Constant) else "..." for p in node.values]
                found.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(re.sub(r"%[\d.]*[sdfg]", "...", node.value))
    return "\n".join(" ".join(each.split()) for each in found)


def test_the_messages_of_troubleshooting_are_those_of_the_code() -> None:
    page = (DOCS / "start" / "troubleshooting.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([^`]+)` ", page, flags=re.M)
    assert len(rows) >= 12
    code = strings_of_the_code()
    parts = {part.strip(" :?(),") for row in rows for part in row.split("...")}
    assert not [part for part in parts if len(part) > 5 and part not in code]


def logged_columns() -> set[str]:
    """Names that code writes into rows of metrics.jsonl."""
    writers = {"numbers", "_row", "cost", "now", "_clipped", "summary", "on_log"}
    found: set[str] = set()
    for path in SOURCES:
        if path.is_relative_to(ROOT / "axiom_rl" / "report"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "log"
                and "tracker" in ast.unparse(node.func)
            ):
                found |= {keyword.arg for keyword in node.keywords if keyword.arg}
            elif isinstance(node, ast.FunctionDef) and node.name in writers:
                for part in ast.walk(node):
                    if isinstance(part, ast.Dict):
                        keys = [key for key in part.keys if isinstance(key, ast.Constant)]
                        found |= {key.value for key in keys if isinstance(key.value, str)}
    return found


def test_every_logged_column_is_explained() -> None:
    page = (DOCS / "reference" / "metrics.md").read_text(encoding="utf-8")
    columns = logged_columns()
    assert {"accuracy", "logprob_gap", "pass_rate", "verify_share", "solutions"} <= columns
    missing = {name for name in columns if f"`{name}`" not in page}
    assert not missing


def test_the_readme_is_short() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 90
    assert max(map(len, lines)) <= 140
    picture = DOCS / "start" / "report.png"
    assert picture.read_bytes()[:4] == b"\x89PNG" and picture.stat().st_size < 200_000
