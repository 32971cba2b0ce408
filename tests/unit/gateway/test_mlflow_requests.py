"""What MLflow's clients send, and what they send wrongly, as structs of a method."""

from __future__ import annotations

import math

import msgspec
import pytest
from modelog_common.domain.errors import (
    AlreadyExists,
    Conflict,
    Forbidden,
    Invalid,
    ModelogError,
    NotAllowed,
    NotFound,
    Unauthenticated,
    Unavailable,
)
from modelog_common.rpc.errors import DeadlineExceeded, PeerFailed, Unimplemented
from modelog_gateway.mlflow.errors import EndpointNotFound, refusal
from modelog_gateway.mlflow.requests import parser_of


class Point(msgspec.Struct):
    key: str
    value: float
    timestamp: int = 0


class Log(msgspec.Struct):
    run_id: str
    metrics: list[Point] = []
    run_ids: list[str] = []
    deep: bool = False


parse = parser_of(Log)


def test_a_body() -> None:
    body = b'{"run_id":"a","metrics":[{"key":"k","value":1,"timestamp":"17"}],"newer":{"field":1}}'
    assert parse({}, [], body) == Log("a", [Point("k", 1.0, 17)])


def test_numbers_that_json_lacks() -> None:
    body = b'[{"key":"n","value":"NaN"},{"key":"i","value":"-Infinity"},{"key":"j","value":"Infinity"}]'
    values = [point.value for point in parse({}, [], b'{"run_id":"a","metrics":' + body + b"}").metrics]
    assert math.isnan(values[0])
    assert values[1:] == [-math.inf, math.inf]


def test_a_query_with_a_repeated_name() -> None:
    query = [("run_id", "a"), ("run_ids", "x"), ("run_ids", "y"), ("deep", "true")]
    assert parse({}, query, b"") == Log("a", [], ["x", "y"], True)


def test_a_part_of_the_path_wins_over_the_body() -> None:
    assert parse({"run_id": "path"}, [], b'{"run_id":"body","deep":true}') == Log("path", deep=True)


@pytest.mark.parametrize(
    ("body", "field", "trouble"),
    [
        (b"{}", "run_id", "Missing value for required parameter 'run_id'"),
        (b"", "run_id", "Missing value for required parameter 'run_id'"),
        (b'{"run_id":5}', "run_id", "expected `str`, got `int`"),
        (b'{"run_id":"a","metrics":[{"key":"k","value":"high"}]}', "metrics[0].value", "expected `float`, got `str`"),
        (b'{"run_id":"a","metrics":[{"value":1}]}', "metrics[0].key", "Missing value for required parameter 'key'"),
        (b'{"run_id":"a","metrics":{}}', "metrics", "expected `array`, got `object`"),
        (b"[]", "body", "expected `object`, got `array`"),
        (b'{"run_id":', "body", "is not JSON"),
        (b'{"run_id":"\xff"}', "body", "is not JSON"),
        (b"[" * 100_000, "body", ""),
    ],
)
def test_what_does_not_fit_is_refused_by_its_name(body: bytes, field: str, trouble: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse({}, [], body)
    assert caught.value.violations[0].field == field
    assert trouble in caught.value.violations[0].description


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Invalid("x"), 400, b"INVALID_PARAMETER_VALUE"),
        (NotAllowed("x"), 400, b"INVALID_PARAMETER_VALUE"),
        (AlreadyExists("x"), 400, b"RESOURCE_ALREADY_EXISTS"),
        (Unauthenticated("x"), 401, b"UNAUTHENTICATED"),
        (Forbidden("x"), 403, b"PERMISSION_DENIED"),
        (NotFound("x"), 404, b"RESOURCE_DOES_NOT_EXIST"),
        (EndpointNotFound("x"), 404, b"ENDPOINT_NOT_FOUND"),
        (Conflict("x"), 409, b"RESOURCE_CONFLICT"),
        (PeerFailed("x"), 500, b"INTERNAL_ERROR"),
        (Unimplemented("x"), 501, b"NOT_IMPLEMENTED"),
        (Unavailable("x"), 503, b"TEMPORARILY_UNAVAILABLE"),
        (DeadlineExceeded("x"), 504, b"DEADLINE_EXCEEDED"),
        (ModelogError("x"), 500, b"INTERNAL_ERROR"),
    ],
)
def test_errors(error: ModelogError, status: int, code: bytes) -> None:
    answer = refusal(error)
    assert (answer.status, answer.body) == (status, b'{"error_code":"' + code + b'","message":"x"}')
