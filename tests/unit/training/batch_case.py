"""A batch on this machine: rows, a stored model, and the job's own code that puts the ones through the other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import xgboost as xgb
from modelog.training import LocalRun, StoredModel, local_context
from modelog.types import Signature, TensorSpec
from modelog_training.batch.main import main

FEATURES = ["hour", "wind"]
SIGNATURE = Signature(
    inputs=[TensorSpec(name="features", datatype="FP32", shape=[-1, 2], columns=FEATURES)],
    outputs=[TensorSpec(name="late", datatype="FP32", shape=[-1])],
)


def booster() -> xgb.Booster:
    draw = np.random.default_rng(7)
    table = draw.normal(size=(200, 2)).astype(np.float32)
    data = xgb.DMatrix(table, (table[:, 0] > 0).astype(int), feature_names=FEATURES)
    return xgb.train({"objective": "binary:logistic", "max_depth": 2, "nthread": 1}, data, 3)


def model_in(folder: Path, content: bytes = b"", flavor: str = "xgboost", *, approved: bool = False) -> StoredModel:
    """A file by its digest, as the training service has it."""
    content = content or bytes(booster().save_raw("ubj"))
    digest = hashlib.sha256(content).hexdigest()
    file = folder / digest[:2] / digest[2:4] / digest
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return StoredModel("late", "1.0.0", flavor, str(file), FEATURES, digest, SIGNATURE, approved)


def rows_of(count: int) -> pl.DataFrame:
    """Rows with a name of their own, some values missing."""
    return pl.DataFrame(
        {
            "name": [f"r{n}" for n in range(count)],
            "wind": [None if n % 9 == 0 else n / 7 - 3 for n in range(count)],
            "hour": [n / 100 - 1 for n in range(count)],
        }
    )


def expected(rows: pl.DataFrame) -> np.ndarray:
    """What the framework itself answers, (rows,)."""
    table = rows.select(pl.col(name).fill_null(float("nan")) for name in FEATURES).to_numpy().astype(np.float32)
    return np.asarray(booster().inplace_predict(table), np.float64)


def ran(
    model: StoredModel,
    source: object,
    output: object,
    *,
    datasets: Mapping[str, Sequence[Path]] | None = None,
    cpus: float = 1.0,
    **more: Any,
) -> LocalRun:
    """Run the job's code to its end; the run has its metrics."""
    run = LocalRun(Path.cwd())
    params = {"source": str(source), "output": str(output), **more}
    main(local_context(run, params, datasets, cpus=cpus, models=[model]))
    return run


def ledger_in(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "_batch.json").read_text())
    return found


def output_in(folder: Path) -> pl.DataFrame:
    """What a reader of Parquet sees."""
    return pl.read_parquet(sorted(folder.glob("*.parquet")))
