"""What every RelayProgress must do: one holder at a time, tokens that only rise, none who lost the lease is heard."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Callable

import pytest
from modelog_common.bus.leases import Lease, LeaseLost, Published, Reached, RelayProgress

LOG = "/modelog/registry"
LONG_S = 3600.0


async def taken(progress: RelayProgress, owner: str, ttl_s: float = LONG_S) -> Lease:
    lease = await progress.acquire(LOG, owner, ttl_s)
    assert lease is not None
    return lease


class RelayProgressSuite:
    """Inherit it, and give the fixture `opened`: each call opens the same database again."""

    @pytest.fixture
    def opened(self) -> Callable[[], RelayProgress]:
        raise NotImplementedError

    async def test_one_holds_the_lease_and_others_wait_for_its_end(self, opened: Callable[[], RelayProgress]) -> None:
        one, other = opened(), opened()
        lease = await taken(one, "one")
        assert await other.acquire(LOG, "other", LONG_S) is None
        await one.renew(lease, 0.0)
        assert (await taken(other, "other")).token == lease.token + 1

    async def test_a_lease_that_is_given_back_is_free_at_once(self, opened: Callable[[], RelayProgress]) -> None:
        one, other = opened(), opened()
        first = await taken(one, "one")
        await one.release(first)
        second = await taken(other, "other")
        await one.release(first)
        assert await one.acquire(LOG, "one", LONG_S) is None
        assert second.token > first.token

    async def test_who_lost_the_lease_changes_nothing_any_more(self, opened: Callable[[], RelayProgress]) -> None:
        one, other = opened(), opened()
        old = await taken(one, "one", 0.0)
        await one.save(old, Reached(5, {"t": Published("i", 5)}))
        new = await taken(other, "other")
        await other.save(new, Reached(9, {"t": Published("i", 9), "u": Published("i", 7)}))
        with pytest.raises(LeaseLost, match=r"published by other with token 2 now; .* token 1 is too old"):
            await one.save(old, Reached(6, {"t": Published("i", 6)}))
        with pytest.raises(LeaseLost):
            await one.renew(old, LONG_S)
        assert await one.load(LOG) == Reached(9, {"t": Published("i", 9), "u": Published("i", 7)})

    async def test_topics_that_are_not_named_stay_as_they_are(self, opened: Callable[[], RelayProgress]) -> None:
        progress = opened()
        assert await progress.load(LOG) == Reached()
        lease = await taken(progress, "one")
        await progress.save(lease, Reached(5, {"t": Published("i", 5)}))
        await progress.save(lease, Reached(8, {"u": Published("j", 8)}))
        assert await opened().load(LOG) == Reached(8, {"t": Published("i", 5), "u": Published("j", 8)})
        assert await progress.load("/another") == Reached()

    async def test_the_same_owner_takes_its_own_lease_again(self, opened: Callable[[], RelayProgress]) -> None:
        progress = opened()
        first, second = await taken(progress, "one"), await taken(progress, "one")
        assert second.token == first.token + 1
        with pytest.raises(LeaseLost):
            await progress.renew(first, LONG_S)

    async def test_of_many_that_ask_at_once_one_gets_it(self, opened: Callable[[], RelayProgress]) -> None:
        asked = [opened().acquire(LOG, f"owner {n}", LONG_S) for n in range(8)]
        found = [lease for lease in await asyncio.gather(*asked) if lease is not None]
        assert [lease.token for lease in found] == [1]

    async def test_no_token_is_given_twice_to_eight_processes(
        self, opened: Callable[[], RelayProgress], tokens_of_process: Callable[[int], Callable[[], list[int]]]
    ) -> None:
        with multiprocessing.get_context("spawn").Pool(4) as pool:
            asked = [pool.apply_async(tokens_of_process(n)) for n in range(8)]
            tokens = [token for answer in asked for token in await asyncio.to_thread(answer.get, 150)]
            # They end by themselves: one that is terminated while it writes down what it covered may not end at all.
            pool.close()
            await asyncio.to_thread(pool.join)
        assert sorted(tokens) == list(range(1, len(tokens) + 1))
        assert len(tokens) == 8 * 20


async def tokens_of(progress: RelayProgress, owner: str, count: int = 20) -> list[int]:
    """The tokens of so many leases, each given back at once."""
    tokens: list[int] = []
    while len(tokens) < count:
        lease = await progress.acquire(LOG, owner, LONG_S)
        if lease is not None:
            tokens.append(lease.token)
            await progress.release(lease)
    return tokens
