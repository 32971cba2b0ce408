"""Batches of points as lines of InfluxDB, and back.

InfluxDB refuses NaN and infinities, and would keep one point of two with the same time: so a batch is one line of it,
and the columns are packed into texts, base64 in pieces, since a text has 64 KB at most. The line's time is the batch's
number, in microseconds since 1970, so that batches can be asked for by a range.

    batches,run=<id>,writer=<id> head="...",points0="...",points1="..." <number>
    shapes,shape=<digest> shape0="..." 1
    sealed,run=<id> last=<number>i 1
"""

from __future__ import annotations

import base64
import hashlib
from array import array
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import cast

import msgspec

from modelog_common.stores.curves import Batch, Block, packed, unpacked
from modelog_common.stores.curves.shapes import Shape, shape_of, shape_text
from modelog_common.stores.influx import encoded

BATCHES, SHAPES, SEALED = "batches", "shapes", "sealed"
HEAD, POINTS, SHAPE, LAST = "head", "points", "shape", "last"
PIECE = 60_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BEYOND = datetime(2262, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class Head(msgspec.Struct, frozen=True):
    """What is told of a batch apart from its points; `shape` is a digest."""

    tenant: str
    author: str
    request: str
    shape: str
    first_step: int
    last_step: int


def head_of(tenant: str, author: str, request: str, block: Block) -> Head:
    return Head(tenant, author, request, digest_of_shape(block), min(block.steps), max(block.steps))


@lru_cache(maxsize=1000)
def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def digest_of_shape(block: Block) -> str:
    return _digest(shape_text(block))


def moment(number: int) -> datetime:
    """The time of the batch with this number."""
    return EPOCH + number * MICROSECOND


def number_at(time: datetime) -> int:
    return (time - EPOCH) // MICROSECOND


def batch_line(run: str, writer: str, number: int, head: Head, block: Block) -> str:
    points = packed(block.steps) + packed(block.times_ms) + packed(block.values)
    fields = [f'{HEAD}="{_text(msgspec.json.encode(head))}"', *_pieces(POINTS, points)]
    return f"{BATCHES},run={encoded(run)},writer={writer} {','.join(fields)} {number}"


def shape_line(block: Block) -> str:
    return f"{SHAPES},shape={digest_of_shape(block)} {','.join(_pieces(SHAPE, shape_text(block)))} 1"


def sealed_line(run: str, last: int) -> str:
    return f"{SEALED},run={encoded(run)} {LAST}={last}i 1"


def head_from(text: str) -> Head:
    return msgspec.json.decode(base64.b64decode(text), type=Head)


def shape_from(fields: Mapping[str, str]) -> Shape:
    return shape_of(_joined(SHAPE, fields))


def batch_from(run: str, number: int, head: Head, shape: Shape, fields: Mapping[str, str]) -> Batch:
    points = _joined(POINTS, fields)
    size = len(points) // 3
    steps, times, values = (points[n * size : (n + 1) * size] for n in range(3))
    block = Block(shape.names, shape.counts, unpacked("q", steps), unpacked("q", times), _numbers(values))
    return Batch(run, number, head.tenant, head.author, block, head.request)


def _numbers(values: bytes) -> array[float]:
    return cast("array[float]", unpacked("d", values))


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _pieces(name: str, data: bytes) -> Iterator[str]:
    text = _text(data)
    for n, start in enumerate(range(0, len(text), PIECE)):
        yield f'{name}{n}="{text[start : start + PIECE]}"'


def _joined(name: str, fields: Mapping[str, str]) -> bytes:
    # A piece that is missing stops the count, and what was joined is then no base64.
    count = sum(field.startswith(name) for field in fields)
    return base64.b64decode("".join(fields[f"{name}{n}"] for n in range(count)))
