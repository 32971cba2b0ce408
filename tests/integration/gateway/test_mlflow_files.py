"""MLflow's API for artifacts and logged models: whole or not at all, and never outside their folder."""

from __future__ import annotations

import http.client
import socket
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from mlflow_http import API, FILES, Mlflow, answer_of, refusal_of
from small_platform import SmallPlatform


@pytest.fixture
def mlflow(http: httpx.Client) -> Mlflow:
    return Mlflow(http)


def root_of(mlflow: Mlflow, run_id: str) -> str:
    """Where the client puts files of a run: its artifact_uri by HTTP."""
    uri: str = mlflow.run_of(run_id)["info"]["artifact_uri"]
    return FILES + uri.removeprefix("mlflow-artifacts:")


def paths_in(mlflow: Mlflow, run_id: str, path: str = "") -> list[str]:
    return [file["path"] for file in mlflow.get("/artifacts/list", run_id=run_id, path=path)["files"]]


def test_a_file_goes_in_and_comes_out(mlflow: Mlflow) -> None:
    run_id = mlflow.run()
    root = root_of(mlflow, run_id)
    content = bytes(range(256)) * 10_000
    answer_of(mlflow.http.put(f"{root}/deep/er/a.bin", content=content))
    answer_of(mlflow.http.put(f"{root}/page.html", content=b"<script>"))
    answer_of(mlflow.http.put(f"{root}/empty", content=b""))
    answer = mlflow.http.get(f"{root}/deep/er/a.bin")
    assert (answer.status_code, answer.content == content, answer.headers["Content-Length"]) == (200, True, "2560000")
    page = mlflow.http.get(f"{root}/page.html")
    assert (page.text, page.headers["Content-Disposition"]) == ("<script>", "attachment")
    assert mlflow.http.get(f"{root}/empty").content == b""
    assert mlflow.get("/artifacts/list", run_id=run_id) == {
        "root_uri": f"mlflow-artifacts:/0/{run_id}/artifacts",
        "files": [
            {"path": "deep", "is_dir": True},
            {"path": "empty", "is_dir": False, "file_size": 0},
            {"path": "page.html", "is_dir": False, "file_size": 8},
        ],
    }
    assert paths_in(mlflow, run_id, "deep") == ["deep/er"]
    listed = answer_of(mlflow.http.get(FILES, params={"path": f"0/{run_id}/artifacts/deep/er"}))
    assert listed == {"files": [{"path": "a.bin", "is_dir": False, "file_size": 2_560_000}]}


def test_the_last_file_of_a_path_counts(mlflow: Mlflow) -> None:
    run_id = mlflow.run()
    root = root_of(mlflow, run_id)
    for content in (b"one", b"three"):
        answer_of(mlflow.http.put(f"{root}/a.txt", content=content))
    assert mlflow.http.get(f"{root}/a.txt").content == b"three"
    assert mlflow.get("/artifacts/list", run_id=run_id)["files"] == [{"path": "a.txt", "is_dir": False, "file_size": 5}]


def test_what_is_not_there_is_told(mlflow: Mlflow) -> None:
    run_id = mlflow.run()
    refusal_of(mlflow.http.get(f"{root_of(mlflow, run_id)}/a.txt"), 404, "RESOURCE_DOES_NOT_EXIST")
    refusal_of(mlflow.http.get(f"{FILES}/0/none/artifacts/a.txt"), 404, "RESOURCE_DOES_NOT_EXIST")
    refusal_of(mlflow.http.put(f"{FILES}/0/none/artifacts/a.txt", content=b"x"), 404, "RESOURCE_DOES_NOT_EXIST")
    refusal_of(mlflow.http.put(f"{FILES}/somewhere/else.txt", content=b"x"), 404, "RESOURCE_DOES_NOT_EXIST")
    refusal_of(mlflow.http.put(root_of(mlflow, run_id), content=b"x"), 400, "INVALID_PARAMETER_VALUE")


@pytest.mark.parametrize("path", ["%2e%2e/x", "a/%2e%2e/%2e%2e/x", "..%2fx", "a%5c..%5cx", "a%00b", "./x", "a/../../x"])
@pytest.mark.parametrize("verb", ["PUT", "GET", "DELETE"])
def test_paths_that_try_to_leave_are_refused(platform: SmallPlatform, mlflow: Mlflow, verb: str, path: str) -> None:
    run_id = mlflow.run()
    # Not httpx: it would take the dots out itself.
    connection = http.client.HTTPConnection(urlsplit(platform.url).netloc, timeout=150)
    headers = {"Authorization": f"Bearer {platform.token('alice', 'admin')}"}
    connection.request(verb, f"{root_of(mlflow, run_id)}/{path}", b"x" if verb == "PUT" else None, headers)
    answer = connection.getresponse()
    assert (answer.status, b"INVALID_PARAMETER_VALUE" in answer.read()) == (400, True)
    connection.close()
    assert paths_in(mlflow, run_id) == []
    answer_ = mlflow.http.get(FILES, params={"path": f"0/{run_id}/artifacts/../.."})
    refusal_of(answer_, 400, "INVALID_PARAMETER_VALUE")


def test_an_upload_that_is_cut_off_leaves_nothing(platform: SmallPlatform, mlflow: Mlflow) -> None:
    run_id = mlflow.run()
    root = root_of(mlflow, run_id)
    address = urlsplit(platform.url)
    with socket.create_connection((str(address.hostname), address.port or 0), timeout=150) as connection:
        head = (
            f"PUT {root}/half.bin HTTP/1.1\r\nHost: {address.netloc}\r\n"
            f"Authorization: Bearer {platform.token('alice', 'admin')}\r\nContent-Length: 2000000\r\n\r\n"
        )
        connection.sendall(head.encode() + b"x" * 1_000_000)
        connection.shutdown(socket.SHUT_WR)
        # The server closes when it is done with the broken request.
        while connection.recv(4096):
            pass
    assert paths_in(mlflow, run_id) == []
    answer_of(mlflow.http.put(f"{root}/half.bin", content=b"whole"))
    assert mlflow.http.get(f"{root}/half.bin").content == b"whole"


def test_downloads_in_parts_are_refused_in_the_words_that_clients_look_for(mlflow: Mlflow) -> None:
    told = mlflow.http.get("/api/2.0/mlflow-artifacts/presigned/0/r/artifacts/x")
    text = refusal_of(told, 501, "NOT_IMPLEMENTED")
    assert text == "Multipart download is not supported for the current artifact repository"


def test_who_may_only_read_puts_nothing(platform: SmallPlatform, mlflow: Mlflow) -> None:
    run_id = mlflow.run()
    headers = {"Authorization": f"Bearer {platform.token('vera', 'viewer')}"}
    answer = httpx.put(f"{platform.url}{root_of(mlflow, run_id)}/a.txt", content=b"x", headers=headers, timeout=150)
    refusal_of(answer, 403, "PERMISSION_DENIED")
    assert paths_in(mlflow, run_id) == []


def test_another_tenant_reads_nothing(platform: SmallPlatform, mlflow: Mlflow) -> None:
    run_id = mlflow.run()
    url = f"{root_of(mlflow, run_id)}/a.txt"
    answer_of(mlflow.http.put(url, content=b"ours"))
    headers = {"Authorization": f"Bearer {platform.token('eve', 'admin', tenant='others')}"}
    refusal_of(httpx.get(platform.url + url, headers=headers, timeout=150), 404, "RESOURCE_DOES_NOT_EXIST")


def test_the_life_of_a_logged_model(mlflow: Mlflow) -> None:
    run_id = mlflow.run()
    body = {"experiment_id": "0", "name": "tree", "model_type": "classifier", "source_run_id": run_id}
    made = mlflow.post("/logged-models", **body, params=[{"key": "depth", "value": "6"}])["model"]["info"]
    model_id = made["model_id"]
    assert (made["status"], made["name"]) == ("LOGGED_MODEL_PENDING", "tree")
    assert made["artifact_uri"] == f"mlflow-artifacts:/0/models/{model_id}/artifacts"
    file = f"{FILES}/0/models/{model_id}/artifacts/MLmodel"
    answer_of(mlflow.http.put(file, content=b"flavors: {}"))
    assert mlflow.http.get(file).content == b"flavors: {}"
    path = f"/logged-models/{model_id}"
    assert mlflow.get(f"{path}/artifacts/directories")["files"][0]["path"] == "MLmodel"
    mlflow.patch(f"{path}/tags", tags=[{"key": "a", "value": "1"}, {"key": "b", "value": "2"}])
    mlflow.delete(f"{path}/tags/a")
    mlflow.post(f"{path}/params", params=[{"key": "rate", "value": "0.1"}])
    point = {"key": "auc", "value": 0.9, "timestamp": 1_700_000_000_000, "step": 2}
    dataset = {"dataset_name": "test", "dataset_digest": "d1"}
    mlflow.post("/runs/log-metric", run_id=run_id, **point, model_id=model_id, **dataset)
    assert mlflow.patch(path, status="LOGGED_MODEL_READY")["model"]["info"]["status"] == "LOGGED_MODEL_READY"
    found = mlflow.get(path)["model"]
    assert found["info"]["tags"] == [{"key": "b", "value": "2"}]
    assert {p["key"]: p["value"] for p in found["data"]["params"]} == {"depth": "6", "rate": "0.1"}
    assert found["data"]["metrics"] == [point | {"model_id": model_id, "run_id": run_id} | dataset]
    assert mlflow.data(run_id) == {"auc": 0.9}


def test_logged_models_are_searched(mlflow: Mlflow) -> None:
    experiment_id = mlflow.experiment("of logged models")
    ids = []
    for n in range(5):
        tags = [{"key": "even", "value": str(n % 2 == 0)}]
        made = mlflow.post("/logged-models", experiment_id=experiment_id, name=f"m{n}", tags=tags)["model"]["info"]
        ids.append(made["model_id"])
    mlflow.delete(f"/logged-models/{ids[4]}")
    asked = {"experiment_ids": [experiment_id], "order_by": [{"field_name": "name", "ascending": False}]}
    found = mlflow.post("/logged-models/search", **asked, filter="tags.even = 'True'")["models"]
    assert [model["info"]["name"] for model in found] == ["m2", "m0"]
    page = mlflow.post("/logged-models/search", **asked, max_results=3)
    rest = mlflow.post("/logged-models/search", **asked, max_results=3, page_token=page["next_page_token"])
    assert [model["info"]["name"] for model in (*page["models"], *rest["models"])] == ["m3", "m2", "m1", "m0"]
    told = mlflow.refused("/logged-models/search", 400, "INVALID_PARAMETER_VALUE", **asked, filter="color = 'red'")
    assert "there is no attribute 'color'" in told


def test_a_logged_model_that_is_not_there(mlflow: Mlflow) -> None:
    refusal_of(mlflow.http.get(f"{API}/logged-models/none"), 404, "RESOURCE_DOES_NOT_EXIST")
    made = mlflow.post("/logged-models", experiment_id="0")["model"]["info"]["model_id"]
    answer = mlflow.http.patch(f"{API}/logged-models/{made}", json={"status": "DONE"})
    assert "LOGGED_MODEL_READY" in refusal_of(answer, 400, "INVALID_PARAMETER_VALUE")


def test_logged_models_are_searched_by_what_they_were_measured_on(mlflow: Mlflow) -> None:
    experiment_id = mlflow.experiment("of measured models")
    run_id = mlflow.run(experiment_id)
    for name, on_test, on_train in (("a", 0.9, 0.1), ("b", 0.2, 0.8), ("c", 0.5, None)):
        model_id = mlflow.post("/logged-models", experiment_id=experiment_id, name=name)["model"]["info"]["model_id"]
        for dataset, digest, value in (("test", "d1", on_test), ("train", "d2", on_train)):
            if value is not None:
                on = {"dataset_name": dataset, "dataset_digest": digest, "model_id": model_id}
                mlflow.post("/runs/log-metric", run_id=run_id, key="auc", value=value, timestamp=1, **on)

    def names(**asked: Any) -> list[str]:
        found = mlflow.post("/logged-models/search", experiment_ids=[experiment_id], **asked)["models"]
        return [model["info"]["name"] for model in found]

    def by_auc(dataset: str) -> list[dict[str, Any]]:
        return [{"field_name": "metrics.auc", "ascending": False, "dataset_name": dataset}]

    high = "metrics.auc > 0.6"
    assert sorted(names(filter=high)) == ["a", "b"]
    assert names(filter=high, datasets=[{"dataset_name": "test"}]) == ["a"]
    assert names(filter=high, datasets=[{"dataset_name": "train", "dataset_digest": "d2"}]) == ["b"]
    assert names(filter=high, datasets=[{"dataset_name": "train", "dataset_digest": "d1"}]) == []
    assert sorted(names(datasets=[{"dataset_name": "train"}])) == ["a", "b"]
    assert names(order_by=by_auc("test")) == ["a", "c", "b"]
    assert names(order_by=by_auc("train")) == ["b", "a", "c"]
    told = mlflow.refused(
        "/logged-models/search",
        400,
        "INVALID_PARAMETER_VALUE",
        experiment_ids=[experiment_id],
        order_by=[{"field_name": "name", "dataset_name": "test"}],
    )
    assert "measured on no dataset" in told


def test_files_and_folders_are_deleted_and_the_past_keeps_them(platform: SmallPlatform, mlflow: Mlflow) -> None:
    run_id = mlflow.run()
    root = root_of(mlflow, run_id)
    for path in ("model/a", "model/deep/b", "model2/c", "d"):
        answer_of(mlflow.http.put(f"{root}/{path}", content=path.encode()))
    mlflow.post("/runs/update", run_id=run_id, status="FINISHED")
    with platform.client() as client:
        before = client.runs.get(run_id)
        assert answer_of(mlflow.http.delete(f"{root}/model")) == {}
        assert sorted(paths_in(mlflow, run_id)) == ["d", "model2"]
        refusal_of(mlflow.http.get(f"{root}/model/a"), 404, "RESOURCE_DOES_NOT_EXIST")
        answer_of(mlflow.http.delete(f"{root}/nothing/there"))
        answer_of(mlflow.http.delete(root))
        assert paths_in(mlflow, run_id) == []
        old = client.runs.get(run_id, as_of=str(before.position))
        assert [file.path for file in old.artifacts] == ["model/a", "model/deep/b", "model2/c", "d"]
    # Nothing was destroyed, and the same path takes a file again.
    assert mlflow.http.get(f"/api/v1/artifacts/{old.artifacts[0].digest}").content == b"model/a"
    answer_of(mlflow.http.put(f"{root}/d", content=b"again"))
    assert mlflow.http.get(f"{root}/d").content == b"again"


def test_files_of_a_logged_model_are_deleted(mlflow: Mlflow) -> None:
    model_id = mlflow.post("/logged-models", experiment_id="0")["model"]["info"]["model_id"]
    root = f"{FILES}/0/models/{model_id}/artifacts"
    for path in ("MLmodel", "data/model.pkl"):
        answer_of(mlflow.http.put(f"{root}/{path}", content=b"x"))
    answer_of(mlflow.http.delete(f"{root}/data"))
    found = mlflow.get(f"/logged-models/{model_id}/artifacts/directories")["files"]
    assert [file["path"] for file in found] == ["MLmodel"]


def test_a_file_that_a_registered_version_was_made_of_stays(mlflow: Mlflow) -> None:
    run_id = mlflow.run()
    root = root_of(mlflow, run_id)
    answer_of(mlflow.http.put(f"{root}/model/MLmodel", content=b"flavors: {}"))
    answer_of(mlflow.http.put(f"{root}/notes.txt", content=b"notes"))
    other = mlflow.run()
    answer_of(mlflow.http.put(f"{root_of(mlflow, other)}/model/MLmodel", content=b"flavors: {}"))
    mlflow.post("/registered-models/create", name="kept")
    mlflow.post("/model-versions/create", name="kept", source=f"runs:/{run_id}/model", run_id=run_id)
    for path in ("/model/MLmodel", "/model", ""):
        told = refusal_of(mlflow.http.delete(root + path), 400, "INVALID_PARAMETER_VALUE")
        assert f"'model/MLmodel' of run {run_id} is a file of kept 1.0.0; delete that version first" in told
    assert paths_in(mlflow, run_id) == ["model", "notes.txt"]
    answer_of(mlflow.http.delete(f"{root}/notes.txt"))
    # The same bytes of another run are another file.
    answer_of(mlflow.http.delete(f"{root_of(mlflow, other)}/model"))
    mlflow.delete("/model-versions/delete", name="kept", version="1")
    answer_of(mlflow.http.delete(f"{root}/model"))
    assert paths_in(mlflow, run_id) == []


def test_who_may_only_read_deletes_nothing(platform: SmallPlatform, mlflow: Mlflow) -> None:
    run_id = mlflow.run()
    url = f"{root_of(mlflow, run_id)}/a.txt"
    answer_of(mlflow.http.put(url, content=b"x"))
    viewer = {"Authorization": f"Bearer {platform.token('vera', 'viewer')}"}
    refusal_of(httpx.delete(platform.url + url, headers=viewer, timeout=150), 403, "PERMISSION_DENIED")
    stranger = {"Authorization": f"Bearer {platform.token('eve', 'admin', tenant='others')}"}
    refusal_of(httpx.delete(platform.url + url, headers=stranger, timeout=150), 404, "RESOURCE_DOES_NOT_EXIST")
    assert paths_in(mlflow, run_id) == ["a.txt"]


def test_files_of_an_experiment_that_belong_to_no_run(platform: SmallPlatform, mlflow: Mlflow) -> None:
    experiment_id = mlflow.experiment("with files of its own")
    root = f"{FILES}/{experiment_id}"
    for path in ("sets/a.json", "sets/deep/b.json", "sets0", "setsq/c"):
        answer_of(mlflow.http.put(f"{root}/{path}", content=path.encode()))
    answer_of(mlflow.http.put(f"{root}/sets/a.json", content=b"again"))
    assert mlflow.http.get(f"{root}/sets/a.json").content == b"again"

    def listed(path: str = "") -> list[str]:
        found = answer_of(mlflow.http.get(FILES, params={"path": f"{experiment_id}/{path}"}))
        return [file["path"] for file in found["files"]]

    assert (listed(), listed("sets"), listed("sets/deep")) == (
        ["sets", "sets0", "setsq"],
        ["a.json", "deep"],
        ["b.json"],
    )
    run_id = mlflow.run(experiment_id)
    assert paths_in(mlflow, run_id) == []
    with platform.client() as client:
        before = str(client.audit.head())
        answer_of(mlflow.http.delete(f"{root}/sets"))
        assert listed() == ["sets0", "setsq"]
        refusal_of(mlflow.http.get(f"{root}/sets/a.json"), 404, "RESOURCE_DOES_NOT_EXIST")
        old = client.runs.experiment_artifacts(experiment_id, "sets", as_of=before)
        assert [file.path for file in old] == ["sets/a.json", "sets/deep/b.json"]
    answer_of(mlflow.http.delete(root))
    assert listed() == []
    stranger = {"Authorization": f"Bearer {platform.token('eve', 'admin', tenant='others')}"}
    answer = httpx.put(f"{platform.url}{root}/x", content=b"x", headers=stranger, timeout=150)
    refusal_of(answer, 404, "RESOURCE_DOES_NOT_EXIST")
    mlflow.post("/experiments/delete", experiment_id=experiment_id)
    told = refusal_of(mlflow.http.put(f"{root}/x", content=b"x"), 400, "INVALID_PARAMETER_VALUE")
    assert "restore it first" in told


def test_default_takes_files_that_belong_to_no_run(platform: SmallPlatform) -> None:
    headers = {"Authorization": f"Bearer {platform.token('fay', 'admin', tenant='files-first')}"}
    with httpx.Client(base_url=platform.url, headers=headers, timeout=150) as http:
        answer_of(http.put(f"{FILES}/0/sets/a.json", content=b"{}"))
        assert http.get(f"{FILES}/0/sets/a.json").content == b"{}"
        refusal_of(http.put(f"{FILES}/0", content=b"{}"), 400, "INVALID_PARAMETER_VALUE")
