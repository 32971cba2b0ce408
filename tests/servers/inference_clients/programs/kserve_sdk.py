"""The KServe SDK's REST and gRPC clients, in the protocol's version 2 and in KServe's version 1: argv is JSON."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import grpc
import httpx
import numpy as np
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.infer_type import RequestedOutput

given: dict[str, Any] = json.loads(sys.argv[1])
NAME, URL, ROWS = given["name"], given["http"], np.array(given["rows"], np.float32)
HEADERS = {"authorization": f"Bearer {given['token']}"}


def request(*, binary: bool, rows: Any = ROWS, name: str = NAME) -> InferRequest:
    tensor = InferInput("features", list(rows.shape), "FP32")
    tensor.set_data_from_numpy(rows, binary_data=binary)
    outputs = [RequestedOutput("late", parameters={"binary_data": binary})]
    return InferRequest(model_name=name, infer_inputs=[tensor], request_id="7", request_outputs=outputs)


def same(answer: Any) -> None:
    np.testing.assert_allclose(answer.outputs[0].as_numpy(), given["expected"], atol=1e-6)
    assert (answer.id, answer.model_name) == ("7", NAME)


async def rest() -> None:
    async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
        assert await client.is_server_live(URL)
        assert await client.is_server_ready(URL)
        assert await client.is_model_ready(URL, NAME, headers=HEADERS)
        assert not await client.is_model_ready(URL, "none", headers=HEADERS)
        for binary in (True, False):
            same(await client.infer(URL, request(binary=binary), model_name=NAME, headers=dict(HEADERS)))
        told = "nothing"
        try:
            wrong = request(binary=True, rows=ROWS[:, :3].copy())
            await client.infer(URL, wrong, model_name=NAME, headers=dict(HEADERS))
        except httpx.HTTPStatusError as error:
            told = f"{error.response.status_code} {error}"
        assert told.startswith("400 inputs[0].shape: 'features' has shape"), told
    async with InferenceRESTClient(RESTConfig(protocol="v1")) as client:
        assert await client.is_server_live(URL)
        assert await client.is_model_ready(URL, NAME, headers=HEADERS)
        answer = await client.infer(URL, {"instances": ROWS.tolist()}, model_name=NAME, headers=HEADERS)
        np.testing.assert_allclose(answer["predictions"], given["expected"], atol=1e-6)


async def over_grpc() -> None:
    metadata = tuple(HEADERS.items())
    async with InferenceGRPCClient(given["grpc"]) as client:
        assert await client.is_server_live()
        assert await client.is_server_ready()
        assert await client.is_model_ready(NAME, headers=metadata)
        for binary in (True, False):
            same(await client.infer(request(binary=binary), headers=metadata))
        told = "nothing"
        try:
            await client.infer(request(binary=True, name="none"), headers=metadata)
        except grpc.RpcError as error:
            told = str(error)
        assert "there is no model or deployment 'none'" in told, told


asyncio.run(rest())
asyncio.run(over_grpc())
