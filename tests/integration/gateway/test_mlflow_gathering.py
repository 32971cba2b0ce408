"""Many clients that log a point at a time: what comes together goes together, and each is told its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from mlflow_http import API, Mlflow
from modelog_common.domain.errors import NotAllowed, Unavailable
from modelog_common.rpc.call import Call, calling
from modelog_common.security.tokens import Identity
from modelog_gateway.mlflow import gathering as gathering_module
from modelog_gateway.mlflow.gathering import ENOUGH, Gathering, gathered_points
from modelog_proto.registry.v1 import experiment_pb2 as pb
from small_platform import SmallPlatform

CLIENTS, POINTS = 12, 20


@pytest.fixture
async def client(platform: SmallPlatform) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {platform.token('alice', 'admin')}"}
    async with httpx.AsyncClient(base_url=platform.url, headers=headers, timeout=150) as made:
        yield made


async def test_every_point_of_many_clients_is_kept_once(client: httpx.AsyncClient, http: httpx.Client) -> None:
    mlflow = Mlflow(http)
    runs = [mlflow.run() for _ in range(4)]

    async def log(n: int) -> None:
        for step in range(POINTS):
            body = {"run_id": runs[n % 4], "key": f"m{n}", "value": step, "timestamp": 1_700_000_000_000, "step": step}
            answer = await client.post(f"{API}/runs/log-metric", json=body)
            assert answer.status_code == 200, answer.text

    async with asyncio.TaskGroup() as group:
        for n in range(CLIENTS):
            group.create_task(log(n))
    for n in range(CLIENTS):
        told = mlflow.get("/metrics/get-history", run_id=runs[n % 4], metric_key=f"m{n}")["metrics"]
        assert [point["step"] for point in told] == list(range(POINTS))


async def test_one_that_is_refused_takes_no_other_along(client: httpx.AsyncClient, http: httpx.Client) -> None:
    mlflow = Mlflow(http)
    good, deleted = mlflow.run(), mlflow.run()
    mlflow.post("/runs/delete", run_id=deleted)
    bodies = [
        {"run_id": deleted if n % 3 == 0 else good, "key": f"m{n}", "value": n, "timestamp": 1_700_000_000_000}
        for n in range(30)
    ]
    answers = await asyncio.gather(*(client.post(f"{API}/runs/log-metric", json=body) for body in bodies))
    assert [a.status_code for a in answers] == [400 if n % 3 == 0 else 200 for n in range(30)]
    assert mlflow.data(good) == {f"m{n}": n for n in range(30) if n % 3}


async def test_runs_that_are_started_together_are_each_told_their_own(
    client: httpx.AsyncClient, http: httpx.Client
) -> None:
    mlflow = Mlflow(http)
    mlflow.run()
    bodies = [{"experiment_id": "nowhere" if n % 5 == 0 else "0", "run_name": f"r{n}"} for n in range(20)]
    answers = await asyncio.gather(
        *(
            client.post(f"{API}/runs/create", json=body, headers={"X-Correlation-ID": f"start {body['run_name']}"})
            for body in bodies
        )
    )
    assert [a.status_code for a in answers] == [400 if n % 5 == 0 else 200 for n in range(20)]
    started = [a.json()["run"]["info"] for a in answers if a.status_code == 200]
    assert [run["run_name"] for run in started] == [f"r{n}" for n in range(20) if n % 5]
    assert len({run["run_id"] for run in started}) == 16
    assert [a.headers["X-Correlation-ID"] for a in answers] == [f"start r{n}" for n in range(20)]


class Stub:
    """A registry that holds every call until it is let go, and refuses runs named `bad`."""

    def __init__(self) -> None:
        self.let_go = asyncio.Event()
        self.broken = False
        self.alone: list[str] = []
        self.together: list[list[str]] = []

    async def LogMetrics(self, request: pb.LogMetricsRequest) -> pb.LogMetricsResponse:
        self.alone.append(request.run_id)
        await self.let_go.wait()
        if request.run_id == "bad":
            raise NotAllowed("bad")
        return pb.LogMetricsResponse()

    async def LogMetricsOfRuns(self, request: pb.LogMetricsOfRunsRequest) -> None:
        self.together.append([run.run_id for run in request.runs])
        await self.let_go.wait()
        if self.broken:
            raise RuntimeError("broken")
        if "bad" in self.together[-1]:
            raise Unavailable("one of them")


def by(user: str) -> Call:
    return Call(Identity(user, "t", frozenset()), "c", token=user)


Tasks = list[asyncio.Task[pb.LogMetricsResponse]]


async def sent(gathering: Gathering[pb.LogMetricsRequest, pb.LogMetricsResponse], stub: Stub, *runs: str) -> Tasks:
    """Writes of one caller, as far as they get while no call is answered."""
    calls = len(stub.alone) + len(stub.together)
    with calling(by("alice")):
        tasks = [asyncio.create_task(gathering.send(pb.LogMetricsRequest(run_id=run_id))) for run_id in runs]
        while len(stub.alone) + len(stub.together) == calls:
            await asyncio.sleep(0)
    return tasks


async def test_what_comes_while_a_call_is_under_way_goes_with_the_next() -> None:
    stub = Stub()
    gathering = gathered_points(stub)  # type: ignore[arg-type]
    tasks = await sent(gathering, stub, "r0")
    with calling(by("alice")):
        tasks += [asyncio.create_task(gathering.send(pb.LogMetricsRequest(run_id=f"r{n}"))) for n in range(1, ENOUGH)]
    await asyncio.sleep(0.01)
    assert (stub.alone, stub.together) == (["r0"], [])
    stub.let_go.set()
    await asyncio.gather(*tasks)
    assert (stub.alone, stub.together) == (["r0"], [[f"r{n}" for n in range(1, ENOUGH)]])


async def test_when_many_wait_a_second_call_takes_its_share_and_no_third_one_goes() -> None:
    stub = Stub()
    gathering = gathered_points(stub)  # type: ignore[arg-type]
    tasks = await sent(gathering, stub, "r0")
    tasks += await sent(gathering, stub, *(f"r{n}" for n in range(1, 16)))
    await asyncio.sleep(0.01)
    assert (stub.alone, stub.together) == (["r0"], [[f"r{n}" for n in range(1, 9)]])
    stub.let_go.set()
    await asyncio.gather(*tasks)
    assert sorted(run for runs in stub.together for run in runs) == sorted(f"r{n}" for n in range(1, 16))


async def test_callers_do_not_go_together_and_a_refusal_is_told_to_its_own() -> None:
    stub = Stub()
    stub.let_go.set()
    gathering = gathered_points(stub)  # type: ignore[arg-type]
    tasks = []
    for user in ("alice", "bob"):
        with calling(by(user)):
            tasks += [
                asyncio.create_task(gathering.send(pb.LogMetricsRequest(run_id=run_id)))
                for run_id in (f"{user} 1", "bad", f"{user} 2")
            ]
    told = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(one, NotAllowed) for one in told] == [False, True, False] * 2
    assert all(len({run.split()[0] for run in runs} - {"bad"}) == 1 for runs in stub.together)


async def test_a_client_that_goes_away_leaves_the_others_in_place() -> None:
    stub = Stub()
    gathering = gathered_points(stub)  # type: ignore[arg-type]
    tasks = await sent(gathering, stub, "r0")
    with calling(by("alice")):
        tasks += [asyncio.create_task(gathering.send(pb.LogMetricsRequest(run_id=f"r{n}"))) for n in range(1, 4)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    tasks[2].cancel()
    await asyncio.sleep(0)
    stub.let_go.set()
    told = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(one, asyncio.CancelledError) for one in told] == [True, False, True, False]
    assert stub.together == [["r1", "r3"]]


async def test_who_went_together_is_waited_for_to_go_together_again(monkeypatch: pytest.MonkeyPatch) -> None:
    stub = Stub()
    gathering = gathered_points(stub)  # type: ignore[arg-type]
    tasks = await sent(gathering, stub, *(f"r{n}" for n in range(ENOUGH)))
    stub.let_go.set()
    await asyncio.gather(*tasks)
    monkeypatch.setattr(gathering_module, "GATHER_S", 60.0)
    again: Tasks = []
    with calling(by("alice")):
        for n in range(ENOUGH):
            again.append(asyncio.create_task(gathering.send(pb.LogMetricsRequest(run_id=f"r{n}"))))
            await asyncio.sleep(0.01)
    await asyncio.gather(*again)
    assert stub.together[1:] == [[f"r{n}" for n in range(ENOUGH)]]


async def test_nobody_waits_long_for_those_who_do_not_come() -> None:
    stub = Stub()
    gathering = gathered_points(stub)  # type: ignore[arg-type]
    tasks = await sent(gathering, stub, *(f"r{n}" for n in range(ENOUGH)))
    stub.let_go.set()
    await asyncio.gather(*tasks)
    async with asyncio.timeout(150):
        await asyncio.gather(*await sent(gathering, stub, "late"))
    assert stub.alone == ["late"]


async def test_what_was_not_expected_reaches_everybody_who_waits() -> None:
    stub = Stub()
    stub.broken = True
    gathering = gathered_points(stub)  # type: ignore[arg-type]
    tasks = await sent(gathering, stub, *(f"r{n}" for n in range(ENOUGH)))
    stub.let_go.set()
    told = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(one) for one in told] == [RuntimeError] * ENOUGH
    stub.broken = False
    await asyncio.gather(*await sent(gathering, stub, "after"))
    assert stub.alone == ["after"]
