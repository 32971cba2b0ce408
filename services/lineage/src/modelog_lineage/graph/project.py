"""The projection: keeps the graph up to date with the topics of all services.

How far each topic was read stands in the graph, in the transaction that writes what was read, under the graph's
`generation`. A graph that lost it, or has another one, is another graph: it is built from the topics' start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import msgspec
import structlog
from modelog_common.bus.progress import Progress
from modelog_common.bus.source import Consumer, of_events
from modelog_common.bus.topics import EVENTS, Topic
from modelog_common.domain.errors import Unavailable
from modelog_common.domain.ids import uuid7
from modelog_common.events.store import EventStore, StoredEvent
from modelog_common.stores.graph import Graph, Statement

from modelog_lineage.graph import cypher
from modelog_lineage.graph.batch import Attributes, described, fold
from modelog_lineage.graph.covered import Coverage
from modelog_lineage.graph.translate import changes_of

NAME = "lineage.graph"
# What is written, and how: a graph of another format is built again, never migrated.
FORMAT = 1
WATCH_EVERY_S = 1.0
CLEARED_AT_ONCE = 5000
REBUILD_S = 300.0
_PROGRESS = msgspec.json.Decoder(dict[str, Progress])
_ATTRIBUTES = msgspec.json.Decoder(dict[str, str])
log = structlog.get_logger()


class GraphProjection:
    """Fills `graph` from `topics`. Run `run` as a task.

    `position`: the graph covers every event up to it. `error` is empty, or why the graph is not kept up to date.
    """

    def __init__(
        self,
        graph: Graph,
        bootstrap: str,
        store: EventStore,
        topics: Mapping[str, Topic] = EVENTS,
        *,
        watch_every_s: float = WATCH_EVERY_S,
    ) -> None:
        self._graph, self._bootstrap, self._store, self._topics = graph, bootstrap, store, topics
        self._watch_every_s = watch_every_s
        self._coverage = Coverage(store, {service: topic.name for service, topic in topics.items()})
        self._generation = ""
        self._saved: dict[str, Progress] = {}
        self._trouble = ""
        self._consumer: Consumer | None = None
        self._again = asyncio.Event()
        self._dropped: asyncio.Future[None] | None = None

    @property
    def position(self) -> int:
        return self._coverage.position

    @property
    def error(self) -> str:
        if self._trouble:
            return self._trouble
        state = self._consumer.state if self._consumer is not None else ""
        return state if state.startswith(("waiting", "gap")) else ""

    async def run(self) -> None:
        """Project until cancelled."""
        try:
            while True:
                try:
                    await self._open()
                    self._trouble = ""
                    await self._read()
                except Unavailable as error:
                    self._report(str(error))
                    await asyncio.sleep(self._watch_every_s)
                except Exception as error:
                    self._report(f"{type(error).__name__}: {error}")
                    log.exception("the graph cannot be projected")
                    await asyncio.sleep(self._watch_every_s)
        finally:
            await self._graph.close()

    def _report(self, trouble: str) -> None:
        if trouble != self._trouble:
            log.warning("the graph is not kept up to date", why=trouble)
        self._trouble = trouble

    async def _open(self) -> None:
        """Find where the graph stands; make it empty when it is not ours, or when it is to be built again."""
        self._again.clear()
        dropped = self._dropped
        await self._graph.run_schema(cypher.SCHEMA)
        found = await self._graph.run_read(cypher.PROJECTION, {"name": NAME})
        if dropped is None and found and found[0]["format"] == FORMAT:
            self._generation = found[0]["generation"]
            self._saved = _PROGRESS.decode(found[0]["progress"])
        else:
            await self._make_empty()
        self._coverage.restart({p.topic: _highest(p) for p in self._saved.values()})
        if dropped is not None:
            self._dropped = None
            dropped.set_result(None)

    async def _make_empty(self) -> None:
        self._generation, self._saved = str(uuid7()), {}
        clear = [Statement(cypher.CLEAR, {"limit": CLEARED_AT_ONCE})]
        while (await self._graph.run_write(clear))[0][0]["gone"]:
            pass
        begin = {"name": NAME, "format": FORMAT, "generation": self._generation, "progress": "{}"}
        await self._graph.run_write([Statement(cypher.BEGIN_PROJECTION, begin)])

    async def _read(self) -> None:
        """Read the topics until the graph has to be opened again."""
        self._consumer = Consumer(self._bootstrap, list(self._topics.values()), NAME, self)
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._consumer.run(of_events(self._handle)), name="graph consumer"),
                group.create_task(self._watch(), name="graph watch"),
            ]
            await self._again.wait()
            for task in tasks:
                task.cancel()

    async def _watch(self) -> None:
        """Notice that the graph is away, or that it is another one, also while nothing is written."""
        while True:
            try:
                await self._check_generation()
                self._trouble = ""
                await self._coverage.advance()
            except Unavailable as error:
                self._report(str(error))
            await asyncio.sleep(self._watch_every_s)

    async def _check_generation(self) -> None:
        found = await self._graph.run_read(cypher.PROJECTION, {"name": NAME})
        if not found or found[0]["generation"] != self._generation:
            self._open_again()

    def _open_again(self) -> None:
        log.warning("the graph is not the one that was written; it is looked at anew")
        self._again.set()

    async def load(self, topic: str, partition: int) -> Progress | None:
        """What was committed last for this partition (ConsumerProgress)."""
        return self._saved.get(_key(topic, partition))

    async def _handle(self, events: Sequence[StoredEvent], progress: Progress) -> None:
        translated = [(event, changes_of(event)) for event in events]
        batch = fold(translated, await self._current(described(translated)))
        saved = {**self._saved, _key(progress.topic, progress.partition): progress}
        save = {"name": NAME, "generation": self._generation, "progress": msgspec.json.encode(saved).decode()}
        answers = await self._graph.run_write([Statement(cypher.SAVE_PROGRESS, save), *cypher.statements_of(batch)])
        if not answers[0]:
            self._open_again()
            raise Unavailable("the graph is not the one that was written before; it is built again")
        self._saved, self._trouble = saved, ""
        await self._coverage.reached(progress.topic, _highest(progress))

    async def _current(self, uids: Sequence[str]) -> dict[str, Attributes]:
        if not uids:
            return {}
        rows = await self._graph.run_read(cypher.CURRENT_STATES, {"uids": list(uids)})
        return {row["uid"]: _ATTRIBUTES.decode(row["attributes"]) for row in rows}

    async def wait_for(self, position: int, timeout_s: float = 10) -> None:
        """Wait until the graph covers `position`; raises Unavailable when it does not in time, or is not there."""
        if self.position < position and self._trouble:
            raise Unavailable(f"the graph is not up to date: {self._trouble}")
        if not await self._coverage.wait_for(position, timeout_s):
            raise Unavailable(
                f"the graph is at position {self.position} and did not reach {position} in {timeout_s:g} s. "
                f"{self.error}".strip()
            )

    async def rebuild(self) -> int:
        """Drop the graph and build it again from the topics' start; returns the position reached."""
        head = await self._store.head()
        await self._graph.run_read(cypher.PROJECTION, {"name": NAME})
        if self._dropped is None:
            self._dropped = asyncio.get_running_loop().create_future()
        dropped = self._dropped
        self._again.set()
        try:
            async with asyncio.timeout(REBUILD_S):
                await asyncio.shield(dropped)
        except TimeoutError:
            raise Unavailable(f"the graph could not be dropped in {REBUILD_S:g} s. {self.error}".strip()) from None
        await self.wait_for(head, REBUILD_S)
        return self.position


def _key(topic: str, partition: int) -> str:
    return f"{topic}/{partition}"


def _highest(progress: Progress) -> int:
    return max(progress.positions.values(), default=0)
