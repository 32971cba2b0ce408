"""What the SDK makes of answers: errors with the platform's own words, and patience with a platform that comes back."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import modelog
import pytest
from modelog import errors
from modelog.errors import error_from
from modelog.inference import predict
from modelog.transport import Transport
from modelog.types import Model, Token


class Gateway(ThreadingHTTPServer):
    """Answers what it is given, in turn, and remembers what it was asked."""

    answers: list[tuple[int, Any]]
    asked: list[dict[str, Any]]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/"


class Handler(BaseHTTPRequestHandler):
    server: Gateway

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append({"path": self.path, "body": json.loads(body) if body else None})
        status, content = self.server.answers.pop(0)
        text = content if isinstance(content, str) else json.dumps(content)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    do_GET = do_POST  # noqa: N815 - http.server's name

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    server = Gateway(("127.0.0.1", 0), Handler)
    server.answers, server.asked = [], []
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def transport(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> Iterator[Transport]:
    monkeypatch.setattr("modelog.transport.FIRST_PAUSE_S", 0.001)
    found = Transport(gateway.url, "token")
    yield found
    found.close()


def problem(kind: str, **more: Any) -> dict[str, Any]:
    return {"title": kind, "detail": f"{kind} happened", "correlation_id": "c", **more}


def test_a_call_is_repeated_with_the_same_request_id_until_the_platform_is_back(
    gateway: Gateway, transport: Transport
) -> None:
    gateway.answers = [(503, problem("Unavailable")), (504, problem("DeadlineExceeded")), (200, {"token": "t"})]
    assert transport.post("/api/v1/tokens", Token, {"user": "a", "left_out": None}).token == "t"
    ids = {asked["body"]["request_id"] for asked in gateway.asked}
    assert (len(gateway.asked), len(ids)) == (3, 1)
    assert set(gateway.asked[0]["body"]) == {"user", "request_id"}


def test_a_platform_that_stays_away_is_given_up(gateway: Gateway, transport: Transport) -> None:
    gateway.answers = [(503, problem("Unavailable"))] * 10
    with pytest.raises(modelog.Unavailable, match="Unavailable happened"):
        transport.get("/x", Model)
    assert len(gateway.asked) == 7


def test_a_refusal_is_not_repeated(gateway: Gateway, transport: Transport) -> None:
    gateway.answers = [(422, problem("NotAllowed"))]
    with pytest.raises(modelog.NotAllowed, match="NotAllowed happened") as caught:
        transport.get("/x", Model)
    assert (len(gateway.asked), caught.value.correlation_id) == (1, "c")


def test_what_is_no_gateway_is_said(gateway: Gateway, transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelog.transport.RETRIES", 0)
    gateway.answers = [(502, "<html>")]
    with pytest.raises(modelog.Unavailable, match="answered 502 and no JSON; is it a Modelog gateway"):
        transport.get("/x", Model)


def test_a_stream_that_is_refused_raises(gateway: Gateway, transport: Transport) -> None:
    gateway.answers = [(403, problem("Forbidden"))]
    with pytest.raises(modelog.Forbidden):
        next(transport.lines("/x"))


def test_a_stream_that_breaks_off_says_why(gateway: Gateway) -> None:
    gateway.answers = [
        (200, ': connected\n\nid: 1\nevent: event\ndata: {"position": "1"}\n\nevent: trouble\ndata: gone\n\n')
    ]
    with modelog.Client(gateway.url, "t") as client:
        events = client.audit.follow(0)
        assert next(events).position == 1
        with pytest.raises(modelog.Unavailable, match="gone"):
            next(events)


def test_queries_leave_out_what_is_none(gateway: Gateway, transport: Transport) -> None:
    gateway.answers = [(200, {"name": "m", "position": "12", "later_field": 1})]
    found = transport.get("/m", Model, as_of=None, at_least=3)
    assert (gateway.asked[0]["path"], found.name, found.position) == ("/m?at_least=3", "m", 12)


@pytest.mark.parametrize("kind", [k for k in vars(errors).values() if isinstance(k, type)], ids=lambda k: k.__name__)
def test_every_kind_of_problem_has_its_error(kind: type[Exception]) -> None:
    if issubclass(kind, errors.ModelogError):
        fields = [{"field": "a", "description": "b"}]
        found = error_from(problem(kind.__name__, errors=fields), 400)
        assert (type(found), str(found)) == (kind, f"{kind.__name__} happened")
        assert getattr(found, "fields", fields) == fields


def test_a_problem_of_an_unknown_kind_is_told_apart_by_its_status() -> None:
    assert type(error_from({}, 500)) is errors.ModelogError
    assert str(error_from({}, 500)) == "HTTP 500"
    assert type(error_from({"title": "New"}, 504)) is modelog.Unavailable


def test_a_client_without_a_token_sends_none() -> None:
    with modelog.Client("http://127.0.0.1:9", "") as client:
        assert client.authorization == {}


def test_a_client_of_the_past_asks_as_of_its_moment(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELOG_AS_OF", "2026-11-24T09:00:00Z")
    gateway.answers = [(200, {"name": "m"})] * 3
    with modelog.connect(gateway.url, "t") as client:
        client.models.get("m")
        client.models.get("m", as_of="7")
    with modelog.connect(gateway.url, "t", as_of="12") as client:
        client.models.get("m")
    assert [asked["path"].partition("?")[2] for asked in gateway.asked] == [
        "as_of=2026-11-24T09%3A00%3A00Z",
        "as_of=7",
        "as_of=12",
    ]


@pytest.mark.parametrize(
    "act",
    [
        lambda client: client.models.create("m"),
        lambda client: client.artifacts.upload_bytes(b"x", "x"),
        lambda client: client.jobs.wait("j"),
        lambda client: next(client.audit.follow()),
        lambda client: predict(client, "d", [{"x": 1.0}]),
    ],
    ids=["create", "upload", "wait", "follow", "predict"],
)
def test_a_client_of_the_past_changes_nothing(gateway: Gateway, act: Callable[[modelog.Client], Any]) -> None:
    with (
        modelog.connect(gateway.url, "t", as_of="12") as client,
        pytest.raises(modelog.NotAllowed, match=r"looks at the past \(as_of=12\)"),
    ):
        act(client)
    assert gateway.asked == []


def test_a_list_is_read_page_by_page(gateway: Gateway) -> None:
    gateway.answers = [
        (200, {"jobs": [{"id": "a"}, {"id": "b"}], "next_page_token": "b"}),
        (200, {"jobs": [{"id": "c"}, {"id": "d"}], "next_page_token": "d"}),
    ]
    with modelog.connect(gateway.url, token="t") as client:
        assert [job.id for job in client.jobs.list(limit=3)] == ["a", "b", "c"]
    assert [asked["path"].partition("?")[2] for asked in gateway.asked] == ["page_size=3", "page_size=1&page_token=b"]


def test_a_list_without_a_limit_is_read_to_its_end(gateway: Gateway) -> None:
    gateway.answers = [
        (200, {"users": [{"name": f"user-{n}"}], "next_page_token": f"user-{n}" if n < 2 else ""}) for n in range(3)
    ]
    with modelog.connect(gateway.url, token="t") as client:
        assert [user.name for user in client.users.list()] == ["user-0", "user-1", "user-2"]
    assert gateway.asked[2]["path"] == "/api/v1/users?page_size=1000&page_token=user-1"
