"""The extensions of the protocol over both edges: binary tensors, streams, repository, configuration, statistics."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import grpc
import numpy as np
import pytest
from modelog_common.domain.errors import Forbidden, Invalid, NotAllowed, NotFound
from modelog_proto.inference import grpc_predict_v2_pb2 as oip
from modelog_proto.registry.v1 import model_pb2, workspace_pb2
from modelog_proto.registry.v1.workspace_pb2_grpc import WorkspacesStub
from modelog_proto.serving.v1 import deployment_pb2 as pb
from numpy.typing import NDArray
from serving_rig import Caller, Rig, answers_of, model_file

ROWS = np.random.default_rng(9).normal(size=(2, 4)).astype(np.float32)
LENGTH = "Inference-Header-Content-Length"
INFER = "/v2/models/flights/infer"


@pytest.fixture
async def http(rig: Rig, alice: Caller) -> AsyncIterator[aiohttp.ClientSession]:
    headers = {"authorization": f"Bearer {alice.token}"}
    async with aiohttp.ClientSession(rig.http, headers=headers) as session:
        yield session


async def told(http: aiohttp.ClientSession, verb: str, path: str, body: Any = None, **extra: Any) -> tuple[int, Any]:
    async with http.request(verb, path, json=body, **extra) as response:
        return response.status, await response.json()


def expected(seed: int = 0) -> NDArray[np.float32]:
    return answers_of(model_file(seed), ROWS)


def binary(head: dict[str, Any], *data: bytes) -> dict[str, Any]:
    """The arguments of a POST with binary data."""
    text = json.dumps(head).encode()
    return {"data": b"".join((text, *data)), "headers": {LENGTH: str(len(text))}}


def tensor(size: Any = 32, **fields: Any) -> dict[str, Any]:
    whole = {"name": "features", "datatype": "FP32", "shape": [2, 4], "parameters": {"binary_data_size": size}}
    return whole | fields


async def test_binary_tensors_both_ways(alice: Caller, http: aiohttp.ClientSession) -> None:
    """In binary and in JSON, each in either direction."""
    await alice.deploy()
    flat = tensor(parameters={}, data=ROWS.reshape(-1).tolist())
    wanted: list[dict[str, Any]] = [
        {"parameters": {"binary_data_output": True}},
        {"outputs": [{"name": "late", "parameters": {"binary_data": True}}]},
    ]
    for asked in wanted:
        for head, data in (({"inputs": [tensor()]}, ROWS.tobytes()), ({"inputs": [flat]}, b"")):
            async with http.post(INFER, **binary(head | asked, data)) as response:
                assert response.status == 200, await response.text()
                assert response.content_type == "application/octet-stream"
                length, body = int(response.headers[LENGTH]), await response.read()
            (output,) = json.loads(body[:length])["outputs"]
            assert output == {"name": "late", "datatype": "FP32", "shape": [2], "parameters": {"binary_data_size": 8}}
            np.testing.assert_allclose(np.frombuffer(body[length:], "<f4"), expected(), atol=1e-6)
    outputs = [{"name": "late", "parameters": {"binary_data": False}}]
    head = {"inputs": [tensor()], "outputs": outputs, "parameters": {"binary_data_output": True}}
    async with http.post(INFER, **binary(head, ROWS.tobytes())) as response:
        assert response.content_type == "application/json"
        np.testing.assert_allclose((await response.json())["outputs"][0]["data"], expected(), atol=1e-6)


WRONG: list[tuple[dict[str, Any], bytes, str]] = [
    ({"inputs": [tensor()]}, b"", "inputs[0].parameters.binary_data_size: is 32; there are 0 bytes left"),
    ({"inputs": [tensor(31)]}, bytes(31), "inputs[0]: has 31 bytes; 'features' of FP32 and shape [2, 4] takes 32"),
    ({"inputs": [tensor("32")]}, bytes(32), "binary_data_size: is '32'"),
    ({"inputs": [tensor(True)]}, bytes(32), "binary_data_size: is True"),
    ({"inputs": [tensor(-1)]}, bytes(32), "binary_data_size: is -1"),
    ({"inputs": [tensor()]}, bytes(33), "body: has 1 bytes that belong to no input"),
    ({"inputs": [tensor(data=[1.0])]}, bytes(32), "inputs[0].data: is given besides binary_data_size"),
    ({"inputs": [tensor(8, datatype="BOOL")]}, b"\x02" * 8, "inputs[0]: has the byte 2; BOOL's are 0 and 1"),
    ({"inputs": [tensor()]}, np.full(8, np.inf, "<f4").tobytes(), "row 0, column 'hour' is infinite"),
    (
        {"inputs": [tensor(parameters={"shared_memory_region": "r"})]},
        b"",
        "inputs[0].parameters.shared_memory_region: is not supported",
    ),
    (
        {"inputs": [tensor()], "outputs": [{"name": "late", "parameters": {"classification": 3}}]},
        bytes(32),
        "outputs[0].parameters.classification: is not supported",
    ),
    (
        {"inputs": [tensor()], "outputs": [{"name": "late", "parameters": {"binary_data": 1}}]},
        bytes(32),
        "outputs[0].parameters.binary_data: 1 is not allowed; it must be true or false",
    ),
]


async def test_wrong_binary_tensors_are_told_what_is_wrong(alice: Caller, http: aiohttp.ClientSession) -> None:
    await alice.deploy()
    for head, data, text in WRONG:
        async with http.post(INFER, **binary(head, data)) as response:
            answer = await response.json()
            assert response.status == 400, answer
            assert text in answer["error"], answer
    for length in ("0", "9999", "-1", "1e2", "x"):
        status, answer = await told(http, "POST", INFER, {"inputs": [tensor()]}, headers={LENGTH: length})
        assert status == 400
        assert f"{LENGTH}: is {length!r}; it must be the length of the JSON" in answer["error"]
    assert (await alice.deployment()).variants[0].answered == 0


def request(n: int, rows: NDArray[np.float32] = ROWS, **fields: Any) -> Any:
    whole: dict[str, Any] = {
        "model_name": "flights",
        "id": str(n),
        "inputs": [{"name": "features", "datatype": "FP32", "shape": rows.shape}],
        "raw_input_contents": [rows.tobytes()],
    }
    return oip.ModelInferRequest(**(whole | fields))


async def test_a_stream_answers_in_order_and_goes_on_after_a_refusal(alice: Caller) -> None:
    await alice.deploy()
    wrong = {7: {"model_name": "none"}, 9: {"raw_input_contents": [b"1"]}}
    final = request(300)
    final.parameters["triton_enable_empty_final_response"].bool_param = True

    async def requests() -> AsyncIterator[Any]:
        for n in range(300):
            yield request(n, **wrong.get(n, {}))
        yield final

    answers = [answer async for answer in alice.inference.ModelStreamInfer(requests())]
    assert [a.infer_response.id for a in answers] == [str(n) for n in range(301)]
    assert answers[7].error_message == "there is no model or deployment 'none'"
    assert answers[9].error_message.startswith("raw_input_contents[0]: has 1 bytes")
    right = [a.infer_response for n, a in enumerate(answers) if n not in wrong]
    assert {a.raw_output_contents[0] for a in right} == {expected().tobytes()}
    assert [a.parameters["triton_final_response"].bool_param for a in right] == [False] * 298 + [True]
    assert (await alice.deployment()).variants[0].answered == 2 * 299


async def test_a_stream_that_waits_for_each_answer_and_one_that_is_left(alice: Caller) -> None:
    await alice.deploy()
    call = alice.inference.ModelStreamInfer()
    for n in range(3):
        await call.write(request(n))
        assert (await call.read()).infer_response.id == str(n)
    await call.write(request(3))
    call.cancel()
    assert (await alice.inference.ModelInfer(request(4))).id == "4"


async def test_a_stream_needs_a_token_and_sound_messages(rig: Rig, alice: Caller) -> None:
    await alice.deploy()
    path = "/inference.GRPCInferenceService/ModelStreamInfer"
    cases: list[tuple[str, bytes, grpc.StatusCode]] = [
        ("", request(1).SerializeToString(), grpc.StatusCode.UNAUTHENTICATED),
        (rig.token("eve", "stranger"), request(1).SerializeToString(), grpc.StatusCode.PERMISSION_DENIED),
        (alice.token, b"\xff\xff", grpc.StatusCode.INVALID_ARGUMENT),
    ]
    async with grpc.aio.insecure_channel(rig.oip) as channel:
        for token, data, code in cases:
            metadata = (("authorization", f"Bearer {token}"),) if token else ()
            call = channel.stream_stream(path)([data], metadata=metadata)
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                async for _ in call:
                    pass
            assert refused.value.code() is code


async def index(alice: Caller, http: aiohttp.ClientSession, **asked: Any) -> list[tuple[str, str, str, str]]:
    """What both edges say, which is the same."""
    found = (await alice.inference.RepositoryIndex(oip.RepositoryIndexRequest(**asked))).models
    status, listed = await told(http, "POST", "/v2/repository/index", asked)
    assert status == 200, listed
    models = [{"name": m.name, "version": m.version, "state": m.state, "reason": m.reason} for m in found]
    assert models == listed
    return [(m.name, m.version, m.state, m.reason) for m in found]


async def test_the_repository_is_loaded_unloaded_and_listed(
    rig: Rig, alice: Caller, http: aiohttp.ClientSession
) -> None:
    assert await index(alice, http) == []
    await alice.deploy()
    await alice.deploy("1.1.0", name="other")
    assert await index(alice, http) == [("flights", "1.0.0", "READY", ""), ("other", "1.1.0", "READY", "")]
    models = alice.inference
    # Loading what is loaded is no error; a version that has no traffic is loaded for the asking, and let go of.
    await models.RepositoryModelLoad(oip.RepositoryModelLoadRequest(model_name="flights"))
    broken, third = await alice.version(b"no model"), await alice.version(model_file(3))
    given = {"version": {"string_param": third}}
    for _ in range(2):
        await models.RepositoryModelLoad(oip.RepositoryModelLoadRequest(model_name="flights", parameters=given))
        given |= {"unload_dependents": {"bool_param": False}}
        await models.RepositoryModelUnload(oip.RepositoryModelUnloadRequest(model_name="flights", parameters=given))
        given.pop("unload_dependents")
    scored = await models.ModelInfer(request(1, model_version=third))
    np.testing.assert_allclose(np.frombuffer(scored.raw_output_contents[0], "<f4"), expected(3), atol=1e-6)
    load, unload = "/v2/repository/models/flights/load", "/v2/repository/models/flights/unload"
    assert await told(http, "POST", load, {"parameters": {"version": third}}) == (200, {})
    assert await told(http, "POST", load) == (200, {})
    assert await told(http, "POST", unload, {"parameters": {"version": third}}) == (200, {})
    in_use = "flights 1.0.0 answers traffic and stays in memory; it can be unloaded when the deployment was stopped"
    cases: list[tuple[str, dict[str, Any], int, type[Exception], str]] = [
        (load, {"version": broken}, 409, NotAllowed, ""),
        (load, {"version": "9.9.9"}, 404, NotFound, "9.9.9"),
        (
            load,
            {"config": "{}"},
            400,
            Invalid,
            "parameters.config: is not supported; what a model is, the registry says",
        ),
        (load.replace("flights", "none"), {}, 404, NotFound, "there is no model or deployment 'none'"),
        (unload, {}, 409, NotAllowed, in_use),
        (unload, {"version": "1.0.0"}, 409, NotAllowed, in_use),
        # It answers the other deployment's traffic.
        (unload, {"version": "1.1.0"}, 409, NotAllowed, "flights 1.1.0 answers traffic"),
        (unload.replace("flights", "none"), {}, 404, NotFound, "there is no model or deployment 'none'"),
    ]
    for path, parameters, status, kind, text in cases:
        answered, answer = await told(http, "POST", path, {"parameters": parameters})
        assert answered == status, answer
        assert text in answer["error"]
        sent = {
            "model_name": path.split("/")[4],
            "parameters": {name: {"string_param": value} for name, value in parameters.items()},
        }
        with pytest.raises(kind) as refused:
            if path.endswith("/load"):
                await models.RepositoryModelLoad(oip.RepositoryModelLoadRequest(**sent))
            else:
                await models.RepositoryModelUnload(oip.RepositoryModelUnloadRequest(**sent))
        assert str(refused.value) == answer["error"]
    with pytest.raises(Invalid, match="repository_name: is 'mine'; there is one repository"):
        await models.RepositoryIndex(oip.RepositoryIndexRequest(repository_name="mine"))
    vera = rig.caller("vera", "viewer")
    with pytest.raises(Forbidden, match=r"vera lacks the permission deployment\.write"):
        await vera.inference.RepositoryModelLoad(oip.RepositoryModelLoadRequest(model_name="flights"))
    headers = {"authorization": f"Bearer {vera.token}"}
    assert (await told(http, "POST", unload, {}, headers=headers))[0] == 403
    await alice.deployments.StopDeployment(pb.StopDeploymentRequest(name="flights"))
    stopped = ("flights", "1.0.0", "UNAVAILABLE", "the deployment was stopped")
    assert await index(alice, http) == [stopped, ("other", "1.1.0", "READY", "")]
    assert await index(alice, http, ready=True) == [("other", "1.1.0", "READY", "")]
    assert await told(http, "POST", unload) == (200, {})
    assert (await told(http, "POST", load))[0] == 409


async def test_the_index_does_not_show_what_a_list_of_deployments_hides(rig: Rig, alice: Caller) -> None:
    await alice.deploy()
    anna, oscar = rig.caller("anna", "developer"), rig.caller("oscar", "developer")
    workspaces: Any = WorkspacesStub(anna.registry)
    await workspaces.CreateWorkspace(workspace_pb2.CreateWorkspaceRequest(workspace="fraud"))
    closed = workspace_pb2.WORKSPACE_ACCESS_RESTRICTED
    await workspaces.UpdateWorkspace(workspace_pb2.UpdateWorkspaceRequest(workspace="fraud", access=closed))
    await anna.models.RegisterModel(model_pb2.RegisterModelRequest(name="secret", workspace="fraud"))
    await anna.deploy(await anna.version(model_file(4), model="secret"), name="hidden", model="secret")
    for caller, wanted in ((anna, ["flights", "hidden"]), (oscar, ["flights"])):
        listed = (await caller.deployments.ListDeployments(pb.ListDeploymentsRequest())).deployments
        seen = (await caller.inference.RepositoryIndex(oip.RepositoryIndexRequest())).models
        counted = (await caller.inference.ModelStatistics(oip.ModelStatisticsRequest())).model_stats
        assert [[one.name for one in found] for found in (listed, seen, counted)] == [wanted] * 3


async def test_configuration_and_statistics(alice: Caller, http: aiohttp.ClientSession) -> None:
    await alice.deploy()
    config = (await alice.inference.ModelConfig(oip.ModelConfigRequest(name="flights"))).config
    status, told_config = await told(http, "GET", "/v2/models/flights/config")
    assert status == 200
    assert told_config == {
        "name": "flights", "platform": "xgboost", "backend": "xgboost", "max_batch_size": 10_000,
        "input": [{"name": "features", "data_type": "TYPE_FP32", "dims": [4]}],
        "output": [{"name": "late", "data_type": "TYPE_FP32", "dims": []}],
    }  # fmt: skip
    assert (config.name, config.platform, config.max_batch_size) == ("flights", "xgboost", 10_000)
    assert [(t.name, oip.DataType.Name(t.data_type), list(t.dims)) for t in config.input] == [
        ("features", "TYPE_FP32", [4])
    ]
    await asyncio.gather(*(alice.inference.ModelInfer(request(n)) for n in range(3)))
    with pytest.raises(Invalid):
        await alice.inference.ModelInfer(request(1, inputs=[]))
    (counted,) = (await alice.inference.ModelStatistics(oip.ModelStatisticsRequest(name="flights"))).model_stats
    assert (counted.name, counted.version, counted.inference_count, counted.execution_count) == (
        "flights",
        "1.0.0",
        6,
        3,
    )
    assert counted.inference_stats.success.count == 3
    assert counted.inference_stats.success.ns > 0
    assert counted.inference_stats.fail.count == 0
    for path in ("/v2/models/stats", "/v2/models/flights/stats", "/v2/models/flights/versions/1.0.0/stats"):
        (entry,) = (await told(http, "GET", path))[1]["model_stats"]
        assert entry["last_inference"] == counted.last_inference
        assert entry["inference_stats"]["success"] == {"count": 3, "ns": counted.inference_stats.success.ns}
    assert (await told(http, "GET", "/v2/models/none/stats"))[0] == 404
