"""What the process that decides and its workers say to each other, each a frame: its length, then MessagePack."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from modelog_common.domain import errors
from modelog_common.domain.errors import ModelogError, Unavailable

from modelog_serving.engine.models import ModelRef
from modelog_serving.failure.commands import RecordClosed, RecordOpened
from modelog_serving.routing.breaker import State
from modelog_serving.routing.meter import Closed, Total

_SIZE = struct.Struct("<I")


class Begin(msgspec.Struct, frozen=True, tag=True):
    """The first frame: who a worker is, and the settings of the process that decides, which have secrets.

    `log` is the prediction log it writes, `others` are those of the processes beside it.
    """

    number: int
    settings: dict[str, Any]
    serving: dict[str, Any]
    models: str
    log: str
    others: tuple[str, ...]


class Admit(msgspec.Struct, frozen=True, tag=True):
    """Listen, once the log was followed to this position."""

    position: int


class Load(msgspec.Struct, frozen=True, tag=True):
    """Have a model in memory; answered with `Done`."""

    number: int
    ref: ModelRef


class Follow(msgspec.Struct, frozen=True, tag=True):
    """Answer by what the log says up to this position; answered with `Done`."""

    number: int
    position: int


class Drop(msgspec.Struct, frozen=True, tag=True):
    """Let go of models that no traffic needs; answered with `Done`."""

    number: int
    refs: tuple[ModelRef, ...]


class Copied(msgspec.Struct, frozen=True, tag=True):
    """The deployments whose requests are copied for a candidate, by their ids: all of them."""

    shadows: tuple[tuple[str, ModelRef], ...]


class Rest(msgspec.Struct, frozen=True, tag=True):
    """The deployments whose models are let go of until somebody asks, by their ids: all of them."""

    deployments: tuple[str, ...]


class Published(msgspec.Struct, frozen=True, tag=True):
    """How far the worker's prediction log was published."""

    sequence: int


class Warm(msgspec.Struct, frozen=True, tag=True):
    """A worker has its models in memory."""


class Listening(msgspec.Struct, frozen=True, tag=True):
    """A worker answers requests."""


class Done(msgspec.Struct, frozen=True, tag=True):
    """What was asked for under this number was done; or could not be, for an error of this class."""

    number: int
    error: str = ""
    text: str = ""

    def raised(self) -> ModelogError | None:
        """The error, as the worker had it."""
        if not self.error:
            return None
        kind = getattr(errors, self.error, None)
        if isinstance(kind, type) and issubclass(kind, ModelogError):
            return kind(self.text)
        return Unavailable(self.text)


class Failed(msgspec.Struct, frozen=True, tag=True):
    """The process of a model had to be replaced."""

    digest: str
    cause: str
    text: str


class Opened(msgspec.Struct, frozen=True, tag=True):
    """A circuit breaker of a tenant's deployment opened in a worker."""

    tenant: str
    command: RecordOpened


class Shut(msgspec.Struct, frozen=True, tag=True):
    """A circuit breaker closed again."""

    tenant: str
    command: RecordClosed


class BreakerSeen(msgspec.Struct, frozen=True):
    """The circuit breaker of a deployment's version; `again_in_s` is 0 where it may be tried."""

    deployment_id: str
    version: str
    state: State
    again_in_s: float


class Breakers(msgspec.Struct, frozen=True, tag=True):
    """All circuit breakers that a worker has, told when one of them changed."""

    seen: tuple[BreakerSeen, ...]


class Seconds(msgspec.Struct, frozen=True):
    """How many requests to a version were answered and failed, and how long they took together."""

    tenant: str
    deployment: str
    version: str
    answered: int
    answered_s: float
    failed: int
    failed_s: float


class Mirrored(msgspec.Struct, frozen=True):
    """What came of copies of requests; `most` is the largest difference there ever was, all else is what is new."""

    deployment_id: str
    digest: str
    alike: int
    compared: int
    failed: int
    dropped: int
    differences: float
    most: float
    buckets: dict[int, int]


class AskLoad(msgspec.Struct, frozen=True, tag=True):
    """A worker was asked to have a model in memory in all processes; answered with `Done`."""

    number: int
    ref: ModelRef


class AskDrop(msgspec.Struct, frozen=True, tag=True):
    """A worker was asked to have all processes let go of models; answered with `Done`."""

    number: int
    refs: tuple[ModelRef, ...]


class AskSums(msgspec.Struct, frozen=True, tag=True):
    """A worker was asked what all processes answered, by tenant, deployment and version; answered with `Sums`."""

    number: int
    keys: tuple[tuple[str, str, str], ...]


class Sum(msgspec.Struct, frozen=True):
    """The requests to a version, and the rows that they had."""

    answered: int
    answered_s: float
    failed: int
    failed_s: float
    last: datetime | None
    rows: int

    @classmethod
    def of(cls, total: Total, rows: int) -> Sum:
        return cls(total.answered, total.answered_s, total.failed, total.failed_s, total.last, rows)

    def total(self) -> Total:
        return Total(self.answered, self.answered_s, self.failed, self.failed_s, self.last)


class Sums(msgspec.Struct, frozen=True, tag=True):
    """What was asked for under this number, in the order of its keys."""

    number: int
    sums: tuple[Sum, ...]


class Report(msgspec.Struct, frozen=True, tag=True):
    """What a worker counted since its last report: whoever gets it adds it up.

    A report is taken in whole or not at all. `rows` has tenant, deployment, version and rows; `lookups` tenant,
    deployment, whether it was in the cache, and how often; `guarded` tenant, deployment, retries and fallbacks.
    """

    windows: tuple[Closed, ...] = ()
    seconds: tuple[Seconds, ...] = ()
    rows: tuple[tuple[str, str, str, int], ...] = ()
    lookups: tuple[tuple[str, str, bool, int], ...] = ()
    mirrored: tuple[Mirrored, ...] = ()
    guarded: tuple[tuple[str, str, int, int], ...] = ()


ToWorker = Begin | Admit | Load | Drop | Follow | Copied | Rest | Published | Done | Sums
FromWorker = Warm | Listening | Done | Failed | Opened | Shut | AskLoad | AskDrop | AskSums | Report | Breakers
_TO_WORKER, _FROM_WORKER = msgspec.msgpack.Decoder(ToWorker), msgspec.msgpack.Decoder(FromWorker)


def frame(message: ToWorker | FromWorker) -> bytes:
    """As it is sent."""
    body = msgspec.msgpack.encode(message)
    return _SIZE.pack(len(body)) + body


async def to_worker(reader: asyncio.StreamReader) -> ToWorker | None:
    """The next frame for a worker; None when the other side is gone."""
    body = await _body(reader)
    return None if body is None else _TO_WORKER.decode(body)


async def from_worker(reader: asyncio.StreamReader) -> FromWorker | None:
    """The next frame of a worker; None when it is gone, for what it had begun to say does not count."""
    body = await _body(reader)
    return None if body is None else _FROM_WORKER.decode(body)


async def _body(reader: asyncio.StreamReader) -> bytes | None:
    try:
        (size,) = _SIZE.unpack(await reader.readexactly(_SIZE.size))
        return await reader.readexactly(size)
    except (asyncio.IncompleteReadError, OSError):
        return None


def done(number: int, error: BaseException | None = None) -> Done:
    """What answers a frame that has a number."""
    return Done(number) if error is None else Done(number, type(error).__name__, str(error))


def shadows_of(cast: Sequence[tuple[str, ModelRef]]) -> Copied:
    """All of them."""
    return Copied(tuple(cast))
