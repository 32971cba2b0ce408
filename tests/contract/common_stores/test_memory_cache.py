"""The cache in this process passes the suite, and keeps to its size."""

from __future__ import annotations

import pytest
from cache_suite import CacheSuite
from modelog_common.stores.cache import Cache
from modelog_common.stores.cache.memory import ENTRY_BYTES, MemoryCache


class TestMemoryCache(CacheSuite):
    @pytest.fixture
    def cache(self) -> Cache:
        return MemoryCache()


async def test_what_was_used_least_recently_goes_first() -> None:
    cache = MemoryCache(3 * (ENTRY_BYTES + 2))
    for key in "abc":
        await cache.put(key, b"1")
    assert await cache.get("a") == b"1"
    await cache.put("d", b"1")
    assert [await cache.get(k) for k in "abcd"] == [b"1", None, b"1", b"1"]


async def test_it_holds_no_more_than_it_may_and_nothing_that_is_larger() -> None:
    cache = MemoryCache(10_000)
    for n in range(1000):
        await cache.put(f"k{n}", b"x" * (n % 700))
        assert cache.size_bytes <= 10_000
    await cache.put("large", b"x" * 10_000)
    assert await cache.get("large") is None
    await cache.close()
    assert cache.size_bytes == 0


async def test_time_is_the_clocks() -> None:
    now = [0.0]
    cache = MemoryCache(now_s=lambda: now[0])
    await cache.put("k", b"1", lasts_s=10)
    now[0] = 9.9
    assert await cache.get("k") == b"1"
    now[0] = 10
    assert await cache.get("k") is None
    assert cache.size_bytes == 0
