"""A served model that dies, hangs or answers wrongly: its callers are told, others are answered, the log knows."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from threading import Event
from typing import Any

import cloudpickle
import numpy as np
import pytest
from modelog_common.adapters import open_event_store
from modelog_common.rpc.errors import PeerFailed
from modelog_proto.inference import grpc_predict_v2_pb2 as oip
from modelog_proto.registry.v1 import model_pb2
from modelog_serving.events import EVENTS
from modelog_serving.failure.decide import FAILURES
from modelog_serving.failure.events import ModelFailed
from serving_rig import COLUMNS, Caller, Rig, registry_of, serving_of, until

cloudpickle.register_pickle_by_value(sys.modules[__name__])

SIGNED = model_pb2.Signature(
    inputs=[model_pb2.TensorSpec(name="features", datatype="FP64", shape=[-1, len(COLUMNS)], columns=COLUMNS)],
    outputs=[model_pb2.TensorSpec(name="late", datatype="FP64", shape=[-1])],
)
DIE, WRONG, HANG = 1.0, 2.0, 3.0


def misbehave(table: Any) -> Any:
    how = table.to_numpy().max()
    if how == DIE:
        os.kill(os.getpid(), signal.SIGKILL)
    if how == HANG:
        Event().wait()
    return table.to_numpy()[:, 0] if how != WRONG else np.zeros((len(table), 2))


def request(number: float, name: str) -> oip.ModelInferRequest:
    rows = np.full((2, len(COLUMNS)), number)
    return oip.ModelInferRequest(
        model_name=name,
        inputs=[{"name": "features", "datatype": "FP64", "shape": rows.shape}],
        raw_input_contents=[rows.astype("<f8").tobytes()],
    )


async def asked(caller: Caller, number: float, name: str) -> list[float]:
    answer = await caller.inference.ModelInfer(request(number, name))
    return [float(late) for late in np.frombuffer(answer.raw_output_contents[0], "<f8")]


async def failures(rig: Rig) -> list[ModelFailed]:
    store = await open_event_store(rig.settings(), rig.clock)
    try:
        stored = [e async for e in store.read_all(categories=[FAILURES.category], until=await store.head())]
    finally:
        await store.close()
    return [EVENTS.decode(e.type, e.schema, e.payload) for e in stored]


async def test_a_model_that_fails_is_replaced_while_another_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELOG_SERVING_WORKER_PREDICT_S", "30")
    async with registry_of(Rig(tmp_path)) as rig, serving_of(rig):
        alice, bob = rig.caller("alice"), rig.caller("bob")
        version = await alice.version(cloudpickle.dumps(misbehave), flavor="python_function", signed=SIGNED)
        twice = cloudpickle.dumps(lambda table: table.to_numpy()[:, 0] * 2)
        other = await alice.version(twice, flavor="python_function", signed=SIGNED)
        for made, name in ((version, "ill"), (other, "sound")):
            await bob.approve(made)
            await alice.promote(made, "staging")
            await alice.deploy(made, name)
        assert await asked(alice, 0.5, "ill") == [0.5, 0.5]
        with pytest.raises(PeerFailed, match=r"the model failed: .*answered 2 rows with float64 of shape \[2, 2\]"):
            await asked(alice, WRONG, "ill")
        with pytest.raises(PeerFailed, match="the model's process died of SIGKILL when it was asked for 2 rows"):
            await asked(alice, DIE, "ill")
        assert await asked(alice, 0.5, "ill") == [0.5, 0.5]
        hanging = asyncio.create_task(asked(alice, HANG, "ill"))
        answered = 0
        while not hanging.done():
            assert await asked(alice, 0.5, "sound") == [1.0, 1.0]
            answered += 1
        with pytest.raises(PeerFailed, match="took more than 30 s for 2 rows, and its process was ended"):
            await hanging
        assert answered > 1
        assert await asked(alice, 0.5, "ill") == [0.5, 0.5]
        found: list[ModelFailed] = []

        async def told() -> bool:
            found[:] = await failures(rig)
            return len(found) >= 2

        await until(told, "two failures in the log of events")
        assert [(event.name, event.version, event.cause) for event in found] == [
            ("ill", version, "died"),
            ("ill", version, "hung"),
        ]
        assert "died of SIGKILL" in found[0].text
