"""Batches as they are stored: the bytes that protobuf writes of them, joined from parts that are ready.

protobuf copies a batch several times into memory that it takes anew, which costs more than all else that is done with
a row before it is in the file. What is not usual is left to it. The wire format:
https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import groupby

import numpy as np
from modelog_common.protobuf_wire import head, varint
from modelog_proto.serving.v1.data_pb2 import PredictionBatch

from modelog_serving.engine.runtime import Matrix
from modelog_serving.predlog.answers import FLOAT32, Answers, answerers_of, to_batch
from modelog_serving.predlog.rows import ENDINGS, Repeated, RowIds

# Fields of PredictionBatch, with the wire type of what has a length.
IDS, TIMES, KEYS, ANSWERED_BY, FEATURES, OUTPUTS = (number << 3 | 2 for number in (5, 6, 7, 9, 11, 12))
# Longer texts have more than one byte for their length.
SHORT = 128
# What stands before a text of each length.
HEADS = {tag: [chr(tag) + chr(length) for length in range(SHORT)] for tag in (IDS, KEYS)}
ALL_BITS = (1 << 64) - 1
Bytes = bytes | memoryview


def stored(answers: Answers, sequence: int, log_id: str, answered_at_us: int) -> bytes:
    """The same as `to_batch`, serialised."""
    return b"".join(stored_parts(answers, sequence, log_id, answered_at_us))


def stored_parts(answers: Answers, sequence: int, log_id: str, answered_at_us: int) -> list[Bytes]:
    """The same in parts, which are not copied to be one behind the other."""
    if answers.features.dtype == FLOAT32 and answers.outputs.dtype == FLOAT32 and not answers.sealed:
        ids, keys = _texts(IDS, answers.ids), _texts(KEYS, answers.keys)
        if ids is not None and keys is not None:
            return _parts(answers, sequence, log_id, answered_at_us, ids, keys)
    return [to_batch(answers, sequence, log_id, answered_at_us).SerializeToString()]


def _parts(answers: Answers, sequence: int, log_id: str, answered_at_us: int, ids: bytes, keys: bytes) -> list[Bytes]:
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
    return [
        before.SerializeToString(), ids, *_times(answers.event_times_us), keys,
        PredictionBatch(answerers=answerers_of(answers)).SerializeToString(),
        *_bytes(ANSWERED_BY, answers.answered_by.tobytes()),
        PredictionBatch(feature_names=answers.feature_names).SerializeToString(),
        *_bytes(FEATURES, _bytes_in(answers.features)), *_bytes(OUTPUTS, _bytes_in(answers.outputs)),
        after.SerializeToString(),
    ]  # fmt: skip


def _bytes_in(numbers: Matrix) -> memoryview:
    """The same memory, where it is row-major already."""
    return np.ascontiguousarray(numbers).reshape(-1).view(np.uint8).data


def _texts(tag: int, texts: Sequence[str]) -> bytes | None:
    """A field that repeats, each with its length; None where a text is long, or not ASCII."""
    if not texts:
        return b""
    if isinstance(texts, Repeated):
        told = _of_requests(tag, texts)
        return told.encode() if told is not None and told.isascii() else None
    heads, lengths = HEADS[tag], set(map(len, texts))
    if max(lengths) >= SHORT:
        return None
    if len(lengths) == 1:
        head = heads[lengths.pop()]
        joined = head + head.join(texts)
    else:
        joined = "".join([heads[len(text)] + text for text in texts])
    return joined.encode() if joined.isascii() else None


def _of_requests(tag: int, texts: Repeated[str]) -> str | None:
    """The same of what is told by requests; None where a text is long."""
    requests, heads = list(zip(texts.values, texts.rows, strict=True)), HEADS[tag]
    if max(map(len, texts.values)) + len(ENDINGS[-1]) >= SHORT:
        return None
    if isinstance(texts, RowIds):
        return "".join([each.join(_around(len(each), rows)) for each, rows in requests])
    return "".join([(heads[len(each)] + each) * rows for each, rows in requests])


@lru_cache(maxsize=256)
def _around(length: int, rows: int) -> list[str]:
    """What stands around a request's id, of this length, in the ids of its rows."""
    if rows == 1:
        return [HEADS[IDS][length], ""]
    heads = [HEADS[IDS][length + len(ending)] for ending in ENDINGS[:rows]]
    return [heads[0], *map("".join, zip(ENDINGS, heads[1:], strict=False)), ENDINGS[rows - 1]]


def _times(times_us: Sequence[int]) -> tuple[Bytes, ...]:
    """Packed. Those of a request are alike."""
    alike = _alike(times_us)
    written = b"".join([varint(at & ALL_BITS) * rows for at, rows in alike])
    return _bytes(TIMES, written)


def _alike(times_us: Sequence[int]) -> Iterable[tuple[int, int]]:
    if isinstance(times_us, Repeated):
        return zip(times_us.values, times_us.rows, strict=True)
    return [(at, len(list(same))) for at, same in groupby(times_us)]


def _bytes(tag: int, data: Bytes) -> tuple[Bytes, ...]:
    """A field with its length; nothing where it is empty."""
    return (head(tag, len(data)), data) if len(data) else ()
