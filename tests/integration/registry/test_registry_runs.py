"""Experiments and runs through gRPC."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from modelog_common.domain.errors import Invalid, NotAllowed, NotFound
from modelog_common.events.sqlite import SqliteEventStore
from modelog_proto.common.v1 import common_pb2 as common
from modelog_proto.registry.v1 import dataset_pb2, model_pb2
from modelog_proto.registry.v1 import experiment_pb2 as pb


async def log(person: Any, run_id: str, **fields: Any) -> Any:
    return await person.experiments.LogRun(pb.LogRunRequest(run_id=run_id, **fields))


async def end(person: Any, run_id: str, status: int = pb.RUN_STATUS_COMPLETED, **fields: Any) -> Any:
    return await person.experiments.EndRun(pb.EndRunRequest(run_id=run_id, status=status, **fields))


async def get(person: Any, run_id: str, **read: Any) -> Any:
    return await person.experiments.GetRun(pb.GetRunRequest(run_id=run_id, read=common.ReadOptions(**read)))


async def test_the_life_of_a_run(alice: Any) -> None:
    uploaded = await alice.upload()
    await alice.experiment()
    environment = pb.Environment(python="3.11", packages={"numpy": "2.4"}, git_commit="c0ffee", git_dirty=True)
    run = await alice.run(name="first", parameters={"depth": 6, "eta": 0.1}, environment=environment, tags={"k": "v"})
    assert (run.status, run.name, run.author, run.experiment) == (pb.RUN_STATUS_RUNNING, "first", "alice", "delays")
    assert (dict(run.parameters), run.environment) == ({"depth": 6, "eta": 0.1}, environment)

    at = Timestamp(seconds=1_700_000_000, nanos=123_000)
    points = [pb.MetricPoint(name="loss", value=v, step=s, at=at) for s, v in enumerate([0.9, 0.5, 0.4])]
    artifact = model_pb2.Artifact(path="plots/a.png", digest=uploaded.digest, size_bytes=uploaded.size_bytes)
    logged = await log(alice, run.id, metrics=points, parameters={"gamma": 0}, artifacts=[artifact], tags={"k": "w"})
    assert (logged.metrics["loss"], logged.tags["k"], dict(logged.parameters)["gamma"]) == (0.4, "w", 0)
    await log(alice, run.id, metrics=[pb.MetricPoint(name="loss", value=0.3, step=3, at=at)])

    ended = await end(alice, run.id)
    assert ended.status == pb.RUN_STATUS_COMPLETED
    assert ended.HasField("ended_at")
    whole = await get(alice, run.id)
    assert [p.value for p in whole.points] == [0.9, 0.5, 0.4, 0.3]
    assert list(whole.points)[:3] == points
    assert (whole.metrics["loss"], list(whole.artifacts)) == (0.3, [artifact])
    assert not ended.points, "points are in GetRun only"

    with pytest.raises(NotAllowed, match="ended as completed and takes nothing more"):
        await log(alice, run.id, tags={"late": "yes"})
    with pytest.raises(NotAllowed, match="it cannot end as failed too"):
        await end(alice, run.id, pb.RUN_STATUS_FAILED)
    assert await end(alice, run.id) == ended


async def test_values_that_are_no_numbers_come_back(alice: Any) -> None:
    await alice.experiment()
    run = await alice.run()
    values = [math.nan, math.inf, -math.inf, 5e-324, -0.0, 1.7976931348623157e308]
    points = [pb.MetricPoint(name=f"m{n}", value=v) for n, v in enumerate(values)]
    await log(alice, run.id, metrics=points)
    whole = await get(alice, run.id)
    assert [str(p.value) for p in whole.points] == [str(v) for v in values]
    assert [str(whole.metrics[f"m{n}"]) for n in range(len(values))] == [str(v) for v in values]


@pytest.mark.parametrize("name", ["задержка рейсов", "航班延误", "تأخير", "a/b?c=d&e", "λ 🛫", "x" * 200])
async def test_names_of_any_script(alice: Any, name: str) -> None:
    made = await alice.experiment(name)
    run = await alice.run(name, name=name, tags={name: name})
    await log(alice, run.id, metrics=[pb.MetricPoint(name=name, value=1)])
    whole = await get(alice, run.id)
    assert (made.name, whole.name, whole.tags[name], whole.metrics[name]) == (name, name, name, 1)
    listed = await alice.experiments.ListRuns(pb.ListRunsRequest(experiment=name))
    assert [r.id for r in listed.runs] == [run.id]


async def test_an_experiment_is_created_once(alice: Any, bob: Any) -> None:
    first = await alice.experiments.CreateExperiment(pb.CreateExperimentRequest(name="delays", description="why"))
    assert await bob.experiment() == first
    assert await bob.experiments.GetExperiment(pb.GetExperimentRequest(name="delays")) == first
    await alice.experiment("another")
    listed = await alice.experiments.ListExperiments(pb.ListExperimentsRequest())
    assert [e.name for e in listed.experiments] == ["another", "delays"]
    with pytest.raises(NotFound, match="no experiment 'nope'"):
        await alice.experiments.GetExperiment(pb.GetExperimentRequest(name="nope"))
    with pytest.raises(Invalid, match="name"):
        await alice.experiment("")
    with pytest.raises(Invalid, match="white space"):
        await alice.experiment(" delays")


async def test_the_same_request_starts_one_run(alice: Any, bob: Any) -> None:
    await alice.experiment()
    first = await alice.run(request_id="r1")
    await log(alice, first.id, metrics=[pb.MetricPoint(name="m", value=1)], request_id="l1")
    await log(alice, first.id, metrics=[pb.MetricPoint(name="m", value=1)], request_id="l1")
    assert (await alice.run(request_id="r1")).id == first.id
    assert (await bob.run(request_id="r1")).id != first.id
    assert len((await get(alice, first.id)).points) == 1


async def test_runs_newest_first(alice: Any, registry: Any) -> None:
    from datetime import timedelta

    await alice.experiment()
    await alice.experiment("other")
    made = []
    for experiment in ("delays", "other", "delays"):
        made.append((await alice.run(experiment)).id)
        registry.clock.advance(timedelta(seconds=1))
    everything = await alice.experiments.ListRuns(pb.ListRunsRequest())
    assert [r.id for r in everything.runs] == made[::-1]
    first = await alice.experiments.ListRuns(pb.ListRunsRequest(experiment="delays", page=common.Page(size=1)))
    page = common.Page(size=1, token=first.next_page_token)
    second = await alice.experiments.ListRuns(pb.ListRunsRequest(experiment="delays", page=page))
    assert [r.id for r in [*first.runs, *second.runs]] == [made[2], made[0]]


async def test_a_run_refers_to_what_exists(alice: Any, registry: Any) -> None:
    with pytest.raises(Invalid, match="there is no experiment 'delays'; create it first") as refused:
        await alice.run()
    assert refused.value.violations[0].field == "experiment"
    await alice.experiment()
    with pytest.raises(Invalid, match=r"datasets\[0\]: there is no version 1 of a dataset 'flights'"):
        await alice.run(datasets=[pb.RunDataset(dataset="flights", version=1, digest="a" * 64)])
    column = dataset_pb2.Column(name="hour", type="int32")
    await alice.datasets.RegisterDatasetVersion(
        dataset_pb2.RegisterDatasetVersionRequest(dataset="flights", digest="a" * 64, schema=[column])
    )
    with pytest.raises(Invalid, match=r"datasets\[0\]\.digest: is b+, but flights 1 was registered with a+"):
        await alice.run(datasets=[pb.RunDataset(dataset="flights", version=1, digest="b" * 64)])
    run = await alice.run(datasets=[pb.RunDataset(dataset="flights", version=1, digest="a" * 64)])
    assert run.datasets[0].dataset == "flights"
    with pytest.raises(Invalid, match="is not in the artifact store") as missing:
        await log(alice, run.id, artifacts=[model_pb2.Artifact(path="m", digest="0" * 64)])
    assert missing.value.violations[0].field == "artifacts[0].digest"

    await alice.upload()
    await alice.model()
    version = await alice.version(run_id=run.id, datasets=[common.DatasetRef(dataset="flights", version=1)])
    assert (version.run_id, version.datasets[0].dataset) == (run.id, "flights")
    eve = registry.person("eve", tenant="other")
    await eve.model()
    await eve.upload()
    with pytest.raises(Invalid, match=f"there is no run '{run.id}'"):
        await eve.version(run_id=run.id)


async def test_another_tenants_run_is_not_there(alice: Any, registry: Any) -> None:
    await alice.experiment()
    run = await alice.run()
    eve = registry.person("eve", tenant="other")
    for call in (get(eve, run.id), log(eve, run.id, tags={"a": "b"}), end(eve, run.id)):
        with pytest.raises(NotFound, match=f"there is no run '{run.id}'"):
            await call
    assert not (await eve.experiments.ListRuns(pb.ListRunsRequest())).runs
    with pytest.raises(NotFound):
        await log(alice, "nope-/\\ nope", tags={"a": "b"})


async def test_wrong_input_names_its_field(alice: Any) -> None:
    await alice.experiment()
    run = await alice.run(parameters={"depth": 6})
    for wrong, field in (
        ({"parameters": {"a": {"b": [1, math.nan]}}}, "parameters.a.b[1]"),
        ({"parameters": {"depth": 7}}, "parameters.depth"),
        ({"metrics": [pb.MetricPoint(name="", value=1)]}, "metrics[0].name"),
    ):
        with pytest.raises(Invalid) as refused:
            await log(alice, run.id, **wrong)
        assert [v.field for v in refused.value.violations] == [field]
    with pytest.raises(Invalid, match=r"metrics\[0\]\.at"):
        await log(alice, run.id, metrics=[pb.MetricPoint(name="m", at=Timestamp(seconds=10**15))])
    with pytest.raises(Invalid, match="status"):
        await end(alice, run.id, pb.RUN_STATUS_RUNNING)
    with pytest.raises(Invalid, match="status"):
        await end(alice, run.id, 0)


async def test_people_log_to_one_run_at_once(alice: Any, bob: Any) -> None:
    await alice.experiment()
    run = await alice.run()
    await asyncio.gather(
        *(log(p, run.id, metrics=[pb.MetricPoint(name="m", value=n, step=n)]) for n, p in enumerate([alice, bob] * 25))
    )
    whole = await get(alice, run.id)
    assert sorted(p.step for p in whole.points) == list(range(50))
    assert whole.metrics["m"] == 49


async def test_several_runs_are_started_at_once_and_each_once(alice: Any, registry: Any) -> None:
    experiment = await alice.experiment()
    runs = [
        pb.StartRunRequest(experiment_id=experiment.id, name=name, request_id=f"start {name}", tags={"of": name})
        for name in ("a", "b", "c")
    ]
    first = (await alice.experiments.StartRuns(pb.StartRunsRequest(runs=runs, correlation_ids=["x", "", "z"]))).runs
    assert [(run.name, run.tags["of"], run.author) for run in first] == [(n, n, "alice") for n in ("a", "b", "c")]
    again = (await alice.experiments.StartRuns(pb.StartRunsRequest(runs=runs))).runs
    assert [run.id for run in again] == [run.id for run in first]
    assert (await alice.experiments.StartRun(runs[1])).id == first[1].id, "it is the same request when it comes alone"
    store = await SqliteEventStore.open(registry.settings.event_store_path(), registry.clock)
    told = [[e.correlation_id async for e in store.read_stream(f"registry.run-{run.id}")] for run in first]
    await store.close()
    assert [len(ids) for ids in told] == [1, 1, 1]
    assert (told[0], told[2]) == (["x"], ["z"])
    assert told[1][0] not in ("", "x", "z")


async def test_a_run_that_cannot_be_started_is_told_and_the_others_are_there(alice: Any) -> None:
    experiment = await alice.experiment()
    good = pb.StartRunRequest(experiment_id=experiment.id, request_id="good")
    bad = pb.StartRunRequest(experiment_id="nowhere", request_id="bad")
    with pytest.raises(Invalid, match="nowhere"):
        await alice.experiments.StartRuns(pb.StartRunsRequest(runs=[bad, good]))
    started = await alice.experiments.StartRun(good)
    assert [run.id for run in (await alice.experiments.ListRuns(pb.ListRunsRequest())).runs] == [started.id]


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (pb.StartRunsRequest(), "runs"),
        (pb.StartRunsRequest(runs=[pb.StartRunRequest()]), r"runs\[0\].request_id"),
        (pb.StartRunsRequest(runs=[pb.StartRunRequest(request_id="1")], correlation_ids=["a", "b"]), "correlation_ids"),
    ],
)
async def test_starts_that_make_no_sense_are_told_why(alice: Any, asked: pb.StartRunsRequest, field: str) -> None:
    with pytest.raises(Invalid, match=field):
        await alice.experiments.StartRuns(asked)
