"""What a user's program does with experiments and runs. Run with MLFLOW_TRACKING_URI and MLFLOW_TRACKING_TOKEN set."""

import math
import sys
import time

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag, ViewType
from mlflow.exceptions import MlflowException

prefix = sys.argv[1]
client = MlflowClient()


def refused(code, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except MlflowException as error:
        told = error.error_code
    else:
        told = "nothing"
    assert told == code, (call, told)


# Experiments.
experiment_id = client.create_experiment(f"{prefix} 実験", tags={"team": "red"})
refused("RESOURCE_ALREADY_EXISTS", client.create_experiment, f"{prefix} 実験")
experiment = client.get_experiment(experiment_id)
assert (experiment.name, experiment.tags, experiment.lifecycle_stage) == (f"{prefix} 実験", {"team": "red"}, "active")
assert experiment.artifact_location == f"mlflow-artifacts:/{experiment_id}"
assert client.get_experiment_by_name(f"{prefix} 実験").experiment_id == experiment_id
assert client.get_experiment_by_name(f"{prefix} no such") is None
client.set_experiment_tag(experiment_id, "team", "blue")
client.rename_experiment(experiment_id, f"{prefix} renamed")
found = client.search_experiments(filter_string=f"name = '{prefix} renamed' AND tags.team = 'blue'")
assert [e.experiment_id for e in found] == [experiment_id]
client.delete_experiment(experiment_id)
assert client.get_experiment(experiment_id).lifecycle_stage == "deleted"
assert experiment_id in [e.experiment_id for e in client.search_experiments(view_type=ViewType.DELETED_ONLY)]
client.restore_experiment(experiment_id)
assert client.get_experiment("0").name == "Default"

# A run with the fluent interface.
mlflow.set_experiment(experiment_id=experiment_id)
with mlflow.start_run(run_name="first", description="a note", tags={"colour": "green"}) as active:
    mlflow.log_param("depth", 6)
    mlflow.log_params({"rate": 0.1, "name": "Bäume"})
    for step in range(5):
        mlflow.log_metric("loss", 1 / (step + 1), step=step)
    mlflow.log_metrics({"accuracy": 0.9, "nan": math.nan, "inf": math.inf, "-inf": -math.inf}, step=3)
    mlflow.set_tag("owner", "alice")
    with mlflow.start_run(nested=True, run_name="child") as child:
        mlflow.log_metric("loss", 0.7)
first = active.info.run_id
run = client.get_run(first)
assert (run.info.run_name, run.info.status, run.info.experiment_id) == ("first", "FINISHED", experiment_id)
assert run.info.end_time >= run.info.start_time > 1_700_000_000_000
assert run.data.params == {"depth": "6", "rate": "0.1", "name": "Bäume"}
assert run.data.metrics["loss"] == 0.2
assert math.isnan(run.data.metrics["nan"])
assert (run.data.metrics["inf"], run.data.metrics["-inf"]) == (math.inf, -math.inf)
assert run.data.tags["colour"] == "green"
assert run.data.tags["mlflow.note.content"] == "a note"
assert run.data.tags["mlflow.runName"] == "first"
assert client.get_run(child.info.run_id).data.tags["mlflow.parentRunId"] == first
history = client.get_metric_history(first, "loss")
assert [(m.step, m.value) for m in history] == [(n, 1 / (n + 1)) for n in range(5)]
refused("INVALID_PARAMETER_VALUE", client.log_param, first, "depth", 7)
refused("RESOURCE_DOES_NOT_EXIST", client.get_run, "0123456789abcdef")

# What is added after the end: as autologging does.
client.log_metric(first, "after", 1.5)
client.set_tag(first, "late", "yes")
run = client.get_run(first)
assert (run.data.metrics["after"], run.data.tags["late"], run.info.status) == (1.5, "yes", "FINISHED")
client.delete_tag(first, "late")
assert "late" not in client.get_run(first).data.tags

# Resumed, renamed, ended otherwise.
with mlflow.start_run(run_id=first):
    mlflow.log_metric("loss", 0.05, step=9)
client.update_run(first, name="first again")
client.set_terminated(first, status="KILLED")
run = client.get_run(first)
assert (run.info.run_name, run.info.status, run.data.metrics["loss"]) == ("first again", "KILLED", 0.05)

# Batches.
made = client.create_run(experiment_id, start_time=1_600_000_000_000, run_name="batch")
now = int(time.time() * 1000)
client.log_batch(
    made.info.run_id,
    metrics=[Metric(f"m{n % 4}", n * 0.5, now + n, n) for n in range(1000)],
)
client.log_batch(
    made.info.run_id,
    params=[Param(f"p{n}", str(n)) for n in range(100)],
    tags=[RunTag(f"t{n}", str(n)) for n in range(50)],
)
run = client.get_run(made.info.run_id)
assert (run.info.start_time, run.info.status, run.info.end_time) == (1_600_000_000_000, "RUNNING", None)
assert (len(run.data.metrics), len(run.data.params), run.data.metrics["m3"]) == (4, 100, 499.5)
assert run.data.tags["t49"] == "49"
assert [m.step for m in client.get_metric_history(made.info.run_id, "m1")] == list(range(1, 1000, 4))
client.set_terminated(made.info.run_id)

# Search.
for n in range(25):
    other = client.create_run(experiment_id, run_name=f"search {n:02}", tags={"kind": "search"})
    client.log_batch(other.info.run_id, [Metric("score", n / 10, now, 0)], [Param("fold", str(n % 5))])
    client.set_terminated(other.info.run_id, "FAILED" if n % 2 else "FINISHED")


def names(filter_string="", order_by=None, **kwargs):
    kind = "tags.kind = 'search'" + (f" AND {filter_string}" if filter_string else "")
    runs = client.search_runs([experiment_id], kind, order_by=order_by, **kwargs)
    return [run.info.run_name for run in runs]


assert len(names()) == 25
assert names("metrics.score >= 2.2", ["metrics.score DESC"]) == ["search 24", "search 23", "search 22"]
assert names("params.fold = '3'", ["attributes.run_name ASC"]) == [f"search {n:02}" for n in (3, 8, 13, 18, 23)]
assert names("attributes.status = 'FAILED' AND metrics.score < 0.4", ["run_name"]) == ["search 01", "search 03"]
assert names("run_name LIKE 'search 1%'", ["run_name DESC"], max_results=2) == ["search 19", "search 18"]
assert names("tags.`mlflow.runName` = 'search 07'") == ["search 07"]
page = client.search_runs([experiment_id], "tags.kind = 'search'", order_by=["metrics.score"], max_results=10)
seen = [run.info.run_name for run in page]
while page.token:
    page = client.search_runs(
        [experiment_id], "tags.kind = 'search'", order_by=["metrics.score"], max_results=10, page_token=page.token
    )
    seen += [run.info.run_name for run in page]
assert seen == [f"search {n:02}" for n in range(25)]
refused("INVALID_PARAMETER_VALUE", client.search_runs, [experiment_id], "metrics.score ~ 5")
table = mlflow.search_runs([experiment_id], "tags.kind = 'search'", order_by=["metrics.score DESC"])
assert list(table["params.fold"])[:6] == ["4", "3", "2", "1", "0", "4"]
doomed = client.search_runs([experiment_id], "tags.`mlflow.runName` = 'search 00'")[0].info.run_id
client.delete_run(doomed)
assert "search 00" not in names()
assert names(run_view_type=ViewType.DELETED_ONLY) == ["search 00"]
refused("INVALID_PARAMETER_VALUE", client.log_metric, doomed, "score", 1)
client.restore_run(doomed)
assert len(names()) == 25

print(experiment_id, first, made.info.run_id)
