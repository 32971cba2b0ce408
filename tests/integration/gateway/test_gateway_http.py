"""The gateway over HTTP: who may do what, what is refused and how, and that nothing is half done."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
import socket
from importlib.resources import files
from pathlib import Path

import httpx
import pytest
from modelog_common.domain.errors import Unavailable
from modelog_gateway.rest.app import BODY_LIMIT_BYTES
from small_platform import SmallPlatform

WEB = Path(str(files("modelog_gateway"))) / "web"
PAGES = (".html", ".css", ".js", ".svg")


def problem_of(answer: httpx.Response, status: int) -> dict[str, object]:
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json; charset=utf-8"
    body: dict[str, object] = answer.json()
    assert body["status"] == status
    assert body["correlation_id"] == answer.headers["X-Correlation-ID"]
    return body


def head(http: httpx.Client) -> int:
    return int(http.get("/api/v1/events", params={"limit": 1}).json()["head"])


@pytest.mark.parametrize(
    ("header", "text"),
    [
        (None, "lacks a header"),
        ("Basic YTpi", "lacks a header"),
        ("Bearer", "lacks a header"),
        ("Bearer forged", "not a JWT"),
        ("Bearer gr\xfcn", "not a JWT"),
    ],
)
def test_nobody_gets_401(platform: SmallPlatform, header: str | None, text: str) -> None:
    headers = {"Authorization": header.encode("latin-1")} if header else {}
    answer = httpx.get(f"{platform.url}/api/v1/me", headers=headers, timeout=150)  # type: ignore[arg-type]
    assert text in str(problem_of(answer, 401)["detail"])
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_token_that_is_over_gets_401(platform: SmallPlatform) -> None:
    token = platform.token("alice", "admin", lifetime_s=-5)
    answer = httpx.get(f"{platform.url}/api/v1/me", headers={"Authorization": f"Bearer {token}"}, timeout=150)
    assert "expired" in str(problem_of(answer, 401)["detail"])


def test_who_lacks_the_permission_gets_403_and_nothing_happens(platform: SmallPlatform, http: httpx.Client) -> None:
    before = head(http)
    viewer = {"Authorization": f"Bearer {platform.token('victor', 'viewer')}"}
    answer = http.post("/api/v1/models", json={"name": "not-mine"}, headers=viewer)
    assert "victor lacks the permission model.write" in str(problem_of(answer, 403)["detail"])
    nobody = {"Authorization": f"Bearer {platform.token('nobody', 'guest')}"}
    problem_of(http.get("/api/v1/me", headers=nobody), 403)
    assert "audit.read" in str(problem_of(http.get("/api/v1/events/stream", headers=nobody), 403)["detail"])
    assert head(http) == before


def test_what_is_not_there_gets_404(http: httpx.Client) -> None:
    assert problem_of(http.get("/nothing"), 404)["detail"] == "there is nothing at /nothing"
    assert "no-model" in str(problem_of(http.get("/api/v1/models/no-model"), 404)["detail"])
    problem_of(http.get("/api/v1/artifacts/" + "0" * 64), 404)
    for path in ("/static/", "/static/nothing.js", "/static/%2e%2e/app.py"):
        assert http.get(path).status_code == 404, path


def test_a_method_that_is_not_allowed_gets_405_and_is_told_which_are(http: httpx.Client) -> None:
    answer = http.delete("/api/v1/models")
    assert "DELETE is not allowed" in str(problem_of(answer, 405)["detail"])
    assert answer.headers["Allow"] == "GET, POST"
    problem_of(http.put("/api/v1/me", content=b"x"), 405)


def test_a_body_that_is_too_large_gets_413(http: httpx.Client) -> None:
    before = head(http)
    body = json.dumps({"name": "large", "description": "x" * BODY_LIMIT_BYTES}).encode()
    answer = http.post("/api/v1/models", content=body)
    assert problem_of(answer, 413)["errors"] == [
        {"field": "body", "description": f"is larger than {BODY_LIMIT_BYTES} bytes"}
    ]
    assert head(http) == before


def test_a_wrong_field_gets_400_with_its_name_from_gateway_and_service(http: httpx.Client) -> None:
    by_gateway = problem_of(http.post("/api/v1/models", json={"name": 1}), 400)["errors"]
    assert by_gateway == [{"field": "name", "description": "1 is not allowed; it must be text"}]
    by_service = problem_of(http.post("/api/v1/models", json={"name": "no/slash"}), 400)["errors"]
    assert [e["field"] for e in by_service] == ["name"]  # type: ignore[attr-defined]


def test_a_rule_that_refuses_gets_409_or_422(platform: SmallPlatform, http: httpx.Client) -> None:
    http.post("/api/v1/users", json={"name": "taken", "roles": ["viewer"]}).raise_for_status()
    problem_of(http.post("/api/v1/users", json={"name": "taken", "roles": ["admin"]}), 409)
    http.post("/api/v1/experiments", json={"name": "ended"}).raise_for_status()
    run = http.post("/api/v1/runs", json={"experiment": "ended"}).raise_for_status().json()["id"]
    http.post(f"/api/v1/runs/{run}/end", json={"status": "RUN_STATUS_COMPLETED"}).raise_for_status()
    problem_of(http.post(f"/api/v1/runs/{run}/log", json={"tags": {"a": "b"}}), 422)


def test_a_part_that_is_away_gets_503_and_when_to_come_back(http: httpx.Client) -> None:
    answer = http.get("/api/v1/lineage", params={"node": "Model:x", "direction": "DIRECTION_UPSTREAM"})
    assert "MODELOG_GRAPH_URI" in str(problem_of(answer, 503)["detail"])
    assert answer.headers["Retry-After"] == "1"


def test_the_callers_correlation_id_goes_through_to_the_event(http: httpx.Client) -> None:
    answer = http.post("/api/v1/models", json={"name": "correlated"}, headers={"X-Correlation-ID": "mine-1"})
    assert answer.headers["X-Correlation-ID"] == "mine-1"
    events = http.get("/api/v1/events", params={"stream": "registry.model", "newest_first": "true"}).json()["events"]
    assert (events[0]["correlation_id"], events[0]["payload"]["name"]) == ("mine-1", "correlated")


@pytest.mark.parametrize("given", ["", "\xe4", "tab\there"])
def test_a_correlation_id_that_cannot_travel_is_replaced(http: httpx.Client, given: str) -> None:
    answer = http.get("/api/v1/me", headers={"X-Correlation-ID": given.encode("latin-1")})  # type: ignore[dict-item]
    assert answer.status_code == 200
    assert re.fullmatch(r"[0-9a-f-]{36}", answer.headers["X-Correlation-ID"])
    long = http.get("/api/v1/me", headers={"X-Correlation-ID": "x" * 150})
    assert long.headers["X-Correlation-ID"] == "x" * 100


def test_a_repeated_request_id_acts_once(http: httpx.Client) -> None:
    body = {"user": "once", "request_id": "the-same"}
    http.post("/api/v1/users", json={"name": "once", "roles": ["viewer"]}).raise_for_status()
    first = http.post("/api/v1/tokens", json=body).raise_for_status().json()["token"]
    before = head(http)
    again = http.post("/api/v1/tokens", json=body).raise_for_status().json()["token"]
    assert head(http) == before
    claims = [json.loads(_base64(token.split(".")[1])) for token in (first, again)]
    assert claims[0]["jti"] == claims[1]["jti"]
    me = http.get("/api/v1/me", headers={"Authorization": f"Bearer {again}"}).json()
    assert (me["user"], me["roles"]) == ("once", ["viewer"])


def _base64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_files_go_up_and_down_whole(http: httpx.Client) -> None:
    content = b"0123456789" * 200_000
    digest = hashlib.sha256(content).hexdigest()
    stored = http.put("/api/v1/artifacts", content=content, headers={"X-Content-SHA256": digest}).raise_for_status()
    assert stored.json() == {"digest": digest, "size_bytes": str(len(content))}
    assert http.get(f"/api/v1/artifacts/{digest}").content == content
    empty = http.put("/api/v1/artifacts", content=b"").raise_for_status().json()["digest"]
    assert http.get(f"/api/v1/artifacts/{empty}").content == b""


def test_a_file_that_is_not_what_was_promised_is_refused(http: httpx.Client) -> None:
    answer = http.put("/api/v1/artifacts", content=b"x", headers={"X-Content-SHA256": "0" * 64})
    assert "nothing was stored" in str(problem_of(answer, 400)["detail"])
    for text in ("", "short", "A" * 64):
        refused = problem_of(http.put("/api/v1/artifacts", content=b"x", headers={"X-Content-SHA256": text}), 400)
        assert "X-Content-SHA256: " in str(refused["detail"])
    problem_of(http.get(f"/api/v1/artifacts/{hashlib.sha256(b'x').hexdigest()}"), 404)


def test_an_upload_that_breaks_off_stores_nothing(platform: SmallPlatform, http: httpx.Client) -> None:
    part = b"half of it" * 100_000
    with socket.create_connection(("127.0.0.1", platform.http_port), timeout=150) as connection:
        connection.sendall(
            b"PUT /api/v1/artifacts HTTP/1.1\r\nHost: x\r\n"
            + f"Authorization: {http.headers['Authorization']}\r\nContent-Length: {2 * len(part)}\r\n\r\n".encode()
            + part
        )
    blobs = platform.folder / "data" / "blobs"
    # The gateway answers others meanwhile; a whole upload after the broken one shows that it was dealt with.
    whole = http.put("/api/v1/artifacts", content=b"whole").raise_for_status().json()["digest"]
    problem_of(http.get(f"/api/v1/artifacts/{hashlib.sha256(part).hexdigest()}"), 404)
    names = {f.name for f in blobs.rglob("*") if f.is_file()}
    assert any(whole in name or whole[2:] in name for name in names), names
    assert hashlib.sha256(part).hexdigest() not in names


def test_the_page_and_its_assets_are_served_to_everybody(platform: SmallPlatform) -> None:
    with httpx.Client(base_url=platform.url, timeout=150) as client:
        page = client.get("/")
        assert (page.status_code, page.headers["Content-Type"].partition(";")[0]) == (200, "text/html")
        wanted = re.findall(r'(?:src|href)="(/[^"]+)"', page.text)
        assert {"/static/style.css", "/static/app.js", "/openapi.json"} <= set(wanted)
        for path in wanted:
            assert client.get(path).status_code == 200, path


def test_every_page_has_an_address_and_may_run_nothing_but_our_scripts(platform: SmallPlatform) -> None:
    with httpx.Client(base_url=platform.url, timeout=150) as client:
        for path in (
            "/",
            "/models",
            "/models/a%20b",
            "/compare",
            "/experiments/1",
            "/runs/1",
            "/diff",
            "/datasets/x",
            "/workspaces",
            "/shared",
        ):
            page = client.get(path)
            assert (page.status_code, page.headers["Content-Type"].partition(";")[0]) == (200, "text/html"), path
            policy = page.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "script-src 'self';" in policy
            assert "unsafe" not in policy
            assert not re.search(r"<script(?![^>]* src=)|<style| style=| on[a-z]+=", page.text)
        script = client.get("/static/app.js")
        assert script.headers["X-Content-Type-Options"] == "nosniff"
        assert "javascript" in script.headers["Content-Type"]


@pytest.mark.parametrize("name", sorted(str(f.relative_to(WEB)) for f in WEB.rglob("*") if f.suffix in PAGES))
def test_the_pages_ask_no_other_server_for_anything(name: str) -> None:
    """Addresses of other servers stand in the plot library's licence and name spaces only."""
    text = (WEB / name).read_text()
    hosts = set(re.findall(r"https?://([a-z0-9.-]+)", text))
    known = {"www.w3.org"}
    assert hosts <= (known | {"www.apache.org", "github.com"} if name.startswith("vendor") else known)
    assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//|@import|url\(["']?(?:https?:)?//""", text)


@pytest.mark.parametrize(
    "name", sorted(str(f.relative_to(WEB)) for f in WEB.rglob("*.js") if f.parent.name != "vendor")
)
def test_no_script_reads_text_as_markup_or_code(name: str) -> None:
    text = (WEB / name).read_text()
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc", text)


def test_health_and_discovery_need_no_token(platform: SmallPlatform) -> None:
    with httpx.Client(base_url=platform.url, timeout=150) as client:
        assert client.get("/healthz").json() == {"status": "serving"}
        found = client.get("/.well-known/modelog").json()
        assert found["registry_grpc"].startswith("127.0.0.1:")
        assert (found["version"], found["kafka"]) == ("0.1.0", "")
        assert client.get("/openapi.json").json()["info"]["version"] == "0.1.0"


def test_progress_of_a_topic_that_has_no_producers_is_refused(http: httpx.Client) -> None:
    error = problem_of(http.get("/api/v1/topics/nothing/producers/p"), 400)
    assert "inference.requests" in str(error["detail"])
    for kind in ("outcomes", "inference.requests"):
        found = http.get(f"/api/v1/topics/{kind}/producers/p").json()
        assert found == {"sequence": "0", "topic": f"modelog.default.{kind}"}


async def test_a_port_in_use_is_said(tmp_path: Path) -> None:
    small = SmallPlatform(tmp_path)
    with socket.create_server(("127.0.0.1", small.http_port)), pytest.raises(RuntimeError) as failed:
        await asyncio.to_thread(small.start)
    trouble = failed.value.__cause__
    while isinstance(trouble, BaseExceptionGroup):
        trouble = trouble.exceptions[0]
    assert isinstance(trouble, Unavailable)
    assert f"the gateway cannot listen on 127.0.0.1:{small.http_port}: " in str(trouble)
    assert "address already in use" in str(trouble).lower()
