"""Experiments that change, runs that change, logged models: through gRPC."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from modelog_common.domain.errors import AlreadyExists, Forbidden, Invalid, NotAllowed, NotFound
from modelog_proto.common.v1 import common_pb2 as common
from modelog_proto.registry.v1 import experiment_pb2 as pb
from modelog_proto.registry.v1 import logged_model_pb2, model_pb2
from modelog_registry.name.decide import UNUSED


async def rename(person: Any, experiment_id: str, name: str) -> Any:
    return await person.experiments.UpdateExperiment(pb.UpdateExperimentRequest(experiment_id=experiment_id, name=name))


async def by_id(person: Any, experiment_id: str, **read: Any) -> Any:
    return await person.experiments.GetExperimentById(
        pb.GetExperimentByIdRequest(experiment_id=experiment_id, read=common.ReadOptions(**read))
    )


async def test_an_experiment_keeps_its_id_when_it_is_renamed(alice: Any) -> None:
    made = await alice.experiments.CreateExperiment(
        pb.CreateExperimentRequest(name="delays", tags={"k": "v"}, artifact_location="s3://x")
    )
    run = await alice.run()
    renamed = await rename(alice, made.id, "lateness")
    assert (renamed.id, renamed.name, dict(renamed.tags), renamed.artifact_location) == (
        made.id, "lateness", {"k": "v"}, "s3://x",
    )  # fmt: skip
    assert (await by_id(alice, made.id, as_of=str(made.position))).name == "delays"
    with pytest.raises(NotFound, match="no experiment 'delays'"):
        await alice.experiments.GetExperiment(pb.GetExperimentRequest(name="delays"))
    listed = await alice.experiments.ListRuns(pb.ListRunsRequest(experiment="lateness"))
    assert [r.id for r in listed.runs] == [run.id]
    second = await alice.experiment("delays")
    assert second.id != made.id
    assert await alice.experiment("delays") == second
    with pytest.raises(AlreadyExists, match="another experiment called 'lateness'"):
        await rename(alice, second.id, "lateness")
    assert (await rename(alice, made.id, "lateness")).position == renamed.position


async def test_a_name_belongs_to_one_of_many_who_want_it(alice: Any, bob: Any) -> None:
    made = await asyncio.gather(*(person.experiment("delays") for person in [alice, bob] * 5))
    assert len({e.id for e in made}) == 1
    others = [await alice.experiment(f"e{n}") for n in range(4)]
    tries = await asyncio.gather(*(rename(alice, e.id, "wanted") for e in others), return_exceptions=True)
    won = [t for t in tries if not isinstance(t, BaseException)]
    assert [e.name for e in won] == ["wanted"]
    assert all(isinstance(t, AlreadyExists) for t in tries if isinstance(t, BaseException))
    new = pb.CreateExperimentRequest(name="only", must_be_new=True, request_id="r1")
    first = await alice.experiments.CreateExperiment(new)
    assert await alice.experiments.CreateExperiment(new) == first
    with pytest.raises(AlreadyExists, match="there is an experiment 'only' already"):
        await bob.experiments.CreateExperiment(new)


async def test_an_interrupted_rename_frees_the_name_after_a_while(alice: Any, registry: Any) -> None:
    """The name was taken and the process was killed before the experiment was renamed."""
    from modelog_common.domain.context import Context
    from modelog_common.domain.ids import derived_id
    from modelog_common.events.entities import Entities
    from modelog_common.events.sqlite import SqliteEventStore
    from modelog_registry.events import EVENTS
    from modelog_registry.handle.names import Names
    from modelog_registry.name.decide import NAME

    made = await alice.experiment("delays")
    store = await SqliteEventStore.open(registry.settings.event_store_path(), registry.clock)
    names = Names(Entities(store, NAME, EVENTS), "experiment")
    await names.take("wanted", made.id, Context(registry.clock.now(), "alice", "acme", derived_id("killed")))
    await store.close()
    with pytest.raises(AlreadyExists):
        await alice.experiment("wanted")
    registry.clock.advance(UNUSED + timedelta(seconds=1))
    assert (await alice.experiment("wanted")).id != made.id


async def test_what_is_deleted_keeps_its_name_and_comes_back(alice: Any) -> None:
    made = await alice.experiment()
    gone = await alice.experiments.DeleteExperiment(pb.DeleteExperimentRequest(experiment_id=made.id))
    assert gone.HasField("deleted_at")
    assert not (await alice.experiments.ListExperiments(pb.ListExperimentsRequest())).experiments
    with pytest.raises(AlreadyExists, match="restore it or take another name"):
        await alice.experiment()
    with pytest.raises(NotAllowed, match="'delays' is deleted; restore it first"):
        await alice.run()
    back = await alice.experiments.RestoreExperiment(pb.RestoreExperimentRequest(experiment_id=made.id))
    assert not back.HasField("deleted_at")
    assert (await alice.run()).experiment_id == made.id


async def test_a_run_without_an_experiment_goes_to_the_default(alice: Any, bob: Any) -> None:
    runs = await asyncio.gather(*(person.run("") for person in (alice, bob, alice)))
    assert {r.experiment for r in runs} == {"Default"}
    assert len({r.experiment_id for r in runs}) == 1
    with pytest.raises(NotAllowed, match="Default cannot be deleted"):
        await alice.experiments.DeleteExperiment(pb.DeleteExperimentRequest(experiment_id=runs[0].experiment_id))


async def test_experiments_are_searched(alice: Any, registry: Any) -> None:
    for name in ("b", "a", "C"):
        await alice.experiments.CreateExperiment(pb.CreateExperimentRequest(name=name, tags={"team": name.lower()}))
        registry.clock.advance(timedelta(seconds=1))

    async def names(**fields: Any) -> list[str]:
        request = pb.SearchExperimentsRequest(**fields)
        return [e.name for e in (await alice.experiments.SearchExperiments(request)).experiments]

    assert await names() == ["C", "a", "b"]
    name = {"field": "FIELD_ATTRIBUTE", "key": "name"}
    tag = {"field": "FIELD_TAG", "key": "team"}
    assert await names(conditions=[{**name, "comparison": "COMPARISON_ILIKE", "text": "c"}]) == ["C"]
    assert await names(conditions=[{**tag, "comparison": "COMPARISON_IN", "texts": ["a", "c"]}]) == ["C", "a"]
    newest = [{"field": "FIELD_ATTRIBUTE", "key": "creation_time", "descending": True}]
    assert await names(order_by=newest) == ["C", "a", "b"]
    with pytest.raises(Invalid, match="there is no attribute 'nope'") as refused:
        await names(conditions=[{**name, "key": "nope", "comparison": "COMPARISON_EQUAL"}])
    assert refused.value.violations[0].field == "conditions[0].key"


async def test_the_life_of_a_run_that_changes(alice: Any, registry: Any) -> None:
    experiment = await alice.experiment()
    parent = await alice.run()
    at = Timestamp(seconds=1_700_000_000)
    run = await alice.run("", experiment_id=experiment.id, parent_run_id=parent.id, started_at=at)
    assert (run.parent_run_id, run.started_at, run.experiment) == (parent.id, at, "delays")
    assert run.recorded_at != at

    async def update(**fields: Any) -> Any:
        return await alice.experiments.UpdateRun(pb.UpdateRunRequest(run_id=run.id, **fields))

    end = Timestamp(seconds=1_700_000_100)
    ended = await update(name="best", status=pb.RUN_STATUS_COMPLETED, ended_at=end)
    assert (ended.name, ended.status, ended.ended_at) == ("best", pb.RUN_STATUS_COMPLETED, end)
    tagged = await alice.experiments.SetRunTags(pb.SetRunTagsRequest(run_id=run.id, tags={"mlflow.note": "good"}))
    assert tagged.tags["mlflow.note"] == "good"
    untagged = await alice.experiments.DeleteRunTag(pb.DeleteRunTagRequest(run_id=run.id, key="mlflow.note"))
    assert not untagged.tags
    resumed = await update(status=pb.RUN_STATUS_RUNNING)
    assert not resumed.HasField("ended_at")
    inputs = [pb.DatasetInput(name="flights", digest="abc", source_type="http", tags={"mlflow.data.context": "train"})]
    read = await alice.experiments.LogInputs(pb.LogInputsRequest(run_id=run.id, datasets=inputs))
    assert list(read.inputs) == inputs
    made = await alice.experiments.LogOutputs(pb.LogOutputsRequest(run_id=run.id, models=[{"model_id": "m-1"}]))
    assert made.model_outputs[0].model_id == "m-1"

    await alice.experiments.DeleteRun(pb.DeleteRunRequest(run_id=run.id))
    with pytest.raises(NotAllowed, match="is deleted"):
        await alice.experiments.SetRunTags(pb.SetRunTagsRequest(run_id=run.id, tags={"a": "b"}))
    listed = await alice.experiments.ListRuns(pb.ListRunsRequest())
    assert [r.id for r in listed.runs] == [parent.id]
    back = await alice.experiments.RestoreRun(pb.RestoreRunRequest(run_id=run.id))
    assert not back.HasField("deleted_at")
    with pytest.raises(Invalid, match="parent_run_id: there is no run 'nope'"):
        await alice.run(parent_run_id="nope")
    with pytest.raises(Invalid, match="give one of the two"):
        await alice.run("other", experiment_id=experiment.id)


async def test_who_may_only_read_changes_nothing(alice: Any, registry: Any) -> None:
    made, run = await alice.experiment(), await alice.run()
    eve = registry.person("eve", "viewer")
    for call in (
        rename(eve, made.id, "x"),
        eve.experiments.DeleteRun(pb.DeleteRunRequest(run_id=run.id)),
        eve.experiments.LogMetrics(pb.LogMetricsRequest(run_id=run.id, columns=[{"name": "m"}])),
        eve.logged_models.CreateLoggedModel(logged_model_pb2.CreateLoggedModelRequest(experiment_id=made.id)),
    ):
        with pytest.raises(Forbidden, match=r"run\.write"):
            await call
    assert (await eve.experiments.SearchRuns(pb.SearchRunsRequest())).runs[0].id == run.id


async def test_another_tenants_things_are_not_there(alice: Any, registry: Any) -> None:
    made, run = await alice.experiment(), await alice.run()
    metric = pb.MetricColumn(name="m", steps=[0], times_ms=[0], values=[1])
    await alice.experiments.LogMetrics(pb.LogMetricsRequest(run_id=run.id, columns=[metric]))
    eve = registry.person("eve", tenant="other")
    for call in (
        rename(eve, made.id, "x"),
        by_id(eve, made.id),
        eve.experiments.DeleteRun(pb.DeleteRunRequest(run_id=run.id)),
        eve.experiments.LogMetrics(pb.LogMetricsRequest(run_id=run.id, columns=[metric])),
        eve.experiments.GetMetricHistory(pb.GetMetricHistoryRequest(run_id=run.id, metric="m")),
        eve.experiments.GetMetricHistory(pb.GetMetricHistoryRequest(run_id=run.id, metric="m", page_token="MDoxOjE=")),
    ):
        with pytest.raises(NotFound):
            await call
    with pytest.raises(Invalid, match="there is no experiment"):
        await eve.run("", experiment_id=made.id)
    assert not (await eve.experiments.SearchRuns(pb.SearchRunsRequest())).runs
    assert (await eve.experiment()).id != made.id


async def test_the_life_of_a_logged_model(alice: Any) -> None:
    uploaded, experiment = await alice.upload(), await alice.experiment()
    run = await alice.run()
    create = logged_model_pb2.CreateLoggedModelRequest(
        experiment_id=experiment.id, name="forest", source_run_id=run.id, parameters={"depth": "6"}, request_id="c1"
    )
    made = await alice.logged_models.CreateLoggedModel(create)
    assert made.id.startswith("m-")
    assert await alice.logged_models.CreateLoggedModel(create) == made
    artifact = model_pb2.Artifact(path="MLmodel", digest=uploaded.digest, size_bytes=uploaded.size_bytes)
    added = await alice.logged_models.AddToLoggedModel(
        logged_model_pb2.AddToLoggedModelRequest(
            model_id=made.id, tags={"k": "v"}, metrics=[{"name": "auc", "value": 0.7}], artifacts=[artifact]
        )
    )
    assert (added.tags["k"], added.metrics[0].value, list(added.artifacts)) == ("v", 0.7, [artifact])
    ready = logged_model_pb2.LOGGED_MODEL_STATUS_READY
    whole = await alice.logged_models.FinaliseLoggedModel(
        logged_model_pb2.FinaliseLoggedModelRequest(model_id=made.id, status=ready)
    )
    assert whole.status == ready

    async def found(**fields: Any) -> list[str]:
        request = logged_model_pb2.SearchLoggedModelsRequest(experiment_ids=[experiment.id], **fields)
        return [m.id for m in (await alice.logged_models.SearchLoggedModels(request)).models]

    metric = {"field": "FIELD_METRIC", "key": "auc", "comparison": "COMPARISON_GREATER", "number": 0.5}
    state = {"field": "FIELD_ATTRIBUTE", "key": "status", "comparison": "COMPARISON_EQUAL", "text": "READY"}
    assert await found(conditions=[metric, state]) == [made.id]
    assert await found(conditions=[{**metric, "number": 0.9}]) == []
    await alice.logged_models.DeleteLoggedModel(logged_model_pb2.DeleteLoggedModelRequest(model_id=made.id))
    assert await found() == []
    assert await found(view="VIEW_DELETED") == [made.id]
    with pytest.raises(Invalid, match="there is no experiment 'nope'"):
        await alice.logged_models.CreateLoggedModel(logged_model_pb2.CreateLoggedModelRequest(experiment_id="nope"))
