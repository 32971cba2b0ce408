"""The graph as a sink of events: batches of them become nodes, states and edges in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from modelog_common.bus.progress import Progress
from modelog_common.events.store import StoredEvent
from modelog_common.stores.graph import Graph, Statement

from modelog_lineage.follow import Stand
from modelog_lineage.graph import cypher
from modelog_lineage.graph.batch import Attributes, described, fold
from modelog_lineage.graph.translate import changes_of

NAME = "lineage.graph"
# What is written, and how: a graph of another format is built again, never migrated.
FORMAT = 2
CLEARED_AT_ONCE = 5000
_PROGRESS = msgspec.json.Decoder(dict[str, Progress])
_ATTRIBUTES = msgspec.json.Decoder(dict[str, str])


class GraphSink:
    """A Sink that is a graph."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    async def open(self) -> Stand | None:
        await self._graph.run_schema(cypher.SCHEMA)
        found = await self._graph.run_read(cypher.PROJECTION, {"name": NAME})
        if not found or found[0]["format"] != FORMAT:
            return None
        return Stand(found[0]["generation"], _PROGRESS.decode(found[0]["progress"]))

    async def begin(self, stand: Stand) -> None:
        clear = [Statement(cypher.CLEAR, {"limit": CLEARED_AT_ONCE})]
        while (await self._graph.run_write(clear))[0][0]["gone"]:
            pass
        await self._graph.run_write([Statement(cypher.BEGIN_PROJECTION, {"format": FORMAT, **_row(stand)})])

    async def generation(self) -> str | None:
        found = await self._graph.run_read(cypher.PROJECTION, {"name": NAME})
        return found[0]["generation"] if found else None

    async def write(self, events: Sequence[StoredEvent], stand: Stand) -> bool:
        translated = [(event, changes_of(event)) for event in events]
        batch = fold(translated, await self._current(described(translated)))
        save = Statement(cypher.SAVE_PROGRESS, _row(stand))
        answers = await self._graph.run_write([save, *cypher.statements_of(batch)])
        return bool(answers[0])

    async def close(self) -> None:
        await self._graph.close()

    async def _current(self, uids: Sequence[str]) -> Mapping[str, Attributes]:
        if not uids:
            return {}
        rows = await self._graph.run_read(cypher.CURRENT_STATES, {"uids": list(uids)})
        return {row["uid"]: _ATTRIBUTES.decode(row["attributes"]) for row in rows}


def _row(stand: Stand) -> dict[str, str]:
    progress = msgspec.json.encode(stand.progress).decode()
    return {"name": NAME, "generation": stand.generation, "progress": progress}
