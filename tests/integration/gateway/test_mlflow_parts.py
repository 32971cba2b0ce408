"""Files that come in parts, by MLflow's methods and over REST: the file is there once all of it is."""

from __future__ import annotations

import hashlib
import socket
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from mlflow_http import FILES, Mlflow, answer_of, refusal_of
from small_platform import SmallPlatform

MPU = "/api/2.0/mlflow-artifacts/mpu"
CONTENT = (b"one" * 100_000, b"two" * 100_000, b"end")


@pytest.fixture
def mlflow(http: httpx.Client) -> Mlflow:
    return Mlflow(http)


def created(mlflow: Mlflow, folder: str, parts: int = 3, path: str = "/home/alice/big.bin") -> dict[str, Any]:
    return answer_of(mlflow.http.post(f"{MPU}/create/{folder}", json={"path": path, "num_parts": parts}))


def sent(credential: dict[str, Any], content: bytes) -> dict[str, Any]:
    """A part as MLflow's client sends it: to the address that it was told, with the headers that it was told."""
    answer = httpx.put(credential["url"], content=content, headers=credential["headers"], timeout=150)
    assert answer.status_code == 200, answer.text
    number = credential["part_number"]
    return {"part_number": number, "etag": answer.headers["ETag"], "url": credential["url"]}


def paths_in(mlflow: Mlflow, run_id: str, path: str = "") -> list[str]:
    return [file["path"] for file in mlflow.get("/artifacts/list", run_id=run_id, path=path)["files"]]


def test_a_file_in_parts_is_there_once_it_is_complete(mlflow: Mlflow) -> None:
    run_id = mlflow.run()
    folder = f"0/{run_id}/artifacts/large"
    upload = created(mlflow, folder)
    parts = [sent(credential, CONTENT[credential["part_number"] - 1]) for credential in reversed(upload["credentials"])]
    assert paths_in(mlflow, run_id) == []
    body = {"path": "/home/alice/big.bin", "upload_id": upload["upload_id"], "parts": parts}
    for _ in range(2):  # the client sends again what was not answered in time
        assert answer_of(mlflow.http.post(f"{MPU}/complete/{folder}", json=body)) == {}
    assert paths_in(mlflow, run_id, "large") == ["large/big.bin"]
    assert mlflow.http.get(f"{FILES}/{folder}/big.bin").content == b"".join(CONTENT)


def test_a_part_that_is_missing_or_wrong_makes_no_file(mlflow: Mlflow) -> None:
    run_id = mlflow.run()
    folder = f"0/{run_id}/artifacts"
    upload = created(mlflow, folder, 2)
    first = sent(upload["credentials"][0], CONTENT[0])
    body = {"path": "big.bin", "upload_id": upload["upload_id"]}
    second = {"part_number": 2, "etag": first["etag"]}
    for parts, said in (([first, second], "part 2 is missing"), ([second | {"part_number": 1}, second], "part 2")):
        answer = mlflow.http.post(f"{MPU}/complete/{folder}", json=body | {"parts": parts})
        assert said in refusal_of(answer, 400, "INVALID_PARAMETER_VALUE")
    wrong = [first | {"etag": hashlib.sha256(b"").hexdigest()}, sent(upload["credentials"][1], CONTENT[1])]
    answer = mlflow.http.post(f"{MPU}/complete/{folder}", json=body | {"parts": wrong})
    assert "part 1 that is held has" in refusal_of(answer, 400, "INVALID_PARAMETER_VALUE")
    assert paths_in(mlflow, run_id) == []
    for _ in range(2):
        assert answer_of(mlflow.http.post(f"{MPU}/abort/{folder}", json=body)) == {}
    answer = mlflow.http.post(f"{MPU}/complete/{folder}", json=body | {"parts": [first]})
    refusal_of(answer, 404, "RESOURCE_DOES_NOT_EXIST")


def test_a_part_that_is_cut_off_is_not_held(platform: SmallPlatform, mlflow: Mlflow) -> None:
    run_id = mlflow.run()
    upload = created(mlflow, f"0/{run_id}/artifacts", 1)
    address = urlsplit(upload["credentials"][0]["url"])
    with socket.create_connection((str(address.hostname), address.port or 0), timeout=150) as connection:
        head = (
            f"PUT {address.path} HTTP/1.1\r\nHost: {address.netloc}\r\n"
            f"Authorization: Bearer {platform.token('alice', 'admin')}\r\nContent-Length: 2000000\r\n\r\n"
        )
        connection.sendall(head.encode() + b"x" * 1_000_000)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(4096):
            pass
    path = f"/api/v1/uploads/{upload['upload_id']}"
    assert mlflow.http.get(path).json()["parts"] == []
    sent(upload["credentials"][0], b"whole")
    assert [part["size_bytes"] for part in mlflow.http.get(path).json()["parts"]] == ["5"]


@pytest.mark.parametrize("folder", ["0/none/artifacts", "somewhere"])
def test_what_belongs_to_nothing_is_not_begun(mlflow: Mlflow, folder: str) -> None:
    answer = mlflow.http.post(f"{MPU}/create/{folder}", json={"path": "x", "num_parts": 1})
    refusal_of(answer, 404, "RESOURCE_DOES_NOT_EXIST")


@pytest.mark.parametrize(
    ("path", "num_parts", "said"),
    [
        ("x", 0, "1 to 10000 parts"),
        ("x", 10_001, "1 to 10000 parts"),
        ("/tmp/", 1, "names no file"),
        ("..", 1, "plain"),
    ],
)
def test_wrong_parts_are_refused(mlflow: Mlflow, path: str, num_parts: int, said: str) -> None:
    run_id = mlflow.run()
    answer = mlflow.http.post(f"{MPU}/create/0/{run_id}/artifacts", json={"path": path, "num_parts": num_parts})
    assert said in refusal_of(answer, 400, "INVALID_PARAMETER_VALUE")


def test_paths_that_try_to_leave_are_refused_for_parts_too(mlflow: Mlflow) -> None:
    run_id = mlflow.run()
    for folder in (f"0/{run_id}/artifacts/%2e%2e/%2e%2e", f"0/{run_id}/artifacts/a%5c..%5cx"):
        answer = mlflow.http.post(f"{MPU}/create/{folder}", json={"path": "x", "num_parts": 1})
        refusal_of(answer, 400, "INVALID_PARAMETER_VALUE")
    # What follows the last slash or backslash of a client's path is the name.
    upload = created(mlflow, f"0/{run_id}/artifacts", 1, "C:\\Users\\alice\\..\\x.bin")
    parts = [sent(upload["credentials"][0], b"x")]
    body = {"path": "C:\\Users\\alice\\..\\x.bin", "upload_id": upload["upload_id"], "parts": parts}
    answer_of(mlflow.http.post(f"{MPU}/complete/0/{run_id}/artifacts", json=body))
    assert paths_in(mlflow, run_id) == ["x.bin"]


def test_a_proxy_that_ends_tls_is_named_in_the_addresses(mlflow: Mlflow) -> None:
    run_id = mlflow.run()
    headers = {"X-Forwarded-Proto": "https", "Host": "models.example.org"}
    body = {"path": "x", "num_parts": 1}
    told = mlflow.http.post(f"{MPU}/create/0/{run_id}/artifacts", json=body, headers=headers)
    (credential,) = answer_of(told)["credentials"]
    assert credential["url"].startswith("https://models.example.org/api/v1/uploads/")
    assert told.headers["Cache-Control"] == "no-store"


def test_nobody_else_takes_part(platform: SmallPlatform, mlflow: Mlflow) -> None:
    run_id = mlflow.run()
    upload = created(mlflow, f"0/{run_id}/artifacts", 1)
    (credential,) = upload["credentials"]
    assert httpx.put(credential["url"], content=b"x", timeout=150).status_code == 401
    for roles, status in (("viewer", 403), ("admin", 404)):
        headers = {"Authorization": f"Bearer {platform.token('eve', roles, tenant='others')}"}
        assert httpx.put(credential["url"], content=b"x", headers=headers, timeout=150).status_code == status
    url = credential["url"].rpartition("/")[0]
    answer = mlflow.http.put(f"{url}/none", content=b"x")
    assert answer.status_code == 400
    assert "number" in answer.json()["detail"]
