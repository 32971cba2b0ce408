"""Every domain error has its HTTP status, and leaves as a problem document (RFC 9457)."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from modelog_common.domain.errors import FieldViolation, Forbidden, Invalid, ModelogError, Unauthenticated, Unavailable
from modelog_common.rpc import errors as rpc_errors
from modelog_gateway.rest.openapi import _STATUSES
from modelog_gateway.rest.problems import CONTENT_TYPE, STATUS, problem, status_of


def kinds(base: type[ModelogError]) -> Iterator[type[ModelogError]]:
    for kind in base.__subclasses__():
        if kind.__module__.startswith("modelog_common."):
            yield kind
            yield from kinds(kind)


@pytest.mark.parametrize("kind", sorted(set(kinds(ModelogError)), key=lambda k: k.__name__), ids=lambda k: k.__name__)
def test_every_domain_error_has_a_status_of_its_own(kind: type[ModelogError]) -> None:
    assert any(base in STATUS for base in kind.__mro__), f"{kind.__name__} would be answered as 500"
    assert status_of(kind.__new__(kind)) in _STATUSES, "the OpenAPI document does not tell of it"


def test_what_gets_through_grpc_gets_through_http() -> None:
    assert {kind for kind, _, _ in rpc_errors.TABLE} == set(STATUS)


def test_an_error_nobody_knows_is_the_gateways_own_fault() -> None:
    class Odd(ModelogError):
        pass

    assert status_of(Odd("x")) == 500
    assert status_of(type("Busy", (Unavailable,), {})("x")) == 503


def test_a_problem_document_names_every_wrong_field() -> None:
    error = Invalid("a: is missing; b: is 1", [FieldViolation("a", "is missing"), FieldViolation("b", "is 1")])
    answer = problem(error, "c-1")
    assert (answer.status, answer.content_type) == (400, CONTENT_TYPE)
    assert json.loads(answer.text or "") == {
        "type": "urn:modelog:error:Invalid",
        "title": "Invalid",
        "status": 400,
        "detail": "a: is missing; b: is 1",
        "correlation_id": "c-1",
        "errors": [{"field": "a", "description": "is missing"}, {"field": "b", "description": "is 1"}],
    }


def test_headers_tell_what_to_do_next() -> None:
    assert problem(Unavailable("x"), "").headers["Retry-After"] == "1"
    assert problem(rpc_errors.DeadlineExceeded("x"), "").headers["Retry-After"] == "1"
    assert problem(Unauthenticated("x"), "").headers["WWW-Authenticate"] == "Bearer"
    assert "errors" not in json.loads(problem(Forbidden("x"), "").text or "")


def test_http_may_have_a_status_of_its_own() -> None:
    answer = problem(Invalid("too large"), "", 413)
    assert (answer.status, json.loads(answer.text or "")["status"]) == (413, 413)
