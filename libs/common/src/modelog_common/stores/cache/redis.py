"""A cache in Redis or Valkey, shared by every process of a service."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import redis.asyncio
import structlog
from redis.exceptions import RedisError

from modelog_common.stores.cache import check_key, check_time
from modelog_common.telemetry import metrics

# A cache that takes longer than this costs more than it saves.
PATIENCE_S = 0.5
log = structlog.get_logger()


class RedisCache:
    """A Cache in the database of a redis:// address; keys begin with `owner`, so services do not meet.

    How much it holds, and what goes first, is the server's: set maxmemory and a policy such as allkeys-lru.
    """

    def __init__(self, address: str, owner: str) -> None:
        self._redis = redis.asyncio.from_url(
            address, socket_timeout=PATIENCE_S, socket_connect_timeout=PATIENCE_S, retry=None, health_check_interval=30
        )
        self._owner = owner
        self._away = False

    async def get(self, key: str) -> bytes | None:
        check_key(key)
        found = await self._try("get", self._redis.get(self._named(key)))
        return found if isinstance(found, bytes) else None

    async def put(self, key: str, value: bytes, *, lasts_s: float | None = None) -> None:
        check_key(key)
        check_time(lasts_s)
        lasts_ms = None if lasts_s is None else int(lasts_s * 1000)
        await self._try("put", self._redis.set(self._named(key), value, px=lasts_ms))

    async def drop(self, key: str) -> None:
        check_key(key)
        await self._try("drop", self._redis.delete(self._named(key)))

    async def close(self) -> None:
        await self._redis.aclose()

    def _named(self, key: str) -> str:
        return f"modelog:{self._owner}:{key}"

    async def _try(self, what: str, work: Awaitable[Any]) -> Any:
        """None when the server is away: every failure is counted, the first and the last are in the log."""
        try:
            found = await work
        except (RedisError, OSError, TimeoutError) as error:
            metrics.cache_failures().add(1, {metrics.ATTRIBUTE_OPERATION: what})
            if not self._away:
                log.warning(
                    "cache is away", cache=self._owner, operation=what, error=f"{type(error).__name__}: {error}"
                )
            self._away = True
            return None
        if self._away:
            log.info("cache is back", cache=self._owner)
            self._away = False
        return found
