"""What goes into the prediction log, and how answers become the batches that are stored and published."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from modelog_proto.serving.v1.data_pb2 import Answerer as AnswererMessage
from modelog_proto.serving.v1.data_pb2 import PredictionBatch
from numpy.typing import NDArray

from modelog_serving.engine.runtime import Matrix
from modelog_serving.engine.texts import OBJECT, numbers_in, text_columns, texts_in, together
from modelog_serving.predlog.rows import joined, keys_of

MERGED_ROWS = 4096
FLOAT32 = np.dtype("<f4")


class Answerer(msgspec.Struct, frozen=True):
    """A version that answered, and the SHA-256 of its model file."""

    version: str
    digest: str


@dataclass(frozen=True)
class Source:
    """The request batch that is answered: its producer's sequence rises by one from 1."""

    producer: str
    sequence: int


class Answers(msgspec.Struct, frozen=True, eq=False):
    """Answered rows of one deployment: a struct, as there is one for each request or few.

    `features` is (rows, features) and `outputs` (rows, outputs), each float32 or float64, or of objects where there are
    texts; `answered_by` (rows,) uint8,
    an index into `answerers`. `ids`, `event_times_us` and `keys` are of rows, and may be told by requests (`rows`).
    `keys` is empty when the prediction ids were the keys. `given_ids` says that the caller
    chose the ids: the same id again is then answered from the log. `sealed` says that texts are
    (`personal`).
    """

    tenant: str
    deployment: str
    model: str
    ids: Sequence[str]
    event_times_us: Sequence[int]
    keys: Sequence[str]
    answerers: Sequence[Answerer]
    answered_by: NDArray[np.uint8]
    feature_names: Sequence[str]
    features: Matrix
    outputs: Matrix
    given_ids: bool = True
    source: Source | None = None
    watermark_us: int = 0
    sealed: bool = False


@dataclass(frozen=True)
class Recorded:
    """One answer as the log holds it; `features` and `outputs` hold its texts, too, which may be `sealed`."""

    prediction_id: str
    tenant: str
    deployment: str
    model: str
    answerer: Answerer
    key: str
    feature_names: Sequence[str]
    features: Matrix
    outputs: Matrix
    event_time_us: int
    answered_at_us: int
    sealed: bool = False


class Merging:
    """Puts answers together that came at once and are alike: they are stored as one batch."""

    def __init__(self) -> None:
        self._groups: list[list[Answers]] = []
        self._open: dict[tuple[object, ...], tuple[list[Answers], int]] = {}
        self._ids: set[tuple[str, str, str]] = set()

    def holds(self, answers: Answers) -> bool:
        """Whether one of these ids was put in already."""
        return any((answers.tenant, answers.deployment, i) in self._ids for i in answers.ids)

    def add(self, answers: Answers) -> None:
        kind = _kind(answers)
        group, rows = self._open.get(kind, ([], 0))
        if not group or rows + len(answers.ids) > MERGED_ROWS:
            group, rows = [], 0
            self._groups.append(group)
        group.append(answers)
        self._open[kind] = group, rows + len(answers.ids)
        if answers.given_ids:
            self._ids.update((answers.tenant, answers.deployment, i) for i in answers.ids)

    def take(self) -> list[Answers]:
        """What is to be stored, one for each batch, in order; then there is nothing left in here."""
        joined = [join(group) for group in self._groups]
        self._groups, self._open, self._ids = [], {}, set()
        return joined


def _kind(answers: Answers) -> tuple[object, ...]:
    """Answers of the same kind may share a batch."""
    names = tuple(answers.feature_names)
    texts = answers.outputs.dtype == OBJECT and tuple(text_columns(answers.outputs))
    return answers.tenant, answers.deployment, answers.model, names, answers.outputs.shape[1], texts, answers.sealed


def join(parts: Sequence[Answers]) -> Answers:
    """Answers of one deployment to requests as one."""
    if len(parts) == 1:
        return parts[0]
    answerers, answered_by = _answerers(parts)
    keyed = any(part.keys for part in parts)
    return msgspec.structs.replace(
        parts[0],
        ids=joined([part.ids for part in parts]),
        event_times_us=joined([part.event_times_us for part in parts]),
        keys=joined([keys_of(part.keys, part.ids) for part in parts]) if keyed else (),
        answerers=answerers,
        answered_by=answered_by,
        features=np.concatenate([part.features for part in parts]),
        outputs=np.concatenate([part.outputs for part in parts]),
        given_ids=any(part.given_ids for part in parts),
    )


def _answerers(parts: Sequence[Answers]) -> tuple[Sequence[Answerer], NDArray[np.uint8]]:
    """Those of all parts, each once, and which of them answered each row."""
    first = parts[0].answerers
    if all(part.answerers == first for part in parts):
        return first, np.concatenate([part.answered_by for part in parts])
    numbers: dict[Answerer, int] = {}
    answered_by = []
    for part in parts:
        own = [numbers.setdefault(answerer, len(numbers)) for answerer in part.answerers]
        answered_by.append(np.array(own, np.uint8)[part.answered_by])
    return list(numbers), np.concatenate(answered_by)


def to_batch(answers: Answers, sequence: int, log_id: str, answered_at_us: int) -> PredictionBatch:
    """The batch that is stored and published."""
    features, exact_features = _columns(numbers_in(answers.features))
    outputs, exact_outputs = _columns(numbers_in(answers.outputs))
    return PredictionBatch(
        deployment=answers.deployment,
        model=answers.model,
        sequence=sequence,
        log_id=log_id,
        prediction_ids=answers.ids,
        event_times_us=answers.event_times_us,
        keys=answers.keys,
        answerers=answerers_of(answers),
        answered_by=answers.answered_by.tobytes(),
        feature_names=answers.feature_names,
        features=features,
        outputs=outputs,
        exact_features=exact_features,
        exact_outputs=exact_outputs,
        answered_at_us=answered_at_us,
        source_producer=answers.source.producer if answers.source else "",
        source_sequence=answers.source.sequence if answers.source else 0,
        watermark_us=answers.watermark_us,
        tenant=answers.tenant,
        text_features=text_columns(answers.features),
        feature_texts=texts_in(answers.features),
        text_outputs=text_columns(answers.outputs),
        output_texts=texts_in(answers.outputs),
        texts_sealed=answers.sealed,
    )


def answerers_of(answers: Answers) -> list[AnswererMessage]:
    """As the batch has them."""
    return [AnswererMessage(version=a.version, model_digest=a.digest) for a in answers.answerers]


def _columns(values: Matrix) -> tuple[bytes, bytes]:
    """As float32, which all readers take; and as float64 where float32 does not hold them, else nothing."""
    if values.dtype == FLOAT32:
        return values.tobytes(), b""
    with np.errstate(over="ignore"):
        single = np.ascontiguousarray(values, FLOAT32)
    if np.array_equal(single, values, equal_nan=True):
        return single.tobytes(), b""
    return single.tobytes(), np.ascontiguousarray(values, "<f8").tobytes()


def matrices_of(batch: PredictionBatch) -> tuple[Matrix, Matrix]:
    """The features and the outputs of a stored batch, a row for each answer."""
    features, outputs = numbers_of(batch)
    return (
        together(features, batch.text_features, batch.feature_texts),
        together(outputs, batch.text_outputs, batch.output_texts),
    )


def numbers_of(batch: PredictionBatch) -> tuple[Matrix, Matrix]:
    """The same with NaN for each text."""
    rows = len(batch.prediction_ids)
    return _matrix(batch.features, batch.exact_features, rows), _matrix(batch.outputs, batch.exact_outputs, rows)


def _matrix(single: bytes, exact: bytes, rows: int) -> Matrix:
    values = np.frombuffer(exact, "<f8") if exact else np.frombuffer(single, "<f4")
    found: Matrix = values.reshape(rows, -1)
    return found


def row_of(batch: PredictionBatch, row: int) -> Recorded:
    """One row of a stored batch."""
    features, outputs = matrices_of(batch)
    answerer = batch.answerers[batch.answered_by[row]]
    return Recorded(
        prediction_id=batch.prediction_ids[row],
        tenant=batch.tenant,
        deployment=batch.deployment,
        model=batch.model,
        answerer=Answerer(answerer.version, answerer.model_digest),
        key=batch.keys[row] if batch.keys else batch.prediction_ids[row],
        feature_names=list(batch.feature_names),
        features=features[row],
        outputs=outputs[row],
        event_time_us=batch.event_times_us[row],
        answered_at_us=batch.answered_at_us,
        sealed=batch.texts_sealed,
    )
