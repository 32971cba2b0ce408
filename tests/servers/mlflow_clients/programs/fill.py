"""Fills an MLflow server by its own client, with names of every kind."""

import tempfile
from pathlib import Path

import mlflow
import mlflow.data
import mlflow.sklearn
import pandas
from mlflow.entities import Metric, Param, RunTag
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from sklearn.linear_model import LinearRegression

T0 = 1_600_000_000_000
client = mlflow.MlflowClient()
name = "späte Flüge/северный 'x' \"q\" %20 #?"
experiment = client.create_experiment(name, tags={"команда": "воздух", "mlflow.note.content": "# notes"})
client.create_experiment(" padded ")
client.create_experiment("long " * 80)
gone = client.create_experiment("gone")
client.create_run(gone, run_name="in a deleted experiment")
client.delete_experiment(gone)

mlflow.set_experiment(experiment_id=experiment)
with mlflow.start_run(run_name="родитель / 'parent'", tags={"t" * 200: "v" * 4000, "empty": ""}) as parent:
    mlflow.log_params({"depth": "6", "empty": "", "long": "p" * 5900, "ключ": "значение"})
    mlflow.log_input(mlflow.data.from_pandas(pandas.DataFrame({"x": [1, 2.5]}), name="данные"), context="training")
    with tempfile.TemporaryDirectory() as folder:
        for path in ("a b/ü/100%.txt", "a b/+&=;,.bin", "top.txt"):
            file = Path(folder) / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(path.encode() * 7000)
        mlflow.log_artifacts(folder, "files of a run")
    model = LinearRegression().fit([[1.0], [2.0]], [1.0, 2.0])
    versions = ["scikit-learn==1.9.1"]
    logged = mlflow.sklearn.log_model(
        model, name="модель", registered_model_name="späte Flüge", pip_requirements=versions, params={"alpha": "0.1"}
    )
    mlflow.log_metric("auc", 0.7, step=3, model_id=logged.model_id)
    with mlflow.start_run(run_name="child", nested=True):
        mlflow.log_metric("k", 1)

run_id = client.create_run(experiment, start_time=T0, run_name="many points").info.run_id
for first in range(0, 2500, 500):
    points = [Metric("loss", 1 / (n + 1), T0 + n, n - 100) for n in range(first, first + 500)]
    client.log_batch(run_id, points, [Param(f"p{first}", "v")], [RunTag(f"tag {first}", "v")])
for value in (float("nan"), float("inf"), float("-inf"), 1e-300):
    client.log_metric(run_id, "odd/metric", value, T0, 0)
client.log_metric(run_id, "loss", 0.5, T0, 7)
client.set_terminated(run_id, "FAILED", T0 + 60_000)
killed = client.create_run(experiment, run_name="killed").info.run_id
client.set_terminated(killed, "KILLED", T0)
client.create_run(experiment, run_name="still running")
deleted = client.create_run(experiment, run_name="deleted").info.run_id
client.log_metric(deleted, "k", 2)
client.set_terminated(deleted)
client.delete_run(deleted)

name = "späte Flüge"
client.update_registered_model(name, "it is late")
client.set_registered_model_tag(name, "команда", "воздух")
client.create_model_version(name, "s3://bucket/gone")
client.delete_model_version(name, "2")
client.create_model_version(
    name, f"runs:/{parent.info.run_id}/files of a run/a b", parent.info.run_id, {"k": "v"}, description="from a folder"
)
client.create_model_version(name, "s3://bucket/elsewhere", description="elsewhere")
for version, stage in (("1", "Production"), ("3", "Staging"), ("4", "Archived")):
    client.transition_model_version_stage(name, version, stage)
client.set_registered_model_alias(name, "champion", "1")
client.set_registered_model_alias(name, "challenger", "3")
client.create_registered_model("without versions", {"k": "v"}, "nothing yet")
location = client.get_experiment(experiment).artifact_location
with tempfile.TemporaryDirectory() as folder:
    (Path(folder) / "ü" / "models").mkdir(parents=True)
    (Path(folder) / "ü" / "a b.txt").write_text("of nobody")
    (Path(folder) / "ü" / "models" / "c.bin").write_bytes(b"c" * 5000)
    get_artifact_repository(f"{location}/of nobody").log_artifacts(folder)


@mlflow.trace
def traced(x):
    return x


for n in range(3):
    traced(n)
mlflow.flush_trace_async_logging()
trace_ids = [trace.info.trace_id for trace in client.search_traces([experiment])]
for trace_id in trace_ids[:2]:
    mlflow.log_feedback(trace_id=trace_id, name="correct", value=True)
mlflow.genai.register_prompt("prompt", "hello {{x}}")
print(run_id)
