"""Triton's own clients, over gRPC and HTTP, against a deployment of XGBoost: argv is JSON."""

from __future__ import annotations

import json
import queue
import sys
from typing import Any

import numpy as np
import tritonclient.grpc as over_grpc
import tritonclient.http as over_http
from tritonclient.utils import InferenceServerException

given: dict[str, Any] = json.loads(sys.argv[1])
NAME, ROWS, EXPECTED = given["name"], np.array(given["rows"], np.float32), np.array(given["expected"], np.float32)


def told() -> dict[str, Any]:
    """The token; afresh for each call, since the HTTP client writes into what it is given."""
    return {"headers": {"authorization": f"Bearer {given['token']}"}}


def inputs(module: Any, rows: Any = ROWS, **form: Any) -> list[Any]:
    tensor = module.InferInput("features", list(rows.shape), "FP32")
    tensor.set_data_from_numpy(rows, **form)
    return [tensor]


def same(result: Any) -> None:
    np.testing.assert_allclose(result.as_numpy("late"), EXPECTED, atol=1e-6)


def refused(call: Any, *texts: str) -> None:
    told = "nothing"
    try:
        call()
    except InferenceServerException as error:
        told = str(error)
    assert all(text in told for text in texts), told


def common(client: Any, module: Any) -> None:
    """What both clients have."""
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(NAME, **told())
    assert client.is_model_ready(NAME, "1.1.0", **told())
    same(client.infer(NAME, inputs(module), request_id="7", **told()))
    same(client.infer(NAME, inputs(module), outputs=[module.InferRequestedOutput("late")], **told()))
    result = client.infer(
        NAME, inputs(module, ROWS[:1]), parameters={"key": "k", "prediction_id": module.__name__}, **told()
    )
    assert result.as_numpy("late").shape == (1,)
    other = client.infer(NAME, inputs(module), model_version="1.1.0", **told()).as_numpy("late")
    np.testing.assert_allclose(other, given["other"], atol=1e-6)
    refused(lambda: client.infer("none", inputs(module), **told()), "there is no model or deployment 'none'")
    refused(lambda: client.infer(NAME, inputs(module, ROWS[:, :3].copy()), **told()), "inputs[0].shape", "[rows, 4]")
    refused(lambda: client.infer(NAME, inputs(module)), "carries no token")
    client.load_model(NAME, **told())
    refused(lambda: client.unload_model(NAME, **told()), "answers traffic and stays in memory")
    refused(lambda: client.load_model(NAME, config="{}", **told()), "parameters.config: is not supported")
    refused(lambda: client.load_model("none", **told()), "there is no model or deployment 'none'")


def http() -> None:
    with over_http.InferenceServerClient(given["http"].removeprefix("http://"), concurrency=4) as client:
        common(client, over_http)
        assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
        assert client.get_model_metadata(NAME, **told())["inputs"][0]["shape"] == [-1, 4]
        assert client.get_model_config(NAME, **told())["input"][0]["data_type"] == "TYPE_FP32"
        (listed,) = client.get_model_repository_index(**told())
        assert (listed["name"], listed["version"], listed["state"]) == (NAME, "1.0.0", "READY")
        (counted,) = client.get_inference_statistics(NAME, **told())["model_stats"]
        assert counted["inference_stats"]["success"]["count"] >= 3
        # In JSON one way, the other way, and both.
        for binary_in in (True, False):
            for binary_out in (True, False):
                wanted = [over_http.InferRequestedOutput("late", binary_data=binary_out)]
                sent = inputs(over_http, binary_data=binary_in)
                same(client.infer(NAME, sent, outputs=wanted, **told()))
        for packed in ("gzip", "deflate"):
            same(client.infer(NAME, inputs(over_http), request_compression_algorithm=packed, **told()))
            same(client.infer(NAME, inputs(over_http), response_compression_algorithm=packed, **told()))
        asked = [client.async_infer(NAME, inputs(over_http), **told()) for _ in range(8)]
        for waiting in asked:
            same(waiting.get_result())
        wanted = [over_http.InferRequestedOutput("late", class_count=2)]
        refused(lambda: client.infer(NAME, inputs(over_http), outputs=wanted, **told()), "classification")


def grpc() -> None:
    with over_grpc.InferenceServerClient(given["grpc"]) as client:
        common(client, over_grpc)
        assert "statistics" in client.get_server_metadata().extensions
        assert list(client.get_model_metadata(NAME, **told()).inputs[0].shape) == [-1, 4]
        assert list(client.get_model_config(NAME, **told()).config.input[0].dims) == [4]
        (listed,) = client.get_model_repository_index(**told()).models
        assert (listed.name, listed.version, listed.state) == (NAME, "1.0.0", "READY")
        assert client.get_inference_statistics(**told()).model_stats[0].inference_stats.success.count >= 3
        same(client.infer(NAME, inputs(over_grpc), compression_algorithm="gzip", **told()))
        answers: queue.Queue[tuple[Any, Any]] = queue.Queue()
        client.async_infer(NAME, inputs(over_grpc), lambda result, error: answers.put((result, error)), **told())
        stream(client, answers)


def stream(client: Any, answers: queue.Queue[tuple[Any, Any]]) -> None:
    result, error = answers.get(timeout=150)
    assert error is None
    same(result)
    client.start_stream(lambda result, error: answers.put((result, error)), **told())
    for n in range(50):
        client.async_stream_infer("none" if n == 25 else NAME, inputs(over_grpc), request_id=str(n))
    client.async_stream_infer(NAME, inputs(over_grpc), request_id="50", enable_empty_final_response=True)
    for n in range(51):
        result, error = answers.get(timeout=150)
        if n == 25:
            assert "there is no model or deployment 'none'" in str(error)
            continue
        assert error is None, error
        assert result.get_response().id == str(n)
        same(result)
    assert result.get_response().parameters["triton_final_response"].bool_param
    client.stop_stream()


http()
grpc()
