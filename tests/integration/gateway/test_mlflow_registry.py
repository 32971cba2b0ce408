"""MLflow's API for registered models and versions: what is kept, what our rules refuse, and what clients are told."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import httpx
import modelog
import pytest
from mlflow_http import API, Mlflow, refusal_of
from small_platform import SmallPlatform

MLMODEL = b"""\
artifact_path: model
flavors:
  python_function: {loader_module: mlflow.sklearn, python_version: 3.11.9, env: {conda: conda.yaml}}
  sklearn: {pickled_model: model.pkl, sklearn_version: 1.9.0}
signature: {inputs: '[{"type": "double", "name": "late"}]', outputs: '[{"type": "long"}]', params: null}
utc_time_created: 2026-01-01 00:00:00
"""
NAMES = iter(range(1000))


@pytest.fixture
def mlflow(http: httpx.Client) -> Mlflow:
    return Mlflow(http)


@pytest.fixture
def bob(platform: SmallPlatform) -> Iterator[Mlflow]:
    headers = {"Authorization": f"Bearer {platform.token('bob', 'admin')}"}
    with httpx.Client(base_url=platform.url, headers=headers, timeout=150) as client:
        yield Mlflow(client)


@pytest.fixture
def name(mlflow: Mlflow) -> str:
    """A new model with two versions."""
    made = f"späte Flüge {next(NAMES)}"
    mlflow.post("/registered-models/create", name=made, tags=[{"key": "team", "value": "air"}])
    for _ in range(2):
        mlflow.post("/model-versions/create", name=made, source="s3://bucket/model")
    return made


def tags(found: dict[str, Any]) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in found["tags"]}


def test_a_model_is_created_once_described_tagged_and_deleted(mlflow: Mlflow, name: str) -> None:
    mlflow.refused("/registered-models/create", 400, "RESOURCE_ALREADY_EXISTS", name=name)
    mlflow.patch("/registered-models/update", name=name, description="late?")
    mlflow.post("/registered-models/set-tag", name=name, key="risk", value="low")
    mlflow.delete("/registered-models/delete-tag", name=name, key="team")
    found = mlflow.get("/registered-models/get", name=name)["registered_model"]
    assert (found["description"], tags(found)) == ("late?", {"risk": "low"})
    assert found["last_updated_timestamp"] >= found["creation_timestamp"] > 1_700_000_000_000
    assert [v["version"] for v in found["latest_versions"]] == ["2"]
    assert mlflow.delete("/registered-models/delete", name=name) == {}
    missing = mlflow.http.get(f"{API}/registered-models/get", params={"name": name})
    assert name in refusal_of(missing, 404, "RESOURCE_DOES_NOT_EXIST")
    mlflow.post("/registered-models/create", name=name)
    again = mlflow.post("/model-versions/create", name=name, source="s3://bucket/model")["model_version"]
    assert again["version"] == "3", "a number is never used again"


def test_a_version_is_known_by_its_number(mlflow: Mlflow, name: str) -> None:
    made = mlflow.post(
        "/model-versions/create",
        name=name,
        source="s3://bucket/third",
        run_link="https://elsewhere/run",
        model_id="m-1",
        tags=[{"key": "k", "value": "v"}],
        description="third",
    )["model_version"]
    assert (made["version"], made["current_stage"], made["status"]) == ("3", "None", "READY")
    assert (made["run_link"], made["model_id"], made["source"]) == ("https://elsewhere/run", "m-1", "s3://bucket/third")
    assert tags(made) == {"k": "v", "modelog.version": "1.2.0"}
    mlflow.patch("/model-versions/update", name=name, version="3", description="the third")
    mlflow.post("/model-versions/set-tag", name=name, version="3", key="k", value="w")
    found = mlflow.get("/model-versions/get", name=name, version="3")["model_version"]
    assert (found["description"], tags(found)["k"]) == ("the third", "w")
    mlflow.delete("/model-versions/delete-tag", name=name, version="3", key="k")
    uri = mlflow.get("/model-versions/get-download-uri", name=name, version="3")
    assert uri == {"artifact_uri": "s3://bucket/third"}
    mlflow.delete("/model-versions/delete", name=name, version="3")
    for version, status, code in (("3", 404, "RESOURCE_DOES_NOT_EXIST"), ("x", 400, "INVALID_PARAMETER_VALUE")):
        answer = mlflow.http.get(f"{API}/model-versions/get", params={"name": name, "version": version})
        assert "version" in refusal_of(answer, status, code).casefold()


def test_a_stage_cannot_be_clicked_past_an_approval(
    mlflow: Mlflow, bob: Mlflow, platform: SmallPlatform, name: str
) -> None:
    def move(client: Mlflow, stage: str, version: str = "1", **fields: Any) -> dict[str, Any]:
        asked = {"name": name, "version": version, "stage": stage, **fields}
        found: dict[str, Any] = client.post("/model-versions/transition-stage", **asked)["model_version"]
        return found

    assert move(mlflow, "staging")["current_stage"] == "Staging"
    asked = {"name": name, "version": "1", "stage": "Production"}
    told = mlflow.refused("/model-versions/transition-stage", 403, "PERMISSION_DENIED", **asked)
    assert told == f"{name} 1.0.0 needs an approval by someone other than alice"
    with platform.client("bob") as reviewer:
        reviewer.models.approve(name, "1.0.0", "checked")
    assert move(bob, "Production")["current_stage"] == "Production"
    told = refusal_of(
        mlflow.http.request("DELETE", f"{API}/model-versions/delete", json={"name": name, "version": "1"}),
        403,
        "PERMISSION_DENIED",
    )
    assert "is in production; archive it before it is deleted; bob moved it there at" in told
    move(mlflow, "Staging", "2")
    with platform.client("bob") as reviewer:
        reviewer.models.approve(name, "1.1.0", "checked too")
    move(mlflow, "Production", "2", archive_existing_versions=True)
    stages = {
        v["version"]: v["current_stage"]
        for v in mlflow.post("/registered-models/get-latest-versions", name=name)["model_versions"]
    }
    assert stages == {"1": "Archived", "2": "Production"}
    only = mlflow.post("/registered-models/get-latest-versions", name=name, stages=["Production"])["model_versions"]
    assert [v["version"] for v in only] == ["2"]
    told = mlflow.refused(
        "/model-versions/transition-stage", 400, "INVALID_PARAMETER_VALUE", name=name, version="2", stage="Live"
    )
    assert "must be one of None, Staging, Production, Archived" in told


def test_an_alias_is_moved_and_taken_away(mlflow: Mlflow, name: str) -> None:
    mlflow.post("/registered-models/alias", name=name, alias="champion", version="1")
    mlflow.post("/registered-models/alias", name=name, alias="champion", version="2")
    found = mlflow.get("/registered-models/alias", name=name, alias="champion")["model_version"]
    assert (found["version"], found["aliases"]) == ("2", ["champion"])
    model = mlflow.get("/registered-models/get", name=name)["registered_model"]
    assert model["aliases"] == [{"alias": "champion", "version": "2"}]
    mlflow.delete("/registered-models/alias", name=name, alias="champion")
    gone = mlflow.http.get(f"{API}/registered-models/alias", params={"name": name, "alias": "champion"})
    assert "has no alias 'champion'" in refusal_of(gone, 404, "RESOURCE_DOES_NOT_EXIST")


def test_a_model_is_renamed_and_its_old_name_is_free(mlflow: Mlflow, name: str) -> None:
    mlflow.post("/registered-models/alias", name=name, alias="champion", version="1")
    new = f"{name}, renamed"
    renamed = mlflow.post("/registered-models/rename", name=name, new_name=new)["registered_model"]
    assert (renamed["name"], tags(renamed)) == (new, {"team": "air"})
    assert {v["name"] for v in renamed["latest_versions"]} == {new}
    gone = mlflow.http.get(f"{API}/registered-models/get", params={"name": name})
    assert f"there is no model {name!r}" in refusal_of(gone, 404, "RESOURCE_DOES_NOT_EXIST")
    found = mlflow.get("/model-versions/search", filter=f"name = '{new}'")["model_versions"]
    assert [v["version"] for v in found] == ["2", "1"]
    assert mlflow.get("/registered-models/alias", name=new, alias="champion")["model_version"]["version"] == "1"
    mlflow.post("/registered-models/create", name=name)
    assert mlflow.post("/model-versions/create", name=name, source="s3://bucket/x")["model_version"]["version"] == "1"
    assert mlflow.post("/model-versions/create", name=new, source="s3://bucket/x")["model_version"]["version"] == "3"
    taken = mlflow.refused("/registered-models/rename", 400, "RESOURCE_ALREADY_EXISTS", name=new, new_name=name)
    assert f"there is another model called {name!r}" in taken
    mlflow.refused("/registered-models/rename", 404, "RESOURCE_DOES_NOT_EXIST", name="no such", new_name="any")
    for bad in ("", "a/b", "a:b"):
        assert "new_name" in mlflow.refused(
            "/registered-models/rename", 400, "INVALID_PARAMETER_VALUE", name=new, new_name=bad
        )


def test_models_and_versions_are_searched(mlflow: Mlflow, name: str) -> None:
    mlflow.post("/registered-models/set-tag", name=name, key="only", value=name)
    by_tag = mlflow.get("/registered-models/search", filter=f"tags.only = '{name}' AND name LIKE 'späte%'")
    assert [m["name"] for m in by_tag["registered_models"]] == [name]
    by_name = mlflow.get("/registered-models/search", filter=f"name ILIKE 'SPÄTE FLÜGE {name.rpartition(' ')[2]}'")
    assert [m["name"] for m in by_name["registered_models"]] == [name]
    asked = {"filter": f"name = '{name}'", "order_by": ["version_number ASC"], "max_results": 1}
    first = mlflow.get("/model-versions/search", **asked)
    second = mlflow.get("/model-versions/search", page_token=first["next_page_token"], **asked)
    assert [v["version"] for v in (*first["model_versions"], *second["model_versions"])] == ["1", "2"]
    assert "next_page_token" not in second
    above = mlflow.get("/model-versions/search", filter=f"name = '{name}' AND version_number > 1")["model_versions"]
    assert [v["version"] for v in above] == ["2"]
    wrong = mlflow.http.get(f"{API}/registered-models/search", params={"filter": "colour = 'red'"})
    assert "there is no attribute 'colour'" in refusal_of(wrong, 400, "INVALID_PARAMETER_VALUE")


def test_the_files_of_a_runs_folder_become_the_versions_own(mlflow: Mlflow, platform: SmallPlatform, name: str) -> None:
    with platform.client("alice") as alice:
        alice.runs.experiment("late")
        run = alice.runs.start("late")
        files = {"model/MLmodel": MLMODEL, "model/model.pkl": b"pickled", "other/x": b"x"}
        files |= {"model/conda.yaml": b"dependencies: [python=3.11.9, {pip: [scikit-learn==1.9.1]}]"}
        alice.runs.log(run.id, artifacts=[alice.artifacts.upload_bytes(body, path) for path, body in files.items()])
        source = f"mlflow-artifacts:/0/{run.id}/artifacts/model"
        mlflow.post("/model-versions/create", name=name, source=source, run_id=run.id)
        version = alice.models.version(name, "1.2.0")
        assert [a.path for a in version.artifacts] == ["model.pkl", "MLmodel", "conda.yaml"]
        assert version.artifact == version.artifacts[0]
        assert version.artifact is not None
        assert version.artifact.digest == hashlib.sha256(b"pickled").hexdigest()
        assert (version.flavor, version.run_id) == ("sklearn", run.id)
        assert version.flavors["python_function"]["env"] == {"conda": "conda.yaml"}
        assert version.signature is not None
        late = version.signature.inputs[0]
        assert (late.name, late.datatype, late.shape, late.columns) == ("input", "FP64", [-1, 1], ["late"])
        assert [(t.name, t.datatype, t.shape) for t in version.signature.outputs] == [("output", "INT64", [-1])]
        assert version.environment is not None
        assert (version.environment.python, version.environment.packages) == ("3.11.9", {"scikit-learn": "1.9.1"})
        assert "modelog.not_taken_over" not in version.tags
        history = alice.models.history(name, "1.2.0")
        assert [(fact.by, fact.kind) for fact in history] == [("alice", "FACT_KIND_VERSION_REGISTERED")]
        with pytest.raises(modelog.NotFound):
            alice.models.version(name, "9.0.0")


def test_what_an_mlmodel_file_tells_badly_is_said_and_hinders_nothing(
    mlflow: Mlflow, platform: SmallPlatform, name: str
) -> None:
    odd = b'flavors: {sklearn: {}}\nsignature: {inputs: \'[{"type": "object", "name": "x"}]\', outputs: null}'
    told = {
        b"a: [": ("mlflow", "MLmodel is not YAML of plain values: while parsing a flow node"),
        odd: ("sklearn", "the signature has input 'x' of type 'object', which is no tensor"),
    }
    with platform.client("alice") as alice:
        alice.runs.experiment("late")
        for mlmodel, (flavor, why) in told.items():
            run = alice.runs.start("late")
            alice.runs.log(run.id, artifacts=[alice.artifacts.upload_bytes(mlmodel, "m/MLmodel")])
            made = mlflow.post("/model-versions/create", name=name, source=f"runs:/{run.id}/m")["model_version"]
            assert tags(made)["modelog.not_taken_over"] == why
            assert alice.models.version(name, tags(made)["modelog.version"]).flavor == flavor


def test_without_an_mlmodel_file_a_flavor_is_named(platform: SmallPlatform, name: str) -> None:
    with platform.client("alice") as alice:
        file = alice.artifacts.upload_bytes(b"x", "x")
        with pytest.raises(modelog.Invalid, match="flavor: is missing; name what the files can be loaded as"):
            alice.models.register(name, file)
