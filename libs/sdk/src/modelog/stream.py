"""Streaming requests and outcomes through Kafka: in order, each batch once, never far ahead of the platform.

Needs the extra: `pip install "modelog[stream]"`.
"""

from __future__ import annotations

import time
import uuid
from collections import deque
from typing import Any, Callable, Deque, Dict, List, Optional, Sequence, Tuple

import numpy as np
from confluent_kafka import KafkaError, KafkaException, Producer
from modelog_proto.serving.v1 import data_pb2

from modelog.client import Client
from modelog.errors import Invalid, Unavailable
from modelog.types import TopicProgress

REQUESTS = "inference.requests"
OUTCOMES = "outcomes"
AHEAD = 16
POLL_S = 0.02
RESEND_AFTER_S = 3.0
GIVE_UP_AFTER_S = 120.0
MAX_ROWS = 10_000
MAX_BYTES = 4_000_000
LARGEST_AMOUNT = 1e100
Array = Any


class StreamProducer:
    """Streams one deployment's requests and outcomes.

    Batches carry this producer's id and a sequence number, by which the platform takes each once and in order. What it
    has not taken yet is kept here and sent again when the broker lost it. `send_...` waits while more than `ahead`
    batches are not taken: the stream goes as fast as it is consumed.
    """

    def __init__(
        self, client: Client, deployment: str, *, producer_id: str = "", bootstrap: str = "", ahead: int = AHEAD
    ) -> None:
        self.id = producer_id or f"{deployment}-{uuid.uuid4()}"
        self._client, self._deployment = client, deployment
        self._bootstrap = bootstrap or client.discovery()["kafka"]
        self._topics: Dict[str, str] = {}
        self._lanes = {topic: Lane(self, topic, ahead) for topic in (REQUESTS, OUTCOMES)}
        self._producer: Optional[Producer] = None

    def send_requests(
        self,
        prediction_ids: Sequence[str],
        event_times_us: Array,
        features: Array,
        feature_names: Sequence[str],
        *,
        watermark_us: int,
        keys: Sequence[str] = (),
    ) -> None:
        """Ask for predictions: `features` is (rows, features) float32, `event_times_us` (rows,) int64 microseconds.

        Event times may be a datetime64 array too. `watermark_us` promises that no later batch holds an event time below
        it. Raises Invalid, naming the argument, for arrays that do not fit (nothing is sent then), and Unavailable when
        the platform takes nothing for two minutes: the batch is kept then, and `flush` waits for it again.
        """
        rows = _rows(prediction_ids)
        matrix = np.ascontiguousarray(features, dtype="<f4")
        if matrix.shape != (rows, len(feature_names)):
            raise _wrong(
                "features",
                f"has the shape {matrix.shape}; expected ({rows}, {len(feature_names)}), one row for each prediction "
                "id and one column for each feature name",
            )
        if np.isinf(matrix).any():
            row, column = (int(n) for n in np.argwhere(np.isinf(matrix))[0])
            raise _wrong(
                "features", f"row {row}, column {feature_names[column]!r} is infinite; numbers and NaN are fine"
            )
        if len(keys) not in (0, rows):
            raise _wrong("keys", f"has {len(keys)} items; expected none, or one for each of {rows} prediction ids")
        times = _times("event_times_us", event_times_us, rows)
        self._lanes[REQUESTS].send(
            lambda sequence: data_pb2.RequestBatch(
                deployment=self._deployment,
                producer=self.id,
                sequence=sequence,
                prediction_ids=prediction_ids,
                event_times_us=times,
                keys=keys,
                feature_names=feature_names,
                features=matrix.tobytes(),
                watermark_us=watermark_us,
            )
        )

    def send_outcomes(
        self,
        prediction_ids: Sequence[str],
        labels: Optional[Array],
        known_at_us: Array,
        *,
        watermark_us: int,
        amounts: Optional[Array] = None,
    ) -> None:
        """Tell what really happened, and when it came to be known: one label (0 or 1) a prediction id, or `amounts`.

        `amounts` are any numbers, such as revenues, ratings, or the values that a regression foretold; `labels` are
        None where there are only amounts. Without prediction ids it only moves the watermark. Raises Invalid and
        Unavailable as `send_requests` does.
        """
        rows = _rows(prediction_ids, fewest=0)
        if labels is None and amounts is None:
            raise _wrong("labels", "are None; give labels of 0 and 1, or amounts, or both")
        told = [] if labels is None else _column("labels", labels, rows)
        wrong = next((value for value in told if value not in (0.0, 1.0)), None)
        if wrong is not None:
            raise _wrong("labels", f"holds {wrong:g}; labels are 0 or 1, other numbers are amounts")
        counted = [] if amounts is None else _column("amounts", amounts, rows)
        # NaN fails the comparison too.
        wrong = next((value for value in counted if not abs(value) <= LARGEST_AMOUNT), None)
        if wrong is not None:
            raise _wrong("amounts", f"holds {wrong:g}; numbers from -{LARGEST_AMOUNT:g} to {LARGEST_AMOUNT:g} are fine")
        times = _times("known_at_us", known_at_us, rows)
        self._lanes[OUTCOMES].send(
            lambda sequence: data_pb2.OutcomeBatch(
                deployment=self._deployment,
                producer=self.id,
                sequence=sequence,
                prediction_ids=prediction_ids,
                labels=told,
                amounts=counted,
                event_times_us=times,
                watermark_us=watermark_us,
            )
        )

    def flush(self) -> None:
        """Wait until the platform has taken everything."""
        for lane in self._lanes.values():
            lane.drain(0)

    def __enter__(self) -> StreamProducer:
        return self

    def __exit__(self, *_: object) -> None:
        self.flush()

    def taken(self, kind: str) -> TopicProgress:
        """The last sequence number that the platform has taken of a kind of batches, and the topic they travel on."""
        return self._client.topic_progress(kind, self.id)

    def produce(self, kind: str, payload: bytes) -> None:
        """Hand a batch to the Kafka client, for the topic of this client's tenant."""
        if kind not in self._topics:
            self._topics[kind] = self.taken(kind).topic
        while True:
            try:
                self._kafka().produce(
                    self._topics[kind], payload, key=self._deployment.encode(), headers={"producer": self.id}
                )
                self._kafka().poll(0)
                return
            except BufferError:
                self._kafka().poll(POLL_S)
            except KafkaException as error:
                raise Unavailable(f"Kafka at {self._bootstrap}: {error.args[0].str()}") from None

    def poll(self, timeout_s: float) -> None:
        self._kafka().poll(timeout_s)

    def reconnect(self) -> None:
        """Start with a fresh Kafka client: one that outlived its broker's memory does not recover."""
        if self._producer is not None:
            self._producer.purge()
            self._producer = None

    def _kafka(self) -> Producer:
        if self._producer is None:
            settings: Dict[str, Any] = {
                "bootstrap.servers": self._bootstrap,
                "acks": "all",
                "linger.ms": 2,
                "max.in.flight.requests.per.connection": 1,
                "message.max.bytes": 32 * 1024 * 1024,
                "message.timeout.ms": 10_000,
                "error_cb": _quiet,
                "log_level": 0,
            }
            self._producer = Producer(settings)
        return self._producer


class Lane:
    """One topic's batches that the platform has not taken yet."""

    def __init__(self, stream: StreamProducer, topic: str, ahead: int) -> None:
        self._stream, self._topic, self._ahead = stream, topic, ahead
        self._next = 1
        self._waiting: Deque[Tuple[int, bytes]] = deque()

    def send(self, batch: Callable[[int], Any]) -> None:
        payload = batch(self._next).SerializeToString()
        if len(payload) > MAX_BYTES:
            raise _wrong("prediction_ids", f"are too many: the batch takes {len(payload)} bytes of {MAX_BYTES} allowed")
        self._waiting.append((self._next, payload))
        self._next += 1
        self._stream.produce(self._topic, payload)
        if len(self._waiting) > self._ahead:
            self.drain(self._ahead // 2)

    def drain(self, most: int) -> None:
        """Wait until at most `most` batches are not taken; sends them again when nothing moves."""
        moved = sent = time.monotonic()
        while len(self._waiting) > most:
            taken = self._taken()
            if self._waiting and taken >= self._waiting[0][0]:
                moved = sent = time.monotonic()
                while self._waiting and self._waiting[0][0] <= taken:
                    self._waiting.popleft()
                continue
            now = time.monotonic()
            if now - moved > GIVE_UP_AFTER_S:
                raise Unavailable(
                    f"the platform took no batch of {self._topic} for {GIVE_UP_AFTER_S:g} s; {len(self._waiting)} "
                    f"wait, the next is {self._waiting[0][0]} of producer {self._stream.id}"
                )
            if now - sent > RESEND_AFTER_S:
                sent = now
                self._stream.reconnect()
                for _, payload in self._waiting:
                    self._stream.produce(self._topic, payload)
            self._stream.poll(POLL_S)

    def _taken(self) -> int:
        try:
            return self._stream.taken(self._topic).sequence
        except Unavailable:
            return 0


def _rows(prediction_ids: Sequence[str], fewest: int = 1) -> int:
    rows = len(prediction_ids)
    if not fewest <= rows <= MAX_ROWS:
        raise _wrong("prediction_ids", f"has {rows} items; {fewest} to {MAX_ROWS} are allowed in a batch")
    if len(set(prediction_ids)) != rows:
        raise _wrong("prediction_ids", "names an id twice")
    return rows


def _column(name: str, values: Array, rows: int) -> List[float]:
    column = np.asarray(values, dtype=float)
    if column.shape != (rows,):
        raise _wrong(name, f"has the shape {column.shape}; expected ({rows},), one for each prediction id")
    found: List[float] = column.tolist()
    return found


def _times(name: str, values: Array, rows: int) -> List[int]:
    """Times as microseconds since 1970-01-01 UTC."""
    times = np.asarray(values)
    if times.shape != (rows,):
        raise _wrong(name, f"has the shape {times.shape}; expected ({rows},), one for each prediction id")
    if not rows:
        return []
    if times.dtype.kind == "M":
        times = times.astype("datetime64[us]")
    elif times.dtype.kind not in "iu":
        raise _wrong(name, f"is of type {times.dtype}; expected whole microseconds since 1970-01-01 UTC, or datetime64")
    found: List[int] = times.astype("int64").tolist()
    if min(found) < 0:
        raise _wrong(name, f"holds {min(found)}; times are microseconds since 1970-01-01 UTC")
    return found


def _wrong(name: str, text: str) -> Invalid:
    return Invalid(f"{name}: {text}", fields=[{"field": name, "description": text}])


def _quiet(_: KafkaError) -> None:
    """librdkafka tells of every lost connection; what matters is whether batches are taken, which `drain` watches."""
