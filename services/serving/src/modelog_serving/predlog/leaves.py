"""The leaves of a segment's Merkle tree: a hash of each answer, in the bytes that modelog_proofs specifies."""

from __future__ import annotations

import hashlib

import numpy as np
from modelog_proofs import PREDICTION_TAG, PredictionRecord, leaf_field
from modelog_proto.serving.v1.data_pb2 import PredictionBatch
from numpy.typing import NDArray

from modelog_serving.engine.runtime import Matrix
from modelog_serving.predlog.answers import matrices_of, row_of

_LEAF = b"\x00" + PREDICTION_TAG


def leaf_hashes(batch: PredictionBatch) -> list[bytes]:
    """The leaf hash of every row of a batch.

    The same as `modelog_proofs.prediction_hash` of each `record_of`, with what the rows share made once.
    """
    features, outputs = (_bytes_of(matrix) for matrix in matrices_of(batch))
    ids = [leaf_field(text.encode()) for text in batch.prediction_ids]
    keys = [leaf_field(text.encode()) for text in batch.keys] or ids
    answerers = [leaf_field(a.version.encode()) + leaf_field(a.model_digest.encode()) for a in batch.answerers]
    shared = (batch.log_id, batch.tenant, batch.deployment, batch.model)
    before = _LEAF + b"".join(leaf_field(text.encode()) for text in shared)
    names = leaf_field(b"".join(leaf_field(name.encode()) for name in batch.feature_names))
    between = leaf_field(b"%d" % batch.answered_at_us) + names
    sha256 = hashlib.sha256
    return [
        sha256(
            before + ids[row] + keys[row] + answerers[who] + leaf_field(b"%d" % at) + between
            + leaf_field(features[row]) + leaf_field(outputs[row])
        ).digest()
        for row, (who, at) in enumerate(zip(batch.answered_by, batch.event_times_us, strict=True))
    ]  # fmt: skip


def record_of(batch: PredictionBatch, row: int) -> PredictionRecord:
    """One row as a proof tells it."""
    found = row_of(batch, row)
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
        features=tuple(found.features.astype(np.float64).tolist()),
        outputs=tuple(found.outputs.astype(np.float64).tolist()),
    )


def _bytes_of(matrix: Matrix) -> list[bytes]:
    """Each row as float64, with one kind of NaN only."""
    exact: NDArray[np.float64] = matrix.astype("<f8")
    exact[np.isnan(exact)] = np.nan
    width, whole = exact.shape[1] * 8, exact.tobytes()
    return (
        [whole[start : start + width] for start in range(0, len(exact) * width, width)] if width else [b""] * len(exact)
    )
