"""MLflow's API for experiments and runs: what is kept, what is refused and how, and who sees what."""

from __future__ import annotations

import httpx
import pytest
from mlflow_http import API, Mlflow, refusal_of
from small_platform import SmallPlatform


@pytest.fixture
def mlflow(http: httpx.Client) -> Mlflow:
    return Mlflow(http)


def test_default_is_experiment_0_and_always_there(platform: SmallPlatform) -> None:
    headers = {"Authorization": f"Bearer {platform.token('bob', 'developer', tenant='fresh')}"}
    with httpx.Client(base_url=platform.url, headers=headers, timeout=150) as client:
        mlflow = Mlflow(client)
        assert mlflow.get("/experiments/get", experiment_id="0")["experiment"]["name"] == "Default"
        by_name = mlflow.get("/experiments/get-by-name", experiment_name="Default")["experiment"]
        assert (by_name["experiment_id"], by_name["artifact_location"]) == ("0", "mlflow-artifacts:/0")
        run_id = mlflow.run()
        info = mlflow.run_of(run_id)["info"]
        assert (info["experiment_id"], info["artifact_uri"]) == ("0", f"mlflow-artifacts:/0/{run_id}/artifacts")
        found = mlflow.post("/runs/search", experiment_ids=["0"])["runs"]
        assert [run["info"]["run_id"] for run in found] == [run_id]


def test_an_experiment_keeps_its_id_when_it_is_renamed_deleted_and_restored(mlflow: Mlflow) -> None:
    made = mlflow.experiment("lives long", tags=[{"key": "a", "value": "1"}])
    mlflow.post("/experiments/set-experiment-tag", experiment_id=made, key="b", value="2")
    mlflow.post("/experiments/delete-experiment-tag", experiment_id=made, key="a")
    mlflow.post("/experiments/update", experiment_id=made, new_name="lives longer")
    mlflow.post("/experiments/delete", experiment_id=made)
    found = mlflow.get("/experiments/get", experiment_id=made)["experiment"]
    assert (found["name"], found["lifecycle_stage"], found["tags"]) == (
        "lives longer",
        "deleted",
        [{"key": "b", "value": "2"}],
    )
    assert found["last_update_time"] >= found["creation_time"] > 1_700_000_000_000
    mlflow.refused("/experiments/create", 400, "RESOURCE_ALREADY_EXISTS", name="lives longer")
    mlflow.post("/experiments/restore", experiment_id=made)
    assert mlflow.get("/experiments/get-by-name", experiment_name="lives longer")["experiment"]["experiment_id"] == made


def test_an_experiment_whose_artifacts_are_elsewhere(mlflow: Mlflow) -> None:
    made = mlflow.experiment("elsewhere", artifact_location="s3://bucket/here")
    run_id = mlflow.run(made)
    assert mlflow.run_of(run_id)["info"]["artifact_uri"] == f"s3://bucket/here/{run_id}/artifacts"


def test_experiments_are_searched_by_page(mlflow: Mlflow) -> None:
    for n in range(7):
        mlflow.experiment(f"paged {n}", tags=[{"key": "paged", "value": "yes"}])
    asked = {"filter": "tags.paged = 'yes'", "order_by": ["name ASC"], "max_results": 3}
    names: list[str] = []
    token = ""
    while True:
        page = mlflow.post("/experiments/search", **asked, page_token=token)
        names += [experiment["name"] for experiment in page["experiments"]]
        token = page.get("next_page_token", "")
        if not token:
            break
    assert names == [f"paged {n}" for n in range(7)]
    query = {"filter": "name LIKE 'paged %'", "order_by": "name DESC", "max_results": "1"}
    assert mlflow.get("/experiments/search", **query)["experiments"][0]["name"] == "paged 6"


def test_a_batch_is_kept_with_what_json_has_no_number_for(mlflow: Mlflow) -> None:
    run_id = mlflow.run()
    values = [("a", "NaN"), ("b", "Infinity"), ("c", "-Infinity"), ("d", 1e308), ("e", 5), ("f", "0.5")]
    mlflow.post(
        "/runs/log-batch",
        run_id=run_id,
        metrics=[{"key": key, "value": value, "timestamp": 1_700_000_000_000, "step": -3} for key, value in values],
        params=[{"key": "empty", "value": ""}, {"key": "名", "value": "🌳"}],
        tags=[{"key": "t", "value": "x" * 5000}],
    )
    assert mlflow.data(run_id) == {"a": "NaN", "b": "Infinity", "c": "-Infinity", "d": 1e308, "e": 5, "f": 0.5}
    assert mlflow.data(run_id, "params") == {"empty": "", "名": "🌳"}
    assert mlflow.data(run_id, "tags")["t"] == "x" * 5000
    history = mlflow.get("/metrics/get-history", run_id=run_id, metric_key="a")["metrics"]
    assert history == [{"key": "a", "value": "NaN", "timestamp": 1_700_000_000_000, "step": -3}]


def test_a_history_by_page_and_an_even_choice_of_it(mlflow: Mlflow) -> None:
    run_id = mlflow.run()
    points = [{"key": "m", "value": n, "timestamp": 1_700_000_000_000 + n, "step": n} for n in range(1000)]
    mlflow.post("/runs/log-batch", run_id=run_id, metrics=points)
    steps: list[int] = []
    token = ""
    while True:
        query = {"run_id": run_id, "metric_key": "m", "max_results": 300, "page_token": token}
        page = mlflow.get("/metrics/get-history", **query)
        steps += [point["step"] for point in page["metrics"]]
        token = page.get("next_page_token", "")
        if not token:
            break
    assert steps == list(range(1000))
    whole = mlflow.get("/metrics/get-history", run_uuid=run_id, metric_key="m")
    assert (len(whole["metrics"]), "next_page_token" in whole) == (1000, False)
    query = {"run_ids": [run_id], "metric_key": "m", "start_step": 100, "end_step": 199, "max_results": 4}
    chosen = mlflow.get("/metrics/get-history-bulk-interval", **query)["metrics"]
    assert [(point["step"], point["run_id"]) for point in chosen] == [(n, run_id) for n in (100, 133, 166, 199)]
    assert mlflow.get("/metrics/get-history", run_id=run_id, metric_key="other")["metrics"] == []


def test_parameters_keep_their_first_value(mlflow: Mlflow) -> None:
    run_id = mlflow.run()
    mlflow.post("/runs/log-parameter", run_id=run_id, key="depth", value="6")
    mlflow.post("/runs/log-parameter", run_id=run_id, key="depth", value="6")
    told = mlflow.refused("/runs/log-parameter", 400, "INVALID_PARAMETER_VALUE", run_id=run_id, key="depth", value="7")
    assert "is '6' already and cannot become '7'" in told
    assert mlflow.data(run_id, "params") == {"depth": "6"}


def test_what_is_added_to_an_ended_run_resumes_it_for_a_moment(mlflow: Mlflow) -> None:
    run_id = mlflow.run(start_time=1_600_000_000_000)
    mlflow.post("/runs/update", run_id=run_id, status="FAILED", end_time=1_600_000_060_000)
    mlflow.post("/runs/log-metric", run_id=run_id, key="late", value=1, timestamp=1_600_000_070_000)
    mlflow.post("/runs/log-parameter", run_id=run_id, key="late", value="1")
    mlflow.post("/runs/set-tag", run_id=run_id, key="mlflow.runName", value="renamed")
    info = mlflow.run_of(run_id)["info"]
    assert (info["status"], info["start_time"], info["end_time"]) == ("FAILED", 1_600_000_000_000, 1_600_000_060_000)
    assert (info["run_name"], mlflow.data(run_id)["late"]) == ("renamed", 1)
    told = mlflow.refused("/runs/log-parameter", 400, "INVALID_PARAMETER_VALUE", run_id=run_id, key="late", value="2")
    assert "cannot become" in told
    assert mlflow.run_of(run_id)["info"]["status"] == "FAILED"


def test_a_deleted_run_takes_nothing(mlflow: Mlflow) -> None:
    run_id = mlflow.run()
    mlflow.post("/runs/delete", run_id=run_id)
    assert mlflow.run_of(run_id)["info"]["lifecycle_stage"] == "deleted"
    point = {"run_id": run_id, "key": "m", "value": 1, "timestamp": 1}
    mlflow.refused("/runs/log-metric", 400, "INVALID_PARAMETER_VALUE", **point)
    mlflow.post("/runs/restore", run_id=run_id)
    mlflow.post("/runs/log-metric", **point)
    assert mlflow.data(run_id) == {"m": 1}


def test_datasets_and_models_of_a_run(mlflow: Mlflow) -> None:
    run_id = mlflow.run()
    made = mlflow.post("/logged-models", experiment_id="0", name="m", source_run_id=run_id)["model"]["info"]["model_id"]
    dataset = {"name": "d", "digest": "abc", "source_type": "local", "source": "{}", "schema": "{}", "profile": "{}"}
    tags = [{"key": "mlflow.data.context", "value": "training"}]
    mlflow.post(
        "/runs/log-inputs", run_id=run_id, datasets=[{"dataset": dataset, "tags": tags}], models=[{"model_id": made}]
    )
    mlflow.post("/runs/outputs", run_id=run_id, models=[{"model_id": made, "step": 4}])
    run = mlflow.run_of(run_id)
    assert run["inputs"] == {
        "dataset_inputs": [{"dataset": dataset, "tags": tags}],
        "model_inputs": [{"model_id": made}],
    }
    assert run["outputs"] == {"model_outputs": [{"model_id": made, "step": 4}]}
    found = mlflow.post("/runs/search", experiment_ids=["0"], filter="dataset.context = 'training'")["runs"]
    assert [run["info"]["run_id"] for run in found] == [run_id]


def test_models_that_mlflow_2_tells_of_are_kept_in_a_tag(mlflow: Mlflow) -> None:
    run_id = mlflow.run()
    mlflow.post("/runs/log-model", run_id=run_id, model_json='{"n":1}')
    mlflow.post("/runs/log-model", run_id=run_id, model_json='{"n":2}')
    assert mlflow.data(run_id, "tags")["mlflow.log-model.history"] == '[{"n": 1}, {"n": 2}]'
    mlflow.refused("/runs/log-model", 400, "INVALID_PARAMETER_VALUE", run_id=run_id, model_json="{")


@pytest.mark.parametrize(
    ("path", "body", "told"),
    [
        ("/runs/log-metric", {"key": "m", "value": 1, "timestamp": 1}, "run_id"),
        ("/runs/log-metric", {"run_id": "x", "value": 1, "timestamp": 1}, "Missing value for required parameter 'key'"),
        ("/runs/log-metric", {"run_id": "x", "key": "m", "value": "high", "timestamp": 1}, "value: expected `float`"),
        ("/runs/log-metric", {"run_id": "x", "key": "m", "value": 1, "timestamp": 2**63}, "timestamp: expected `int`"),
        ("/runs/log-batch", {"run_id": "x", "metrics": [{"key": "m", "value": 1}]}, "metrics[0].timestamp"),
        (
            "/runs/log-batch",
            {"run_id": "x", "params": [{"key": "a", "value": "1"}, {"key": "a", "value": "2"}]},
            "twice",
        ),
        ("/runs/update", {"run_id": "x", "status": "DANCING"}, "must be one of RUNNING, SCHEDULED, FINISHED"),
        ("/runs/search", {"experiment_ids": ["0"], "filter": "metrics.a ~ 1"}, "filter: at character 11"),
        ("/runs/search", {"experiment_ids": ["0"], "order_by": ["metrics.a up"]}, "order_by: at character 11"),
        ("/runs/search", {"experiment_ids": ["0"], "max_results": 60_000}, "max_results: is 60000; it must be from 1"),
        ("/runs/search", {"experiment_ids": ["0"], "run_view_type": "SOME"}, "run_view_type: is 'SOME'"),
        ("/experiments/create", {}, "Missing value for required parameter 'name'"),
        ("/experiments/create", {"name": ""}, "name"),
        ("/experiments/create", {"name": ["a"]}, "name: expected `str`, got `array`"),
        ("/experiments/create", {"name": "bad\x00name"}, "control character"),
    ],
)
def test_what_is_wrong_is_named(mlflow: Mlflow, path: str, body: dict[str, object], told: str) -> None:
    assert told in mlflow.refused(path, 400, "INVALID_PARAMETER_VALUE", **body)


def test_what_is_not_there_is_told(mlflow: Mlflow) -> None:
    answer = mlflow.http.get(f"{API}/runs/get", params={"run_id": "none"})
    assert "none" in refusal_of(answer, 404, "RESOURCE_DOES_NOT_EXIST")
    answer = mlflow.http.get(f"{API}/experiments/get-by-name", params={"experiment_name": "none"})
    refusal_of(answer, 404, "RESOURCE_DOES_NOT_EXIST")
    mlflow.refused("/runs/create", 400, "INVALID_PARAMETER_VALUE", experiment_id="none")
    body = {"run_id": "none", "key": "m", "value": 1, "timestamp": 1}
    mlflow.refused("/runs/log-metric", 404, "RESOURCE_DOES_NOT_EXIST", **body)


def test_a_body_that_is_too_large_is_refused(mlflow: Mlflow) -> None:
    run_id = mlflow.run()
    huge = {"run_id": run_id, "key": "p", "value": "x" * 10_000_000}
    assert "larger than" in mlflow.refused("/runs/log-parameter", 413, "INVALID_PARAMETER_VALUE", **huge)
    assert mlflow.data(run_id, "params") == {}


def test_who_may_only_read_writes_nothing(platform: SmallPlatform, mlflow: Mlflow) -> None:
    run_id = mlflow.run()
    headers = {"Authorization": f"Bearer {platform.token('vera', 'viewer')}"}
    with httpx.Client(base_url=platform.url, headers=headers, timeout=150) as client:
        viewer = Mlflow(client)
        assert viewer.run_of(run_id)["info"]["run_id"] == run_id
        body = {"run_id": run_id, "key": "m", "value": 1, "timestamp": 1}
        viewer.refused("/runs/log-metric", 403, "PERMISSION_DENIED", **body)
    assert mlflow.data(run_id) == {}


def test_another_tenant_sees_nothing(platform: SmallPlatform, mlflow: Mlflow) -> None:
    experiment_id = mlflow.experiment("ours alone")
    run_id = mlflow.run(experiment_id)
    headers = {"Authorization": f"Bearer {platform.token('eve', 'admin', tenant='others')}"}
    with httpx.Client(base_url=platform.url, headers=headers, timeout=150) as client:
        answer = client.get(f"{API}/runs/get", params={"run_id": run_id})
        refusal_of(answer, 404, "RESOURCE_DOES_NOT_EXIST")
        refusal_of(
            client.get(f"{API}/experiments/get", params={"experiment_id": experiment_id}),
            404,
            "RESOURCE_DOES_NOT_EXIST",
        )
        assert Mlflow(client).post("/runs/search", experiment_ids=[experiment_id])["runs"] == []
