"""Batches as they are stored: the bytes that protobuf writes of them, joined from parts that are ready.

protobuf copies a batch several times into memory that it takes anew, which costs more than all else that is done with
a row before it is in the file. What is not usual is left to it. The wire format:
https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np
from modelog_proto.serving.v1.data_pb2 import PredictionBatch

from modelog_serving.predlog.answers import FLOAT32, Answers, answerers_of, to_batch

# Fields of PredictionBatch, with the wire type of what has a length.
IDS, TIMES, KEYS, ANSWERED_BY, FEATURES, OUTPUTS = (number << 3 | 2 for number in (5, 6, 7, 9, 11, 12))
# Longer texts have more than one byte for their length.
SHORT = 128
# What stands before a text of each length.
HEADS = {tag: [chr(tag) + chr(length) for length in range(SHORT)] for tag in (IDS, KEYS)}
ALL_BITS = (1 << 64) - 1


def stored(answers: Answers, sequence: int, log_id: str, answered_at_us: int) -> bytes:
    """The same as `to_batch`, serialised."""
    if answers.features.dtype == FLOAT32 and answers.outputs.dtype == FLOAT32 and not answers.sealed:
        ids, keys = _texts(IDS, answers.ids), _texts(KEYS, answers.keys)
        if ids is not None and keys is not None:
            return _joined(answers, sequence, log_id, answered_at_us, ids, keys)
    return to_batch(answers, sequence, log_id, answered_at_us).SerializeToString()


def _joined(answers: Answers, sequence: int, log_id: str, answered_at_us: int, ids: bytes, keys: bytes) -> bytes:
    """In the order of the fields' numbers, as protobuf has it."""
    source = answers.source
    before = PredictionBatch(deployment=answers.deployment, model=answers.model, sequence=sequence, log_id=log_id)
    after = PredictionBatch(
        answered_at_us=answered_at_us,
        source_producer=source.producer if source else "",
        source_sequence=source.sequence if source else 0,
        watermark_us=answers.watermark_us,
        tenant=answers.tenant,
    )
    return b"".join((
        before.SerializeToString(), ids, _times(answers.event_times_us), keys,
        PredictionBatch(answerers=answerers_of(answers)).SerializeToString(),
        *_bytes(ANSWERED_BY, answers.answered_by.tobytes()),
        PredictionBatch(feature_names=answers.feature_names).SerializeToString(),
        *_bytes(FEATURES, np.ascontiguousarray(answers.features).tobytes()),
        *_bytes(OUTPUTS, np.ascontiguousarray(answers.outputs).tobytes()),
        after.SerializeToString(),
    ))  # fmt: skip


def _texts(tag: int, texts: Sequence[str]) -> bytes | None:
    """A field that repeats, each with its length; None where a text is long, or not ASCII."""
    if not texts:
        return b""
    heads, lengths = HEADS[tag], set(map(len, texts))
    if max(lengths) >= SHORT:
        return None
    if len(lengths) == 1:
        head = heads[lengths.pop()]
        joined = head + head.join(texts)
    else:
        joined = "".join([heads[len(text)] + text for text in texts])
    return joined.encode() if joined.isascii() else None


def _times(times_us: Sequence[int]) -> bytes:
    """Packed. Those of a request are alike."""
    written = b"".join([_varint(at & ALL_BITS) * len(list(same)) for at, same in groupby(times_us)])
    return b"".join(_bytes(TIMES, written))


def _bytes(tag: int, data: bytes) -> tuple[bytes, ...]:
    """A field with its length; nothing where it is empty."""
    return (bytes((tag,)), _varint(len(data)), data) if data else ()


def _varint(value: int) -> bytes:
    written = bytearray()
    while value >= 0x80:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)
