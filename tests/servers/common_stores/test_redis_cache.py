"""The cache in Redis passes the suite, and is a miss while the server is away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
import structlog
from cache_suite import PATIENCE_S, CacheSuite
from modelog_common.stores.cache import redis as module
from modelog_common.stores.cache.redis import RedisCache
from real_servers import UrlServer
from severed import way_to
from structlog.testing import LogCapture


class TestRedisCache(CacheSuite):
    @pytest.fixture
    async def cache(self, redis_server: UrlServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RedisCache]:
        # What takes longer than half a second is a miss, also where a busy machine is why.
        with monkeypatch.context() as patient:
            patient.setattr(module, "PATIENCE_S", float(PATIENCE_S))
            made = RedisCache(redis_server.url, str(uuid4()))
        yield made
        await made.close()

    async def test_owners_do_not_meet(self, cache: RedisCache, redis_server: UrlServer) -> None:
        other = RedisCache(redis_server.url, "another")
        await cache.put("k", b"1")
        assert await other.get("k") is None
        await other.close()

    async def test_a_server_that_is_away_is_a_miss_and_is_said(
        self, redis_server: UrlServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        said = LogCapture()
        everything = structlog.make_filtering_bound_logger(logging.DEBUG)  # whatever level another test configured
        heard = structlog.wrap_logger(structlog.PrintLogger(), processors=[said], wrapper_class=everything)
        monkeypatch.setattr(module, "log", heard)
        async with way_to(redis_server.url) as way:
            cache = RedisCache(way.address, str(uuid4()))
            async with asyncio.timeout(PATIENCE_S):
                while await cache.get("k") != b"1":
                    await cache.put("k", b"1")
            await way.cut()
            for _ in range(3):
                assert await cache.get("k") is None
                await cache.put("k", b"2")
                await cache.drop("k")
            await way.open()
            async with asyncio.timeout(PATIENCE_S):
                while await cache.get("k") != b"1":
                    await asyncio.sleep(0.05)
            way.silence()
            assert await cache.get("k") is None
            await cache.close()
        words = [entry["event"] for entry in said.entries]
        times = len(words) // 2  # once for each time that it was away; a busy machine may find it away once more
        assert times >= 1
        assert words == ["cache is away", "cache is back"] * times + ["cache is away"]
