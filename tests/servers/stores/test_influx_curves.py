"""InfluxDB passes the suite of curves, keeps what it acknowledged, and what arrives late takes nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest
from curve_suite import EVERYTHING, CurveStoreSuite, append, curve
from modelog_common.domain.errors import Unavailable
from modelog_common.stores.curves import CurveStore, block_of, digest_of
from modelog_common.stores.curves.influx import InfluxCurveStore
from severed import way_to


def address(url: str, influxdb: Any, bucket: str) -> str:
    return f"{url.replace('http', 'influxdb', 1)}/{influxdb.org}/{bucket}"


def opened(influxdb: Any, bucket: str) -> InfluxCurveStore:
    return InfluxCurveStore(address(influxdb.url, influxdb, bucket), influxdb.token)


@pytest.fixture
def bucket() -> str:
    return uuid4().hex


@pytest.fixture
async def stores(influxdb: Any, bucket: str) -> AsyncIterator[list[InfluxCurveStore]]:
    """Every one that was opened, the last one being in use."""
    stores = [opened(influxdb, bucket)]
    yield stores
    for store in stores:
        await store.close()


class TestInfluxCurveStore(CurveStoreSuite):
    @pytest.fixture
    async def curves(self, stores: list[InfluxCurveStore]) -> CurveStore:
        return stores[-1]

    @pytest.fixture
    def reopened(
        self, stores: list[InfluxCurveStore], influxdb: Any, bucket: str
    ) -> Callable[[], Awaitable[CurveStore]]:
        async def again() -> CurveStore:
            await stores.pop().close()
            stores.append(opened(influxdb, bucket))
            return stores[-1]

        return again


async def values(store: CurveStore, last: int = EVERYTHING) -> list[float]:
    return list((await store.history("r", "m", last, 0, 9)).values)


async def test_what_was_acknowledged_outlasts_a_kill_of_influxdb(
    stores: list[InfluxCurveStore], influxdb: Any, bucket: str
) -> None:
    await append(stores[0], "r", "alice", "1", [curve("m", (0, 0, 1))])
    influxdb.kill()
    for ask in (append(stores[0], "r", "alice", "2", [curve("m", (1, 0, 2))]), stores[0].runs()):
        with pytest.raises(Unavailable, match=f"the store of curves at {influxdb.url} does not answer"):
            await ask
    influxdb.start()
    assert await values(stores[0]) == [1]
    made = await append(stores[0], "r", "alice", "2", [curve("m", (1, 0, 2))])
    assert made is not None
    assert made.number == 2
    stores.append(opened(influxdb, bucket))
    assert await values(stores[-1]) == [1, 2]


async def test_a_request_whose_answer_was_lost_counts_once(
    stores: list[InfluxCurveStore], influxdb: Any, bucket: str
) -> None:
    await append(stores[0], "r", "alice", "1", [curve("m", (0, 0, 1))])
    async with way_to(influxdb.url) as way:
        cut = InfluxCurveStore(address(way.address, influxdb, bucket), influxdb.token)
        await cut.runs()
        assert await values(cut) == [1]
        way.lose_answers()
        with pytest.raises(Unavailable, match="does not answer"):
            await append(cut, "r", "alice", "2", [curve("m", (1, 0, 2))])
        await way.cut()
        await way.open()
        assert await append(cut, "r", "alice", "2", [curve("m", (1, 0, 2))]) is None
        assert await append(cut, "r", "alice", "3", [curve("m", (2, 0, 3))]) is not None
        await cut.close()
    stores.append(opened(influxdb, bucket))
    assert await values(stores[-1]) == [1, 2, 3]


async def test_what_arrives_late_takes_nobodys_place(
    stores: list[InfluxCurveStore], influxdb: Any, bucket: str
) -> None:
    """The first store stands for a process that was killed while its last requests were on their way."""
    late = stores[0]
    await append(late, "r", "alice", "1", [curve("m", (0, 0, 1))])
    stores.append(opened(influxdb, bucket))
    await append(stores[-1], "r", "alice", "again", [curve("m", (1, 0, 2))])
    await append(late, "r", "alice", "never acknowledged", [curve("m", (1, 0, 99))])
    await append(late, "r", "alice", "again", [curve("m", (1, 0, 2))])
    stores.append(opened(influxdb, bucket))
    assert await values(stores[-1]) == [1, 2]
    made = await append(stores[-1], "r", "alice", "never acknowledged", [curve("m", (3, 0, 4))])
    assert made is not None
    assert made.number == 3
    assert await values(stores[-1]) == [1, 2, 4]


async def test_runs_and_requests_may_have_any_name(stores: list[InfluxCurveStore], influxdb: Any, bucket: str) -> None:
    run, names = 'a@b, "c"=d\\ é漢\n', ["%", 'x"y', "z=1,2 3", "漢字", "a\\", "@"]
    for n, name in enumerate(names):
        made = await stores[-1].append(run, "t@ 1", 'al"ice\n', f"{name} request\0", block_of([curve(name, (n, n, n))]))
        assert made is not None
    stores.append(opened(influxdb, bucket))
    again = await stores[-1].batches(run, 1, len(names))
    assert [(b.run, b.tenant, b.author, b.request) for b in again] == [
        (run, "t@ 1", 'al"ice\n', f"{name} request\0") for name in names
    ]
    for n, name in enumerate(names):
        assert list((await stores[-1].history(run, name, EVERYTHING, 0, 9)).steps) == [n]
    await stores[-1].drop(run)
    stores.append(opened(influxdb, bucket))
    assert await stores[-1].runs() == []


async def test_a_batch_of_many_points_and_metrics_comes_back_whole(
    stores: list[InfluxCurveStore], influxdb: Any, bucket: str
) -> None:
    names = [f"{'metric ' * 20}{n}" for n in range(5_000)]
    made = await append(stores[-1], "r", "alice", "1", [curve(name, (1, 2, 0.1), (2, 3, 0.2)) for name in names])
    assert made is not None
    stores.append(opened(influxdb, bucket))
    assert digest_of(await stores[-1].batches("r", 1, 1)) == digest_of([made])
    assert list((await stores[-1].history("r", names[-1], 1, 0, 9)).values) == [0.1, 0.2]
