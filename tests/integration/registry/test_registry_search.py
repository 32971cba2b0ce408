"""Search finds what looking at every run would find, in the same order, now and as of before."""

from __future__ import annotations

import math
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from modelog_common.domain.errors import Invalid
from modelog_proto.common.v1 import common_pb2 as common
from modelog_proto.registry.v1 import experiment_pb2 as pb
from modelog_proto.registry.v1 import search_pb2
from modelog_registry.read.conditions import holds, sorted_by
from modelog_registry.read.runs import search_runs

METRICS, PARAMETERS, TAGS = ("auc", "loss"), ("depth", "model"), ("team", "mlflow.note")
TEXTS = ("6", "7", "forest", "Forest", "50%", "a_b", "back\\slash", "é*", "[x]?", "")
VALUES = (0.5, 0.7, 0.9, math.nan, math.inf, -math.inf, 0.0)
NUMBERS = [
    search_pb2.COMPARISON_EQUAL,
    search_pb2.COMPARISON_NOT_EQUAL,
    search_pb2.COMPARISON_LESS,
    search_pb2.COMPARISON_LESS_OR_EQUAL,
    search_pb2.COMPARISON_GREATER,
    search_pb2.COMPARISON_GREATER_OR_EQUAL,
    search_pb2.COMPARISON_IS_NULL,
    search_pb2.COMPARISON_IS_NOT_NULL,
]
ALL = [c for c in search_pb2.Comparison.values() if c]


async def search(person: Any, **fields: Any) -> Any:
    return await person.experiments.SearchRuns(pb.SearchRunsRequest(**fields))


def got(values: Any, key: str) -> Any:
    """A map of a message gives what is not there, too."""
    return values[key] if key in values else None  # noqa: SIM401


def value_of(run: Any, asked: Any) -> str | float | None:
    """What a run has where a condition looks."""
    match asked.field:
        case search_pb2.FIELD_METRIC:
            return got(run.metrics, asked.key)
        case search_pb2.FIELD_PARAMETER:
            return got(run.parameters, asked.key)
        case search_pb2.FIELD_TAG:
            return got(run.tags, asked.key)
    match asked.key:
        case "run_id":
            return str(run.id)
        case "run_name":
            return str(run.name)
        case "status":
            return pb.RunStatus.Name(run.status).removeprefix("RUN_STATUS_")
        case "user":
            return str(run.author)
        case "parent_run_id":
            return run.parent_run_id or None
        case "start_time":
            return int(run.started_at.ToMilliseconds())
        case _:
            return int(run.ended_at.ToMilliseconds()) if run.HasField("ended_at") else None


def some_condition(dice: Random, runs: list[Any]) -> Any:
    field, key, numeric = some_place(dice)
    texts = [*TEXTS, "f%", "%o_e%", "F%", "%", "_", "COMPLETED", "alice", dice.choice(runs).id, dice.choice(runs).name]
    time_ms = float(dice.choice(runs).started_at.ToMilliseconds())
    number = dice.choice(VALUES) if field == search_pb2.FIELD_METRIC else time_ms
    comparison = dice.choice(NUMBERS if numeric else ALL)
    return search_pb2.Condition(
        field=field, key=key, comparison=comparison, text=dice.choice(texts), number=number, texts=dice.sample(texts, 2)
    )


def some_place(dice: Random) -> tuple[Any, str, bool]:
    match dice.randrange(4):
        case 0:
            return search_pb2.FIELD_METRIC, dice.choice(METRICS), True
        case 1:
            return search_pb2.FIELD_PARAMETER, dice.choice(PARAMETERS), False
        case 2:
            return search_pb2.FIELD_TAG, dice.choice(TAGS), False
        case _:
            key = dice.choice(sorted(search_runs.ATTRIBUTES))
            return search_pb2.FIELD_ATTRIBUTE, key, search_runs.ATTRIBUTES[key] is float


def met(runs: list[Any], request: Any) -> list[str]:
    """The ids that looking at every run finds. NaN is unequal to itself, and to be had by asking for it."""

    def one(run: Any, condition: Any) -> bool:
        value = value_of(run, condition)
        if condition.field == search_pb2.FIELD_METRIC and value is not None:
            nans = [v != v for v in (value, condition.number)]
            if condition.comparison == search_pb2.COMPARISON_EQUAL and any(nans):
                return all(nans)
            if condition.comparison == search_pb2.COMPARISON_NOT_EQUAL and any(nans):
                return nans == [False, True]
        return holds(condition, value)

    newest = sorted(runs, key=lambda r: (-r.started_at.ToMicroseconds(), r.id))
    found = [run for run in newest if all(one(run, c) for c in request.conditions)]
    return [run.id for run in sorted_by(found, request.order_by, value_of)]


async def many_runs(alice: Any, registry: Any, dice: Random, count: int) -> list[str]:
    ids = []
    for n in range(count):
        parameters = {k: dice.choice(TEXTS) for k in PARAMETERS if dice.random() < 0.7}
        tags = {k: dice.choice(TEXTS) for k in TAGS if dice.random() < 0.7}
        run = await alice.run(dice.choice(["one", "two"]), name=f"run {n % 7}", parameters=parameters, tags=tags)
        ids.append(run.id)
        columns = [
            pb.MetricColumn(name=m, steps=[0, 1], times_ms=[0, 0], values=[9.0, dice.choice(VALUES)])
            for m in METRICS
            if dice.random() < 0.7
        ]
        if columns:
            await alice.experiments.LogMetrics(pb.LogMetricsRequest(run_id=run.id, columns=columns))
        if dice.random() < 0.4:
            await alice.experiments.EndRun(pb.EndRunRequest(run_id=run.id, status=dice.choice([2, 3, 4])))
        if dice.random() < 0.5:
            registry.clock.advance(timedelta(milliseconds=dice.choice([1, 1500])))
    return ids


@pytest.mark.parametrize(("few", "each"), [(0, 0), (5, 0), (0, 5), (1000, 5)])
async def test_search_finds_what_looking_at_every_run_finds(
    alice: Any, registry: Any, monkeypatch: pytest.MonkeyPatch, few: int, each: int
) -> None:
    """Whatever it starts from: a condition that few runs meet, or the order."""
    monkeypatch.setattr(search_runs, "FEW", few)
    monkeypatch.setattr(search_runs, "FEW_EACH", each)
    dice = Random(few + each)
    one, _ = await alice.experiment("one"), await alice.experiment("two")
    await many_runs(alice, registry, dice, 40)
    runs = list((await search(alice, page=common.Page(size=1000))).runs)
    assert len(runs) == 40
    for _ in range(150):
        only = dice.random() < 0.6
        request = pb.SearchRunsRequest(
            experiment_ids=[one.id] if only else [],
            conditions=[some_condition(dice, runs) for _ in range(dice.randrange(3))],
            page=common.Page(size=dice.choice([3, 1000])),
        )
        for _ in range(dice.randrange(3)):
            field, key, _ = some_place(dice)
            # Infinities stand in the order where the largest numbers do.
            request.order_by.add(field=field, key=key, descending=dice.random() < 0.5)
        wanted = met([r for r in runs if not only or r.experiment_id == one.id], request)
        seen: list[str] = []
        while True:
            answer = await alice.experiments.SearchRuns(request)
            seen += [r.id for r in answer.runs]
            if not answer.next_page_token:
                break
            request.page.token = answer.next_page_token
        request.page.token = ""
        assert seen == wanted, request


async def test_search_as_of_before_and_of_what_is_deleted(alice: Any) -> None:
    await alice.experiment()
    run = await alice.run(tags={"team": "a"})
    tag = {"field": "FIELD_TAG", "key": "team", "comparison": "COMPARISON_EQUAL", "text": "a"}
    changed = await alice.experiments.SetRunTags(pb.SetRunTagsRequest(run_id=run.id, tags={"team": "b"}))
    assert not (await search(alice, conditions=[tag])).runs
    before = common.ReadOptions(as_of=str(changed.position - 1))
    assert list((await search(alice, conditions=[tag], read=before)).runs) == [run]
    gone = await alice.experiments.DeleteRunTag(pb.DeleteRunTagRequest(run_id=run.id, key="team"))
    assert len((await search(alice, conditions=[{**tag, "comparison": "COMPARISON_IS_NULL"}])).runs) == 1
    await alice.experiments.DeleteRun(pb.DeleteRunRequest(run_id=run.id))
    assert [len((await search(alice, view=v)).runs) for v in ("VIEW_UNSPECIFIED", "VIEW_DELETED", "VIEW_ALL")] == [
        0,
        1,
        1,
    ]
    then = common.ReadOptions(as_of=str(gone.position))
    assert len((await search(alice, read=then)).runs) == 1


async def test_runs_come_as_bytes_where_they_are_wanted_so(alice: Any) -> None:
    await alice.experiment()
    run = await alice.run(tags={"team": "a", "one": "1", "two": "2"})
    found = (await search(alice)).runs
    answer = await search(alice, encoded=True)
    assert not answer.runs
    assert [pb.Run.FromString(encoded) for encoded in answer.encoded_runs] == list(found) == [run]
    assert (await search(alice, encoded=True)).encoded_runs == answer.encoded_runs
    await alice.experiments.SetRunTags(pb.SetRunTagsRequest(run_id=run.id, tags={"team": "b"}))
    (changed,) = (await search(alice, encoded=True)).encoded_runs
    assert pb.Run.FromString(changed).tags["team"] == "b"


async def test_runs_are_found_by_the_run_that_they_are_part_of(alice: Any) -> None:
    experiment = await alice.experiment("one")
    parent = await alice.run("one")
    for name in ("first", "second"):
        await alice.experiments.StartRun(
            pb.StartRunRequest(experiment_id=experiment.id, name=name, parent_run_id=parent.id, request_id=name)
        )

    async def found(comparison: Any) -> list[str]:
        part_of = search_pb2.Condition(
            field=search_pb2.FIELD_ATTRIBUTE, key="parent_run_id", comparison=comparison, text=parent.id
        )
        return sorted(run.name for run in (await search(alice, conditions=[part_of])).runs)

    assert await found(search_pb2.COMPARISON_EQUAL) == ["first", "second"]
    assert await found(search_pb2.COMPARISON_IS_NULL) == [parent.name]


async def test_runs_are_found_by_what_they_read(alice: Any) -> None:
    await alice.experiment()
    run, _ = await alice.run(), await alice.run()
    datasets = [
        pb.DatasetInput(name="flights", digest="abc", tags={"mlflow.data.context": "train"}),
        pb.DatasetInput(name="flights", digest="def", tags={"mlflow.data.context": "test"}),
    ]
    await alice.experiments.LogInputs(pb.LogInputsRequest(run_id=run.id, datasets=datasets))
    for key, text in (("name", "flights"), ("digest", "def"), ("context", "train")):
        condition = {"field": "FIELD_DATASET", "key": key, "comparison": "COMPARISON_EQUAL", "text": text}
        assert [r.id for r in (await search(alice, conditions=[condition])).runs] == [run.id]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"conditions": [{"field": 1, "key": "nope", "comparison": 1}]}, "conditions[0].key"),
        ({"conditions": [{"field": 2, "key": "auc", "comparison": 7}]}, "conditions[0].comparison"),
        ({"conditions": [{"field": 4, "key": "t", "comparison": 9}]}, "conditions[0].texts"),
        ({"conditions": [{"field": 5, "key": "nope", "comparison": 1}]}, "conditions[0].key"),
        ({"conditions": [{"field": 2, "key": "auc"}]}, "conditions[0].comparison"),
        ({"order_by": [{"field": 5, "key": "name"}]}, "order_by[0].field"),
        (
            {"conditions": [{"field": 1, "key": "end_time", "comparison": 1, "number": math.nan}]},
            "conditions[0].number",
        ),
        ({"page": {"token": "x"}}, "page.token"),
    ],
)
async def test_a_search_that_makes_no_sense_is_told_why(alice: Any, wrong: Any, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        await search(alice, **wrong)
    assert [v.field for v in refused.value.violations] == [field]


async def test_a_deleted_experiment_hides_its_runs_where_all_are_looked_at(alice: Any) -> None:
    kept, gone = await alice.experiment("kept"), await alice.experiment("gone")
    for experiment in ("kept", "gone"):
        await alice.run(experiment, name=f"in {experiment}", parameters={"depth": "6"})
    six = {"field": "FIELD_PARAMETER", "key": "depth", "comparison": "COMPARISON_EQUAL", "text": "6"}

    async def found(**fields: Any) -> set[str]:
        plain, narrowed = await search(alice, **fields), await search(alice, conditions=[six], **fields)
        assert {run.id for run in plain.runs} == {run.id for run in narrowed.runs}
        return {run.name for run in plain.runs}

    async def listed(**read: Any) -> set[str]:
        request = pb.ListRunsRequest(read=common.ReadOptions(**read))
        return {run.name for run in (await alice.experiments.ListRuns(request)).runs}

    deleted = await alice.experiments.DeleteExperiment(pb.DeleteExperimentRequest(experiment_id=gone.id))
    then = {"as_of": str(deleted.position - 1)}
    both = {"in kept", "in gone"}
    assert await found() == await listed() == {"in kept"}
    assert await found(view="VIEW_DELETED") == {"in gone"}
    assert await found(view="VIEW_ALL") == both
    assert await found(read=common.ReadOptions(**then)) == await listed(**then) == both
    assert await found(experiment_ids=[gone.id]) == {"in gone"}, "whoever names it sees what is in it"
    assert await found(experiment_ids=[kept.id, gone.id]) == both
    await alice.experiments.RestoreExperiment(pb.RestoreExperimentRequest(experiment_id=gone.id))
    assert await found() == await listed() == both
