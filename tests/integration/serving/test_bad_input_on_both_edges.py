"""What is wrong with a request is told in the same words over gRPC and REST, and costs the next request nothing."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Iterator
from typing import Any

import aiohttp
import grpc
import numpy as np
from modelog_proto.inference import grpc_predict_v2_pb2 as oip
from modelog_proto.serving.v1 import deployment_pb2 as pb
from serving_rig import COLUMNS, PATIENCE_S, Caller, Rig, answers_of, model_file

METHOD = "/inference.GRPCInferenceService/ModelInfer"
ROWS = np.arange(8, dtype=np.float32).reshape(2, 4)
STATUS = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.FAILED_PRECONDITION: 409,
    grpc.StatusCode.ALREADY_EXISTS: 409,
}


def tensor(**fields: Any) -> dict[str, Any]:
    whole = {"name": "features", "datatype": "FP32", "shape": [2, 4], "data": ROWS.reshape(-1).tolist()}
    return whole | fields


def column(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "datatype": "FP32", "shape": [2], "data": [1.0, 2.0]} | fields


WRONG: list[tuple[str, dict[str, Any]]] = [
    ("no input", {"inputs": []}),
    ("another name", {"inputs": [tensor(name="input-0")]}),
    ("nearly the name", {"inputs": [column("hours")]}),
    ("a column too few", {"inputs": [column(name) for name in COLUMNS[1:]]}),
    ("a column too many", {"inputs": [column(name) for name in (*COLUMNS, "snow")]}),
    ("twice", {"inputs": [tensor(), tensor()]}),
    ("another datatype", {"inputs": [tensor(datatype="FP64")]}),
    ("no datatype", {"inputs": [tensor(datatype="FLOAT")]}),
    ("texts", {"inputs": [tensor(datatype="BYTES", data=["late"] * 8)]}),
    ("another width", {"inputs": [tensor(shape=[4, 2])]}),
    ("one dimension", {"inputs": [tensor(shape=[8])]}),
    ("no shape", {"inputs": [tensor(shape=[], data=[])]}),
    ("no rows", {"inputs": [tensor(shape=[0, 4], data=[])]}),
    ("less than none", {"inputs": [tensor(shape=[-2, -4])]}),
    ("a huge shape", {"inputs": [tensor(shape=[1 << 40, 1 << 20])]}),
    ("too many rows", {"inputs": [tensor(shape=[10_001, 4], data=[0.0] * 40_004)]}),
    ("rows that differ", {"inputs": [*(column(n) for n in COLUMNS[:3]), column("delay", shape=[1], data=[1.0])]}),
    ("three dimensions of a column", {"inputs": [*(column(n) for n in COLUMNS[:3]), column("delay", shape=[2, 1, 1])]}),
    ("infinite in FP32", {"inputs": [tensor(data=[3.5e38] * 8)]}),
    ("no such output", {"outputs": [{"name": "early"}]}),
    ("a long id", {"id": "x" * 201}),
    ("a long key", {"parameters": {"key": "k" * 201}}),
    ("a comma", {"parameters": {"prediction_id": "a,b"}}),
    ("a time before all", {"parameters": {"event_time_us": -1}}),
    ("shared memory", {"inputs": [tensor(parameters={"shared_memory_region": "r"})]}),
    ("classes", {"outputs": [{"name": "late", "parameters": {"classification": 2}}]}),
]
KINDS = {"FP32": "fp32_contents", "FP64": "fp64_contents"}


def over_grpc(body: dict[str, Any], name: str = "flights", version: str = "") -> Any:
    """The request in JSON as the message that says the same."""
    message = oip.ModelInferRequest(model_name=name, model_version=version, id=body.get("id", ""))
    _put(message.parameters, body.get("parameters", {}))
    for given in body["inputs"]:
        made = message.inputs.add(name=given["name"], datatype=given["datatype"], shape=given["shape"])
        _put(made.parameters, given.get("parameters", {}))
        if given["datatype"] == "BYTES":
            made.contents.bytes_contents.extend(text.encode() for text in given["data"])
            continue
        with np.errstate(over="ignore"):
            values = np.array(given["data"], np.float32 if given["datatype"] == "FP32" else float).tolist()
        getattr(made.contents, KINDS.get(given["datatype"], "fp32_contents")).extend(values)
    for given in body.get("outputs", ()):
        _put(message.outputs.add(name=given["name"]).parameters, given.get("parameters", {}))
    return message


def _put(parameters: Any, given: dict[str, Any]) -> None:
    for name, value in given.items():
        if isinstance(value, str):
            parameters[name].string_param = value
        else:
            parameters[name].int64_param = value


def asked(rig: Rig, alice: Caller) -> Iterator[tuple[str, dict[str, Any], str, str, str]]:
    """What, the body, the deployment's name, the version, the token."""
    for what, fields in WRONG:
        yield what, {"inputs": [tensor()]} | fields, "flights", "", alice.token
    good = {"inputs": [tensor()]}
    yield "no deployment", good, "none", "", alice.token
    yield "no version", good, "flights", "9.9.9", alice.token
    yield "no number of a version", good, "flights", "newest", alice.token
    yield "a stopped deployment", good, "stopped", "", alice.token
    yield "no token", good, "flights", "", ""
    yield "a wrong token", good, "flights", "", "nonsense"
    yield "no permission", good, "flights", "", rig.token("eve", "stranger")
    yield "another tenant", good, "flights", "", rig.token("eve", tenant="other")
    yield "an id that was used", good | {"parameters": {"prediction_id": "p"}}, "flights", "", alice.token


async def test_what_is_wrong_is_told_in_the_same_words(rig: Rig, alice: Caller) -> None:
    await alice.deploy()
    await alice.deploy(name="stopped")
    await alice.deployments.StopDeployment(pb.StopDeploymentRequest(name="stopped"))
    first = over_grpc({"inputs": [tensor(data=[1.0] * 8)], "parameters": {"prediction_id": "p"}})
    await alice.inference.ModelInfer(first)
    async with aiohttp.ClientSession(rig.http) as http, grpc.aio.insecure_channel(rig.oip) as channel:
        call = channel.unary_unary(METHOD)
        for what, body, name, version, token in asked(rig, alice):
            sent = {"authorization": f"Bearer {token}"} if token else {}
            path = f"/v2/models/{name}{'/versions/' if version else ''}{version}/infer"
            async with http.post(path, json=body, headers=sent) as response:
                status, answer = response.status, await response.json()
            try:
                await call(over_grpc(body, name, version).SerializeToString(), metadata=tuple(sent.items()))
                code, text = grpc.StatusCode.OK, "an answer"
            except grpc.aio.AioRpcError as error:
                code, text = error.code(), error.details() or ""
            assert (status, answer) == (STATUS.get(code), {"error": text}), (what, code, text)
    assert (await alice.deployment()).variants[0].answered == 2


async def test_a_bad_request_costs_those_beside_it_nothing(rig: Rig, alice: Caller) -> None:
    """Good ones and bad ones at the same time, over both edges."""
    await alice.deploy()
    expected = answers_of(model_file(0), ROWS)
    headers = {"authorization": f"Bearer {alice.token}"}
    async with aiohttp.ClientSession(rig.http, headers=headers) as http:

        async def rest(fields: dict[str, Any]) -> Any:
            async with http.post("/v2/models/flights/infer", json={"inputs": [tensor()]} | fields) as response:
                return (await response.json())["outputs"][0]["data"] if response.status == 200 else response.status

        async def remote(fields: dict[str, Any]) -> Any:
            try:
                answer = await alice.inference.ModelInfer(over_grpc({"inputs": [tensor()]} | fields))
                return list(answer.outputs[0].contents.fp32_contents)
            except Exception:
                return 400

        cases = [(ask, fields) for ask in (rest, remote) for _, wrong in WRONG for fields in ({}, wrong)]
        found = await asyncio.gather(*(ask(fields) for ask, fields in cases))
    for (_, fields), answer in zip(cases, found, strict=True):
        if fields:
            assert answer == 400, fields
        else:
            np.testing.assert_allclose(answer, expected, atol=1e-6)


async def test_bodies_that_break_off_are_huge_or_come_slowly(rig: Rig, alice: Caller) -> None:
    await alice.deploy()
    body = json.dumps({"inputs": [tensor()]}).encode()
    host, port = rig.http.removeprefix("http://").split(":")
    head = f"POST /v2/models/flights/infer HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {alice.token}\r\n"

    async def told(*parts: bytes, ends: bool = False) -> bytes:
        reader, writer = await asyncio.open_connection(host, int(port))
        async with asyncio.timeout(PATIENCE_S):
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0)
            if ends:
                writer.write_eof()
            answer = await reader.read()
        writer.close()
        return answer

    close = f"{head}Connection: close\r\n"
    whole = f"{close}Content-Length: {len(body)}\r\n\r\n".encode() + body
    byte_by_byte = [whole[n : n + 1] for n in range(len(whole))]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(body[n : n + 7]), body[n : n + 7]) for n in range(0, len(body), 7))
    for parts in ([whole], byte_by_byte, [f"{close}Transfer-Encoding: chunked\r\n\r\n".encode(), chunks, b"0\r\n\r\n"]):
        assert (await told(*parts)).startswith(b"HTTP/1.1 200 OK\r\n")
    half = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body[:20]
    assert await told(half, ends=True) == b""
    truncated = f"{close}Content-Length: 20\r\n\r\n".encode() + body[:20]
    assert b'{"error":"body: is not JSON: Input data was truncated"}' in await told(truncated)
    huge = f"{head}Content-Length: {1 << 40}\r\n\r\n".encode()
    assert (await told(huge)).startswith(b"HTTP/1.1 413 ")
    deep = b'{"inputs": ' + b"[" * 100_000
    answer = await told(f"{close}Content-Length: {len(deep)}\r\n\r\n".encode() + deep)
    assert answer.startswith(b"HTTP/1.1 400 "), answer[:300]
    # Over gRPC: a message that is not one, one that says that it is huge.
    async with grpc.aio.insecure_channel(rig.oip) as channel:
        metadata = (("authorization", f"Bearer {alice.token}"),)
        for data in (b"\xff\xff\xff", struct.pack(">I", 1 << 31), bytes(5 << 20)):
            try:
                await channel.unary_unary(METHOD)(data, metadata=metadata)
                code = grpc.StatusCode.OK
            except grpc.aio.AioRpcError as error:
                code = error.code()
            assert code in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED), (data[:5], code)
    assert (await alice.deployment()).variants[0].answered == 3 * 2
