"""What every cache promises: inherit the class and give it the fixture `cache`."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod

import pytest
from modelog_common.domain.errors import Invalid
from modelog_common.stores.cache import Cache

PATIENCE_S = 150


class CacheSuite(ABC):
    """The suite."""

    @pytest.fixture
    @abstractmethod
    def cache(self) -> Cache: ...

    @pytest.mark.parametrize("value", [b"", b"\x00", b"v", bytes(range(256)), b"x" * 1_000_000])
    async def test_what_was_put_is_had_back(self, cache: Cache, value: bytes) -> None:
        assert await cache.get("k") is None
        await cache.put("k", value)
        assert await cache.get("k") == value

    async def test_the_last_value_counts_and_a_dropped_one_is_gone(self, cache: Cache) -> None:
        await cache.put("k", b"1")
        await cache.put("k", b"2", lasts_s=1000)
        assert await cache.get("k") == b"2"
        await cache.drop("k")
        await cache.drop("k")
        assert await cache.get("k") is None

    @pytest.mark.parametrize("other", ["K", "k ", "k\x00", "ｋ", "k*", "é" * 512, "a\r\nb"])
    async def test_keys_are_what_they_are(self, cache: Cache, other: str) -> None:
        await cache.put("k", b"1")
        assert await cache.get(other) is None
        await cache.put(other, b"2")
        assert (await cache.get("k"), await cache.get(other)) == (b"1", b"2")

    async def test_what_is_too_old_is_gone_and_the_rest_stays(self, cache: Cache) -> None:
        await cache.put("stays", b"1")
        await cache.put("long", b"2", lasts_s=1000)
        await cache.put("short", b"3", lasts_s=0.05)
        async with asyncio.timeout(PATIENCE_S):
            while await cache.get("short") is not None:
                await asyncio.sleep(0.01)
        assert (await cache.get("stays"), await cache.get("long")) == (b"1", b"2")
        await cache.put("short", b"again")
        assert await cache.get("short") == b"again"

    @pytest.mark.parametrize("key", ["", "k" * 1025, "é" * 513])
    async def test_a_key_that_is_not_allowed(self, cache: Cache, key: str) -> None:
        for ask in (cache.get(key), cache.put(key, b""), cache.drop(key)):
            with pytest.raises(Invalid, match="it must have 1 to 1024"):
                await ask

    @pytest.mark.parametrize("lasts_s", [0, -1, float("nan"), float("inf"), 1e12])
    async def test_a_time_that_is_not_allowed(self, cache: Cache, lasts_s: float) -> None:
        with pytest.raises(Invalid, match="lasts_s"):
            await cache.put("k", b"", lasts_s=lasts_s)
