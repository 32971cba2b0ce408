"""Batches of the data plane as they come from Kafka: read, and refused in words when they contradict themselves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from google.protobuf.message import DecodeError
from modelog_proto.serving.v1.data_pb2 import OutcomeBatch, PredictionBatch

LATEST_US = 253_402_300_800_000_000  # the year 10000
MAX_ID = 200
# Larger amounts are mistakes; squares of these, summed, are still numbers.
LARGEST_AMOUNT = 1e100
Micros = npt.NDArray[np.int64]


class WrongBatch(Exception):
    """A batch that can never be used; the text says why.

    `sender` and `sequence` name it where they can be read: its place in the sender's count is taken nevertheless.
    """

    sender: str = ""
    sequence: int = 0

    def of(self, sender: str, sequence: int) -> WrongBatch:
        """The same error, with the batch named."""
        self.sender, self.sequence = sender, sequence
        return self


def prediction_batch(message: bytes, tenant: str) -> PredictionBatch:
    """Read and check that it is this tenant's; raises WrongBatch."""
    try:
        batch = PredictionBatch.FromString(message)
    except DecodeError as error:
        raise WrongBatch(f"not a PredictionBatch: {error}") from error
    _check_named(batch.log_id, "log_id", batch.sequence)
    try:
        if batch.tenant != tenant:
            raise WrongBatch(f"tenant is {batch.tenant!r}; the topic is that of {tenant!r}")
        _check_predictions(batch)
    except WrongBatch as wrong:
        raise wrong.of(batch.log_id, batch.sequence) from None
    return batch


def outcome_batch(message: bytes) -> OutcomeBatch:
    """Read and check; raises WrongBatch."""
    try:
        batch = OutcomeBatch.FromString(message)
    except DecodeError as error:
        raise WrongBatch(f"not an OutcomeBatch: {error}") from error
    _check_named(batch.producer, "producer", batch.sequence)
    try:
        _check_outcomes(batch)
    except WrongBatch as wrong:
        raise wrong.of(batch.producer, batch.sequence) from None
    return batch


def micros(times: Sequence[int]) -> Micros:
    """Event times (rows,) in microseconds."""
    return np.fromiter(times, np.int64, len(times))


def _check_predictions(batch: PredictionBatch) -> None:
    _check_text(batch.deployment, "deployment")
    rows = len(batch.prediction_ids)
    _check_length("event_times_us", len(batch.event_times_us), rows)
    _check_length("answered_by", len(batch.answered_by), rows)
    _check_length("features", len(batch.features), rows * len(batch.feature_names) * 4, "bytes")
    if rows and (len(batch.outputs) == 0 or len(batch.outputs) % (rows * 4)):
        raise WrongBatch(f"outputs has {len(batch.outputs)} bytes; a multiple of {rows} rows of float32 is needed")
    if len(set(batch.feature_names)) < len(batch.feature_names):
        raise WrongBatch("feature_names names a feature twice")
    if rows and max(batch.answered_by) >= len(batch.answerers):
        raise WrongBatch(f"answered_by names answerer {max(batch.answered_by)} of {len(batch.answerers)}")
    _check_ids(batch.prediction_ids)
    _check_times("event_times_us", batch.event_times_us)
    _check_watermark(batch.watermark_us)


def _check_outcomes(batch: OutcomeBatch) -> None:
    _check_text(batch.deployment, "deployment")
    rows = len(batch.prediction_ids)
    if batch.labels or not batch.amounts:
        _check_length("labels", len(batch.labels), rows)
    if batch.amounts:
        _check_length("amounts", len(batch.amounts), rows)
    _check_length("event_times_us", len(batch.event_times_us), rows)
    wrong = next((label for label in batch.labels if label not in (0.0, 1.0)), None)
    if wrong is not None:
        raise WrongBatch(f"labels holds {wrong}; labels are 0 or 1, other numbers are amounts")
    # NaN fails the comparison too.
    wrong = next((amount for amount in batch.amounts if not abs(amount) <= LARGEST_AMOUNT), None)
    if wrong is not None:
        raise WrongBatch(f"amounts holds {wrong}; amounts are numbers from -{LARGEST_AMOUNT:g} to {LARGEST_AMOUNT:g}")
    _check_ids(batch.prediction_ids)
    _check_times("event_times_us", batch.event_times_us)
    _check_watermark(batch.watermark_us)


def _check_named(name: str, field: str, sequence: int) -> None:
    _check_text(name, field)
    if sequence < 1:
        raise WrongBatch(f"sequence is {sequence}; sequences count from 1")


def _check_text(name: str, field: str) -> None:
    if not name or len(name) > MAX_ID:
        raise WrongBatch(f"{field} is {name[:MAX_ID]!r}; 1 to {MAX_ID} characters are needed")


def _check_watermark(watermark_us: int) -> None:
    # A producer that will send nothing more may say so with a watermark of any later time.
    if watermark_us < 0:
        raise WrongBatch(f"watermark_us is {watermark_us}; microseconds since 1970-01-01 UTC are needed")


def _check_length(field: str, found: int, wanted: int, unit: str = "entries") -> None:
    if found != wanted:
        raise WrongBatch(f"{field} has {found} {unit}; {wanted} are needed")


def _check_ids(ids: Sequence[str]) -> None:
    wrong = next((n for n, text in enumerate(ids) if not text or len(text) > MAX_ID), None)
    if wrong is not None:
        raise WrongBatch(f"prediction_ids[{wrong}] is {ids[wrong][:MAX_ID]!r}; 1 to {MAX_ID} characters are needed")


def _check_times(field: str, times: Sequence[int]) -> None:
    if not times:
        return
    for extreme in (min(times), max(times)):
        if not 0 <= extreme < LATEST_US:
            raise WrongBatch(
                f"{field} holds {extreme}; microseconds since 1970-01-01 UTC, to the year 9999, are needed"
            )
