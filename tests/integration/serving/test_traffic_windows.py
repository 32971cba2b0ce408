"""Requests through the real edges become windows of traffic in the log of events, each request once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from modelog_common.adapters import open_event_store
from modelog_common.domain.context import Context
from modelog_common.domain.errors import Invalid, NotFound, Unavailable
from modelog_common.events.entities import Entities
from modelog_common.events.store import StoredEvent
from modelog_common.read.project import Projector
from modelog_proto.common.v1 import common_pb2
from modelog_proto.inference import grpc_predict_v2_pb2 as oip
from modelog_proto.serving.v1 import deployment_pb2 as pb
from modelog_serving.events import EVENTS
from modelog_serving.predlog import seal
from modelog_serving.traffic.commands import RecordWindow
from modelog_serving.traffic.decide import TRAFFIC
from modelog_serving.traffic.events import TrafficMeasured, VersionTraffic
from modelog_serving.traffic.latency import Latencies
from serving_rig import PATIENCE_S, Caller, Rig, registry_of, serving_of, until


def asked(version: str = "", columns: int = 4) -> Any:
    tensor = oip.ModelInferRequest.InferInputTensor(name="features", datatype="FP32", shape=[1, columns])
    raw = [np.zeros(columns, "<f4").tobytes()]
    return oip.ModelInferRequest(model_name="flights", model_version=version, inputs=[tensor], raw_input_contents=raw)


async def windows(rig: Rig) -> list[TrafficMeasured]:
    """All windows in the log of events."""
    store = await open_event_store(rig.settings(), rig.clock)
    try:
        stored = [e async for e in store.read_all(categories=["serving.traffic"], until=await store.head())]
    finally:
        await store.close()
    assert {(e.tenant, e.actor) for e in stored} <= {("acme", "service:serving")}
    return [EVENTS.decode(e.type, e.schema, e.payload) for e in stored]


def counted(found: list[TrafficMeasured]) -> dict[str, tuple[int, int, int]]:
    """Requests, errors and answers by version."""
    sums: Counter[tuple[str, str]] = Counter()
    for window in found:
        assert (window.name, window.model) == ("flights", "flight-delay")
        for v in window.versions:
            sums[v.version, "requests"] += v.requests
            sums[v.version, "errors"] += v.errors
            sums[v.version, "answers"] += sum(v.latencies.counts)
    return {v: (sums[v, "requests"], sums[v, "errors"], sums[v, "answers"]) for v, _ in sums}


async def test_a_stopped_process_has_told_of_every_request(tmp_path: Path) -> None:
    async with registry_of(Rig(tmp_path)) as rig:
        for start in range(2):
            async with serving_of(rig):
                alice = rig.caller()
                if start == 0:
                    await alice.deploy()
                for _ in range(5):
                    await alice.inference.ModelInfer(asked())
                # Neither scoring with a given version nor what the caller did wrong says anything of the traffic.
                await alice.inference.ModelInfer(asked("1.1.0"))
                with pytest.raises(Invalid):
                    await alice.inference.ModelInfer(asked(columns=3))
        assert counted(await windows(rig)) == {"1.0.0": (10, 0, 10)}


async def test_a_window_is_told_when_it_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELOG_SERVING_TRAFFIC_WINDOW_S", "1")
    async with registry_of(Rig(tmp_path)) as rig, serving_of(rig):
        alice = rig.caller()
        await alice.deploy()
        await alice.inference.ModelInfer(asked())
        found: list[TrafficMeasured] = []

        async def told() -> bool:
            found[:] = await windows(rig)
            return bool(found)

        await until(told, "a window of traffic in the log")
        assert counted(found) == {"1.0.0": (1, 0, 1)}


async def test_what_was_answered_is_seen_while_its_window_is_on_its_way_into_the_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELOG_SERVING_TRAFFIC_WINDOW_S", "1")
    held, may_go_on, as_it_is = asyncio.Event(), asyncio.Event(), Projector._apply

    async def late(projector: Projector, batch: Sequence[StoredEvent], position: int) -> bool:
        if any(stored.category == "serving.traffic" for stored in batch):
            held.set()
            await may_go_on.wait()
        return await as_it_is(projector, batch, position)

    monkeypatch.setattr(Projector, "_apply", late)
    async with registry_of(Rig(tmp_path)) as rig, serving_of(rig):
        alice = rig.caller()
        await alice.deploy()
        for _ in range(3):
            await alice.inference.ModelInfer(asked())
        async with asyncio.timeout(PATIENCE_S):
            await held.wait()
        found = asyncio.create_task(latencies(alice))
        # It waits for the tables; were it to answer now, the three would be in none of its parts.
        _, pending = await asyncio.wait([found], timeout=0.3)
        may_go_on.set()
        now = await found
        assert sum(answered for _, answered, _, _ in [*numbers(now.versions), *numbers(now.open)]) == 3
        assert pending


async def test_requests_that_the_server_could_not_answer_are_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELOG_SERVING_LOG_MAX_BYTES", "150000")
    # What is sealed may be dropped: a machine that answers slowly would always find room again.
    monkeypatch.setattr(seal, "LOOK_S", 3600)
    answered = refused = 0
    async with registry_of(Rig(tmp_path)) as rig:
        async with serving_of(rig):
            alice = rig.caller()
            await alice.deploy()
            while refused < 3:
                try:
                    await alice.inference.ModelInfer(asked())
                    answered += 1
                except Unavailable:
                    refused += 1
        found = counted(await windows(rig))
    # The rig's client does not try again.
    assert found == {"1.0.0": (answered + refused, refused, answered)}


async def latencies(caller: Caller, **fields: Any) -> pb.DeploymentLatencies:
    read = common_pb2.ReadOptions(as_of=fields.pop("as_of", ""))
    asked_for = pb.GetLatenciesRequest(deployment=fields.pop("deployment", "flights"), read=read, **fields)
    found: pb.DeploymentLatencies = await caller.deployments.GetLatencies(asked_for)
    return found


def numbers(found: Any) -> list[tuple[str, int, int, int]]:
    return [(v.version, v.answered, v.errors, sum(b.count for b in v.buckets)) for v in found]


async def test_latencies_are_answered_of_now_and_of_any_moment(tmp_path: Path) -> None:
    async with registry_of(Rig(tmp_path)) as rig:
        async with serving_of(rig):
            alice = rig.caller()
            made = await alice.deploy()
            for _ in range(3):
                await alice.inference.ModelInfer(asked())
            now = await latencies(alice)
            # The minute may have turned meanwhile.
            assert sum(answered for _, answered, _, _ in [*numbers(now.versions), *numbers(now.open)]) == 3
        async with serving_of(rig):
            alice = rig.caller()
            told = await latencies(alice)
            assert numbers(told.versions) == [("1.0.0", 3, 0, 3)]
            assert (told.minutes, numbers(told.open)) == (60, [])
            (version,) = told.versions
            uppers = [bucket.upper_ms for bucket in version.buckets]
            assert uppers == sorted(uppers)
            assert 0 < version.p50_ms <= version.p99_ms == uppers[-1]
            assert numbers((await latencies(alice, as_of=str(made.position))).versions) == []
            head = str((await alice.split(v1_1_0=100)).position)
            for _ in range(2):
                await alice.inference.ModelInfer(asked())
        async with serving_of(rig):
            alice = rig.caller()
            assert numbers((await latencies(alice)).versions) == [("1.0.0", 3, 0, 3), ("1.1.0", 2, 0, 2)]
            assert numbers((await latencies(alice, as_of=head)).versions) == [("1.0.0", 3, 0, 3)]
            with pytest.raises(NotFound, match="there is no deployment 'trains'"):
                await latencies(alice, deployment="trains")
            with pytest.raises(NotFound, match="there is no deployment 'flights' as of"):
                await latencies(alice, as_of=str(made.position - 1))
            with pytest.raises(Invalid, match="minutes"):
                await latencies(alice, minutes=1441)


async def test_what_is_older_than_was_asked_for_is_left_out(tmp_path: Path) -> None:
    async with registry_of(Rig(tmp_path)) as rig, serving_of(rig):
        alice = rig.caller()
        made = await alice.deploy()
        store = await open_event_store(rig.settings(), rig.clock)
        at = rig.clock.now()
        try:
            traffic = Entities(store, TRAFFIC, EVENTS)
            for minutes, version in ((90, "1.0.0"), (5, "1.1.0")):
                end = at - timedelta(minutes=minutes)
                counts = (VersionTraffic(version, 3, 1, Latencies(8, (1, 0, 1))),)
                window = RecordWindow(made.id, "flights", "flight-delay", end - timedelta(minutes=1), end, counts)
                ctx = Context(at, "service:serving", "acme", f"w{minutes}")
                position = (await traffic.handle(made.id, window, ctx)).position
        finally:
            await store.close()

        async def seen(minutes: int) -> list[tuple[str, int, int, int]]:
            read = common_pb2.ReadOptions(at_least=position)
            asked_for = pb.GetLatenciesRequest(deployment="flights", minutes=minutes, read=read)
            return numbers((await alice.deployments.GetLatencies(asked_for)).versions)

        assert await seen(0) == [("1.1.0", 2, 1, 2)]
        assert await seen(120) == [("1.0.0", 2, 1, 2), ("1.1.0", 2, 1, 2)]
        assert await seen(2) == []
