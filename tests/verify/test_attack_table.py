"""The tables of attacks in the docs are those of the corpus.

`AXIOM_WRITE_TABLES=1 python -m pytest tests/verify/test_attack_table.py` writes them anew.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

from corpus.attack import Attack
from corpus.attacks import ATTACKS
from corpus.dialogue import DIALOGUES
from corpus.endings import ENDINGS
from corpus.forging import FORGING
from corpus.hoarding import HOARDING
from corpus.honest import HONEST
from corpus.intrusion import INTRUSION
from corpus.itself import ITSELF
from corpus.kernel import KERNEL
from corpus.resources import RESOURCES
from corpus.surface import SURFACE

DOCS = Path(__file__).parents[2] / "docs"
BEGIN, END = "<!-- attacks: begin -->\n", "<!-- attacks: end -->\n"
GROUPS: dict[str, list[Attack]] = {
    "Forging a pass": FORGING,
    "Exits, signals, hangs": ENDINGS,
    "Memory, threads, floods, huge values": RESOURCES,
    "Files, secrets, processes": INTRUSION,
    "Network and kernel": KERNEL,
    "Its own end, to look like our fault": ITSELF,
    "Memory of the kernel": HOARDING,
    "What it is born with, rare sockets": SURFACE,
    "The talk with its server, rare calls": DIALOGUES,
}


def summary() -> str:
    """One row per kind of attack."""
    rows = [
        "| kind | attacks | for example | verdicts that count as withstood |",
        "|---|---:|---|---|",
    ]
    for kind, attacks in GROUPS.items():
        verdicts = Counter(status for attack in attacks for status in attack.statuses)
        words = ", ".join(sorted(verdicts, key=lambda status: (-verdicts[status], status)))
        examples = "; ".join(attack.tries for attack in attacks[:3])
        rows.append(f"| {kind} | {len(attacks)} | {examples} | {words} |")
    total = f"{len(ATTACKS)} attacks and {len(HONEST)} honest programs; none of the attacks passes."
    return "\n".join([*rows, "", total, ""])


def full_list() -> str:
    """One row per attack."""
    parts = [
        "# Attacks on the verifier\n\nEach is one test of `tests/verify/test_attacks.py`, by this "
        "name; it must end in one of these verdicts, leave no\nprocess, file, descriptor or signal "
        "behind, and a right program must pass right after it.\n"
    ]
    for kind, attacks in GROUPS.items():
        rows = [f"| {a.name} | {a.tries} | {', '.join(sorted(a.statuses))} |" for a in attacks]
        parts.append(
            "\n".join([f"## {kind}\n", "| test | tries | verdicts |", "|---|---|---|", *rows])
        )
    return "\n\n".join(parts) + "\n"


def test_every_attack_is_in_a_group() -> None:
    assert sum(map(len, GROUPS.values())) == len(ATTACKS)


def test_tables_are_true() -> None:
    page, listing = DOCS / "concepts" / "verifier.md", DOCS / "reference" / "attacks.md"
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    wanted = f"{before}{BEGIN}{summary()}{END}{after}"
    if os.environ.get("AXIOM_WRITE_TABLES"):
        page.write_text(wanted, encoding="utf-8")
        listing.write_text(full_list(), encoding="utf-8")
    assert page.read_text(encoding="utf-8") == wanted
    assert listing.read_text(encoding="utf-8") == full_list()
