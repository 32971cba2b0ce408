"""The canonical bytes of one logged prediction, which the Merkle tree of a segment commits to that has a leaf for each.

Segments are sealed so no more: `prediction_group` has the leaves of today.

Specification, version 1
========================

A leaf is the concatenation of a tag and 13 fields, with nothing between, before or after them:

    leaf  = tag field*13
    tag   = the 20 ASCII bytes "modelog.prediction/1", without length or terminator
    field = length value
    length = number of bytes of value, unsigned 32-bit, big-endian

The fields, always all of them and always in this order:

     1  log_id          UTF-8 text     which prediction log
     2  tenant          UTF-8 text
     3  deployment      UTF-8 text
     4  model           UTF-8 text     its name when it answered
     5  prediction_id   UTF-8 text
     6  key             UTF-8 text     the caller's key, by which the variant was drawn
     7  version         UTF-8 text     the version that answered
     8  model_digest    UTF-8 text     SHA-256 of its model file, in hexadecimal
     9  event_time_us   decimal text   microseconds since 1970-01-01 UTC
    10  answered_at_us  decimal text   microseconds since 1970-01-01 UTC
    11  feature_names   a field for each name, as UTF-8 text
    12  features        float64, little-endian, one for each name
    13  outputs         float64, little-endian

Version 2 is of answers with texts among their features or outputs. Its tag is "modelog.prediction/2", and after the 13
fields there are two more:

    14  feature_texts   a field for each feature: its UTF-8 text, or nothing for a number
    15  output_texts    the same for each output

Among the features and outputs NaN stands for each text. A NaN is always 000000000000f87f in hexadecimal. Decimal text
is as in `leaf`, with a minus before what is negative. The leaves of a segment are the answers of one tenant in the
order of the log. Leaf hash and inner nodes are those of RFC 9162 section 2.1.1.
"""

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass, fields

from .errors import InvalidEvent
from .merkle import hash_leaf

PREDICTION_TAG = b"modelog.prediction/1"
TEXTS_TAG = b"modelog.prediction/2"
_NAN = bytes.fromhex("000000000000f87f")
_length = struct.Struct(">I").pack
_number = struct.Struct("<d").pack


@dataclass(frozen=True)
class PredictionRecord:
    """One answered request as the prediction log holds it.

    The texts are as many as features and outputs, or both empty for an answer without any.
    """

    log_id: str
    tenant: str
    deployment: str
    model: str
    prediction_id: str
    key: str
    version: str
    model_digest: str
    event_time_us: int
    answered_at_us: int
    feature_names: tuple[str, ...]
    features: tuple[float, ...]
    outputs: tuple[float, ...]
    feature_texts: tuple[str, ...] = ()
    output_texts: tuple[str, ...] = ()

    @property
    def has_texts(self) -> bool:
        """Whether it is of version 2."""
        return bool(self.feature_texts or self.output_texts)


_TEXTS = ("feature_texts", "output_texts")
PREDICTION_FIELDS = tuple(field.name for field in fields(PredictionRecord) if field.name not in _TEXTS)
FIELDS_WITH_TEXTS = PREDICTION_FIELDS + _TEXTS
TEXT_FIELDS = PREDICTION_FIELDS[:8]


def prediction_hash(record: PredictionRecord) -> bytes:
    """The leaf hash of a prediction, 32 bytes. Raises InvalidEvent, which names the field that cannot be part of it."""
    if len(record.feature_names) != len(record.features):
        raise InvalidEvent(f"features has {len(record.features)} numbers for {len(record.feature_names)} names")
    parts = [text_of(name, getattr(record, name)) for name in TEXT_FIELDS]
    parts += [integer_of("event_time_us", record.event_time_us), integer_of("answered_at_us", record.answered_at_us)]
    names = b"".join(leaf_field(text_of("feature_names", name)) for name in record.feature_names)
    parts += [names, _numbers("features", record.features), _numbers("outputs", record.outputs)]
    if record.has_texts:
        parts += [texts_of("feature_texts", record.feature_texts, record.features)]
        parts += [texts_of("output_texts", record.output_texts, record.outputs)]
    tag = TEXTS_TAG if record.has_texts else PREDICTION_TAG
    return hash_leaf(tag + b"".join(leaf_field(part) for part in parts))


def leaf_field(value: bytes) -> bytes:
    """A value with its length before it."""
    return _length(len(value)) + value


def text_of(name: str, value: object) -> bytes:
    """UTF-8; raises InvalidEvent."""
    if not isinstance(value, str):
        raise InvalidEvent(f"{name} must be text, it is {value!r:.80}")
    try:
        return value.encode()
    except UnicodeEncodeError:
        raise InvalidEvent(f"{name} is not valid UTF-8 text") from None


def texts_of(name: str, texts: Sequence[str], numbers: Sequence[float]) -> bytes:
    """A field for each number, with the text that it stands for; raises InvalidEvent."""
    if len(texts) != len(numbers):
        raise InvalidEvent(f"{name} has {len(texts)} texts for {len(numbers)} numbers")
    if any(text and not math.isnan(number) for text, number in zip(texts, numbers)):
        raise InvalidEvent(f"{name} has a text where there is a number")
    return b"".join(leaf_field(text_of(name, text)) for text in texts)


def integer_of(name: str, value: object) -> bytes:
    """In decimal; raises InvalidEvent."""
    if type(value) is not int:
        raise InvalidEvent(f"{name} must be an integer, it is {value!r:.80}")
    return b"%d" % value


def _numbers(name: str, values: Sequence[float]) -> bytes:
    if any(type(value) is not float for value in values):
        raise InvalidEvent(f"{name} must be floating-point numbers")
    return b"".join(_NAN if math.isnan(value) else _number(value) for value in values)
