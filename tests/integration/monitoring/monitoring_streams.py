"""What a producer and the other services put on Kafka: predictions, outcomes, and events."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import numpy as np
from modelog_common.bus.clients import new_producer
from modelog_common.bus.envelope import counted_headers, source_of_service, to_entry
from modelog_common.events.store import StoredEvent
from modelog_proto.serving.v1.data_pb2 import Answerer, OutcomeBatch, PredictionBatch
from monitoring_world import CHALLENGER, CHAMPION, COLUMNS, World, truth

START = datetime(2013, 4, 1, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
ROWS_AT_ONCE = 500
TENANT = "acme"


def us(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000_000)


def table(rows: int, random: Any, *, shift: float = 0.0) -> Any:
    """Features (rows, 3); a shift moves the column wind."""
    features = random.normal(size=(rows, 3)).astype(np.float32)
    features[:, 1] += np.float32(shift)
    features[:, 2] = random.integers(0, 4, rows)
    return features


class Streams:
    """Sends hours of traffic; every number follows from the seed."""

    def __init__(self, bootstrap: str, world: World, seed: int = 7) -> None:
        self.world = world
        self.random, self.random_amounts = np.random.default_rng(seed), np.random.default_rng(seed + 1)
        self.predictions = self.outcomes = 0
        self.log_id = f"log-{uuid4()}"
        self.times: list[int] = []
        self._producer = new_producer(bootstrap, **{"message.timeout.ms": 150_000})
        self._positions: dict[str, int] = {}

    def hour(self, number: int, rows: int = 1000, *, shift: float = 0.0, answered: str = "") -> None:
        """One hour of requests, answered by the versions that have the traffic, and their outcomes half an hour later.

        With `answered`, that version answers all.
        """
        features = table(rows, self.random, shift=shift)
        labels = (self.random.random(rows) < truth(features)).astype(float)
        times = [us(START + HOUR * number) + n * 3_600_000_000 // rows for n in range(rows)]
        self.times += times
        ids = [f"{number}-{n}" for n in range(rows)]
        versions = [answered] if answered else list(self.world.traffic)
        shares = [1.0] if answered else [p / 100 for p in self.world.traffic.values()]
        by = self.random.choice(len(versions), rows, p=shares)
        # Minutes that were waited, none by half of them, and half as many where the challenger had foretold it.
        shorter = np.where(np.asarray(versions)[by] == CHALLENGER, 0.5, 1.0)
        amounts = labels * shorter * self.random_amounts.exponential(40, rows)
        for start in range(0, rows, ROWS_AT_ONCE):
            part = slice(start, start + ROWS_AT_ONCE)
            self.send_predictions(ids[part], times[part], features[part], versions, by[part])
            known = [t + 1_800_000_000 for t in times[part]]
            self.send_outcomes(ids[part], labels[part].tolist(), known, amounts[part].tolist())
        self.flush()

    def rows_before(self, moment: datetime) -> int:
        """How many rows were sent whose event time is before this."""
        return sum(time < us(moment) for time in self.times)

    def send_predictions(self, ids: Any, times: Any, features: Any, versions: Any, by: Any) -> None:
        scores = np.stack([self.world.models[v](features) for v in versions])[by, np.arange(len(by))]
        self.predictions += 1
        batch = PredictionBatch(
            deployment="flights",
            model="flight-delay",
            sequence=self.predictions,
            log_id=self.log_id,
            prediction_ids=ids,
            event_times_us=times,
            answerers=[Answerer(version=v) for v in versions],
            answered_by=by.astype(np.uint8).tobytes(),
            feature_names=COLUMNS,
            features=features.tobytes(),
            outputs=scores.astype("<f4").tobytes(),
            watermark_us=times[-1] + 1,
            tenant=TENANT,
        )
        self.send(f"modelog.{TENANT}.predictions", batch.SerializeToString())

    def send_outcomes(self, ids: Any, labels: Any, times: Any, amounts: Any = ()) -> None:
        self.outcomes += 1
        batch = OutcomeBatch(
            deployment="flights",
            producer="airport",
            sequence=self.outcomes,
            prediction_ids=ids,
            labels=labels,
            amounts=amounts,
            event_times_us=times,
            watermark_us=times[-1] + 1,
        )
        self.send(f"modelog.{TENANT}.outcomes", batch.SerializeToString())

    def event(self, service: str, name: str, /, **payload: Any) -> None:
        """An event of another service."""
        position = self._positions[service] = self._positions.get(service, 0) + 1
        stored = StoredEvent(
            position, str(uuid4()), f"{service}.x-1", position, f"{service}.{name}", 1, START, TENANT, "somebody",
            "", "", "", json.dumps(payload).encode(),
        )  # fmt: skip
        entry = to_entry(stored)
        headers = {**entry.headers, **counted_headers(source_of_service(service), position, position - 1)}
        self.send(f"modelog.{TENANT}.events.{service}", entry.value, headers)
        self.flush()

    def job_succeeded(self, job_id: str, version: str) -> None:
        self.event("training", "JobSucceeded", job_id=job_id, registered_version=version, at="2013-04-01T00:00:00Z")

    def reviewed(self, version: str, decision: str = "approved", comment: str = "looked at it") -> None:
        self.event(
            "registry", "VersionReviewed", model="flight-delay", version=version, reviewer="bob", decision=decision,
            comment=comment, evidence={},
        )  # fmt: skip

    def send(self, topic: str, value: bytes, headers: Any = None) -> None:
        self._producer.produce(topic, value, b"key", 0, headers=headers or {})

    def flush(self) -> None:
        assert self._producer.flush(150) == 0, "the broker did not take the messages"


def reference_table(seed: int = 1, rows: int = 4000) -> Any:
    """Labelled rows as they were when the champion was trained."""
    import polars as pl

    features = table(rows, np.random.default_rng(seed))
    return pl.DataFrame({name: features[:, n] for n, name in enumerate(COLUMNS)} | {"late": np.zeros(rows)})


__all__ = ["CHAMPION", "HOUR", "START", "TENANT", "Streams", "reference_table", "table", "us"]
