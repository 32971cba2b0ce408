"""Up to where each tenant was answered: questions about now wait until the tables hold at least that."""

from __future__ import annotations


class Acknowledged:
    """The position of the last event that this process acknowledged, by tenant."""

    def __init__(self) -> None:
        self._positions: dict[str, int] = {}

    def note(self, tenant: str, position: int) -> None:
        self._positions[tenant] = max(position, self.position(tenant))

    def position(self, tenant: str) -> int:
        """0 when nothing was acknowledged."""
        return self._positions.get(tenant, 0)
