"""Answers that are given again: kept by who was asked what of which model, here or in a cache that processes share."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from functools import lru_cache, partial
from time import monotonic
from typing import Any, TypeVar

import msgspec
import numpy as np
import structlog
from modelog_common.stores.cache import Cache
from modelog_common.telemetry import metrics

from modelog_serving.deployment.caching import Caching
from modelog_serving.engine.models import ModelRef
from modelog_serving.engine.runtime import Matrix
from modelog_serving.engine.texts import OBJECT
from modelog_serving.routing.routes import Route, Routes

# After a cache kept somebody waiting too long, nobody waits for it for so long.
PAUSE_S = 1.0
TIDY_S = 10.0
# An answer that takes more than this part of what may be kept would push out too many others.
LARGEST_PART = 8
_TEXTS = b"txt"
Found = TypeVar("Found")
log = structlog.get_logger()


class AnswerCache:
    """Asks a cache before a model, for deployments that say so; `make` opens one that holds so many bytes.

    Nobody waits longer than `patience_s` for it. Hits and misses are counted in the event loop's thread.
    """

    def __init__(
        self, make: Callable[[int], Cache], patience_s: float, timer_s: Callable[[], float] = monotonic
    ) -> None:
        self._make, self._patience_s, self._timer_s = make, patience_s, timer_s
        self._kept: dict[str, tuple[Caching, Cache]] = {}
        self._lookups: Counter[tuple[str, str, bool]] = Counter()
        self._again_s = 0.0
        self._slow = False

    async def answer(
        self, route: Route, version: str, ref: ModelRef, rows: Matrix, compute: Callable[[], Awaitable[Matrix]]
    ) -> tuple[Matrix, bool]:
        """Outputs for (rows, features), and whether they were kept from before; else they are what `compute` gives.

        What it raises is not kept. A cache that is away or slow is passed by.
        """
        caching = route.deployment.caching
        if caching is None:
            return await compute(), False
        cache, key = self._of(route.deployment.id, caching), key_of(route, caching, ref, rows)
        value = await self._patiently("get", partial(cache.get, key))
        found = None if value is None else _decoded(value, len(rows), ref.signature.output_width)
        self._count(route, version, hit=found is not None)
        if found is not None:
            return found, True
        outputs = await compute()
        value = _encoded(outputs)
        if len(value) * LARGEST_PART <= caching.max_bytes:
            await self._patiently("put", partial(cache.put, key, value, lasts_s=caching.ttl_s))
        return outputs, False

    def hits(self, tenant: str, deployment: str) -> int:
        """Requests that were answered from the cache since the process started."""
        return self._lookups[tenant, deployment, True]

    def misses(self, tenant: str, deployment: str) -> int:
        """Requests that were looked for in vain since the process started."""
        return self._lookups[tenant, deployment, False]

    def lookups(self) -> Counter[tuple[str, str, bool]]:
        """By tenant, deployment and whether it was a hit."""
        return Counter(self._lookups)

    def add(self, tenant: str, deployment: str, lookups: int, *, hit: bool) -> None:
        """Count what another process looked up."""
        self._lookups[tenant, deployment, hit] += lookups

    async def run(self, routes: Routes) -> None:
        """Let go of what no deployment may give again, until cancelled."""
        while True:
            await asyncio.sleep(TIDY_S)
            self.tidy(routes.running())

    def tidy(self, running: Iterable[Route]) -> None:
        """Let go of what was kept for deployments that were stopped, or whose cache was set anew or turned off."""
        now = {route.deployment.id: route.deployment.caching for route in running}
        self._kept = {of: kept for of, kept in self._kept.items() if kept[0] == now.get(of)}

    async def close(self) -> None:
        """Let go of everything."""
        for _, cache in self._kept.values():
            await cache.close()

    def _of(self, deployment_id: str, caching: Caching) -> Cache:
        kept = self._kept.get(deployment_id)
        if kept is None or kept[0] != caching:
            kept = self._kept[deployment_id] = caching, self._make(caching.max_bytes)
        return kept[1]

    async def _patiently(self, operation: str, work: Callable[[], Awaitable[Found]]) -> Found | None:
        """None for what takes too long; then the cache is left alone for a while."""
        if self._timer_s() < self._again_s:
            return None
        try:
            async with asyncio.timeout(self._patience_s):
                found = await work()
        except TimeoutError:
            metrics.cache_failures().add(1, {metrics.ATTRIBUTE_OPERATION: operation})
            self._again_s = self._timer_s() + PAUSE_S
            if not self._slow:
                log.warning("cache is too slow and passed by", operation=operation, patience_s=self._patience_s)
            self._slow = True
            return None
        if self._slow:
            log.info("cache is quick again")
            self._slow = False
        return found

    def _count(self, route: Route, version: str, *, hit: bool) -> None:
        name = route.deployment.name
        self._lookups[route.tenant, name, hit] += 1
        about: dict[str, Any] = {
            metrics.ATTRIBUTE_TENANT: route.tenant,
            metrics.ATTRIBUTE_DEPLOYMENT: name,
            metrics.ATTRIBUTE_VERSION: version,
        }
        (metrics.answer_cache_hits() if hit else metrics.answer_cache_misses()).add(1, about)


def key_of(route: Route, caching: Caching, ref: ModelRef, rows: Matrix) -> str:
    """The same for the same rows, bit by bit, of the same model in the same deployment, since its cache was set."""
    digest = _begun(route.tenant, route.deployment.id, caching, ref).copy()
    digest.update(f"{rows.dtype.str}{rows.shape}".encode())
    digest.update(_cells(rows) if rows.dtype == OBJECT else np.ascontiguousarray(rows).data)
    return f"answer/{route.deployment.id}/{digest.hexdigest()}"


@lru_cache(1000)
def _begun(tenant: str, deployment_id: str, caching: Caching, ref: ModelRef) -> hashlib.blake2b:
    about = [tenant, deployment_id, caching, ref.digest, ref.flavor, ref.signature]
    return hashlib.blake2b(msgspec.msgpack.encode(about), digest_size=32)


def _cells(matrix: Matrix) -> bytes:
    return msgspec.msgpack.encode(matrix.ravel().tolist())


def _encoded(outputs: Matrix) -> bytes:
    if outputs.dtype == OBJECT:
        return _TEXTS + _cells(outputs)
    return outputs.dtype.str.encode() + outputs.tobytes()


def _decoded(value: bytes, rows: int, width: int) -> Matrix | None:
    """(rows, width); None for what is no such matrix, as another version of this program may have written it."""
    if value[:3] == _TEXTS:
        try:
            cells = msgspec.msgpack.decode(value[3:], type=list[str | float])
        except msgspec.MsgspecError:
            return None
        made: Matrix = np.empty(len(cells), OBJECT)
        made[:] = cells
        return made.reshape(rows, width) if len(cells) == rows * width else None
    if value[:3] not in (b"<f4", b"<f8"):
        return None
    dtype = np.dtype(value[:3].decode())
    if len(value) != 3 + rows * width * dtype.itemsize:
        return None
    found: Matrix = np.frombuffer(value, dtype, offset=3).reshape(rows, width)
    return found
