"""MLflow's plain calls are answered without aiohttp: who may call, and what is refused how, is the same behind it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from mlflow_http import API, Mlflow
from small_platform import SmallPlatform

SAME_HEADERS = ("content-type", "content-length", "www-authenticate", "x-correlation-id")
TOLD: dict[str, Any] = {"X-Correlation-ID": "both ways"}
ASKED: dict[str, tuple[str, str, dict[str, Any]]] = {
    "found": ("GET", "/experiments/get?experiment_id=0", {}),
    "found by name": ("GET", "/experiments/get-by-name?experiment_name=Def%61ult", {}),
    "not found": ("GET", "/runs/get?run_id=none", {}),
    "no JSON": ("POST", "/runs/log-metric", {"content": b"{"}),
    "no body": ("POST", "/runs/log-metric", {}),
    "a field is missing": ("POST", "/runs/log-metric", {"json": {"run_id": "x"}}),
    "wrong type": ("POST", "/runs/log-batch", {"json": {"run_id": "x", "metrics": [{"key": 1}]}}),
    "another method": ("POST", "/runs/get", {}),
    "no such method": ("GET", "/from-the-future", {}),
    "elsewhere": ("GET", "/experiments/get?experiment_id=0", {"headers": {"X-MLFLOW-WORKSPACE": "nowhere"}}),
    "no token": ("GET", "/runs/get?run_id=none", {"headers": {"Authorization": ""}}),
    "no such token": ("POST", "/runs/create", {"headers": {"Authorization": "Bearer abc"}, "json": {}}),
    "no password": ("POST", "/runs/create", {"headers": {"Authorization": "Basic ?"}, "json": {}}),
}


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
def test_the_answer_is_the_same_both_ways(http: httpx.Client, asked: tuple[str, str, dict[str, Any]]) -> None:
    Mlflow(http).get("/experiments/get", experiment_id="0")
    verb, path, more = asked
    headers = TOLD | more.get("headers", {})
    # A call that ends its connection is not a plain one.
    answers = [
        http.request(verb, API + path, **more | {"headers": headers | ending})
        for ending in ({}, {"Connection": "close"})
    ]
    assert "aiohttp" in answers[1].headers["Server"]
    ours, theirs = ((a.status_code, a.text, [a.headers.get(name) for name in SAME_HEADERS]) for a in answers)
    assert ours == theirs


def test_plain_calls_are_not_answered_by_aiohttp(http: httpx.Client) -> None:
    answer = http.get(f"{API}/experiments/get?experiment_id=0")
    assert answer.status_code == 200, answer.text
    assert "Server" not in answer.headers
    assert answer.headers["Date"].endswith(" GMT")


def test_a_caller_may_do_no_more_without_aiohttp(platform: SmallPlatform) -> None:
    """A viewer reads, and writes nothing."""
    headers = {"Authorization": f"Bearer {platform.token('eve', 'viewer')}"}
    with httpx.Client(base_url=platform.url, headers=headers, timeout=150) as client:
        refused = client.post(f"{API}/experiments/create", json={"name": "hers"})
    assert (refused.status_code, refused.json()["error_code"]) == (403, "PERMISSION_DENIED")
    assert "Server" not in refused.headers
