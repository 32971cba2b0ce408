"""Curves in InfluxDB 2, in a bucket of their own. Batches that arrive during a write share the next one.

One process writes a bucket. It numbers the batches itself, by what InfluxDB holds of a run; each write goes under a
name of the writer's, which changes when it cannot be known whether a write arrived. So what arrives late, of this
process or of one that was killed, takes nobody's place: of two batches of one number the later writer's counts, and
the other one was never acknowledged.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from modelog_common.domain.errors import Unavailable
from modelog_common.domain.ids import uuid7
from modelog_common.stores.curves import Batch, Block, Curve, curve_of, in_order
from modelog_common.stores.curves import influx_lines as lines
from modelog_common.stores.curves.influx_lines import Head
from modelog_common.stores.curves.shapes import Part, Shape, needed, parts_of, pieces
from modelog_common.stores.curves.thinning import PIECE, Span, Thinned, Thinner
from modelog_common.stores.curves.writing import Seals, SharedWrites, Waiting
from modelog_common.stores.influx import Bucket, decoded, encoded

MAX_BATCHES, MAX_POINTS = 500, 100_000
# How many runs and shapes are remembered.
RUNS, SHAPES = 1000, 100
_FROM = "from(bucket: p_bucket) |> range(start: p_start, stop: p_end)"
_HEADS = f"""{_FROM}
  |> filter(fn: (r) => r._measurement == "{lines.BATCHES}" and r.run == p_run and r._field == "{lines.HEAD}")
  |> keep(columns: ["_time", "_value", "writer"])"""
_POINTS = f"""{_FROM}
  |> filter(fn: (r) => r._measurement == "{lines.BATCHES}" and r.run == p_run and r._field != "{lines.HEAD}")
  |> keep(columns: ["_time", "_value", "_field", "writer"])"""
_SHAPE = f"""{_FROM}
  |> filter(fn: (r) => r._measurement == "{lines.SHAPES}" and r.shape == p_shape)
  |> keep(columns: ["_value", "_field"])"""
_SEALED = f"""{_FROM}
  |> filter(fn: (r) => r._measurement == "{lines.SEALED}")
  |> keep(columns: ["run", "_value"])"""
_LAST_BATCHES = f"""{_FROM}
  |> filter(fn: (r) => r._measurement == "{lines.BATCHES}" and r._field == "{lines.HEAD}")
  |> last() |> keep(columns: ["run", "_time"])"""


class _Placed(NamedTuple):
    """Where a batch is."""

    writer: str
    head: Head


@dataclass(slots=True)
class _Run:
    """What is known of a run: its batches by number, and the requests that made them."""

    batches: dict[int, _Placed] = field(default_factory=dict)
    requests: set[str] = field(default_factory=set)
    last: int = 0

    def add(self, number: int, placed: _Placed) -> None:
        self.batches[number] = placed
        self.requests.add(placed.head.request)
        self.last = number


def _run_of(rows: Iterable[Mapping[str, Any]]) -> _Run:
    """What is left of a request that arrived late and was made again meanwhile does not count."""
    found: dict[int, _Placed] = {}
    for row in rows:
        number, placed = lines.number_at(row["_time"]), _Placed(row["writer"], lines.head_from(row["_value"]))
        other = found.get(number)
        if other is None or other.writer < placed.writer:
            found[number] = placed
    known = _Run()
    for number, placed in sorted(found.items()):
        if placed.head.request not in known.requests:
            known.add(number, placed)
    return known


class InfluxCurveStore:
    """A CurveStore behind influxdb://host:port/organisation/bucket (influxdbs: over TLS); makes its bucket."""

    def __init__(self, address: str, token: str) -> None:
        self._bucket = Bucket("store of curves", address, token)
        self._writer = uuid7().hex
        self._writes = SharedWrites(self._commit, _count_of)
        self._seals = Seals()
        self._runs: OrderedDict[str, _Run] = OrderedDict()
        # Counts what may have changed a run: what was read before that is not remembered.
        self._changes = 0
        self._shapes: OrderedDict[str, Shape] = OrderedDict()
        self._written_shapes: set[str] = set()

    def append(self, run: str, tenant: str, author: str, request: str, block: Block) -> asyncio.Future[Batch | None]:
        return self._writes.append(run, tenant, author, request, block)

    async def _commit(self, group: Sequence[Waiting]) -> list[Batch | None]:
        """All of them in one request; this process knows of them when it was answered."""
        runs = {run: await self._run(run) for run in dict.fromkeys(item.run for item in group)}
        lasts = {run: known.last for run, known in runs.items()}
        taken: set[tuple[str, str]] = set()
        batches: list[Batch | None] = []
        for item in group:
            key = (item.run, item.request)
            if item.request in runs[item.run].requests or key in taken:
                batches.append(None)
                continue
            taken.add(key)
            lasts[item.run] += 1
            batch = Batch(item.run, lasts[item.run], item.tenant, item.author, item.block, item.request)
            batches.append(batch)
        new = [batch for batch in batches if batch is not None]
        if new:
            await self._write(new, runs)
        return batches

    async def _write(self, batches: Sequence[Batch], runs: Mapping[str, _Run]) -> None:
        heads = [lines.head_of(b.tenant, b.author, b.request, b.block) for b in batches]
        shapes = {head.shape: batch.block for head, batch in zip(heads, batches, strict=True)}
        written = [lines.shape_line(block) for key, block in shapes.items() if key not in self._written_shapes]
        # Ahead of the batches: a batch whose shape is lost could not be read.
        written += [lines.sealed_line(run, last) for run, last in self._seals.take().items()]
        for batch, head in zip(batches, heads, strict=True):
            written.append(lines.batch_line(batch.run, self._writer, batch.number, head, batch.block))
        self._changes += 1
        try:
            await self._bucket.write("\n".join(written))
        except BaseException:
            # It may have arrived, or arrive later: only InfluxDB knows, and what comes now is somebody else's.
            self._writer = uuid7().hex
            self._runs.clear()
            raise
        finally:
            self._changes += 1
        self._written_shapes |= shapes.keys()
        for batch, head in zip(batches, heads, strict=True):
            runs[batch.run].add(batch.number, _Placed(self._writer, head))
        for run, known in runs.items():
            self._remember(run, known)

    async def unsealed(self) -> list[Batch]:
        await self._write_sealed()
        sealed = await self._marks()
        found: list[Batch] = []
        for run, last in await self.runs():
            if last > sealed.get(run, 0):
                found += await self.batches(run, sealed.get(run, 0) + 1, last)
        return found

    async def seal(self, run: str, last: int) -> None:
        self._seals.note(run, last)

    async def unseal(self, run: str, after: int) -> None:
        await self._write_sealed()
        if (await self._marks()).get(run, 0) > after:
            await self._bucket.write(lines.sealed_line(run, after))

    async def _write_sealed(self) -> None:
        sealed = self._seals.take()
        if sealed:
            await self._bucket.write("\n".join(lines.sealed_line(run, last) for run, last in sealed.items()))

    async def _marks(self) -> dict[str, int]:
        return {decoded(row["run"]): row["_value"] for row in await self._rows(_SEALED)}

    async def runs(self) -> list[tuple[str, int]]:
        lasts: dict[str, int] = {}
        for row in await self._rows(_LAST_BATCHES):
            run = decoded(row["run"])
            lasts[run] = max(lasts.get(run, 0), lines.number_at(row["_time"]))
        return sorted(lasts.items())

    async def batches(self, run: str, first: int, last: int) -> list[Batch]:
        known = await self._run(run)
        return [batch async for batch in self._read(run, known, [n for n in known.batches if first <= n <= last])]

    async def history(self, run: str, metric: str, last: int, offset: int, limit: int) -> Curve:
        known = await self._run(run)
        found = curve_of(metric, (), (), ())
        for parts, cut in needed(await self._parts(known, metric, last), offset, limit):
            ordered = in_order(await self._points(run, known, metric, parts))
            found.extend(ordered, cut)
        return found

    async def thinned(self, run: str, metric: str, last: int, size: int, span: Span | None) -> Thinned:
        """Read in pieces: a long curve is never held whole."""
        known = await self._run(run)
        parts = await self._parts(known, metric, last)
        found = pieces(parts, span, PIECE)
        thinner = Thinner(metric, size, sum(part.points for piece in found for part in piece), span)
        for piece in found:
            thinner.take(in_order(await self._points(run, known, metric, piece)))
        return thinner.result()

    async def drop(self, run: str) -> None:
        self._changes += 1
        self._runs.pop(run, None)
        self._seals.forget(run)
        await self._bucket.delete(lines.EPOCH, lines.BEYOND, f'run="{encoded(run)}"')
        self._changes += 1
        self._runs.pop(run, None)

    async def close(self) -> None:
        await self._writes.settled()
        with suppress(Unavailable):
            await self._write_sealed()
        await self._bucket.close()

    async def _run(self, run: str) -> _Run:
        """What InfluxDB holds of a run, remembered while this process alone changes it."""
        known = self._runs.get(run)
        if known is not None:
            self._runs.move_to_end(run)
            return known
        before = self._changes
        known = _run_of(await self._rows(_HEADS, p_run=encoded(run)))
        if before == self._changes:
            self._remember(run, known)
        return known

    def _remember(self, run: str, known: _Run) -> None:
        self._runs[run] = known
        self._runs.move_to_end(run)
        while len(self._runs) > RUNS:
            self._runs.popitem(last=False)

    async def _parts(self, known: _Run, metric: str, last: int) -> list[Part]:
        by_shape: dict[str, list[tuple[int, int, int]]] = {}
        for number, (_, head) in known.batches.items():
            if number <= last:
                by_shape.setdefault(head.shape, []).append((number, head.first_step, head.last_step))
        return [part for key, batches in by_shape.items() for part in parts_of(await self._shape(key), metric, batches)]

    async def _points(self, run: str, known: _Run, metric: str, parts: Sequence[Part]) -> Curve:
        """The points of parts, as they were appended."""
        found = curve_of(metric, (), (), ())
        by_number: dict[int, list[Part]] = {}
        for part in parts:
            by_number.setdefault(part.number, []).append(part)
        async for batch in self._read(run, known, list(by_number)):
            for part in by_number[batch.number]:
                cut = slice(part.begins, part.begins + part.points)
                found.steps.extend(batch.block.steps[cut])
                found.times_ms.extend(batch.block.times_ms[cut])
                found.values.extend(batch.block.values[cut])
        return found

    async def _read(self, run: str, known: _Run, numbers: Sequence[int]) -> AsyncIterator[Batch]:
        """Batches in order, some at a time."""
        shapes = {known.batches[n].head.shape: None for n in numbers}
        whole = {key: await self._shape(key) for key in shapes}
        sizes = {number: whole[known.batches[number].head.shape].total for number in sorted(numbers)}
        for some in _shares(sizes):
            fields: dict[int, dict[str, str]] = {number: {} for number in some}
            asked = {"p_start": lines.moment(some[0]), "p_end": lines.moment(some[-1] + 1), "p_run": encoded(run)}
            for row in await self._rows(_POINTS, **asked):
                number = lines.number_at(row["_time"])
                if number in fields and row["writer"] == known.batches[number].writer:
                    fields[number][row["_field"]] = row["_value"]
            for number in some:
                head = known.batches[number].head
                yield lines.batch_from(run, number, head, whole[head.shape], fields[number])

    async def _shape(self, key: str) -> Shape:
        shape = self._shapes.get(key)
        if shape is None:
            fields = {row["_field"]: row["_value"] for row in await self._rows(_SHAPE, p_shape=key)}
            shape = self._shapes[key] = lines.shape_from(fields)
            if len(self._shapes) > SHAPES:
                self._shapes.popitem(last=False)
        return shape

    async def _rows(self, flux: str, **asked: Any) -> list[dict[str, Any]]:
        return await self._bucket.rows(flux, {"p_start": lines.EPOCH, "p_end": lines.BEYOND, **asked})


def _count_of(waiting: Sequence[Waiting]) -> int:
    """How many of them go into one request: at least one, and not more points than it should have."""
    points = 0
    for count, item in enumerate(waiting[:MAX_BATCHES]):
        points += len(item.block.values)
        if count and points > MAX_POINTS:
            return count
    return min(len(waiting), MAX_BATCHES)


def _shares(sizes: Mapping[int, int]) -> Iterator[list[int]]:
    """Numbers in order, in shares that have few enough points, and no wide gaps, to be asked for by a range."""
    share: list[int] = []
    points = 0
    for number, size in sizes.items():
        if share and (points + size > MAX_POINTS or number - share[-1] > MAX_BATCHES):
            yield share
            share, points = [], 0
        share.append(number)
        points += size
    if share:
        yield share
