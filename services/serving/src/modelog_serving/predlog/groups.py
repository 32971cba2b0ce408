"""The leaves of a segment's Merkle tree: up to 32 answers each, in the bytes that modelog_proofs specifies."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

import numpy as np
from modelog_proofs import GROUP_ROWS, GROUP_TAG, leaf_field
from modelog_proofs.prediction_group import EXACT_FEATURES, EXACT_OUTPUTS, KEYED, ROW_PREFIX, WITH_TEXTS
from modelog_proto.serving.v1.data_pb2 import PredictionBatch
from numpy.typing import NDArray

from modelog_serving.engine.runtime import Matrix
from modelog_serving.predlog.answers import numbers_of
from modelog_serving.predlog.leaves import text_fields

_LEAF = b"\x00" + GROUP_TAG


@dataclass(frozen=True)
class Group:
    """A leaf over the rows from `first` on, with the hash of each."""

    first: int
    row_hashes: Sequence[bytes]
    leaf_hash: bytes


def groups_of(batch: PredictionBatch) -> list[Group]:
    """The leaves of a batch.

    The same as `modelog_proofs.group_hash` and `row_hash` of each `record_of`, with what rows share made once.
    """
    hashes = _row_hashes(batch)
    outputs = len(batch.outputs) // 4 // len(hashes) if hashes else 0
    begun = [hashlib.sha256(head) for head in head_bytes(batch, outputs)]
    at = batch.answered_at_us.to_bytes(8, "big", signed=True)
    found = []
    for first, last in _bounds(batch.answered_by):
        leaf, rows = begun[batch.answered_by[first]].copy(), hashes[first:last]
        leaf.update(at + b"".join(rows))
        found.append(Group(first, rows, leaf.digest()))
    return found


def _bounds(answered_by: bytes) -> Iterator[tuple[int, int]]:
    """The rows of each leaf: by one answerer, and not too many."""
    end = 0
    for _, alike in groupby(answered_by):
        begin, end = end, end + len(list(alike))
        for first in range(begin, end, GROUP_ROWS):
            yield first, min(first + GROUP_ROWS, end)


def head_bytes(batch: PredictionBatch, outputs: int) -> Sequence[bytes]:
    """How leaves begin, for each answerer, with the 0x00 that stands before a leaf."""
    of = (batch.log_id, batch.tenant, batch.deployment, batch.model)
    answerers = tuple([(answerer.version, answerer.model_digest) for answerer in batch.answerers])
    return _head_bytes(of, answerers, tuple(batch.feature_names), outputs)


@lru_cache(maxsize=64)
def _head_bytes(
    of: Sequence[str], answerers: Sequence[tuple[str, str]], feature_names: Sequence[str], outputs: int
) -> Sequence[bytes]:
    names = leaf_field(b"".join(leaf_field(name.encode()) for name in feature_names))
    after = names + leaf_field(b"%d" % outputs)
    return [_LEAF + b"".join(leaf_field(text.encode()) for text in (*of, *who)) + after for who in answerers]


def _row_hashes(batch: PredictionBatch) -> list[bytes]:
    ids, keys = batch.prediction_ids, batch.keys or batch.prediction_ids
    features, outputs = numbers_of(batch)
    exact_features, numbers = _numbers(features)
    exact_outputs, answers = _numbers(outputs)
    flags = exact_features * EXACT_FEATURES | exact_outputs * EXACT_OUTPUTS
    texts: Sequence[bytes] = ()
    if batch.text_features or batch.text_outputs:
        flags |= WITH_TEXTS
        texts = text_fields(batch)
    return [
        hashlib.sha256(
            b"".join((
                ROW_PREFIX, bytes((flags[row] | (KEYED if keys[row] != ids[row] else 0),)),
                leaf_field(ids[row].encode()), leaf_field(keys[row].encode()) if keys[row] != ids[row] else b"",
                batch.event_times_us[row].to_bytes(8, "big", signed=True), numbers(row), answers(row),
                texts[row] if texts else b"",
            ))
        ).digest()
        for row in range(len(ids))
    ]  # fmt: skip


def _numbers(matrix: Matrix) -> tuple[NDArray[np.uint8], Callable[[int], bytes]]:
    """Which rows need float64, and the bytes of each row, with one kind of NaN only."""
    exact = matrix.astype("<f8")
    with np.errstate(over="ignore"):
        single = matrix.astype("<f4")
    alike = (single == exact) | np.isnan(exact)
    for kind in (exact, single):
        kind[np.isnan(exact)] = np.nan
    is_exact = ~alike.all(axis=1)
    return is_exact.astype(np.uint8), lambda row: (exact if is_exact[row] else single)[row].tobytes()
