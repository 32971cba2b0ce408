"""The registry as it was, and built again from its log."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.message import Message
from modelog_common.domain.errors import Invalid, NotFound
from modelog_proto.common.v1 import common_pb2 as common
from modelog_proto.registry.v1 import dataset_pb2, experiment_pb2, model_pb2


async def nothing(position: int) -> None:
    """What most tests do after a step."""


async def story(alice: Any, bob: Any, registry: Any, after: Callable[[int], Awaitable[None]] = nothing) -> list[int]:
    """A bit of everything; returns the position after each step."""
    positions: list[int] = []

    async def step(awaitable: Any) -> Any:
        answer = await awaitable
        positions.append(answer.position)
        await after(answer.position)
        registry.clock.advance(timedelta(minutes=1))
        return answer

    await alice.upload()
    await step(alice.experiment())
    run = await step(alice.run(parameters={"depth": 6}))
    points = [experiment_pb2.MetricPoint(name="auc", value=v) for v in (0.6, float("nan"))]
    await step(alice.experiments.LogRun(experiment_pb2.LogRunRequest(run_id=run.id, metrics=points)))
    register = dataset_pb2.RegisterDatasetVersionRequest(
        dataset="flights", digest="a" * 64, schema=[dataset_pb2.Column(name="hour", type="int32")]
    )
    await step(alice.datasets.RegisterDatasetVersion(register))
    await step(alice.model())
    await step(alice.version(run_id=run.id))
    await step(bob.review("1.0.0"))
    await step(alice.promote("1.0.0", model_pb2.STAGE_STAGING))
    await step(alice.version())
    await step(alice.promote("1.0.0", model_pb2.STAGE_PRODUCTION))
    ended = experiment_pb2.RUN_STATUS_COMPLETED
    await step(alice.experiments.EndRun(experiment_pb2.EndRunRequest(run_id=run.id, status=ended)))
    register.digest = "b" * 64
    await step(alice.datasets.RegisterDatasetVersion(register))
    await step(alice.promote("1.0.0", model_pb2.STAGE_ARCHIVED))
    return positions


async def everything(person: Any, as_of: str = "") -> list[Message]:
    """All that the registry answers, as of a moment."""
    read = common.ReadOptions(as_of=as_of)
    runs = (await person.experiments.ListRuns(experiment_pb2.ListRunsRequest(read=read))).runs
    return [
        await person.models.ListModels(model_pb2.ListModelsRequest(read=read)),
        await person.models.ListVersions(model_pb2.ListVersionsRequest(read=read)),
        await person.experiments.ListExperiments(experiment_pb2.ListExperimentsRequest(read=read)),
        *[await person.experiments.GetRun(experiment_pb2.GetRunRequest(run_id=r.id, read=read)) for r in runs],
        await person.datasets.ListDatasets(dataset_pb2.ListDatasetsRequest(read=read)),
        await person.datasets.ListDatasetVersions(dataset_pb2.ListDatasetVersionsRequest(dataset="flights", read=read)),
    ]


def as_bytes(answers: list[Message]) -> list[bytes]:
    """Compared as bytes: NaN differs from itself."""
    return [a.SerializeToString(deterministic=True) for a in answers]


async def version_at(person: Any, position: int) -> Any:
    read = common.ReadOptions(as_of=str(position))
    return await person.models.GetVersion(model_pb2.GetVersionRequest(model="flight-delay", version="1.0.0", read=read))


async def test_a_version_as_it_was(alice: Any, bob: Any, registry: Any) -> None:
    positions = await story(alice, bob, registry)
    registered = positions[5]
    with pytest.raises(NotFound, match=f"as of {registered - 1}"):
        await version_at(alice, registered - 1)
    seen = []
    for position in range(registered, positions[-1] + 1):
        version = await version_at(alice, position)
        seen.append((model_pb2.Stage.Name(version.stage), len(version.reviews)))
        assert version.position <= position
    assert list(dict.fromkeys(seen)) == [
        ("STAGE_DEVELOPMENT", 0),
        ("STAGE_DEVELOPMENT", 1),
        ("STAGE_STAGING", 1),
        ("STAGE_PRODUCTION", 1),
        ("STAGE_ARCHIVED", 1),
    ]


async def test_yesterdays_answer_does_not_change(alice: Any, bob: Any, registry: Any) -> None:
    """What was answered as "now" at each step is what "as of" that step answers later."""
    answers: dict[int, list[bytes]] = {}

    async def ask(position: int) -> None:
        answers[position] = as_bytes(await everything(alice))

    positions = await story(alice, bob, registry, ask)
    assert len({tuple(a) for a in answers.values()}) == len(positions), "every step changed something"
    await alice.version()
    await bob.experiment("later")
    for position in positions:
        assert as_bytes(await everything(alice, str(position))) == answers[position]


async def test_a_model_and_its_versions_are_of_one_moment(alice: Any, bob: Any, registry: Any) -> None:
    positions = await story(alice, bob, registry)
    for position in positions:
        listed = (await alice.models.ListModels(model_pb2.ListModelsRequest(read={"as_of": str(position)}))).models
        flat = await alice.models.ListVersions(model_pb2.ListVersionsRequest(read={"as_of": str(position)}))
        assert [v for m in listed for v in m.versions] == list(flat.versions)


async def test_a_time_stands_for_the_last_position_before_it(alice: Any, bob: Any, registry: Any) -> None:
    start = registry.clock.now()
    positions = await story(alice, bob, registry)
    for minutes, position in enumerate(positions):
        moment = (start + timedelta(minutes=minutes)).isoformat().replace("+00:00", "Z")
        assert as_bytes(await everything(alice, moment)) == as_bytes(await everything(alice, str(position)))
    before = (start - timedelta(seconds=1)).isoformat().replace("+00:00", "Z")
    assert not any(message.ByteSize() for message in await everything(alice, before))


async def test_the_future_is_refused(alice: Any) -> None:
    for read, field in (({"as_of": "999"}, "read.as_of"), ({"at_least": 999}, "read.at_least")):
        with pytest.raises(Invalid, match="in the future") as refused:
            await alice.models.ListModels(model_pb2.ListModelsRequest(read=read))
        assert refused.value.violations[0].field == field
    with pytest.raises(Invalid, match=r"read\.as_of"):
        await alice.models.ListModels(model_pb2.ListModelsRequest(read={"as_of": "yesterday"}))


async def test_what_was_written_can_be_read_at_once(alice: Any, bob: Any) -> None:
    await alice.upload()
    await alice.model()
    for n in range(20):
        made = await alice.version()
        read = common.ReadOptions(at_least=made.position)
        versions = await bob.models.ListVersions(model_pb2.ListVersionsRequest(model="flight-delay", read=read))
        assert len(versions.versions) == n + 1


async def test_a_rebuild_gives_the_same_answers(alice: Any, bob: Any, registry: Any) -> None:
    positions = await story(alice, bob, registry)
    moments = ["", *map(str, positions)]
    before = [as_bytes(await everything(alice, moment)) for moment in moments]
    rebuilt = await alice.admin.Rebuild(common.RebuildRequest())
    assert {p.name: p.error for p in rebuilt.projections} == {"tables": "", "search": ""}
    assert [as_bytes(await everything(alice, moment)) for moment in moments] == before
