"""Questions to the graph, as of a moment, for one tenant."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from modelog_common.domain.errors import Invalid, NotFound
from modelog_common.events.store import EventStore
from modelog_common.stores.graph import Graph

from modelog_lineage.graph.project import GraphProjection
from modelog_lineage.graph.trace import DEFAULT_DEPTH, Traced, Way, trace
from modelog_lineage.graph.vocabulary import kind_of


class ReadOptions(Protocol):
    """modelog.common.v1.ReadOptions."""

    as_of: str
    at_least: int


class GraphQueries:
    """Traces; raises Unavailable, with the reason, while the graph is away or too far behind."""

    def __init__(self, graph: Graph, projection: GraphProjection, store: EventStore) -> None:
        self._graph, self._projection, self._store = graph, projection, store

    async def trace(self, tenant: str, node: str, way: Way, depth: int, read: ReadOptions) -> Traced:
        """The graph up to `depth` steps (0 means 10) around a node.

        Raises NotFound when the graph, read up to now, does not have the node.
        """
        kind_of(node)
        at = await self._moment(read)
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

    async def _moment(self, read: ReadOptions) -> int | None:
        as_of = await self._as_of(read.as_of)
        wanted = max(as_of or 0, read.at_least)
        if wanted > self._projection.position:
            head = await self._store.head()
            if wanted > head:
                name = "read.as_of" if as_of == wanted else "read.at_least"
                raise Invalid.field(name, f"position {wanted} is in the future; the log's last position is {head}")
            await self._projection.wait_for(wanted)
        return as_of

    async def _as_of(self, text: str) -> int | None:
        if not text:
            return None
        if text.isdigit():
            return int(text)
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise Invalid.field("read.as_of", f"{text!r} is neither a position nor an RFC 3339 time") from None
        if moment.tzinfo is None:
            raise Invalid.field("read.as_of", f"{text!r} lacks a time zone; end it with Z or an offset such as +02:00")
        return await self._store.position_at(moment)
