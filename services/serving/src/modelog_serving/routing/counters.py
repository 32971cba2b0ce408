"""How many rows each variant has answered since the process started."""

from __future__ import annotations

from collections import Counter


class Counters:
    """Counts rows answered as traffic; scoring with a given version is not traffic."""

    def __init__(self) -> None:
        self._answered: Counter[tuple[str, str, str]] = Counter()

    def add(self, tenant: str, deployment: str, version: str, rows: int) -> None:
        self._answered[tenant, deployment, version] += rows

    def all(self) -> Counter[tuple[str, str, str]]:
        """Rows by tenant, deployment and version."""
        return Counter(self._answered)

    def answered(self, tenant: str, deployment: str, version: str) -> int:
        """Rows that this version answered for this deployment."""
        return self._answered[tenant, deployment, version]
