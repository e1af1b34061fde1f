"""What the servers of a pool have reached: the layers of all, and the level promised by the first.

A layer counts as on only if it is in every server there has been.
"""

from __future__ import annotations

from axiom_rl.sandbox.base import IsolationLevel, level_of, missing_layers
from axiom_rl.sandbox.wire import ProtocolError


class Reached:
    """Layers and level so far."""

    def __init__(self) -> None:
        self.layers: dict[str, str] = {}
        """The worst state of each layer over all servers there have been."""
        self._promised: IsolationLevel | None = None
        """The level that the first servers reached, below which none that replaces them is used."""

    @property
    def level(self) -> IsolationLevel:
        """The level that these layers amount to."""
        return level_of(self.layers)

    def add(self, layers: dict[str, str]) -> None:
        """Take the layers of a new server into account.

        Raises:
            ProtocolError: if it comes back with less than the first ones had.
        """
        level = level_of(layers)
        if self._promised is not None and level.rank < self._promised.rank:
            lost = f"{level} instead of {self._promised} ({missing_layers(layers)})"
            raise ProtocolError(f"a new server reaches the level {lost}")
        off = {name: state for name, state in self.layers.items() if state != "on"}
        worse = {name: state for name, state in layers.items() if state != "on"}
        self.layers = {**layers, **off, **worse}

    def promise(self) -> None:
        """From now on, no server below the level reached is used; only the first call counts."""
        if self._promised is None:
            self._promised = self.level
