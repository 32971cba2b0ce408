"""A river model that was trained on one rule, and rows that follow another: what a deployment can learn."""

from __future__ import annotations

from pathlib import Path

import cloudpickle
import modelog
import numpy as np
from modelog.inference import predict
from modelog.stream import StreamProducer
from modelog.types import Signature, TensorSpec
from numpy.typing import NDArray
from river import linear_model, optim, preprocessing

FEATURES = ("a", "b", "c")
SIGNATURE = Signature(
    inputs=[TensorSpec(name="features", datatype="FP64", shape=[-1, 3], columns=list(FEATURES))],
    outputs=[TensorSpec(name="late", datatype="FP64", shape=[-1])],
)
ROWS: NDArray[np.float64] = np.random.default_rng(5).normal(size=(1200, 3))
TOLD_US = 1_767_225_600_000_000  # 2026-01-01T00:00:00Z
BEFORE, NOW = ROWS[:, 0] + ROWS[:, 1] > 0, ROWS[:, 0] - ROWS[:, 1] < 0


def trained(folder: Path) -> Path:
    """A logistic regression that has learned how the world was."""
    model = preprocessing.StandardScaler() | linear_model.LogisticRegression(optim.SGD(0.1))
    for row, label in zip(ROWS[400:].tolist(), BEFORE[400:].tolist(), strict=True):
        model.learn_one(dict(zip(FEATURES, row, strict=True)), label)
    file = folder / "river.pkl"
    file.write_bytes(cloudpickle.dumps(model))
    return file


def deployed(alice: modelog.Client, bob: modelog.Client, name: str, folder: Path) -> None:
    """A deployment of the model, which somebody else approved."""
    alice.models.create(name)
    alice.models.register(name, alice.artifacts.upload(trained(folder)), flavor="river", signature=SIGNATURE)
    bob.models.approve(name, "1.0.0", "read its code")
    alice.models.promote(name, "1.0.0", "staging", reason="to learn")
    alice.deployments.create(name, name, "1.0.0", "dev")


def lived(alice: modelog.Client, name: str, rows: range) -> list[str]:
    """Ask for rows, and tell what became of each; returns the ids of the predictions."""
    asked = [dict(zip(FEATURES, ROWS[n].tolist(), strict=True)) for n in rows]
    ids = list(predict(alice, name, asked)["prediction_ids"])
    stream = StreamProducer(alice, name)
    stream.send_outcomes(
        ids, NOW[rows.start : rows.stop].astype(np.int64), np.full(len(ids), TOLD_US), watermark_us=TOLD_US + 1
    )
    stream.flush()
    return ids
