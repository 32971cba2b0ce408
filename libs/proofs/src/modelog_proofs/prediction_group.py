"""The leaves of a segment whose leaves are several answers each: each answer is hashed once, and its leaf lists them.

Specification, version 3
========================

A leaf is up to 32 answers that follow each other in the log, are of one batch, and were given by one version. What they
share stands in it once, of each answer there is a hash; so a proof shows one answer, and of the others their hashes.

    leaf       = tag field*8 answered_at row_hash*
    tag        = the 21 ASCII bytes "modelog.predictions/3", without length or terminator
    field      = length value, as in `prediction`; UTF-8 text unless said otherwise:
                 1 log_id  2 tenant  3 deployment  4 model  5 version  6 model_digest
                 7 feature_names, a field for each name  8 how many outputs there are, in decimal
    answered_at = microseconds since 1970-01-01 UTC, signed 64-bit, big-endian
    row_hash   = SHA-256(0x02 || row)
    row        = flags prediction_id [key] event_time features outputs [feature_texts output_texts]
    flags      = one byte: 1 if the key is another than the prediction_id, 2 if features are float64, 4 if outputs are,
                 8 if there are texts among either
    prediction_id, key, feature_texts, output_texts = fields, as in `prediction`; there is a key if flags has 1, and
                 there are texts if it has 8
    event_time = like answered_at
    features, outputs = one number for each name, and as many as field 8 says, one behind the other, little-endian:
                 float32 where that holds all of the answer's features (outputs) exactly, else float64

NaN stands for each text, and is always 0000c07f or 000000000000f87f in hexadecimal. Leaf hash and inner nodes are those
of RFC 9162 section 2.1.1.
"""

import hashlib
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from .errors import InvalidEvent, InvalidProof
from .merkle import HASH_BYTES, hash_leaf
from .prediction import PredictionRecord, integer_of, leaf_field, text_of, texts_of

GROUP_TAG = b"modelog.predictions/3"
GROUP_ROWS = 32
ROW_PREFIX = b"\x02"
KEYED, EXACT_FEATURES, EXACT_OUTPUTS, WITH_TEXTS = 1, 2, 4, 8
_NANS = {"<f": bytes.fromhex("0000c07f"), "<d": bytes.fromhex("000000000000f87f")}
_HEAD_TEXTS = ("log_id", "tenant", "deployment", "model", "version", "model_digest")
_TIME = struct.Struct(">q")


def row_hash(record: PredictionRecord) -> bytes:
    """The hash of one answer in its leaf, 32 bytes. Raises InvalidEvent, which names the field that cannot be in it."""
    if len(record.feature_names) != len(record.features):
        raise InvalidEvent(f"features has {len(record.features)} numbers for {len(record.feature_names)} names")
    flags, parts = 0, [leaf_field(text_of("prediction_id", record.prediction_id))]
    key = text_of("key", record.key)
    if record.key != record.prediction_id:
        flags |= KEYED
        parts.append(leaf_field(key))
    parts.append(_time("event_time_us", record.event_time_us))
    for name, flag in (("features", EXACT_FEATURES), ("outputs", EXACT_OUTPUTS)):
        exact, numbers = _numbers(name, getattr(record, name))
        flags |= flag * exact
        parts.append(numbers)
    if record.has_texts:
        flags |= WITH_TEXTS
        parts.append(leaf_field(texts_of("feature_texts", record.feature_texts, record.features)))
        parts.append(leaf_field(texts_of("output_texts", record.output_texts, record.outputs)))
    return hashlib.sha256(ROW_PREFIX + bytes((flags,)) + b"".join(parts)).digest()


def group_hash(record: PredictionRecord, row_hashes: Sequence[bytes]) -> bytes:
    """The leaf hash of answers, 32 bytes, by one of them and the hashes of all in order. Raises InvalidEvent."""
    texts = [leaf_field(text_of(name, getattr(record, name))) for name in _HEAD_TEXTS]
    names = b"".join(leaf_field(text_of("feature_names", name)) for name in record.feature_names)
    head = b"".join(texts) + leaf_field(names) + leaf_field(b"%d" % len(record.outputs))
    return hash_leaf(GROUP_TAG + head + _time("answered_at_us", record.answered_at_us) + b"".join(row_hashes))


@dataclass(frozen=True)
class InGroup:
    """Where an answer is in its leaf: its place from 0, and the hashes of the others in their order."""

    row: int
    row_hashes: Sequence[bytes]


def leaf_among(record: PredictionRecord, group: InGroup) -> bytes:
    """The leaf hash of an answer and the others of its leaf, 32 bytes. Raises InvalidEvent and InvalidProof."""
    row, others = group.row, list(group.row_hashes)
    if not 0 <= row <= len(others) < GROUP_ROWS:
        raise InvalidProof(
            f"row must be a place in a leaf of at most {GROUP_ROWS} answers, it is {row} beside {len(others)} others."
        )
    short = [place for place, each in enumerate(others) if len(each) != HASH_BYTES]
    if short:
        raise InvalidProof(f"row_hashes[{short[0]}] must be {HASH_BYTES} bytes, it has {len(others[short[0]])}.")
    return group_hash(record, [*others[:row], row_hash(record), *others[row:]])


def _time(name: str, value: object) -> bytes:
    integer_of(name, value)
    try:
        return _TIME.pack(value)
    except struct.error:
        raise InvalidEvent(f"{name} must be an integer of 64 bits, it is {value!r:.80}") from None


def _numbers(name: str, values: Sequence[float]) -> "tuple[bool, bytes]":
    """Whether they are float64, and their bytes."""
    if any(type(value) is not float for value in values):
        raise InvalidEvent(f"{name} must be floating-point numbers")
    form = "<f" if all(map(_is_single, values)) else "<d"
    nan, pack = _NANS[form], struct.Struct(form).pack
    return form == "<d", b"".join(nan if math.isnan(value) else pack(value) for value in values)


def _is_single(value: float) -> bool:
    try:
        (held,) = struct.unpack("<f", struct.pack("<f", value))
    except OverflowError:
        return False
    return math.isnan(value) or bool(held == value)
