"""Which way leaves and nodes are hashed: compiled, where numba is in the process for its models, else in Python."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import modelog_proofs.merkle
import numpy as np
import structlog
from modelog_proofs.merkle import HASH_BYTES
from modelog_proto.serving.v1.data_pb2 import PredictionBatch
from numpy.typing import NDArray

from modelog_serving.predlog.groups import groups_of, head_bytes

SAMPLE = bytes(range(256))
log = structlog.get_logger()


@dataclass(frozen=True)
class Compiled:
    """What `leaf_kernel` has."""

    begin: Callable[..., None]
    groups: Callable[..., int]
    parents: Callable[..., None]
    state_words: int


def leaves_of(batch: PredictionBatch, body: bytes) -> bytes:
    """The leaf hashes of a batch, of which `body` is the stored form, one behind the other."""
    kernel = _kernel()
    found = None if kernel is None else _compiled_leaves(kernel, batch, body)
    return b"".join([group.leaf_hash for group in groups_of(batch)]) if found is None else found


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
    """None for what the kernel leaves to `groups_of`."""
    rows = len(batch.answered_by)
    if not rows or batch.text_features or batch.text_outputs:
        return None
    outputs = len(batch.outputs) // 4 // rows
    begun = _begun(kernel, tuple(head_bytes(batch, outputs)))
    out = np.empty(rows * HASH_BYTES, np.uint8)
    taken = np.frombuffer(body, np.uint8)
    made = kernel.groups(taken, begun, batch.answered_at_us, rows, len(batch.feature_names), outputs, out)
    return None if made < 0 else out[: made * HASH_BYTES].tobytes()


@lru_cache(maxsize=64)
def _begun(kernel: Compiled, heads: tuple[bytes, ...]) -> NDArray[np.uint64]:
    """SHA-256 of how leaves begin, for each answerer, as libcrypto has it in memory."""
    out = np.zeros((len(heads), kernel.state_words), np.uint64)
    lengths = np.array([len(head) for head in heads])
    kernel.begin(np.frombuffer(b"".join(heads), np.uint8), lengths, out)
    return out


def _kernel() -> Compiled | None:
    """Numba takes a process a second and 170 MB: not for this alone."""
    return _loaded() if "numba" in sys.modules else None


@lru_cache(maxsize=1)
def _loaded() -> Compiled | None:
    try:
        from modelog_serving.predlog.leaf_kernel import STATE_WORDS, begin, groups, parents
    except (ImportError, RuntimeError, OSError) as error:
        # No libcrypto, or no place where numba keeps what it compiles.
        log.info("answers are sealed without the compiled kernel", why=str(error))
        return None
    kernel = Compiled(begin, groups, parents, STATE_WORDS)
    if _parents(kernel, SAMPLE) != modelog_proofs.merkle.parents_of(SAMPLE):
        log.warning("answers are sealed without the compiled kernel", why="its SHA-256 is not hashlib's")
        return None
    return kernel
