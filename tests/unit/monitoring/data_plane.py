"""Batches of the data plane as tests write them: times in seconds after 2013-04-01, two features, one score."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
from modelog_common.bus.envelope import Received
from modelog_common.bus.progress import Progress
from modelog_monitoring.data.ingest import outcomes_of, predictions_of
from modelog_monitoring.data.store import Batch
from modelog_proto.serving.v1.data_pb2 import Answerer, OutcomeBatch, PredictionBatch

START = datetime(2013, 4, 1, tzinfo=UTC)
START_US = round(START.timestamp()) * 1_000_000
FEATURES = ("hour", "wind")
HERE = Progress("modelog.acme.predictions", 0, "one", 1)


def us(seconds: float) -> int:
    return START_US + round(seconds * 1_000_000)


def predictions(
    ids: Sequence[str],
    seconds: Sequence[float],
    *,
    sequence: int = 1,
    log: str = "log",
    watermark: float | None = None,
    versions: Sequence[str] = (),
    deployment: str = "flights",
    producer: str = "",
    names: Sequence[str] = FEATURES,
) -> PredictionBatch:
    """The features of row n are n and -n; its score is n / 100."""
    rows = np.arange(len(ids), dtype=np.float32)
    answered = list(versions) or ["1.0.0"] * len(ids)
    known = sorted(set(answered))
    return PredictionBatch(
        deployment=deployment,
        model="flight-delay",
        sequence=sequence,
        log_id=log,
        prediction_ids=ids,
        event_times_us=[us(s) for s in seconds],
        answerers=[Answerer(version=v) for v in known],
        answered_by=bytes(known.index(v) for v in answered),
        feature_names=names,
        features=np.stack([rows, -rows], axis=1).astype("<f4").tobytes(),
        outputs=(rows / 100).astype("<f4").tobytes(),
        source_producer=producer,
        watermark_us=0 if watermark is None else us(watermark),
        tenant="acme",
    )


def outcomes(
    ids: Sequence[str],
    labels: Sequence[float],
    seconds: Sequence[float],
    *,
    sequence: int = 1,
    producer: str = "airport",
    watermark: float | None = None,
    amounts: Sequence[float] = (),
) -> OutcomeBatch:
    return OutcomeBatch(
        deployment="flights",
        producer=producer,
        sequence=sequence,
        prediction_ids=ids,
        labels=labels,
        amounts=amounts,
        event_times_us=[us(s) for s in seconds],
        watermark_us=0 if watermark is None else us(watermark),
    )


def stored(batch: PredictionBatch | OutcomeBatch) -> Batch:
    read = predictions_of if isinstance(batch, PredictionBatch) else outcomes_of
    return read(batch.SerializeToString(), "acme")


def received(batch: PredictionBatch | OutcomeBatch | bytes, offset: int = 0, topic: str = "") -> Received:
    named = "modelog.acme.outcomes" if isinstance(batch, OutcomeBatch) else "modelog.acme.predictions"
    value = batch if isinstance(batch, bytes) else batch.SerializeToString()
    return Received(topic or named, 0, offset, b"", value, {})
