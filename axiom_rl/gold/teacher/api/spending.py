"""What a teacher has cost and may still cost; a request is sent only if its worst case is paid for.

What an endpoint charges for a request that broke off is not known: it counts as its worst case.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from typing import Any

from axiom_rl.config import ApiTeacherConfig

MILLION = 1_000_000
LIMITS = ("max_completion_tokens", "max_tokens")


class Spending:
    """Money of all requests of a run, those still open included."""

    def __init__(self, config: ApiTeacherConfig, spent: float) -> None:
        """Begin with what earlier starts of the run spent."""
        self._config = config
        self.spent = spent
        self._open = 0.0
        self._changed = threading.Condition()

    def price(self, entry: Mapping[str, Any]) -> float:
        """Return what an answer costs."""
        asked, drawn = entry["prompt_tokens"], entry["completion_tokens"]
        return self._cost(int(asked), int(drawn))

    def reserve(self, body: Mapping[str, Any]) -> float | None:
        """Set aside what a request may cost at most; None where that is more than is left.

        Waits for open requests if what they do not need may be enough.
        """
        # A token is a byte at least, so no prompt has more tokens than bytes.
        prompt = len(json.dumps(body["messages"]).encode())
        limit = next((int(body[name]) for name in LIMITS if name in body), self._config.max_tokens)
        worst = self._cost(prompt, limit)
        most = self._config.max_cost
        with self._changed:
            while most is not None and self.spent + self._open + worst > most:
                if not self._open or self.spent + worst > most:
                    return None
                self._changed.wait()
            self._open += worst
        return worst

    def settle(self, worst: float, cost: float) -> None:
        """Replace what was set aside by what it cost."""
        with self._changed:
            self._open = max(0.0, self._open - worst)
            if self._open < 1e-12:  # sums of floats
                self._open = 0.0
            self.spent += cost
            self._changed.notify_all()

    def _cost(self, asked: int, drawn: int) -> float:
        config = self._config
        return (asked * config.price_in + drawn * config.price_out) / MILLION
