"""The graph that the events of all services make, over a real broker and a real graph database."""

from __future__ import annotations

from typing import Any

import pytest
from lineage_support import Log, Person, Place, tell_story
from modelog_common.domain.errors import Invalid, NotFound
from modelog_proto.common.v1 import common_pb2
from modelog_proto.lineage.v1 import lineage_pb2 as pb

VERSION = "ModelVersion:flight-delay/1.0.0"
CHALLENGER = "ModelVersion:flight-delay/1.1.0"


def ids(graph: pb.Graph) -> set[str]:
    return {node.id for node in graph.nodes}


def links(graph: pb.Graph) -> set[tuple[str, str, str]]:
    return {(getattr(edge, "from"), edge.kind, edge.to) for edge in graph.edges}


def attributes(graph: pb.Graph, node: str) -> dict[str, str]:
    return dict(next(n for n in graph.nodes if n.id == node).attributes)


async def test_a_version_is_traced_to_run_job_data_and_approval(
    place: Place, log: Log, story: dict[str, int], fresh_broker: Any
) -> None:
    async with place.running(), log.relayed(fresh_broker.bootstrap):
        graph = await place.person().trace(VERSION, at_least=story["archived"])
    assert graph.nodes[0].id == VERSION
    assert links(graph) >= {
        (VERSION, "PRODUCED_BY", "Run:r1"),
        (VERSION, "APPROVED_BY", "Approval:a1"),
        ("Approval:a1", "GIVEN_BY", "User:bob"),
        ("Run:r1", "EXECUTED_BY", "Job:j1"),
        ("Run:r1", "TRAINED_ON", "DatasetVersion:flights/1"),
        ("Run:r1", "TRAINED_ON", "DatasetVersion:flights/2"),
        ("DatasetVersion:flights/2", "VERSION_OF", "Dataset:flights"),
        ("Run:r1", "PART_OF", "Experiment:delays"),
    }
    assert CHALLENGER not in ids(graph), "nothing that came later is upstream"
    assert attributes(graph, "Run:r1")["parameter.max_depth"] == "6"
    assert attributes(graph, "DatasetVersion:flights/1")["digest"] == "d1"
    assert attributes(graph, "User:alice") == {"roles": "developer"}
    assert attributes(graph, VERSION)["stage"] == "archived"
    assert next(n for n in graph.nodes if n.id == VERSION).since == story["registered"]


async def test_as_of_answers_what_was_true_then(
    place: Place, log: Log, story: dict[str, int], fresh_broker: Any
) -> None:
    async with place.running(), log.relayed(fresh_broker.bootstrap):
        alice = place.person()
        seen = {
            name: await alice.trace("Deployment:live", as_of=story[name], depth=1)
            for name in ("deployed", "canary", "switched")
        }
        stages = [
            attributes(await alice.trace(VERSION, as_of=story[name], depth=1), VERSION)["stage"]
            for name in ("registered", "promoted", "archived")
        ]
        unapproved = await alice.trace(VERSION, as_of=story["registered"])
        with pytest.raises(NotFound, match=rf"{VERSION} is not in the graph as of position {story['registered'] - 1}"):
            await alice.trace(VERSION, as_of=story["registered"] - 1)
        with pytest.raises(Invalid, match=r"read.as_of: position 999 is in the future"):
            await alice.trace(VERSION, as_of=999)
    served = {name: {to for _, kind, to in links(graph) if kind == "SERVES"} for name, graph in seen.items()}
    assert served == {"deployed": {VERSION}, "canary": {VERSION, CHALLENGER}, "switched": {CHALLENGER}}
    assert attributes(seen["canary"], "Deployment:live")["traffic"] == "1.0.0 90 %, 1.1.0 10 %"
    assert stages == ["development", "production", "archived"]
    assert "Approval:a1" not in ids(unapproved)


async def test_as_of_a_time(place: Place, log: Log, fresh_broker: Any) -> None:
    at = await tell_story(log)
    approved = await log.recorded_at(at["approved"])
    async with place.running(), log.relayed(fresh_broker.bootstrap):
        alice = place.person()
        graph = await alice.trace(VERSION, as_of=approved.isoformat())
        assert "Approval:a1" in ids(graph)
        with pytest.raises(NotFound):
            await alice.trace(VERSION, as_of="2001-01-01T00:00:00Z")
        for text in ("2013-02-30T00:00:00Z", "2013-02-30"):
            with pytest.raises(Invalid, match="as_of"):
                await alice.trace(VERSION, as_of=text)


async def test_downstream_is_what_came_of_it(place: Place, log: Log, story: dict[str, int], fresh_broker: Any) -> None:
    async with place.running(), log.relayed(fresh_broker.bootstrap):
        alice = place.person()
        graph = await alice.trace(
            "DatasetVersion:flights/1", at_least=story["archived"], direction=pb.DIRECTION_DOWNSTREAM
        )
        near = await alice.trace("DatasetVersion:flights/1", direction=pb.DIRECTION_DOWNSTREAM, depth=1)
    assert ids(graph) >= {"Run:r1", "Run:r2", "Job:j1", VERSION, CHALLENGER, "Deployment:live"}
    assert "Dataset:flights" not in ids(graph)
    assert "Deployment:live" not in ids(near)


async def test_a_challenger_is_traced_through_its_retraining_to_the_champion_that_was_watched(
    place: Place, log: Log, story: dict[str, int], fresh_broker: Any
) -> None:
    async with place.running(), log.relayed(fresh_broker.bootstrap):
        graph = await place.person().trace(CHALLENGER, at_least=story["archived"], depth=20)
    found = links(graph)
    assert found >= {
        ("Run:r2", "EXECUTED_BY", "Job:j2"),
        ("Job:j2", "STARTED_BY", "Retraining:rt1"),
        ("Retraining:rt1", "TRIGGERED_BY", "Window:w1"),
        ("Retraining:rt1", "REPLACES", VERSION),
        ("Window:w1", "SEEN_BY", "Monitor:watch"),
        ("Monitor:watch", "WATCHES", "Deployment:live"),
        ("Deployment:live", "SERVES", VERSION),
    }
    assert ("Deployment:live", "SERVES", CHALLENGER) not in found, "the window saw the deployment as it was then"
    assert attributes(graph, "Deployment:live")["traffic"] == "1.0.0 100 %"


async def test_a_tenant_sees_only_its_own_graph(place: Place, log: Log, fresh_broker: Any) -> None:
    await tell_story(log)
    mine = await log.append(
        "registry.model/ModelRegistered", "flight-delay", tenant="umbrella", name="flight-delay", author="eve"
    )
    async with place.running(), log.relayed(fresh_broker.bootstrap):
        eve = place.person("eve", "umbrella")
        graph = await eve.trace("Model:flight-delay", at_least=mine, direction=pb.DIRECTION_DOWNSTREAM)
        assert ids(graph) == {"Model:flight-delay"}
        with pytest.raises(NotFound, match="Run:r1 is not in the graph"):
            await eve.trace("Run:r1")
        with pytest.raises(NotFound, match="Run:r1 is not in the graph"):
            await eve.trace("Run:r1", as_of=mine)
        alice = place.person()
        assert "User:eve" not in ids(await alice.trace("Model:flight-delay"))


async def test_bad_questions_name_the_field(place: Place) -> None:
    async with place.running():
        alice = place.person()
        with pytest.raises(Invalid, match="node: 'Planet' is not a kind of thing in the graph; it has Dataset,"):
            await alice.trace("Planet:earth")
        with pytest.raises(Invalid, match="node"):
            await alice.trace("nothing")
        with pytest.raises(Invalid, match="depth"):
            await alice.trace("Run:r1", depth=51)
        with pytest.raises(Invalid, match=r"read.at_least: position 7 is in the future; the log's last position is 0"):
            await alice.trace("Run:r1", at_least=7)
        with pytest.raises(NotFound, match="Run:r1 is not in the graph"):
            await alice.trace("Run:r1")


async def test_a_rebuilt_graph_answers_the_same(
    place: Place, log: Log, story: dict[str, int], fresh_broker: Any
) -> None:
    async with place.running(), log.relayed(fresh_broker.bootstrap):
        alice = place.person()
        await alice.trace(VERSION, at_least=story["archived"])
        before = await whole_story(alice, story)
        answer = await alice.admin.Rebuild(common_pb2.RebuildRequest(projections=["graph"]))
        assert [(p.name, p.error) for p in answer.projections if p.name == "graph"] == [("graph", "")]
        assert next(p.position for p in answer.projections if p.name == "graph") == story["archived"]
        assert await whole_story(alice, story) == before
        last = await log.append("registry.model/ModelRegistered", "other", name="other", author="alice")
        assert ids(await alice.trace("Model:other", at_least=last)) == {"Model:other", "User:alice"}


async def whole_story(person: Person, story: dict[str, int]) -> list[bytes]:
    """Answers from several places, now and then, as bytes to compare."""
    answers: list[bytes] = []
    for node, direction in (
        (VERSION, pb.DIRECTION_UPSTREAM),
        ("Dataset:flights", pb.DIRECTION_DOWNSTREAM),
        ("User:alice", pb.DIRECTION_DOWNSTREAM),
        ("Deployment:live", pb.DIRECTION_UPSTREAM),
    ):
        for as_of in ("", story["deployed"], story["canary"]):
            graph = await person.trace(node, as_of=as_of, direction=direction, depth=30)
            answers += sorted(n.SerializeToString(deterministic=True) for n in graph.nodes)
            answers += sorted(e.SerializeToString(deterministic=True) for e in graph.edges)
    return answers
