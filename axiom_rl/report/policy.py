"""The style sheet, the script and the Content-Security-Policy of a page.

A page shows what hostile programs wrote. All of it is escaped; should a piece slip through
nevertheless, the policy lets no script and no style run but those whose SHA-256 it names, and lets
the page fetch nothing. `style` attributes cannot be named so, hence there are none: what a bar's
width or a chart's line needs becomes a class of the one style sheet.
"""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from importlib.resources import files

from axiom_rl.core.errors import AxiomError

_HERE = files("axiom_rl.report")
CSS = (_HERE / "page.css").read_text(encoding="utf-8")
SCRIPT = (_HERE / "page.js").read_text(encoding="utf-8")


def source(text: str) -> str:
    """Return the name of a script or style sheet in a policy: the hash of its text."""
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


class Styles:
    """Declarations that a page needs beside its style sheet, each as a class."""

    def __init__(self) -> None:
        """Begin with none."""
        self._names: dict[str, str] = {}

    def name(self, declarations: str) -> str:
        """Return the class of some declarations, such as `width: 12.5%`.

        Raises:
            AxiomError: for text that could leave its rule; it comes from our numbers alone.
        """
        if re.search(r"[{}<>@\\]|/\*|url", declarations):
            raise AxiomError(f"not a style of this page: {declarations!r}")
        return self._names.setdefault(declarations, f"y{len(self._names)}")

    def classed(self, svg: str) -> str:
        """Return a drawn chart with classes in the place of its `style` attributes."""
        return re.sub(r' style="([^"]*)"', lambda m: f' class="{self.name(m[1])}"', svg)

    def sheet(self) -> str:
        """Return the whole style sheet."""
        rules = (f".{name}{{{declarations}}}" for declarations, name in self._names.items())
        return "\n".join([CSS, *rules])

    def policy(self) -> str:
        """Return the policy of a page that has this style sheet and the script."""
        return (
            f"default-src 'none'; style-src {source(self.sheet())}; script-src {source(SCRIPT)}; "
            "base-uri 'none'; form-action 'none'"
        )
