"""Events and files as they stream through the gateway, and what callers see when a service fails half way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import grpc.aio
import httpx
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from modelog_common.domain.clock import SystemClock
from modelog_common.rpc.client import connect
from modelog_common.security.keys import create_key_pair
from modelog_common.security.tokens import Identity, TokenSigner, TokenVerifier
from modelog_gateway.rest.app import build_app
from modelog_proto.lineage.v1 import lineage_pb2
from modelog_proto.lineage.v1.lineage_pb2_grpc import AuditServiceServicer, add_AuditServiceServicer_to_server
from modelog_proto.registry.v1 import artifact_pb2
from modelog_proto.registry.v1.artifact_pb2_grpc import ArtifactStoreServicer, add_ArtifactStoreServicer_to_server
from small_platform import SmallPlatform

DIGEST = "0" * 64


def read_events(http: httpx.Client, count: int, **arguments: Any) -> list[tuple[int, dict[str, Any]]]:
    """(id, data) of the first events of the stream."""
    found: list[tuple[int, dict[str, Any]]] = []
    position = 0
    with http.stream("GET", "/api/v1/events/stream", **arguments) as answer:
        assert answer.headers["Content-Type"] == "text/event-stream"
        for line in answer.iter_lines():
            if line.startswith("id: "):
                position = int(line[4:])
            elif line.startswith("data: "):
                found.append((position, json.loads(line[6:])))
                if len(found) == count:
                    break
    return found


def test_events_stream_from_where_the_caller_left_off(http: httpx.Client) -> None:
    for name in ("streamed-1", "streamed-2", "streamed-3"):
        http.post("/api/v1/models", json={"name": name}).raise_for_status()
    head = int(http.get("/api/v1/events", params={"limit": 1}).json()["head"])
    # Each takes its name, and is registered.
    after, expected = {"after": head - 6}, list(range(head - 5, head + 1))
    first = read_events(http, 6, params=after)
    assert [position for position, _ in first] == expected
    assert [int(event["position"]) for _, event in first] == expected
    registered = [event["payload"]["name"] for _, event in first if event["type"] == "registry.ModelRegistered"]
    assert registered == ["streamed-1", "streamed-2", "streamed-3"]
    again = read_events(http, 2, params=after, headers={"Last-Event-ID": str(head - 2)})
    assert again == first[4:]


@pytest.mark.parametrize("text", ["-1", "soon", "1" * 19, "\u00b2"])
def test_a_start_that_is_no_position_is_refused(http: httpx.Client, text: str) -> None:
    answer = http.get("/api/v1/events/stream", params={"after": text})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "after")


def test_a_page_that_is_closed_ends_its_stream(platform: SmallPlatform, http: httpx.Client) -> None:
    """Nothing is left of it, so stopping does not have to wait; the fixture's end shows that."""
    for _ in range(5):
        read_events(http, 1, params={"after": 0})
    assert http.get("/healthz").status_code == 200


def test_a_file_is_opened_to_a_browser_for_a_minute_and_nothing_else_is(
    platform: SmallPlatform, http: httpx.Client
) -> None:
    digest, other = (http.put("/api/v1/artifacts", content=text).json()["digest"] for text in (b"mine", b"other"))
    opened = http.post(f"/api/v1/artifacts/{digest}/link")
    assert (opened.status_code, opened.content) == (200, b"{}")
    told = opened.headers["Set-Cookie"]
    for rule in ("HttpOnly", "SameSite=Strict", "Max-Age=60", f"Path=/api/v1/artifacts/{digest}"):
        assert rule in told
    cookie = {"Cookie": told.partition(";")[0]}
    with httpx.Client(base_url=platform.url, headers=cookie, timeout=150) as browser:
        file = browser.get(f"/api/v1/artifacts/{digest}")
        assert (file.status_code, file.content) == (200, b"mine")
        assert file.headers["Content-Disposition"] == "attachment"
        assert file.headers["X-Content-Type-Options"] == "nosniff"
        # The path of the cookie is the browser's to keep to; whatever it sends, nothing but files can be read by it.
        for verb, path in (
            ("PUT", "/api/v1/artifacts"),
            ("POST", f"/api/v1/artifacts/{other}/link"),
            ("GET", "/api/v1/me"),
        ):
            assert browser.request(verb, path).status_code == 401
    assert http.post(f"/api/v1/artifacts/{DIGEST}/link").status_code == 404
    with httpx.Client(base_url=platform.url, headers={"Cookie": "modelog-file=no-token"}, timeout=150) as stranger:
        assert stranger.get(f"/api/v1/artifacts/{digest}").status_code == 401


class BreaksOff(ArtifactStoreServicer, AuditServiceServicer):
    """Fails half way, as a service does that is killed."""

    async def DownloadArtifact(
        self, request: Any, context: Any
    ) -> AsyncIterator[artifact_pb2.DownloadArtifactResponse]:
        yield artifact_pb2.DownloadArtifactResponse(chunk=b"x" * 100_000)
        await context.abort(grpc.StatusCode.UNAVAILABLE, "killed")

    async def StreamEvents(self, request: Any, context: Any) -> AsyncIterator[lineage_pb2.AuditEvent]:
        yield lineage_pb2.AuditEvent(position=7, type="registry.ModelRegistered")
        await context.abort(grpc.StatusCode.UNAVAILABLE, "killed\n\nevent: forged")


Peers = Callable[[str], grpc.aio.Channel]


async def serve(peers: Peers, tmp_path: Path) -> tuple[TestServer, dict[str, str]]:
    key = create_key_pair(tmp_path / "signing.pem", tmp_path / "public.pem")
    token = TokenSigner(key, SystemClock()).sign(Identity("alice", "t", frozenset({"admin"})), timedelta(hours=1))
    app = build_app(peers, TokenVerifier.from_file(tmp_path / "public.pem", SystemClock()), "0", {})
    server = TestServer(app)
    await server.start_server()
    return server, {"Authorization": f"Bearer {token}"}


@pytest.fixture
async def half_way(tmp_path: Path) -> AsyncIterator[tuple[str, dict[str, str]]]:
    """Address and headers of a gateway before services that fail half way."""
    service = grpc.aio.server()
    servicer = BreaksOff()
    add_ArtifactStoreServicer_to_server(servicer, service)
    add_AuditServiceServicer_to_server(servicer, service)
    port = service.add_insecure_port("127.0.0.1:0")
    await service.start()
    channel = connect(f"127.0.0.1:{port}", "", attempts=1)
    server, headers = await serve(lambda _: channel, tmp_path)
    yield str(server.make_url("")), headers
    await server.close()
    await channel.close()
    await service.stop(0)


async def test_a_file_that_breaks_off_on_its_way_down_breaks_the_connection(
    half_way: tuple[str, dict[str, str]],
) -> None:
    """The status line is gone by then, so nothing else can tell the caller that this is not all."""
    url, headers = half_way
    async with aiohttp.ClientSession(url, headers=headers) as session:
        answer = await session.get(f"/api/v1/artifacts/{DIGEST}")
        assert answer.status == 200
        with pytest.raises(aiohttp.ClientError):
            await answer.read()


async def test_an_event_stream_that_breaks_off_says_why_in_one_line(half_way: tuple[str, dict[str, str]]) -> None:
    url, headers = half_way
    async with aiohttp.ClientSession(url, headers=headers) as session:
        answer = await session.get("/api/v1/events/stream")
        messages = (await answer.text()).strip().split("\n\n")
    assert messages[0] == ": connected"
    assert messages[1].startswith("id: 7\nevent: event\ndata: {")
    assert messages[2:] == ["event: trouble\ndata: killed event: forged"]


async def test_what_nobody_foresaw_tells_its_correlation_id_and_nothing_else(tmp_path: Path) -> None:
    def broken(_: str) -> grpc.aio.Channel:
        raise RuntimeError("secret detail")

    server, headers = await serve(broken, tmp_path)
    async with aiohttp.ClientSession(server.make_url(""), headers=headers) as session:
        answer = await session.get("/api/v1/me", headers={"X-Correlation-ID": "c-1"})
        text = await answer.text()
    await server.close()
    assert answer.status == 500
    assert "c-1" in json.loads(text)["detail"]
    assert "secret" not in text


async def test_a_caller_who_goes_away_takes_the_call_along(tmp_path: Path) -> None:
    """As `start_http` runs it: the gRPC call to the service is cancelled with the HTTP request."""
    asked, cancelled = asyncio.Event(), asyncio.Event()

    class Slow(AuditServiceServicer):
        async def GetCheckpoint(self, request: Any, context: Any) -> lineage_pb2.Checkpoint:
            asked.set()
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()
            raise AssertionError("unreachable")

    service = grpc.aio.server()
    add_AuditServiceServicer_to_server(Slow(), service)
    port = service.add_insecure_port("127.0.0.1:0")
    await service.start()
    channel = connect(f"127.0.0.1:{port}", "", attempts=1)
    key = create_key_pair(tmp_path / "signing.pem", tmp_path / "public.pem")
    token = TokenSigner(key, SystemClock()).sign(Identity("alice", "t", frozenset({"admin"})), timedelta(hours=1))
    app = build_app(lambda _: channel, TokenVerifier.from_file(tmp_path / "public.pem", SystemClock()), "0", {})
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/api/v1/audit/checkpoint"
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session:
        asking = asyncio.create_task(session.get(url))
        await asyncio.wait_for(asked.wait(), 150)
        asking.cancel()
    await asyncio.wait_for(cancelled.wait(), 150)
    await runner.cleanup()
    await channel.close()
    await service.stop(0)
