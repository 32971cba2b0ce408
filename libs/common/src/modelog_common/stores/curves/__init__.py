"""The port to a store of curves: the points of the metrics of runs, appended in batches and read by metric.

A batch belongs to one run and is numbered, from 1 without gaps. It is sealed when the event log vouches for it; until
then the store remembers that it is not, so that nothing that was acknowledged is forgotten after a crash.
"""

from __future__ import annotations

import hashlib
import struct
import sys
from array import array
from collections.abc import Awaitable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, islice
from operator import le, lt
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from modelog_common.stores.curves.thinning import Span, Thinned


class Curve(NamedTuple):
    """Points of one metric as columns of one length: `steps` and `times_ms` of type "q", `values` of type "d"."""

    name: str
    steps: array[int]
    times_ms: array[int]
    values: array[float]

    def extend(self, more: Curve, cut: slice = slice(None)) -> None:
        """Take the points of a cut of another curve behind these."""
        self.steps.extend(more.steps[cut])
        self.times_ms.extend(more.times_ms[cut])
        self.values.extend(more.values[cut])


class Block(NamedTuple):
    """Points of several metrics in columns of one length: `names[n]` has the next `counts[n]` of them.

    `steps` and `times_ms` are of type "q", `values` of type "d".
    """

    names: tuple[str, ...]
    counts: tuple[int, ...]
    steps: array[int]
    times_ms: array[int]
    values: array[float]

    @property
    def curves(self) -> Iterator[Curve]:
        """The points of each metric, in their order."""
        end = 0
        for name, count in zip(self.names, self.counts, strict=True):
            first, end = end, end + count
            yield Curve(name, self.steps[first:end], self.times_ms[first:end], self.values[first:end])


@dataclass(frozen=True)
class Batch:
    """What one request appended to a run, and whose request it was; `request` is its id."""

    run: str
    number: int
    tenant: str
    author: str
    block: Block
    request: str = ""

    @property
    def count(self) -> int:
        """How many points it has."""
        return len(self.block.values)


class CurveStore(Protocol):
    """What a run measured."""

    def append(self, run: str, tenant: str, author: str, request: str, block: Block) -> Awaitable[Batch | None]:
        """Keep a batch, durably; None when the run has a batch of this request already.

        NaN and infinities are kept. Raises Unavailable when it cannot be kept.
        """
        ...

    async def unsealed(self) -> list[Batch]:
        """The batches that are not sealed, of every run, by number."""
        ...

    async def seal(self, run: str, last: int) -> None:
        """Remember that the run's batches up to number `last` are vouched for."""
        ...

    async def unseal(self, run: str, after: int) -> None:
        """Forget it of the batches after number `after`: the log that vouched for them is another one."""
        ...

    async def runs(self) -> list[tuple[str, int]]:
        """Every run, and the number of its last batch."""
        ...

    async def batches(self, run: str, first: int, last: int) -> list[Batch]:
        """The batches from one number to another, as they were appended."""
        ...

    async def history(self, run: str, metric: str, last: int, offset: int, limit: int) -> Curve:
        """Points of a metric in batches up to number `last`: by step, then by time, then as they were appended.

        `offset` points are left out, and at most `limit` given.
        """
        ...

    async def thinned(self, run: str, metric: str, last: int, size: int, span: Span | None) -> Thinned:
        """At most about `size` points that stand for those of a metric in batches up to number `last`, or in a span."""
        ...

    async def drop(self, run: str) -> None:
        """Forget a run."""
        ...

    async def close(self) -> None: ...


def curve_of(name: str, steps: Iterable[int], times_ms: Iterable[int], values: Iterable[float]) -> Curve:
    """A curve of any columns."""
    return Curve(name, array("q", steps), array("q", times_ms), array("d", values))


def block_of(curves: Sequence[Curve]) -> Block:
    """A block of the points of any curves, in their order."""
    return Block(
        tuple(curve.name for curve in curves),
        tuple(len(curve.values) for curve in curves),
        array("q", chain.from_iterable(curve.steps for curve in curves)),
        array("q", chain.from_iterable(curve.times_ms for curve in curves)),
        array("d", chain.from_iterable(curve.values for curve in curves)),
    )


def digest_of(batches: Iterable[Batch]) -> str:
    """SHA-256 of the canonical columns of batches, in order.

    For each curve of each batch: the length of its name in bytes (8 bytes, little-endian, as all numbers are), the
    name in UTF-8, the number of its points (8 bytes), its steps and times (8 bytes each, signed), its values (IEEE 754
    doubles).
    """
    digest = hashlib.sha256()
    for batch in batches:
        block, end = batch.block, 0
        steps, times, values = packed(block.steps), packed(block.times_ms), packed(block.values)
        parts: list[bytes] = []
        for name, count in zip(block.names, block.counts, strict=True):
            first, end = end, end + 8 * count
            parts += (_named(name, count), steps[first:end], times[first:end], values[first:end])
        digest.update(b"".join(parts))
    return digest.hexdigest()


@lru_cache(maxsize=10_000)
def _named(name: str, count: int) -> bytes:
    """What stands before the columns of a curve. A run's metrics are the same ones in every batch."""
    text = name.encode()
    return struct.pack("<Q", len(text)) + text + struct.pack("<Q", count)


def packed(column: array[int] | array[float]) -> bytes:
    """A column as little-endian bytes."""
    if sys.byteorder == "big":
        column = column[:]
        column.byteswap()
    return column.tobytes()


def unpacked(kind: str, data: bytes) -> array[int]:
    """A column from little-endian bytes; `kind` is "q" or "d"."""
    column: array[int] = array(kind)
    column.frombytes(data)
    if sys.byteorder == "big":
        column.byteswap()
    return column


def in_order(curve: Curve) -> Curve:
    """The points by step, then by time, then as they stand."""
    steps, times, values = curve.steps, curve.times_ms, curve.values
    if _stand_in_order(steps, times):
        return curve
    pairs = list(zip(steps, times, strict=True))
    order = sorted(range(len(pairs)), key=pairs.__getitem__)
    return curve_of(curve.name, [steps[n] for n in order], [times[n] for n in order], [values[n] for n in order])


def _stand_in_order(steps: array[int], times: array[int]) -> bool:
    """As most curves do; each column by itself is looked at faster than pairs of both."""
    if all(map(lt, steps, islice(steps, 1, None))):
        return True
    return all(map(le, steps, islice(steps, 1, None))) and all(map(le, times, islice(times, 1, None)))
