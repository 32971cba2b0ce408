"""Tells, by MLflow's own client, all that a server holds, by names: what two servers tell alike is the same on both."""

import hashlib
import json
import tempfile
from pathlib import Path

import mlflow
import mlflow.artifacts
from mlflow.entities import ViewType

OURS = "modelog."
client = mlflow.MlflowClient()


def own(tags):
    return {key: value for key, value in tags.items() if not key.startswith(OURS)}


def files(uri):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=folder))
        found = [file for file in root.rglob("*") if file.is_file()]
        return {str(f.relative_to(root)): hashlib.sha256(f.read_bytes()).hexdigest() for f in found}


def files_of_none(location):
    folder = f"{location}/of nobody"
    return files(folder) if mlflow.artifacts.list_artifacts(artifact_uri=folder) else {}


def run_told(run, names):
    tags = own(run.data.tags)
    if "mlflow.parentRunId" in tags:
        tags["mlflow.parentRunId"] = names[tags["mlflow.parentRunId"]]
    histories = {
        key: sorted((m.step, m.timestamp, repr(m.value)) for m in client.get_metric_history(run.info.run_id, key))
        for key in run.data.metrics
    }
    return {
        "status": run.info.status,
        "times": [run.info.start_time, run.info.end_time],
        "stage": run.info.lifecycle_stage,
        "params": run.data.params,
        "tags": tags,
        "last": {key: repr(value) for key, value in run.data.metrics.items()},
        "histories": histories,
        "files": files(run.info.artifact_uri) if client.list_artifacts(run.info.run_id) else {},
        "inputs": [[i.dataset.to_dictionary(), {t.key: t.value for t in i.tags}] for i in run.inputs.dataset_inputs],
        "outputs": len(run.outputs.model_outputs) if run.outputs else 0,
    }


def model_told(model, names):
    return {
        "type": model.model_type,
        "status": str(model.status),
        "params": model.params,
        "tags": own(model.tags),
        "created": model.creation_timestamp,
        "run": names.get(model.source_run_id),
        "metrics": sorted([m.key, repr(m.value), m.step, m.timestamp, names.get(m.run_id)] for m in model.metrics),
        "files": files(f"models:/{model.model_id}"),
    }


def version_told(version, names):
    elsewhere = version.source.startswith("s3:")
    return {
        "stage": version.current_stage,
        "description": version.description or "",
        "tags": own(version.tags),
        "created": version.creation_timestamp,
        "run": names.get(version.run_id),
        "files": version.source if elsewhere else files(f"models:/{version.name}/{version.version}"),
    }


experiments = client.search_experiments(view_type=ViewType.ALL)
runs = [r for e in experiments for r in client.search_runs([e.experiment_id], run_view_type=ViewType.ALL)]
names = {run.info.run_id: run.info.run_name for run in runs}
told = {"experiments": {}, "registered": {}}
for experiment in experiments:
    inside = [run for run in runs if run.info.experiment_id == experiment.experiment_id]
    models = client.search_logged_models([experiment.experiment_id]) if experiment.lifecycle_stage == "active" else []
    told["experiments"][experiment.tags.get("modelog.imported.name", experiment.name)] = {
        "tags": own(experiment.tags),
        "stage": experiment.lifecycle_stage,
        "created": experiment.creation_time,
        "runs": {run.info.run_name: run_told(run, names) for run in inside},
        "files": files_of_none(experiment.artifact_location),
        "models": {model.name: model_told(model, names) for model in models},
    }
for model in client.search_registered_models():
    versions = client.search_model_versions("name='" + model.name + "'")
    told["registered"][model.name] = {
        "description": model.description or "",
        "tags": own(model.tags),
        "aliases": {alias: str(version) for alias, version in model.aliases.items()},
        "created": model.creation_timestamp,
        "versions": {version.version: version_told(version, names) for version in versions},
    }
print(json.dumps(told, sort_keys=True))
