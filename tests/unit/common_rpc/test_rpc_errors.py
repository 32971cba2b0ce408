"""Domain errors become statuses and come back; nothing inside leaks; trailers stay small enough for any client."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import quote

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from grpc.aio import AioRpcError, Metadata
from modelog_common.domain import errors
from modelog_common.domain.errors import FieldViolation, Invalid, ModelogError
from modelog_common.rpc.errors import (
    TABLE,
    DeadlineExceeded,
    PeerFailed,
    Unimplemented,
    code_of,
    error_of,
    shorten,
    status_of,
    trailers_of,
)

HEADER_LIMIT_BYTES = 8192


def sent(error: BaseException) -> AioRpcError:
    """What a client's library makes of an error that a server raised."""
    code, text, trailers = trailers_of(status_of(error, "c-1"))
    return AioRpcError(code, Metadata(), Metadata(*trailers), text)


def answered(code: grpc.StatusCode, text: str = "", trailers: Any = ()) -> ModelogError:
    return error_of(AioRpcError(code, Metadata(), Metadata(*trailers), text))


def detail(error: BaseException, kind: Any) -> Any:
    found = kind()
    matching = [d for d in status_of(error, "c-1").details if d.Is(kind.DESCRIPTOR)]
    assert len(matching) == 1
    matching[0].Unpack(found)
    return found


@pytest.mark.parametrize("kind", [kind for kind, _, _ in TABLE])
def test_every_error_comes_back_as_itself(kind: type[ModelogError]) -> None:
    back = error_of(sent(kind("flight-delay «9» is not there; it has 1.0.0")))
    assert type(back) is kind
    assert str(back) == "flight-delay «9» is not there; it has 1.0.0"


def test_every_error_of_the_domain_is_in_the_table() -> None:
    leaves = {e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, ModelogError)} - {ModelogError}
    assert leaves <= {kind for kind, _, _ in TABLE}


def test_codes_are_used_once() -> None:
    codes = [code for _, code, _ in TABLE]
    assert len(codes) == len(set(codes))


def test_violations_come_back() -> None:
    wrong = [FieldViolation("name", "is missing"), FieldViolation("spec.datasets[0].version", "0 is out of range")]
    back = error_of(sent(Invalid("two fields are wrong", wrong)))
    assert isinstance(back, Invalid)
    assert list(back.violations) == wrong
    assert [(v.field, v.description) for v in detail(Invalid("x", wrong), BadRequest).field_violations] == [
        ("name", "is missing"),
        ("spec.datasets[0].version", "0 is out of range"),
    ]


def test_details_are_those_of_google_rpc() -> None:
    info = detail(errors.NotAllowed("no"), ErrorInfo)
    assert (info.reason, info.domain, dict(info.metadata)) == ("NOT_ALLOWED", "modelog", {"correlation_id": "c-1"})
    assert detail(errors.Unavailable("later"), RetryInfo).retry_delay.seconds == 1
    assert detail(errors.Overloaded("later", 2.1), RetryInfo).retry_delay.seconds == 3


def test_an_unexpected_error_tells_only_where_to_look() -> None:
    status = status_of(KeyError("password hunter2"), "c-1")
    assert "hunter2" not in str(status)
    back = error_of(sent(KeyError("password hunter2")))
    assert isinstance(back, PeerFailed)
    assert str(back) == "internal error; the service's log has it under correlation id c-1"


def test_a_domain_error_without_a_place_in_the_table_is_unexpected() -> None:
    assert status_of(ModelogError("secret"), "c").code == grpc.StatusCode.INTERNAL.value[0]


@pytest.mark.parametrize(
    "error",
    [
        Invalid("ä" * 50_000, [FieldViolation(f"field[{n}]", "ß" * 5000) for n in range(100)]),
        Invalid("%" * 50_000, [FieldViolation("f" * 9000, "d")] * 3),
        errors.NotFound("漢" * 50_000),
    ],
)
def test_trailers_fit_into_the_eight_kilobytes_that_clients_take(error: ModelogError) -> None:
    _, text, ((_, details),) = trailers_of(status_of(error, "c" * 100))
    on_the_wire = len(quote(text)) + len(base64.b64encode(details)) + 200
    assert on_the_wire < HEADER_LIMIT_BYTES
    back = error_of(sent(error))
    assert type(back) is type(error)
    assert str(back).endswith("…")


def test_violations_that_do_not_fit_are_counted() -> None:
    back = error_of(sent(Invalid("many", [FieldViolation(f"field[{n}]", "is wrong " * 20) for n in range(100)])))
    assert isinstance(back, Invalid)
    told = len(back.violations) - 1
    assert told > 3
    assert back.violations[-1].description == f"and {100 - told} more"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (grpc.StatusCode.UNAVAILABLE, errors.Unavailable),
        (grpc.StatusCode.DEADLINE_EXCEEDED, DeadlineExceeded),
        (grpc.StatusCode.CANCELLED, errors.Unavailable),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, errors.Overloaded),
        (grpc.StatusCode.OUT_OF_RANGE, Invalid),
        (grpc.StatusCode.UNIMPLEMENTED, Unimplemented),
        (grpc.StatusCode.UNKNOWN, PeerFailed),
        (grpc.StatusCode.DATA_LOSS, PeerFailed),
        (grpc.StatusCode.INVALID_ARGUMENT, Invalid),
    ],
)
def test_servers_that_are_not_ours(code: grpc.StatusCode, kind: type[ModelogError]) -> None:
    back = answered(code, "what they said")
    assert type(back) is kind
    assert str(back) == "what they said"


def test_an_answer_without_text_names_its_code() -> None:
    assert str(answered(grpc.StatusCode.UNKNOWN)) == "UNKNOWN"


def test_a_message_that_is_too_large_will_not_fit_later_either() -> None:
    text = "CLIENT: Received message larger than max (5 vs. 4)"
    assert isinstance(answered(grpc.StatusCode.RESOURCE_EXHAUSTED, text), Invalid)


def test_details_that_are_garbage_are_passed_over() -> None:
    back = answered(grpc.StatusCode.NOT_FOUND, "gone", [("grpc-status-details-bin", b"\xff\xff"), ("other", "x")])
    assert isinstance(back, errors.NotFound)
    assert str(back) == "gone"


def test_text_is_cut_between_characters() -> None:
    assert shorten("abc", 3) == "abc"
    assert shorten("ääää", 7) == "ää…"
    assert shorten("a\ud800b", 10) == "a?b"


def test_a_number_that_is_no_code() -> None:
    assert code_of(5) is grpc.StatusCode.NOT_FOUND
    assert code_of(99) is grpc.StatusCode.UNKNOWN
