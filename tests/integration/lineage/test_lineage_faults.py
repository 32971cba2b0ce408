"""The graph's server dies, comes back, comes back empty; the broker forgets everything; an event is no event."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lineage_support import Log, Person, Place, RunningGraph, connected, graph_settings, until
from modelog_common.bus.kafka import KafkaBroker
from modelog_common.bus.topics import EVENTS
from modelog_common.domain.errors import NotFound, Unavailable
from modelog_common.stores.graph import Statement
from modelog_lineage import follow
from modelog_proto.common.v1 import common_pb2
from modelog_proto.lineage.v1 import lineage_pb2 as pb

VERSION = "ModelVersion:flight-delay/1.0.0"


@pytest.fixture
def place(tmp_path: Path, fresh_broker: Any, fresh_graph: RunningGraph) -> Place:
    """A lineage service whose graph server may be killed."""
    return Place(tmp_path, kafka_bootstrap=fresh_broker.bootstrap, **graph_settings(fresh_graph))


async def graph_error(person: Person) -> str:
    return (await person.projection("graph")).error


@pytest.mark.parametrize("empty", [False, True], ids=["with its data", "empty"])
async def test_the_graph_catches_up_by_itself_when_its_server_is_back(
    place: Place, log: Log, story: dict[str, int], fresh_broker: Any, fresh_graph: RunningGraph, empty: bool
) -> None:
    async with place.running(), log.relayed(fresh_broker.bootstrap):
        alice = place.person()
        before = await alice.trace(VERSION, at_least=story["archived"])
        fresh_graph.kill()

        async def noticed() -> bool:
            return "does not answer" in await graph_error(alice)

        await until(noticed, "the status says that the graph is away")
        with pytest.raises(Unavailable, match=f"the graph at {fresh_graph.uri} does not answer"):
            await alice.trace(VERSION)
        assert (await alice.audit.GetCheckpoint(pb.GetCheckpointRequest())).size == story["archived"]
        known = common_pb2.ReadOptions(at_least=story["archived"])
        asked = pb.SearchCatalogueRequest(text="flight-delay", read=known)
        assert (await alice.lineage.SearchCatalogue(asked)).total > 0
        last = await log.append("registry.model/ModelRegistered", "other", name="other", author="alice")
        with pytest.raises(Unavailable, match=r"the graph is not up to date: the graph at .* does not answer"):
            await alice.trace("Model:other", at_least=last)
        fresh_graph.start(empty=empty)

        async def caught_up() -> bool:
            status = await alice.projection("graph")
            return (status.position, status.error) == (last, "")

        await until(caught_up, "the graph holds everything again, and the status says that all is well")
        assert await alice.trace(VERSION) == before
        assert {n.id for n in (await alice.trace("Model:other")).nodes} == {"Model:other", "User:alice"}


async def test_the_service_starts_while_the_graph_is_away(
    place: Place, log: Log, story: dict[str, int], fresh_broker: Any, fresh_graph: RunningGraph
) -> None:
    fresh_graph.kill()
    async with place.running(), log.relayed(fresh_broker.bootstrap):
        alice = place.person()
        with pytest.raises(Unavailable, match=f"the graph at {fresh_graph.uri} does not answer"):
            await alice.trace(VERSION)
        assert (await alice.audit.GetCheckpoint(pb.GetCheckpointRequest())).size == story["archived"]
        fresh_graph.start()

        async def caught_up() -> bool:
            status = await alice.projection("graph")
            return (status.position, status.error) == (story["archived"], "")

        await until(caught_up, "the graph holds everything")
        assert "Run:r1" in {node.id for node in (await alice.trace(VERSION)).nodes}


async def test_a_graph_that_comes_back_empty_unnoticed_is_filled_again(
    place: Place, log: Log, story: dict[str, int], fresh_broker: Any, fresh_graph: RunningGraph
) -> None:
    """No event comes while it is away, and it is back before anybody looked."""
    async with place.running(), log.relayed(fresh_broker.bootstrap):
        alice = place.person()
        before = await alice.trace(VERSION, at_least=story["archived"])
        graph = connected(fresh_graph)
        await graph.run_write([Statement("MATCH (n) DETACH DELETE n")])
        await graph.close()

        async def same_again() -> bool:
            try:
                return bool(await alice.trace(VERSION) == before)
            except (NotFound, Unavailable):
                return False

        await until(same_again, "the graph was built again")


async def test_a_batch_for_a_graph_that_was_emptied_is_not_lost(
    place: Place, log: Log, story: dict[str, int], fresh_broker: Any, fresh_graph: RunningGraph,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The next event finds the empty graph before the watch does: nothing is written over the gap."""
    monkeypatch.setattr(follow.Follower.__init__, "__kwdefaults__", {"watch_every_s": 3600.0})
    async with place.running(), log.relayed(fresh_broker.bootstrap):
        alice = place.person()
        await alice.trace(VERSION, at_least=story["archived"])
        graph = connected(fresh_graph)
        await graph.run_write([Statement("MATCH (n) DETACH DELETE n")])
        last = await log.append("registry.model/ModelRegistered", "other", name="other", author="alice")

        async def built_again() -> bool:
            found = await graph.run_read("MATCH (n:Entity) WHERE n.id IN $ids RETURN n.id AS id", {"ids": both})
            return len(found) == 2

        both = [VERSION, "Model:other"]
        await until(built_again, "old and new are in the graph")
        assert "Run:r1" in {n.id for n in (await alice.trace(VERSION, at_least=last)).nodes}
        await graph.close()


async def test_a_restarted_service_goes_on_where_the_graph_stands(
    place: Place, log: Log, story: dict[str, int], fresh_broker: Any, fresh_graph: RunningGraph
) -> None:
    async with log.relayed(fresh_broker.bootstrap):
        async with place.running():
            before = await place.person().trace(VERSION, at_least=story["archived"])
        graph = connected(fresh_graph)
        query = "MATCH (p:Projection) RETURN p.generation AS generation"
        first = await graph.run_read(query)
        last = await log.append("registry.model/ModelRegistered", "other", name="other", author="alice")
        async with place.running():
            alice = place.person()
            assert await alice.trace(VERSION, at_least=last) == before
        assert await graph.run_read(query) == first, "it was not built again"
        await graph.run_write([Statement("MATCH (p:Projection) SET p.format = 0")])
        async with place.running():
            assert await place.person().trace(VERSION, at_least=last) == before
        assert await graph.run_read(query) != first, "another release's graph is built again"
        await graph.close()


async def test_a_broker_that_forgot_everything_changes_nothing(
    place: Place, log: Log, story: dict[str, int], fresh_broker: Any
) -> None:
    async with place.running(), log.relayed(fresh_broker.bootstrap):
        alice = place.person()
        before = await alice.trace(VERSION, at_least=story["archived"])
        fresh_broker.restart()
        last = await log.append("registry.model/ModelRegistered", "other", name="other", author="alice")

        async def caught_up() -> bool:
            return (await alice.projection("graph")).position == last

        await until(caught_up, "the new event came over the new topics")
        assert await alice.trace(VERSION) == before
        await alice.admin.Rebuild(common_pb2.RebuildRequest(projections=["graph"]))
        assert await alice.trace(VERSION) == before


async def test_an_event_that_is_none_goes_to_the_dead_letters_and_the_rest_goes_on(
    place: Place, log: Log, fresh_broker: Any
) -> None:
    await log.append("registry.model/ModelRegistered", "one", name="one", author="alice")
    await log.append("registry.model/ModelRegistered", "two", name=["not", "a", "name"])
    last = await log.append("registry.model/ModelRegistered", "three", name="three", author="alice")
    async with place.running(), log.relayed(fresh_broker.bootstrap):
        graph = await place.person().trace("User:alice", at_least=last, direction=pb.DIRECTION_DOWNSTREAM)
        dead = EVENTS["registry"].of("acme").dead.name
        assert (await KafkaBroker(fresh_broker.bootstrap).describe([dead]))[dead] is not None
    assert {n.id for n in graph.nodes} == {"User:alice", "Model:one", "Model:three"}


async def test_without_a_graph_the_rest_works_and_says_what_to_set(bare: Place, log: Log) -> None:
    await log.append("registry.model/ModelRegistered", "one", name="one", author="alice")
    async with bare.running():
        alice = bare.person()
        with pytest.raises(Unavailable, match="set MODELOG_GRAPH_URI"):
            await alice.trace("Model:one")
        with pytest.raises(Unavailable, match="set MODELOG_GRAPH_URI"):
            await alice.admin.Rebuild(common_pb2.RebuildRequest(projections=["graph"]))

        async def said() -> bool:
            return "set MODELOG_GRAPH_URI" in await graph_error(alice)

        await until(said, "the status says so")
        assert (await alice.audit.GetCheckpoint(pb.GetCheckpointRequest())).size == 1
