"""Request batches as they come from the topic, checked against the deployment they ask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from google.protobuf.message import DecodeError
from modelog_common.bus.envelope import Poison, Received
from modelog_common.bus.topics import sender_of, tenant_in
from modelog_common.domain.errors import ModelogError
from modelog_proto.serving.v1.data_pb2 import RequestBatch

from modelog_serving.engine.runtime import Matrix
from modelog_serving.oip.tensors import MAX_ROWS
from modelog_serving.predlog.answers import Source
from modelog_serving.routing.routes import Route, Routes

MAX_BATCH_BYTES = 4_000_000
MAX_ID = 200


@dataclass(frozen=True)
class Asked:
    """A batch and where it came from."""

    message: Received
    batch: RequestBatch

    @property
    def source(self) -> Source:
        return Source(self.batch.producer, self.batch.sequence)

    @property
    def tenant(self) -> str:
        """Whose topic it came from."""
        return tenant_in(self.message.topic)

    @property
    def sender(self) -> str:
        return sender_of(self.tenant, self.batch.producer)


def read(message: Received) -> Asked:
    """Read a message; raises Poison when it is no batch, or does not say whose it is."""
    try:
        batch = RequestBatch.FromString(message.value)
    except DecodeError as error:
        raise Poison(message, f"its bytes are no RequestBatch: {error}") from error
    if not 1 <= len(batch.producer) <= MAX_ID:
        raise Poison(message, f"producer has {len(batch.producer)} characters; 1 to {MAX_ID} are allowed")
    if batch.sequence < 1:
        raise Poison(message, f"sequence is {batch.sequence}; it must rise by one from 1")
    return Asked(message, batch)


def checked(asked: Asked, routes: Routes) -> tuple[Route, Matrix]:
    """The deployment that answers, and the rows as (rows, features) float32; raises Poison when they do not fit."""
    problem = _problem(asked.batch, len(asked.message.value))
    if problem:
        raise Poison(asked.message, problem)
    try:
        route = routes.find(asked.tenant, asked.batch.deployment)
    except ModelogError as error:
        raise Poison(asked.message, f"deployment: {error}") from error
    texts = route.deployment.signature.texts
    if texts:
        raise Poison(
            asked.message, f"deployment: {asked.batch.deployment} has the texts {texts!r}; streams hold numbers"
        )
    columns = _columns(asked, route.deployment.signature.features)
    rows = np.frombuffer(asked.batch.features, "<f4").reshape(len(asked.batch.prediction_ids), -1)
    matrix: Matrix = rows if columns is None else np.ascontiguousarray(rows[:, columns])
    infinite = np.isinf(matrix)
    if infinite.any():
        row, column = (int(n) for n in np.argwhere(infinite)[0])
        name = route.deployment.signature.features[column]
        raise Poison(
            asked.message, f"features: row {row}, column {name!r} is infinite; finite numbers and NaN are allowed"
        )
    return route, matrix


def _problem(batch: RequestBatch, size_bytes: int) -> str:
    """What is wrong with the batch by itself; "" when nothing is."""
    rows = len(batch.prediction_ids)
    if size_bytes > MAX_BATCH_BYTES:
        return f"the batch has {size_bytes} bytes; at most {MAX_BATCH_BYTES} are allowed"
    if not 1 <= rows <= MAX_ROWS:
        return f"prediction_ids has {rows} items; 1 to {MAX_ROWS} are allowed"
    if len(batch.event_times_us) != rows:
        return f"event_times_us has {len(batch.event_times_us)} items; there are {rows} prediction_ids"
    if len(batch.keys) not in (0, rows):
        return f"keys has {len(batch.keys)} items; there are {rows} prediction_ids"
    expected = rows * len(batch.feature_names) * 4
    if len(batch.features) != expected:
        return (
            f"features has {len(batch.features)} bytes; {rows} rows of {len(batch.feature_names)} float32 features "
            f"take {expected}"
        )
    if len(set(batch.prediction_ids)) != rows:
        return "prediction_ids names an id twice"
    if any(not 1 <= len(text) <= MAX_ID for text in batch.prediction_ids):
        return f"prediction_ids has an id that is empty or longer than {MAX_ID} characters"
    if any(len(text) > MAX_ID for text in batch.keys):
        return f"keys has a key that is longer than {MAX_ID} characters"
    return ""


def _columns(asked: Asked, features: Sequence[str]) -> list[int] | None:
    """Where the model's features stand in the batch; None when they stand as the model takes them."""
    given = list(asked.batch.feature_names)
    if given == list(features):
        return None
    missing = [name for name in features if name not in given]
    extra = [name for name in given if name not in features]
    if missing or extra or len(given) != len(features):
        lacks = f"lacks {missing[0]!r}; " if missing else f"has {extra[0]!r}; " if extra else "names a feature twice; "
        raise Poison(asked.message, f"feature_names {lacks}the model takes {', '.join(features)}")
    return [given.index(name) for name in features]
