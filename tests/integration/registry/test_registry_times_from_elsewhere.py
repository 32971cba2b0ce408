"""What comes from elsewhere keeps the time that it has from there, beside the time when it was recorded."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from modelog_proto.registry.v1 import experiment_pb2, logged_model_pb2, model_pb2, search_pb2

LONG_AGO = datetime(2021, 3, 4, 5, 6, 7, tzinfo=UTC)


def long_ago() -> Timestamp:
    time = Timestamp()
    time.FromDatetime(LONG_AGO)
    return time


async def everything(alice: Any) -> list[Any]:
    experiment = await alice.experiments.CreateExperiment(
        experiment_pb2.CreateExperimentRequest(name="delays", created_at=long_ago())
    )
    logged = logged_model_pb2.CreateLoggedModelRequest(experiment_id=experiment.id, created_at=long_ago())
    version = model_pb2.RegisterVersionRequest(
        model="flight-delay", flavor="mlflow", source="s3://x", created_at=long_ago()
    )
    return [
        experiment,
        await alice.logged_models.CreateLoggedModel(logged),
        await alice.models.RegisterModel(model_pb2.RegisterModelRequest(name="flight-delay", created_at=long_ago())),
        await alice.models.RegisterVersion(version),
    ]


async def test_both_times_are_told(alice: Any, registry: Any) -> None:
    now = registry.clock.now()
    for made in await everything(alice):
        assert made.created_at.ToDatetime(tzinfo=UTC) == LONG_AGO
        assert made.recorded_at.ToDatetime(tzinfo=UTC) == now
        assert made.updated_at.ToDatetime(tzinfo=UTC) == now


async def test_what_says_nothing_was_created_when_it_was_recorded(alice: Any, registry: Any) -> None:
    made = await alice.model()
    assert made.created_at == made.recorded_at


async def test_models_are_found_by_the_time_from_elsewhere(alice: Any, registry: Any) -> None:
    await everything(alice)
    before = search_pb2.Condition(
        field=search_pb2.FIELD_ATTRIBUTE,
        key="creation_time",
        comparison=search_pb2.COMPARISON_LESS_OR_EQUAL,
        number=LONG_AGO.timestamp() * 1000,
    )
    models = await alice.models.SearchModels(model_pb2.SearchModelsRequest(conditions=[before]))
    assert [model.name for model in models.models] == ["flight-delay"]
    versions = await alice.models.SearchVersions(model_pb2.SearchVersionsRequest(conditions=[before]))
    assert [version.number for version in versions.versions] == [1]
