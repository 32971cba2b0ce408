"""The short way of REST: usual requests go it together, get the handler's answers, are logged and counted."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import re
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import numpy as np
import pytest
from modelog_common.domain.errors import Unavailable
from modelog_proto.inference import grpc_predict_v2_pb2 as oip
from modelog_proto.registry.v1 import model_pb2
from modelog_proto.serving.v1 import deployment_pb2 as pb
from modelog_serving.engine import batcher as batcher_module
from modelog_serving.oip import fast_turn
from modelog_serving.predlog.log import PredictionLog
from serving_rig import COLUMNS, PATIENCE_S, Caller, Rig, answers_of, model_file
from structlog.testing import capture_logs

ROWS = np.random.default_rng(11).normal(size=(30, len(COLUMNS))).astype(np.float32)
INFER = "/v2/models/flights/infer"
LENGTH = "Inference-Header-Content-Length"
# Who traces the request wants a span of its own: the handler answers.
THE_HANDLERS = {"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-00"}
pytestmark = pytest.mark.usefixtures("every_level")
IDS = re.compile(rb'"prediction_ids?":"([^"]*)"')
Sent = tuple[int, bytes, dict[str, str]]


@pytest.fixture
async def http(rig: Rig, alice: Caller) -> AsyncIterator[aiohttp.ClientSession]:
    async with session(rig, alice.token) as made:
        yield made


def session(rig: Rig, token: str) -> aiohttp.ClientSession:
    headers = {"authorization": f"Bearer {token}"}
    return aiohttp.ClientSession(rig.http, headers=headers, connector=aiohttp.TCPConnector(limit=100))


def body(data: Any, shape: tuple[int, ...], *, tensor: dict[str, Any] | None = None, **fields: Any) -> bytes:
    inputs = {"name": "features", "datatype": "FP32", "shape": shape, "data": data} | (tensor or {})
    return json.dumps({"inputs": [inputs]} | fields).encode()


def row(number: int, **fields: Any) -> bytes:
    return body(ROWS[number].tolist(), (1, 4), **fields)


async def post(http: aiohttp.ClientSession, sent: bytes, headers: dict[str, str] | None = None) -> Sent:
    async with http.post(INFER, data=sent, headers=headers) as response:
        kept = {name: value for name, value in response.headers.items() if name not in ("Date", "Content-Length")}
        return response.status, await response.read(), kept


def calls(logs: list[Any]) -> list[int]:
    """How many requests each batch answered."""
    return [int(entry["calls"]) for entry in logs if entry["event"] == "calls"]


async def test_both_ways_answer_the_same_bytes_and_log_alike(alice: Caller, http: aiohttp.ClientSession) -> None:
    await alice.deploy()
    await alice.split(v1_0_0=50, v1_1_0=50)
    raw = ROWS[:3].tobytes()
    binary = {"shape": [3, 4], "data": [], "parameters": {"binary_data_size": len(raw)}}
    head = body([], (3, 4), tensor=binary, id="k5", parameters={"binary_data_output": True})
    asked: list[tuple[bytes, dict[str, str], int]] = [
        (row(0, parameters={"key": "k1"}), {}, 1),
        (row(1, id="r1"), {}, 1),
        (body(ROWS[:7].tolist(), (7, 4), id="r2", parameters={"key": "k2"}), {}, 7),
        (body([1, None, 2.5, None], (1, 4), id="k4"), {}, 1),
        (head + raw, {LENGTH: str(len(head))}, 3),
    ]
    for sent, headers, rows in asked:
        with capture_logs() as logs:
            short = await post(http, sent, headers)
        assert calls(logs) == [1]
        with capture_logs() as logs:
            long = await post(http, sent, headers | THE_HANDLERS)
        assert calls(logs) == []
        assert short[0] == 200, short
        ids = [found[0].decode().split(",") for found in (IDS.findall(short[1]), IDS.findall(long[1]))]
        assert [len(each) for each in ids] == [rows, rows]
        assert IDS.sub(b"", short[1]) == IDS.sub(b"", long[1])
        assert short[2] == long[2]
        for one, other in zip(*ids, strict=True):
            found, expected = [await _logged(alice, prediction_id) for prediction_id in (one, other)]
            np.testing.assert_equal(dict(found.features), dict(expected.features))
            for each in (found, expected):
                each.prediction_id = ""
                for name in ("event_time", "answered_at", "features"):
                    each.ClearField(name)
            assert found == expected
    counted = {v.version: v.answered for v in (await alice.deployment()).variants}
    assert sum(counted.values()) == 2 * sum(rows for _, _, rows in asked)


async def _logged(alice: Caller, prediction_id: str) -> pb.Prediction:
    asked = pb.GetPredictionRequest(deployment="flights", prediction_id=prediction_id)
    found: pb.Prediction = await alice.deployments.GetPrediction(asked)
    return found


async def test_a_model_of_other_numbers_is_asked_so(rig: Rig, alice: Caller, http: aiohttp.ClientSession) -> None:
    signed = model_pb2.Signature(
        inputs=[model_pb2.TensorSpec(name="features", datatype="FP64", shape=[-1, 4], columns=COLUMNS)],
        outputs=[model_pb2.TensorSpec(name="late", datatype="FP64", shape=[-1])],
    )
    version = await alice.version(model_file(2), signed=signed)
    await rig.caller("bob").approve(version)
    await alice.promote(version, "staging")
    await alice.deploy(version)
    sent = body([0.1, 2**40 + 1, -1e-300, None], (1, 4), tensor={"datatype": "FP64"}, id="k")
    with capture_logs() as logs:
        short = await post(http, sent)
    long = await post(http, sent, THE_HANDLERS)
    assert calls(logs) == [1]
    assert (short[0], IDS.sub(b"", short[1])) == (200, IDS.sub(b"", long[1]))
    # float64 holds it, the log does not.
    infinite = body([0.1, 1e39, 0, 0], (1, 4), tensor={"datatype": "FP64"})
    status, refused, _ = await post(http, infinite)
    assert (status, refused) == (await post(http, infinite, THE_HANDLERS))[:2]
    assert (status, b"'wind' is infinite or too large" in refused) == (400, True)


async def test_what_comes_at_once_is_answered_at_once_and_one_that_is_wrong_spoils_nothing(
    alice: Caller, http: aiohttp.ClientSession
) -> None:
    await alice.deploy()
    wrong = [
        body([1, 1e39, 1, 1], (1, 4)),
        body([1, 2, 3], (1, 3)),
        body([1, 2, 3], (1, 4)),
        body([1, 2, "3", 4], (1, 4)),
        body([1, 2, 3, 4], (1, 4), tensor={"name": "feature"}),
        b"{",
    ]
    sent = [row(n) for n in range(30)]
    sent[5:5] = wrong
    with capture_logs() as logs:
        answers = await asyncio.gather(*(post(http, each) for each in sent))
    assert answers[5:11] == [await post(http, each, THE_HANDLERS) for each in wrong]
    assert {status for status, _, _ in answers[5:11]} == {400}
    del answers[5:11]
    found = [json.loads(told)["outputs"][0]["data"][0] for _, told, _ in answers]
    np.testing.assert_allclose(found, answers_of(model_file(0), ROWS), rtol=1e-6)
    assert len({IDS.findall(told)[0] for _, told, _ in answers}) == 30
    assert sum(calls(logs)) == 30
    assert (await alice.deployment()).variants[0].answered == 30


async def sent_ahead(rig: Rig, token: str, bodies: list[bytes]) -> list[tuple[int, Any]]:
    """The answers to requests that are sent on one connection at once."""
    host, port = rig.http.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    first = f"POST {INFER} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n".encode()
    writer.write(b"".join(first + b"Content-Length: %d\r\n\r\n" % len(sent) + sent for sent in bodies))
    answers = []
    async with asyncio.timeout(PATIENCE_S):
        for _ in bodies:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            answers.append((int(head.split()[1]), json.loads(await reader.readexactly(length))))
    writer.close()
    return answers


async def test_requests_sent_ahead_are_answered_in_order_whichever_way_they_go(rig: Rig, alice: Caller) -> None:
    await alice.deploy()
    sent = [
        row(number, id=str(number)) if number % 3 else row(number, id=str(number), outputs=[{"name": "late"}])
        for number in range(30)
    ]
    answers = await sent_ahead(rig, alice.token, sent)
    assert [(status, told["id"]) for status, told in answers] == [(200, str(number)) for number in range(30)]


@pytest.mark.parametrize(("most", "status"), [(0, 429), (20_000, 200)])
async def test_no_request_is_lost_where_batches_are_full(
    rig: Rig, alice: Caller, monkeypatch: pytest.MonkeyPatch, most: int, status: int
) -> None:
    await alice.deploy()
    with monkeypatch.context() as small:
        small.setattr(fast_turn, "BATCH_ROWS", 2)
        small.setattr(batcher_module, "MOST_WAITING", most)
        asked = (sent_ahead(rig, alice.token, [row(n) for n in range(10)]) for _ in range(10))
        answers = await asyncio.gather(*asked)
    assert {told[0] for each in answers for told in each} == {status}


async def test_callers_are_told_apart_and_their_ids_are_in_the_line_of_the_log(rig: Rig, alice: Caller) -> None:
    await alice.deploy()
    tokens = [
        alice.token,
        rig.token("eve", "stranger"),
        rig.token("mallory", tenant="other"),
        rig.token("bob"),
        "none",
    ]
    sessions = [session(rig, token) for token in tokens]
    with capture_logs() as logs:
        answers = await asyncio.gather(
            *(post(one, row(0), {"x-correlation-id": f"c-{n}"}) for n, one in enumerate(sessions))
        )
    for one in sessions:
        await one.close()
    assert [status for status, _, _ in answers] == [200, 403, 404, 200, 401]
    told = {entry["user"]: entry["correlation_ids"] for entry in logs if entry["event"] == "calls"}
    assert told == {"alice": ["c-0"], "bob": ["c-3"]}


async def test_keys_stay_with_their_version_whichever_edge_and_way_they_come(
    alice: Caller, http: aiohttp.ClientSession
) -> None:
    await alice.deploy()
    await alice.split(v1_0_0=50, v1_1_0=50)
    sent = [row(0, parameters={"key": f"k{n}"}) for n in range(40)]
    tensor = oip.ModelInferRequest.InferInputTensor(name="features", datatype="FP32", shape=[1, 4])
    by_grpc = [
        oip.ModelInferRequest(model_name="flights", inputs=[tensor], raw_input_contents=[ROWS[0].tobytes()])
        for _ in sent
    ]
    for number, each in enumerate(by_grpc):
        each.parameters["key"].string_param = f"k{number}"
    other = await asyncio.gather(*map(alice.inference.ModelInfer, by_grpc))
    short = await asyncio.gather(*(post(http, each) for each in sent))
    long = await asyncio.gather(*(post(http, each, THE_HANDLERS) for each in sent))
    versions = [json.loads(told)["model_version"] for _, told, _ in short]
    assert versions == [json.loads(told)["model_version"] for _, told, _ in long]
    assert versions == [answer.model_version for answer in other]
    assert set(versions) == {"1.0.0", "1.1.0"}


async def test_a_log_that_cannot_be_written_lets_nothing_be_answered(
    alice: Caller, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    await alice.deploy()

    def no_space(*_: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    def full(*_: Any) -> Any:
        raise Unavailable("the prediction log cannot be written: it is full; nothing was stored")

    with monkeypatch.context() as broken:
        broken.setattr(os, "pwrite", no_space)
        broken.setattr(PredictionLog, "_commit", full)
        answers = await asyncio.gather(*(post(http, row(0)) for _ in range(5)))
    assert [status for status, _, _ in answers] == [503] * 5
    assert all(b"it is full" in told for _, told, _ in answers)
    assert (await alice.deployment()).variants[0].answered == 0
    assert (await post(http, row(0)))[0] == 200


async def test_too_many_are_refused_with_when_to_come_again(
    alice: Caller, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    await alice.deploy()
    with monkeypatch.context() as small:
        small.setattr(batcher_module, "MOST_WAITING", 0)
        short, long = await post(http, row(0)), await post(http, row(0), THE_HANDLERS)
    assert short == long
    status, told, headers = short
    assert (status, b"0 requests wait for an answer already" in told) == (429, True)
    assert int(headers["Retry-After"]) >= 1
    assert (await post(http, row(0)))[0] == 200
