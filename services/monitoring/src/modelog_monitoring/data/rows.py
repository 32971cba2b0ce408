"""Rows of a deployment by event time: what was asked and answered, and the outcome where it is known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from modelog_proto.serving.v1.data_pb2 import OutcomeBatch, PredictionBatch

from modelog_monitoring.data.batches import LATEST_US, Micros, micros
from modelog_monitoring.data.store import Flow, Kind, WindowStore

Floats32 = npt.NDArray[np.float32]
Floats64 = npt.NDArray[np.float64]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# An outcome is what became known after the prediction; clocks that differ by less than this do no harm.
CLOCK_SKEW_US = 86_400_000_000


@dataclass(frozen=True)
class Rows:
    """Predictions, each id once, in the order of event time and then id.

    `features` is (rows, features) float32 with the columns of `feature_names`, NaN where a batch lacks one; `scores` is
    (rows,), a model's last output that is no text; `answered_by` is (rows,), an index into `versions`; `labels` and
    `amounts` are (rows,) with NaN where that of the outcome is not known.
    """

    event_times_us: Micros
    feature_names: tuple[str, ...]
    features: Floats32
    scores: Floats32
    versions: tuple[str, ...]
    answered_by: npt.NDArray[np.int64]
    labels: Floats64
    amounts: Floats64

    def __len__(self) -> int:
        return len(self.event_times_us)

    def take(self, which: npt.NDArray[Any]) -> Rows:
        """Some of the rows, by mask or index."""
        return Rows(
            self.event_times_us[which],
            self.feature_names,
            self.features[which],
            self.scores[which],
            self.versions,
            self.answered_by[which],
            self.labels[which],
            self.amounts[which],
        )

    @property
    def labelled(self) -> Rows:
        """The rows whose label is known."""
        return self.take(~np.isnan(self.labels))

    def outcome(self, *, amounts: bool) -> Floats64:
        """The amount or the label of each row, NaN where it is not known."""
        return self.amounts if amounts else self.labels

    def first(self, count: int) -> Rows:
        """The earliest rows."""
        return self.take(np.arange(min(count, len(self))))

    def of(self, version: str) -> Rows:
        """The rows that a version answered."""
        index = self.versions.index(version) if version in self.versions else -1
        return self.take(self.answered_by == index)


@dataclass(frozen=True)
class Span:
    """Event times from `since_us` up to but without `until_us`; an outcome counts when it was known before
    `known_us`, a prediction when it was answered at `answered_us` or later."""

    since_us: int
    until_us: int
    known_us: int
    answered_us: int = 0


def read_rows(store: WindowStore, flow: Flow, span: Span, feature_names: Sequence[str], version: str = "") -> Rows:
    """The rows of a span, with a version only those it answered.

    Of a prediction id that comes twice, the first counts.
    """
    read = (PredictionBatch.FromString(m) for m in store.messages(flow, span.since_us, span.until_us, version))
    batches = [b for b in read if b.answered_at_us >= span.answered_us]
    ids = pl.Series("id", [i for b in batches for i in b.prediction_ids], dtype=pl.String)
    times = _joined(micros(b.event_times_us) for b in batches)
    versions = tuple(sorted({a.version for b in batches for a in b.answerers}))
    codes = _joined(_answered_by(b, versions) for b in batches)
    wanted = (times >= span.since_us) & (times < span.until_us)
    if version:
        wanted &= codes == (versions.index(version) if version in versions else -1)
    order = (
        pl.DataFrame({"id": ids, "time": times, "row": np.arange(len(ids))})
        .filter(pl.Series(wanted))
        .unique("id", keep="first", maintain_order=True)
        .sort("time", "id")
    )
    pick = order["row"].to_numpy()
    features = [np.empty((0, len(feature_names)), np.float32), *(_features(b, feature_names) for b in batches)]
    scores = [np.empty(0, np.float32), *(_scores(b) for b in batches)]
    outcomes = _outcomes(store, flow, span)
    return Rows(
        times[pick],
        tuple(feature_names),
        np.concatenate(features)[pick],
        np.concatenate(scores)[pick],
        versions,
        codes[pick],
        _known([b for b in outcomes if b.labels], lambda b: b.labels, span, order["id"]),
        _known([b for b in outcomes if b.amounts], lambda b: b.amounts, span, order["id"]),
    )


def _outcomes(store: WindowStore, flow: Flow, span: Span) -> list[OutcomeBatch]:
    outcomes = Flow(Kind.OUTCOMES, flow.deployment, flow.tenant)
    messages = store.messages(outcomes, span.since_us - CLOCK_SKEW_US, span.known_us)
    return [OutcomeBatch.FromString(m) for m in messages]


def _known(
    batches: Sequence[OutcomeBatch], values_of: Callable[[OutcomeBatch], Iterable[float]], span: Span, ids: pl.Series
) -> Floats64:
    """Labels or amounts (rows,) by prediction id: of those known in time, the one that came first."""
    if not batches:
        return np.full(len(ids), np.nan)
    known = pl.DataFrame(
        {
            "id": pl.Series([i for b in batches for i in b.prediction_ids], dtype=pl.String),
            "value": np.asarray([value for b in batches for value in values_of(b)], np.float64),
            "time": _joined(micros(b.event_times_us) for b in batches),
        }
    )
    first = known.filter(pl.col("time") < span.known_us).unique("id", keep="first", maintain_order=True)
    joined = pl.DataFrame({"id": ids}).join(first, on="id", how="left", maintain_order="left")
    return joined["value"].fill_null(float("nan")).to_numpy()


def _answered_by(batch: PredictionBatch, versions: Sequence[str]) -> npt.NDArray[np.int64]:
    place = {version: n for n, version in enumerate(versions)}
    codes = np.asarray([place[a.version] for a in batch.answerers], np.int64)
    return codes[np.frombuffer(batch.answered_by, np.uint8)]


def _features(batch: PredictionBatch, names: Sequence[str]) -> Floats32:
    given = list(batch.feature_names)
    values = np.frombuffer(batch.features, "<f4").reshape(len(batch.prediction_ids), len(given))
    if given == list(names):
        return values
    place = {name: n for n, name in enumerate(given)}
    found = np.full((len(values), len(names)), np.nan, np.float32)
    for column, name in enumerate(names):
        if name in place:
            found[:, column] = values[:, place[name]]
    return found


def _scores(batch: PredictionBatch) -> Floats32:
    """The last output that is a number; NaN where all are texts."""
    rows = len(batch.prediction_ids)
    outputs = np.frombuffer(batch.outputs, "<f4")
    if not rows:
        return outputs
    numbers = [n for n in range(len(outputs) // rows) if n not in batch.text_outputs]
    return outputs.reshape(rows, -1)[:, numbers[-1] if numbers else -1]


def _joined(parts: Iterable[npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
    return np.concatenate([np.empty(0, np.int64), *parts])


def to_micros(moment: datetime) -> int:
    """Microseconds since 1970-01-01 UTC."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def to_moment(us: int) -> datetime:
    """The moment of an event time; what lies after the year 9999 is taken for its end."""
    return _EPOCH + timedelta(microseconds=min(max(us, 0), LATEST_US - 1))
