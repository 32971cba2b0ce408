"""Answers in Redis outlive the process that computed them, stay with their tenant, and are not waited for."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "integration" / "serving"))

from modelog_proto.inference import grpc_predict_v2_pb2 as oip
from modelog_proto.serving.v1 import deployment_pb2 as pb
from real_servers import UrlServer
from serving_rig import COLUMNS, PATIENCE_S, Caller, Rig, answers_of, model_file, registry_of, serving_of, with_versions
from severed import Way, way_to

ROWS = np.random.default_rng(5).normal(size=(3, len(COLUMNS))).astype(np.float32)


@pytest.fixture
async def way(redis_server: UrlServer) -> AsyncIterator[Way]:
    async with way_to(redis_server.url) as made:
        yield made


async def deploy(caller: Caller) -> None:
    await caller.deploy()
    await caller.deployments.SetCaching(pb.SetCachingRequest(name="flights", ttl_s=3600))


async def cached(caller: Caller) -> bool:
    """Whether the answer, which is the model's own, came from the cache."""
    tensor = oip.ModelInferRequest.InferInputTensor(name="features", datatype="FP32", shape=ROWS.shape)
    asked = oip.ModelInferRequest(model_name="flights", inputs=[tensor], raw_input_contents=[ROWS.tobytes()])
    answer = await caller.inference.ModelInfer(asked)
    outputs = np.frombuffer(answer.raw_output_contents[0], "<f4")
    np.testing.assert_allclose(outputs, answers_of(model_file(0), ROWS), rtol=1e-6)
    return answer.parameters["cached"].string_param == "true"


async def until_cached(caller: Caller) -> None:
    """A busy machine may let the cache's time pass now and then."""
    async with asyncio.timeout(PATIENCE_S):
        while not await cached(caller):
            await asyncio.sleep(0.05)


async def test_answers_outlive_their_process_stay_with_their_tenant_and_are_not_waited_for(
    tmp_path: Path, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELOG_SERVING_CACHE_PATIENCE_MS", "5000")
    async with registry_of(Rig(tmp_path)) as rig:
        async with serving_of(rig, cache=way.address):
            alice, others = rig.caller("alice"), rig.caller("eve", tenant="other")
            await with_versions(others, rig.caller("mallory", tenant="other"))
            await deploy(alice)
            assert not await cached(alice)
            await until_cached(alice)
            await deploy(others)
            assert not await cached(others)
        async with serving_of(rig, cache=way.address):
            alice = rig.caller("alice")
            await until_cached(alice)
            assert (await alice.deployment()).caching.hits >= 1
            await way.cut()
            for _ in range(3):
                assert not await cached(alice)
            await way.open()
            await until_cached(alice)
        monkeypatch.setenv("MODELOG_SERVING_CACHE_PATIENCE_MS", "10")
        async with serving_of(rig, cache=way.address):
            alice = rig.caller("alice")
            way.silence()
            for _ in range(20):
                assert not await cached(alice)
