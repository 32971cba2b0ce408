"""The leaves of a segment's Merkle tree: a hash of each answer, in the bytes that modelog_proofs specifies."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from modelog_proofs import PREDICTION_TAG, TEXTS_TAG, PredictionRecord, leaf_field
from modelog_proto.serving.v1.data_pb2 import PredictionBatch
from numpy.typing import NDArray

from modelog_serving.engine.runtime import Matrix
from modelog_serving.engine.texts import numbers_in, texts_by_cell
from modelog_serving.predlog.answers import matrices_of, numbers_of, row_of

_LEAF, _LEAF_WITH_TEXTS = (b"\x00" + tag for tag in (PREDICTION_TAG, TEXTS_TAG))
# A row of bytes for each answer, or one row that is that of all.
Columns = NDArray[np.uint8]


def leaf_hashes(batch: PredictionBatch) -> list[bytes]:
    """The leaf hash of every row of a batch.

    The same as `modelog_proofs.prediction_hash` of each `record_of`, with what the rows share made once: what differs
    is put side by side, as a matrix of bytes, when it has one length in all rows, as ids and times usually have.
    """
    parts = _parts(batch)
    if all(isinstance(part, np.ndarray) for part in parts):
        return _hashed_together([part for part in parts if isinstance(part, np.ndarray)], len(batch.prediction_ids))
    rows = [_rows_of(part, len(batch.prediction_ids)) for part in parts]
    return [hashlib.sha256(b"".join(row)).digest() for row in zip(*rows, strict=True)]


def record_of(batch: PredictionBatch, row: int) -> PredictionRecord:
    """One row as a proof tells it."""
    found = row_of(batch, row)
    features, outputs = (
        numbers_in(matrix[None, :])[0].astype(np.float64) for matrix in (found.features, found.outputs)
    )
    has_texts = bool(batch.text_features or batch.text_outputs)
    return PredictionRecord(
        log_id=batch.log_id,
        tenant=found.tenant,
        deployment=found.deployment,
        model=found.model,
        prediction_id=found.prediction_id,
        key=found.key,
        version=found.answerer.version,
        model_digest=found.answerer.digest,
        event_time_us=found.event_time_us,
        answered_at_us=found.answered_at_us,
        feature_names=tuple(found.feature_names),
        features=tuple(features.tolist()),
        outputs=tuple(outputs.tolist()),
        feature_texts=texts_by_cell(found.features) if has_texts else (),
        output_texts=texts_by_cell(found.outputs) if has_texts else (),
    )


def text_fields(batch: PredictionBatch) -> list[bytes]:
    """Of each row the texts of features and outputs, the two last fields of what is hashed of an answer with texts."""
    return [
        b"".join(leaf_field(b"".join(leaf_field(text.encode()) for text in texts_by_cell(side))) for side in row)
        for row in zip(*matrices_of(batch), strict=True)
    ]


@dataclass(frozen=True)
class _Shared:
    """What leaves of a batch have alike: before the id, each answerer's fields, and that of the features' names."""

    before: bytes
    answerers: Sequence[bytes]
    names: bytes


@lru_cache(maxsize=64)
def _shared(
    tag: bytes, texts: Sequence[str], answerers: Sequence[tuple[str, str]], feature_names: Sequence[str]
) -> _Shared:
    """Made once for batches that follow each other."""
    before = tag + b"".join(leaf_field(text.encode()) for text in texts)
    fields = [leaf_field(version.encode()) + leaf_field(digest.encode()) for version, digest in answerers]
    return _Shared(before, fields, leaf_field(b"".join(leaf_field(name.encode()) for name in feature_names)))


def _parts(batch: PredictionBatch) -> list[Columns | list[bytes]]:
    """What leaves consist of, in order: bytes that are as long in all rows, or those of each row."""
    alike = _shared(
        _LEAF_WITH_TEXTS if batch.text_features or batch.text_outputs else _LEAF,
        (batch.log_id, batch.tenant, batch.deployment, batch.model),
        tuple([(answerer.version, answerer.model_digest) for answerer in batch.answerers]),
        tuple(batch.feature_names),
    )
    features, outputs = (_numbers(matrix) for matrix in numbers_of(batch))
    ids = _fields([text.encode() for text in batch.prediction_ids])
    keys = _fields([text.encode() for text in batch.keys]) if batch.keys else ids
    times = _fields([b"%d" % at for at in batch.event_times_us])
    who = _of_each(alike.answerers, batch.answered_by)
    between = leaf_field(b"%d" % batch.answered_at_us) + alike.names
    parts = [_same(alike.before), ids, keys, who, times, _same(between), features, outputs]
    if batch.text_features or batch.text_outputs:
        parts.append(text_fields(batch))
    return parts


def _same(value: bytes) -> Columns:
    return np.frombuffer(value, np.uint8).reshape(1, -1)


def _fields(values: Sequence[bytes]) -> Columns | list[bytes]:
    lengths = set(map(len, values))
    if len(lengths) != 1:
        return [leaf_field(value) for value in values]
    (length,) = lengths
    head = leaf_field(bytes(length))[: -length or None]
    joined = np.frombuffer(b"".join(values), np.uint8).reshape(len(values), length)
    return _after(head, joined)


def _of_each(values: Sequence[bytes], which: bytes) -> Columns | list[bytes]:
    if len(values) == 1:
        return _same(values[0])
    if len(set(map(len, values))) != 1:
        return [values[number] for number in which]
    table = np.frombuffer(b"".join(values), np.uint8).reshape(len(values), -1)
    found: Columns = table[np.frombuffer(which, np.uint8)]
    return found


def _numbers(matrix: Matrix) -> Columns:
    """Each row as float64, with one kind of NaN only."""
    exact: NDArray[np.float64] = matrix.astype("<f8")
    exact[np.isnan(exact)] = np.nan
    width = exact.shape[1] * 8
    return _after(leaf_field(bytes(width))[: -width or None], exact.view(np.uint8).reshape(len(exact), width))


def _after(head: bytes, columns: Columns) -> Columns:
    return np.hstack([np.broadcast_to(_same(head), (len(columns), len(head))), columns])


def _hashed_together(parts: Sequence[Columns], rows: int) -> list[bytes]:
    whole = np.hstack([np.broadcast_to(part, (rows, part.shape[1])) for part in parts])
    data, width = whole.tobytes(), whole.shape[1]
    sha256 = hashlib.sha256
    return [sha256(data[start : start + width]).digest() for start in range(0, rows * width, width)]


def _rows_of(part: Columns | list[bytes], rows: int) -> list[bytes]:
    if isinstance(part, list):
        return part
    return [row.tobytes() for row in part] if len(part) == rows else [part.tobytes()] * rows
