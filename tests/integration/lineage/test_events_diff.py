"""What changed between two moments, in words, from a running service."""

from __future__ import annotations

from typing import Any

import pytest
from lineage_support import Log, Person, Place
from modelog_common.domain.errors import Invalid
from modelog_proto.lineage.v1 import lineage_pb2 as pb


async def diff(person: Person, since: object, until: object = "") -> pb.DiffEventsResponse:
    request = pb.DiffEventsRequest(since=str(since), until=str(until))
    answer: pb.DiffEventsResponse = await person.audit.DiffEvents(request)
    return answer


def told(answer: pb.DiffEventsResponse) -> dict[str, list[str]]:
    return {f"{entity.kind} {entity.name}": list(entity.sentences) for entity in answer.entities}


async def test_a_promotion_is_told_with_who_approved_it(bare: Place, log: Log, story: dict[str, int]) -> None:
    async with bare.running():
        found = await diff(bare.person(), story["approved"], story["promoted"])
    assert (found.since, found.until, found.events) == (story["approved"], story["promoted"], 1)
    assert dict(found.events_by_type) == {"registry.VersionPromoted": 1}
    assert told(found) == {
        "model flight-delay": [
            "flight-delay 1.0.0 went from staging to production, approved by bob, promoted by alice: good"
        ]
    }
    assert not found.entities[0].is_new


async def test_traffic_is_told_from_what_it_was(bare: Place, log: Log, story: dict[str, int]) -> None:
    async with bare.running():
        both = await diff(bare.person(), story["challenged"], story["switched"])
        second = await diff(bare.person(), story["canary"], story["switched"])
    assert told(both)["deployment live"] == [
        "the traffic of live went from 100 % 1.0.0 to 100 % 1.1.0 in 2 steps, set by alice: won"
    ]
    assert told(second)["deployment live"] == [
        "the traffic of live went from 90 % 1.0.0 and 10 % 1.1.0 to 100 % 1.1.0, set by alice: won"
    ]


async def test_the_whole_story(bare: Place, log: Log, story: dict[str, int]) -> None:
    async with bare.running():
        found = await diff(bare.person(), 0)
        by_time = await diff(bare.person(), "2000-01-01T00:00:00Z", "2999-01-01T00:00:00+01:00")
    names = told(found)
    assert found == by_time
    assert list(names)[:2] == ["model flight-delay", "deployment live"]
    assert names["user alice"] == ["admin added the user alice (developer)"]
    assert (
        "flight-delay 1.0.0 went from staging to archived, promoted by alice: replaced" in names["model flight-delay"]
    )
    assert names["run fit"] == ["alice started the run fit in the experiment delays", "run r1 completed"]
    assert all(entity.is_new for entity in found.entities)
    assert sum(found.events_by_type.values()) == found.events == story["archived"]
    assert found.first_at.ToDatetime() <= found.last_at.ToDatetime()


async def test_a_job_that_began_before_is_named(bare: Place, log: Log, story: dict[str, int]) -> None:
    async with bare.running():
        found = await diff(bare.person(), 5, 6)
    assert told(found) == {"job fit": ["job j1 began attempt 1"]}


async def test_nothing_is_told_of_another_tenant(bare: Place, log: Log, story: dict[str, int]) -> None:
    await log.append("registry.model/ModelRegistered", "secret", tenant="umbrella", name="secret", author="eve")
    async with bare.running():
        assert (await diff(bare.person(), story["archived"])).events == 0
        eve = await diff(bare.person("eve", "umbrella"), 0)
    assert told(eve) == {"model secret": ["eve registered the model secret"]}


async def test_much_of_the_same_is_told_once(bare: Place, log: Log) -> None:
    for _ in range(60):
        await log.append(
            "registry.run/RunLogged", "r", run_id="r", parameters={"a": 1}, metrics=[], artifacts=[], tags={},
            environment=None,
        )  # fmt: skip
    for n in range(60):
        await log.append("registry.run/RunEnded", "r", run_id="r", status="failed", error=str(n))
    async with bare.running():
        entity = (await diff(bare.person(), 0)).entities[0]
    assert entity.sentences[0] == "run r logged 60 times"
    assert (entity.events, len(entity.sentences), entity.left_off) == (120, 50, 11)


@pytest.mark.parametrize(
    ("ends", "field", "text"),
    [
        ({"since": "3", "until": "2"}, "since", "position 3 is after 2"),
        ({"since": "9999"}, "since", "is in the future"),
        ({"since": "0", "until": "9999"}, "until", "is in the future"),
        ({"since": ""}, "since", "is missing"),
        ({"since": "yesterday"}, "since", "a position such as"),
        ({"since": "2026-99-01T00:00:00Z"}, "since", "neither a position nor"),
    ],
)
async def test_wrong_ends_are_named(
    bare: Place, log: Log, story: dict[str, int], ends: dict[str, Any], field: str, text: str
) -> None:
    async with bare.running():
        with pytest.raises(Invalid, match=text) as refused:
            await bare.person().audit.DiffEvents(pb.DiffEventsRequest(**ends))
    assert [v.field for v in refused.value.violations] == [field]
