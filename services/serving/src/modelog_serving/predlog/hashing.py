"""Which way leaves and nodes are hashed: compiled, where numba is in the process for its models, else in Python."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import modelog_proofs.merkle
import numpy as np
import structlog
from modelog_proto.serving.v1.data_pb2 import PredictionBatch

from modelog_serving.predlog.answers import numbers_of
from modelog_serving.predlog.leaves import between, leaf_hashes, shared

SAMPLE = bytes(range(256))
log = structlog.get_logger()


@dataclass(frozen=True)
class Compiled:
    """What `leaf_kernel` has."""

    leaves: Callable[..., bool]
    parents: Callable[..., None]


def leaves_of(batch: PredictionBatch, body: bytes) -> bytes:
    """The leaf hashes of a batch, of which `body` is the stored form, one behind the other."""
    kernel = _kernel()
    found = None if kernel is None else _compiled_leaves(kernel, batch, body)
    return b"".join(leaf_hashes(batch)) if found is None else found


def parents_of(row: bytes) -> bytes:
    """As that of `modelog_proofs.merkle`."""
    kernel = _kernel()
    if kernel is None:
        return modelog_proofs.merkle.parents_of(row)
    return _parents(kernel, row)


def _parents(kernel: Compiled, row: bytes) -> bytes:
    out = np.empty(len(row) // 2, np.uint8)
    kernel.parents(np.frombuffer(row, np.uint8), out)
    return out.tobytes()


def _compiled_leaves(kernel: Compiled, batch: PredictionBatch, body: bytes) -> bytes | None:
    """None for what the kernel leaves to `leaf_hashes`."""
    rows = len(batch.prediction_ids)
    if not rows or batch.text_features or batch.text_outputs:
        return None
    alike = shared(batch)
    lengths = np.array([len(fields) for fields in alike.answerers])
    parts = [np.frombuffer(part, np.uint8) for part in (body, alike.before, b"".join(alike.answerers))]
    after = np.frombuffer(between(batch, alike), np.uint8)
    features, outputs = (np.ascontiguousarray(matrix, np.float64) for matrix in numbers_of(batch))
    out = np.empty(rows * modelog_proofs.merkle.HASH_BYTES, np.uint8)
    return out.tobytes() if kernel.leaves(*parts, lengths, after, features, outputs, out) else None


def _kernel() -> Compiled | None:
    """Numba takes a process a second and 170 MB: not for this alone."""
    return _loaded() if "numba" in sys.modules else None


@lru_cache(maxsize=1)
def _loaded() -> Compiled | None:
    try:
        from modelog_serving.predlog.leaf_kernel import leaves, parents
    except (ImportError, RuntimeError, OSError) as error:
        # No libcrypto, or no place where numba keeps what it compiles.
        log.info("answers are sealed without the compiled kernel", why=str(error))
        return None
    kernel = Compiled(leaves, parents)
    if _parents(kernel, SAMPLE) != modelog_proofs.merkle.parents_of(SAMPLE):
        log.warning("answers are sealed without the compiled kernel", why="its SHA-256 is not hashlib's")
        return None
    return kernel
