"""What can be searched for in runs, experiments and logged models: MLflow's names and what they stand for."""

from __future__ import annotations

from modelog_gateway.mlflow.filters.conditions import Kind, Vocabulary

RUNS = Vocabulary(
    texts=("run_id", "run_name", "user_id", "status"),
    numbers=("start_time", "end_time"),
    listed=("run_id",),
    kinds=tuple(Kind),
    aliases={
        "created": "start_time",
        "Created": "start_time",
        "run name": "run_name",
        "Run name": "run_name",
        "Run Name": "run_name",
    },
)
EXPERIMENTS = Vocabulary(
    texts=("name", "experiment_id"),
    numbers=("creation_time", "last_update_time"),
    listed=("experiment_id",),
)
LOGGED_MODELS = Vocabulary(
    texts=("name", "model_id", "model_type", "status", "source_run_id"),
    numbers=("creation_timestamp", "last_updated_timestamp"),
    listed=None,
    kinds=(Kind.ATTRIBUTE, Kind.METRIC, Kind.PARAMETER, Kind.TAG),
    aliases={"creation_time": "creation_timestamp", "last_updated_time": "last_updated_timestamp"},
)
