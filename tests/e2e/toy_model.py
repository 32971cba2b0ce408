"""A model that takes a second: three features, two classes, ten small trees."""

from __future__ import annotations

from pathlib import Path

import modelog
import numpy as np
import polars as pl
import xgboost as xgb
from modelog.types import DatasetVersion, ModelVersion, Signature, TensorSpec

FEATURES = ("a", "b", "c")
ROWS = 600
SIGNATURE = Signature(
    inputs=[TensorSpec(name="features", datatype="FP32", shape=[-1, 3], columns=list(FEATURES))],
    outputs=[TensorSpec(name="late", datatype="FP32", shape=[-1, 1])],
)
# A training project as a user would write it.
PROJECT = """
import numpy as np
import polars as pl
import xgboost as xgb

FEATURES = ["a", "b", "c"]


def main(context):
    rows = pl.concat([pl.read_parquet(file) for file in context.dataset_paths])
    matrix = xgb.DMatrix(rows.select(FEATURES).to_numpy(), rows["label"].to_numpy(), feature_names=FEATURES)
    settings = {"objective": "binary:logistic", "max_depth": 3, "nthread": 1}
    booster = xgb.train(settings, matrix, num_boost_round=context.params["rounds"])
    right = (booster.predict(matrix) > 0.5) == rows["label"].to_numpy()
    context.log_metric("accuracy", float(np.mean(right)))
    booster.save_model("toy.ubj")
    signature = {
        "inputs": [{"name": "features", "datatype": "FP32", "shape": [-1, 3], "columns": FEATURES}],
        "outputs": [{"name": "late", "datatype": "FP32", "shape": [-1, 1]}],
    }
    context.save_model("toy.ubj", flavor="xgboost", signature=signature)
    print(f"fitted {rows.height} rows")
"""


def toy_rows(seed: int = 0, rows: int = ROWS) -> pl.DataFrame:
    """Features in [0, 1), float32, and a label 0 or 1 that mostly follows from them."""
    rng = np.random.default_rng(seed)
    matrix = rng.random((rows, len(FEATURES)), dtype=np.float32)
    label = (matrix[:, 0] + matrix[:, 1] + rng.normal(0, 0.2, rows) > 1).astype(np.int8)
    return pl.DataFrame({**{name: matrix[:, n] for n, name in enumerate(FEATURES)}, "label": label})


def fitted(folder: Path, seed: int = 0) -> Path:
    """A fitted model's file."""
    rows = toy_rows(seed)
    matrix = xgb.DMatrix(rows.select(FEATURES).to_numpy(), rows["label"].to_numpy(), feature_names=list(FEATURES))
    booster = xgb.train({"objective": "binary:logistic", "max_depth": 3, "nthread": 1}, matrix, num_boost_round=10)
    file = folder / "toy.ubj"
    booster.save_model(file)
    return file


def deployed(
    alice: modelog.Client, bob: modelog.Client, name: str, folder: Path
) -> tuple[DatasetVersion, ModelVersion]:
    """A dataset, a model version that alice made and bob approved, and a deployment of it, all called `name`."""
    data = alice.datasets.register(name, toy_rows())
    artifact = alice.artifacts.upload(fitted(folder))
    alice.models.create(name)
    version = alice.models.register(name, artifact, flavor="xgboost", signature=SIGNATURE, datasets=[data.ref])
    bob.models.approve(name, version.version, "looked at it")
    for stage in ("staging", "production"):
        version = alice.models.promote(name, version.version, stage)
    alice.deployments.create(name, name, version.version)
    return data, version
