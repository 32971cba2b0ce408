"""One prediction, traced to the model version that answered it and to all that led to it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from lineage_support import Log, Person, Place, serving_peer
from modelog_common.domain.errors import NotFound, Unavailable
from modelog_common.rpc.call import current_call
from modelog_proto.lineage.v1 import lineage_pb2 as pb
from modelog_proto.serving.v1 import deployment_pb2
from modelog_proto.serving.v1.deployment_pb2_grpc import DeploymentServiceServicer

VERSION = "ModelVersion:flight-delay/1.0.0"


class Predictions(DeploymentServiceServicer):
    """Answers the one call of the serving service that lineage makes."""

    def __init__(self) -> None:
        self.kept: dict[str, deployment_pb2.Prediction] = {}
        self.asked_by: list[str] = []

    def keep(self, prediction_id: str, version: str, answered_at: datetime) -> None:
        made = deployment_pb2.Prediction(
            prediction_id=prediction_id, deployment="live", model="flight-delay", version=version,
            model_digest="digest-1.0.0", features={"hour": 9.0}, outputs=[0.25], key="N1",
        )  # fmt: skip
        made.answered_at.FromDatetime(answered_at)
        made.event_time.FromDatetime(datetime(2013, 4, 1, 9, tzinfo=UTC))
        self.kept[prediction_id] = made

    async def GetPrediction(self, request: Any, context: Any) -> deployment_pb2.Prediction:
        self.asked_by.append(current_call().identity.user)
        found = self.kept.get(request.prediction_id)
        if found is None:
            raise NotFound(f"{request.deployment} has no prediction {request.prediction_id}")
        return found


def asked(prediction_id: str) -> pb.TracePredictionRequest:
    return pb.TracePredictionRequest(deployment="live", prediction_id=prediction_id)


async def traced(person: Person, prediction_id: str) -> pb.Graph:
    graph: pb.Graph = await person.lineage.TracePrediction(asked(prediction_id))
    return graph


async def test_a_prediction_leads_to_approval_run_and_data_as_they_were_when_it_was_answered(
    place: Place, log: Log, story: dict[str, int], fresh_broker: Any
) -> None:
    predictions = Predictions()
    predictions.keep("p1", "1.0.0", await log.recorded_at(story["deployed"]))
    predictions.keep("p2", "1.1.0", datetime.now(UTC))
    async with serving_peer(predictions, place.verifier) as address:
        place.settings = place.settings.changed(peers={"serving": address})
        async with place.running(), log.relayed(fresh_broker.bootstrap):
            alice = place.person()
            graph = await traced(alice, "p1")
            later = await traced(alice, "p2")
            with pytest.raises(NotFound, match="live has no prediction p9"):
                await alice.lineage.TracePrediction(asked("p9"))
    found = {(getattr(e, "from"), e.kind, e.to) for e in graph.edges}
    assert found >= {
        ("Prediction:live/p1", "ANSWERED_BY", VERSION),
        ("Prediction:live/p1", "SENT_TO", "Deployment:live"),
        (VERSION, "APPROVED_BY", "Approval:a1"),
        (VERSION, "PRODUCED_BY", "Run:r1"),
        ("Run:r1", "TRAINED_ON", "DatasetVersion:flights/1"),
    }
    nodes = {n.id: n for n in graph.nodes}
    assert next(iter(nodes)) == "Prediction:live/p1"
    assert nodes["Prediction:live/p1"].since == story["deployed"]
    assert dict(nodes["Prediction:live/p1"].attributes) == {
        "deployment": "live", "model": "flight-delay", "version": "1.0.0", "model_digest": "digest-1.0.0",
        "key": "N1", "outputs": "[0.25]", "feature.hour": "9.0", "event_time": "2013-04-01T09:00:00Z",
        "answered_at": nodes["Prediction:live/p1"].attributes["answered_at"],
    }  # fmt: skip
    assert nodes[VERSION].attributes["stage"] == "production", "today it is archived"
    assert nodes["Deployment:live"].attributes["traffic"] == "1.0.0 100 %"
    assert len(graph.nodes) == len(nodes)
    again = {n.id: n for n in later.nodes}
    assert again["Deployment:live"].attributes["traffic"] == "1.1.0 100 %"
    assert {getattr(e, "from") for e in later.edges if e.kind == "ANSWERED_BY"} == {"Prediction:live/p2"}
    assert set(predictions.asked_by) == {"alice"}, "the caller's own token asks"


async def test_a_prediction_of_a_version_that_nobody_registered(
    place: Place, log: Log, story: dict[str, int], fresh_broker: Any
) -> None:
    predictions = Predictions()
    predictions.keep("p1", "7.0.0", datetime.now(UTC))
    predictions.keep("p2", "1.0.0", datetime.now(UTC) - timedelta(days=400))
    async with serving_peer(predictions, place.verifier) as address:
        place.settings = place.settings.changed(peers={"serving": address})
        async with place.running(), log.relayed(fresh_broker.bootstrap):
            alice = place.person()
            for prediction_id, version in (("p1", "7.0.0"), ("p2", "1.0.0")):
                with pytest.raises(NotFound, match=f"ModelVersion:flight-delay/{version} is not in the graph as of"):
                    await traced(alice, prediction_id)


async def test_serving_that_does_not_answer_is_said(place: Place, log: Log) -> None:
    place.settings = place.settings.changed(peers={"serving": "127.0.0.1:1"})
    async with place.running():
        with pytest.raises(Unavailable):
            await place.person().lineage.TracePrediction(asked("p1"), timeout=150)
