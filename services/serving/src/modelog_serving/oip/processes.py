"""Where the repository's calls reach: the process that is asked, or all that answer on its ports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from modelog_serving.engine.models import ModelRef, Models
from modelog_serving.routing.counters import Counters
from modelog_serving.routing.meter import Meter, Total
from modelog_serving.routing.routes import Routes

# Tenant, deployment and version.
Key = tuple[str, str, str]


class Processes(Protocol):
    """All processes that answer by the same log on the same ports."""

    async def load(self, ref: ModelRef) -> None:
        """Have a model in memory; raises as `Models.get` does when one of them cannot."""
        ...

    async def drop(self, refs: Sequence[ModelRef]) -> None:
        """Let go of models, but not of one that traffic needs."""
        ...

    async def sums(self, keys: Sequence[Key]) -> list[tuple[Total, int]]:
        """The requests of traffic, and the rows they had, that they answered since they were started."""
        ...


class OneProcess:
    """This one, which is alone."""

    def __init__(self, routes: Routes, models: Models, meter: Meter, counters: Counters) -> None:
        self._routes, self._models, self._meter, self._counters = routes, models, meter, counters

    async def load(self, ref: ModelRef) -> None:
        await self._models.get(ref)

    async def drop(self, refs: Sequence[ModelRef]) -> None:
        drop_unneeded(self._models, self._routes, refs)

    async def sums(self, keys: Sequence[Key]) -> list[tuple[Total, int]]:
        return [(self._meter.total(*key), self._counters.answered(*key)) for key in keys]


def drop_unneeded(models: Models, routes: Routes, refs: Sequence[ModelRef]) -> None:
    """Let go of models in this process, but not of one that traffic needs."""
    needed = routes.digests()
    for ref in refs:
        if ref.digest not in needed:
            models.drop(ref)
