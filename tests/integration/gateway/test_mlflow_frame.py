"""MLflow's API before it does anything: who may call, what the server says of itself, and the form of refusals."""

from __future__ import annotations

import base64

import httpx
import pytest
from small_platform import SmallPlatform

PREFIXES = ("/api/2.0/mlflow", "/ajax-api/2.0/mlflow")


@pytest.mark.parametrize("path", ["/health", "/version", "/api/3.0/mlflow/server-info"])
def test_what_the_server_says_of_itself_needs_no_token(platform: SmallPlatform, path: str) -> None:
    answer = httpx.get(platform.url + path, timeout=150)
    assert answer.status_code == 200, answer.text
    told = {"/health": "OK", "/version": "3.17.2"}.get(path)
    assert told is None or answer.text == told
    assert told is not None or answer.json()["multipart_uploads_enabled"] is False


@pytest.mark.parametrize("prefix", PREFIXES)
def test_without_a_token_there_is_nothing(platform: SmallPlatform, prefix: str) -> None:
    answer = httpx.get(f"{platform.url}{prefix}/runs/get", params={"run_id": "x"}, timeout=150)
    assert answer.status_code == 401
    assert answer.json()["error_code"] == "UNAUTHENTICATED"
    assert "lacks a header" in answer.json()["message"]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_an_unknown_endpoint_is_told_in_mlflows_words(http: httpx.Client, prefix: str) -> None:
    answer = http.get(f"{prefix}/from-the-future")
    assert answer.status_code == 404
    assert answer.json() == {
        "error_code": "ENDPOINT_NOT_FOUND",
        "message": f"there is nothing at {prefix}/from-the-future",
    }


def basic(user_and_password: bytes) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(user_and_password).decode()}"}


def test_a_token_may_be_the_password(platform: SmallPlatform) -> None:
    token = platform.token("alice", "admin").encode()
    url = f"{platform.url}/api/2.0/mlflow/from-the-future"
    assert httpx.get(url, headers=basic(b"alice:" + token), timeout=150).status_code == 404
    assert httpx.get(url, headers=basic(b"alice:secret"), timeout=150).status_code == 401
    assert httpx.get(url, headers={"Authorization": "Basic ?"}, timeout=150).json()["error_code"] == "UNAUTHENTICATED"


def test_elsewhere_a_password_is_no_token(platform: SmallPlatform) -> None:
    token = platform.token("alice", "admin").encode()
    assert httpx.get(f"{platform.url}/api/v1/me", headers=basic(b"alice:" + token), timeout=150).status_code == 401
