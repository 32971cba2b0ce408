"""Fills the database of the peer of bench_mlflow.py, in the peer's own environment: through its API it takes hours.

Run: python mlflow_filled.py DATABASE_URI ARTIFACTS RUNS METRICS MODELS VERSIONS; prints the id of the experiment.
"""

from __future__ import annotations

import sys
import time
import uuid

from mlflow.store.model_registry.dbmodels.models import SqlModelVersion, SqlRegisteredModel
from mlflow.store.tracking.dbmodels.models import SqlLatestMetric, SqlMetric, SqlParam, SqlRun, SqlTag
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore


def main(uri: str, artifacts: str, runs: int, metrics: int, models: int, versions: int) -> None:
    store = SqlAlchemyStore(uri, artifacts)
    experiment_id = store.create_experiment("search")
    now_ms = int(time.time() * 1000)
    ids = [uuid.uuid4().hex for _ in range(runs)]
    points = [
        {"run_uuid": run, "key": f"m{m}", "value": (n * 7919 + m) % runs / runs, "timestamp": now_ms, "step": 0}
        for n, run in enumerate(ids)
        for m in range(metrics)
    ]
    with store.ManagedSessionMaker() as session:
        session.bulk_insert_mappings(
            SqlRun,
            [
                {
                    "run_uuid": run,
                    "name": "bench",
                    "status": "RUNNING",
                    "start_time": now_ms,
                    "lifecycle_stage": "active",
                    "artifact_uri": f"mlflow-artifacts:/{experiment_id}/{run}/artifacts",
                    "experiment_id": int(experiment_id),
                    "user_id": "bench",
                }
                for run in ids
            ],
        )
        session.bulk_insert_mappings(SqlMetric, points)
        session.bulk_insert_mappings(SqlLatestMetric, points)
        session.bulk_insert_mappings(
            SqlParam, [{"run_uuid": run, "key": "fold", "value": str(n % 5)} for n, run in enumerate(ids)]
        )
        session.bulk_insert_mappings(
            SqlTag, [{"run_uuid": run, "key": "mlflow.runName", "value": "bench"} for run in ids]
        )
        times = {"creation_time": now_ms, "last_updated_time": now_ms}
        session.bulk_insert_mappings(SqlRegisteredModel, [{"name": f"model-{n}"} | times for n in range(models)])
        session.bulk_insert_mappings(
            SqlModelVersion,
            [
                {"name": f"model-{n}", "version": v + 1, "current_stage": "None", "source": "here"} | times
                for n in range(models)
                for v in range(versions)
            ],
        )
    print(experiment_id)


if __name__ == "__main__":
    database, folder, *counts = sys.argv[1:]
    main(database, folder, *map(int, counts))
