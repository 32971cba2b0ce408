"""Questions to the graph, as of a moment, for one tenant."""

from __future__ import annotations

from datetime import datetime

from modelog_common.domain.errors import NotFound
from modelog_common.events.store import EventStore
from modelog_common.read.moment import ReadOptions, moment_of
from modelog_common.stores.graph import Graph

from modelog_lineage.follow import Follower
from modelog_lineage.graph.trace import DEFAULT_DEPTH, Traced, Way, trace
from modelog_lineage.graph.vocabulary import kind_of


class GraphQueries:
    """Traces; raises Unavailable, with the reason, while the graph is away or too far behind."""

    def __init__(self, graph: Graph, projection: Follower, store: EventStore) -> None:
        self._graph, self._projection, self._store = graph, projection, store

    async def trace(self, tenant: str, node: str, way: Way, depth: int, read: ReadOptions) -> Traced:
        """The graph up to `depth` steps (0 means 10) around a node.

        Raises NotFound when the graph, read up to now, does not have the node.
        """
        kind_of(node)
        at = await moment_of(read, self._store, self._projection)
        return await self._trace(tenant, node, way, depth or DEFAULT_DEPTH, at)

    async def trace_as_of(self, tenant: str, node: str, moment: datetime) -> tuple[Traced, int]:
        """What a node came from, as it was at a time, and the position of the log at that time."""
        position = await self._store.position_at(moment)
        await self._projection.wait_for(position)
        return await self._trace(tenant, node, Way.UPSTREAM, DEFAULT_DEPTH, position), position

    async def alone(self, tenant: str, node: str, position: int) -> Traced | None:
        """A node without what it came from, as of a position; None when it is not there."""
        return await trace(self._graph, tenant, node, Way.UPSTREAM, depth=0, at=position)

    async def _trace(self, tenant: str, node: str, way: Way, depth: int, at: int | None) -> Traced:
        found = await trace(self._graph, tenant, node, way, depth=depth, at=at)
        if found is None and at is None:
            # It may be on its way: look again once everything is read that is in the log now.
            await self._projection.wait_for(await self._store.head())
            found = await trace(self._graph, tenant, node, way, depth=depth)
        if found is None:
            raise NotFound(f"{node} is not in the graph{'' if at is None else f' as of position {at}'}")
        return found
