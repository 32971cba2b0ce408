"""Requests through the real edges become windows of traffic in the log of events, each request once."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from modelog_common.adapters import open_event_store
from modelog_common.domain.errors import Invalid, Unavailable
from modelog_proto.inference import grpc_predict_v2_pb2 as oip
from modelog_serving.events import EVENTS
from modelog_serving.traffic.events import TrafficMeasured
from serving_rig import Rig, registry_of, serving_of, until


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


async def test_requests_that_the_server_could_not_answer_are_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELOG_SERVING_LOG_MAX_BYTES", "150000")
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
