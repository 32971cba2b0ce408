"""Datasets through gRPC."""

from __future__ import annotations

from typing import Any

import pytest
from modelog_common.domain.errors import Invalid, NotFound
from modelog_proto.common.v1 import common_pb2 as common
from modelog_proto.registry.v1 import dataset_pb2 as pb

COLUMNS = [pb.Column(name="hour", type="int32"), pb.Column(name="carrier", type="string")]


async def register(person: Any, digest: str, dataset: str = "flights", **fields: Any) -> Any:
    request = {"dataset": dataset, "digest": digest * 64, "schema": COLUMNS, "rows": 5, "size_bytes": 50, **fields}
    return await person.datasets.RegisterDatasetVersion(pb.RegisterDatasetVersionRequest(**request))


async def get(person: Any, version: int, **read: Any) -> Any:
    request = pb.GetDatasetVersionRequest(dataset="flights", version=version, read=common.ReadOptions(**read))
    return await person.datasets.GetDatasetVersion(request)


async def test_versions_are_counted_and_named_by_content(alice: Any, bob: Any) -> None:
    between = pb.Expectation(column="hour", kind="between", minimum=0, maximum=23)
    in_set = pb.Expectation(column="carrier", kind="in_set", values=["UA"])
    first = await register(alice, "a", label="2013-01", expectations=[between, in_set], description="January")
    assert (first.version, first.label, first.rows, first.author) == (1, "2013-01", 5, "alice")
    assert (list(first.schema), list(first.expectations)) == (COLUMNS, [between, in_set])
    assert not first.expectations[1].HasField("minimum")
    second = await register(bob, "b")
    assert (second.version, second.author) == (2, "bob")
    assert await register(alice, "b", label="again") == second, "the newest content again adds nothing"
    third = await register(alice, "a")
    assert third.version == 3
    assert await get(alice, 1) == first
    listed = await alice.datasets.ListDatasetVersions(pb.ListDatasetVersionsRequest(dataset="flights"))
    assert list(listed.versions) == [first, second, third]
    datasets = await alice.datasets.ListDatasets(pb.ListDatasetsRequest())
    assert [(d.name, d.latest_version) for d in datasets.datasets] == [("flights", 3)]


async def test_the_same_request_gives_its_version_back(alice: Any) -> None:
    first = await register(alice, "a", request_id="r1")
    await register(alice, "b", request_id="r2")
    assert await register(alice, "a", request_id="r1") == first


async def test_more_than_ten_versions_stay_in_order(alice: Any) -> None:
    for n in range(12):
        await register(alice, "ab"[n % 2])
    page = common.Page(size=11)
    first = await alice.datasets.ListDatasetVersions(pb.ListDatasetVersionsRequest(dataset="flights", page=page))
    assert [v.version for v in first.versions] == list(range(1, 12))
    page = common.Page(size=11, token=first.next_page_token)
    rest = await alice.datasets.ListDatasetVersions(pb.ListDatasetVersionsRequest(dataset="flights", page=page))
    assert [v.version for v in rest.versions] == [12]


async def test_tenants_do_not_see_each_other(alice: Any, registry: Any) -> None:
    await register(alice, "a")
    eve = registry.person("eve", tenant="other")
    with pytest.raises(NotFound, match="no version 1 of a dataset 'flights'"):
        await get(eve, 1)
    assert not (await eve.datasets.ListDatasets(pb.ListDatasetsRequest())).datasets
    assert (await register(eve, "b")).version == 1


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"dataset": "../flights"}, "dataset"),
        ({"schema": []}, "schema"),
        ({"schema": [*COLUMNS, COLUMNS[0]]}, "schema[2].name"),
        ({"rows": -1}, "rows"),
        ({"expectations": [pb.Expectation(column="minute", kind="unique")]}, "expectations[0].column"),
        ({"expectations": [pb.Expectation(column="hour", kind="prime")]}, "expectations[0].kind"),
        ({"expectations": [pb.Expectation(column="hour", kind="between")]}, "expectations[0].minimum"),
    ],
)
async def test_a_wrong_version_is_refused(alice: Any, wrong: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        await register(alice, "a", **wrong)
    assert [v.field for v in refused.value.violations] == [field]
    assert not (await alice.datasets.ListDatasets(pb.ListDatasetsRequest())).datasets
