"""What a ledger of deliveries promises, on whatever database it is."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from modelog_common.domain.errors import NotFound
from modelog_common.outbound.post import Posted
from modelog_registry.react.ledger import Delivery, Ledger, State

OpenLedger = Callable[[], Ledger]
TAKEN = Posted(200, "danke, 谢谢", 12.5)
REFUSED = Posted(503, "später", 3.25)
AWAY = Posted(0, "", 10_000.0, "did not answer in 10 s")


def delivery(number: int, webhook: str = "w-1", tenant: str = "acme") -> Delivery:
    return Delivery(
        f"d-{webhook}-{number}", tenant, webhook, "run.failed", number, b'{"n": "\xc3\xbc"}', due_ms=1000 + number
    )


async def follow(ledger: Ledger, start: int, end: int, *made: Delivery, again: Any = (), ended: Any = ()) -> bool:
    return await ledger.follow("log", start, end, made, again, ended, 5000)


class WebhookLedgerSuite(ABC):
    """Inherit it, and give it a way to open the same ledger again and again."""

    @pytest.fixture
    @abstractmethod
    def open_ledger(self) -> OpenLedger: ...

    async def test_a_log_is_followed_from_its_end_and_gone_on_with(self, open_ledger: OpenLedger) -> None:
        ledger = open_ledger()
        assert await ledger.position("log", 7) == 7
        assert await follow(ledger, 7, 9)
        await ledger.close()
        again = open_ledger()
        assert await again.position("log", 100) == 9
        assert await again.position("restored", 100) == 9
        assert await again.position("restored", 100) == 9
        assert await again.position("set back", 4) == 4
        await again.close()

    async def test_deliveries_and_position_are_written_together_once(self, open_ledger: OpenLedger) -> None:
        ledger, other = open_ledger(), open_ledger()
        await ledger.position("log", 0)
        made = [delivery(n) for n in range(1, 1201)]
        assert await follow(ledger, 0, 1200, *made)
        assert not await follow(other, 0, 1200, *made)
        assert [d.id for d in await other.due("w-1", 10_000, 3)] == ["d-w-1-1", "d-w-1-2", "d-w-1-3"]
        assert len(await other.list("acme", "", None, 0, 5000, None)) == 1200
        assert (await other.due("w-1", 10_000, 1))[0] == made[0]
        await asyncio.gather(ledger.close(), other.close())

    async def test_what_is_due_by_webhook(self, open_ledger: OpenLedger) -> None:
        ledger = open_ledger()
        await ledger.position("log", 0)
        await follow(ledger, 0, 9, delivery(3), delivery(2), delivery(5, "w-2"))
        assert sorted(await ledger.waiting()) == [("w-1", 1002), ("w-2", 1005)]
        assert [d.position for d in await ledger.due("w-1", 1002, 10)] == [2]
        assert [d.position for d in await ledger.due("w-1", 1003, 10)] == [2, 3]
        assert await ledger.due("w-3", 9999, 10) == []
        await ledger.close()

    async def test_attempts_are_kept_in_order_and_written_once(self, open_ledger: OpenLedger) -> None:
        ledger = open_ledger()
        await ledger.position("log", 0)
        await follow(ledger, 0, 1, delivery(1))
        [first] = await ledger.due("w-1", 9999, 1)
        await ledger.tried(first, REFUSED, State.WAITING, 8000, 6000)
        await ledger.tried(first, TAKEN, State.DELIVERED, 6001, 6001)
        [second] = await ledger.due("w-1", 9999, 1)
        assert (second.attempts, second.failures, second.due_ms, second.outcome) == (1, 1, 8000, "answered 503: später")
        await ledger.tried(second, AWAY, State.DEAD, 0, 7000)
        assert await ledger.waiting() == []
        dead, tried = await ledger.get(first.id, "acme")
        assert (dead.state, dead.outcome, dead.attempts) == (State.DEAD, AWAY.error, 2)
        assert [(a.number, a.at_ms, a.posted) for a in tried] == [(1, 6000, REFUSED), (2, 7000, AWAY)]
        with pytest.raises(NotFound):
            await ledger.get(first.id, "other")
        await ledger.close()

    async def test_a_replay_revives_what_is_there_and_adds_what_is_not(self, open_ledger: OpenLedger) -> None:
        ledger = open_ledger()
        await ledger.position("log", 0)
        await follow(ledger, 0, 1, delivery(1))
        [first] = await ledger.due("w-1", 9999, 1)
        await ledger.tried(first, TAKEN, State.DELIVERED, 0, 6000)
        await follow(ledger, 1, 2, delivery(1))
        assert await ledger.waiting() == []
        await follow(ledger, 2, 3, again=[delivery(1), delivery(2)])
        revived, added = await ledger.due("w-1", 9999, 9)
        assert revived == replace(first, attempts=1, due_ms=5000, changed_ms=5000)
        assert added == delivery(2)
        await ledger.tried(revived, REFUSED, State.DEAD, 0, 6000)
        await ledger.revive(revived.id, 9000)
        assert [d.due_ms for d in await ledger.due("w-1", 9999, 9)] == [9000, 1002]
        await ledger.close()

    async def test_what_waits_for_a_webhook_that_ended_is_dead(self, open_ledger: OpenLedger) -> None:
        ledger = open_ledger()
        await ledger.position("log", 0)
        await follow(ledger, 0, 3, delivery(1), delivery(2, "w-2"), delivery(3, tenant="other"))
        await follow(ledger, 3, 4, ended=["w-1"])
        assert [w for w, _ in await ledger.waiting()] == ["w-2"]
        dead = await ledger.list("acme", "", State.DEAD, 0, 10, None)
        assert [(d.webhook_id, d.outcome) for d in dead] == [("w-1", "the webhook was deleted")]
        await ledger.close()

    async def test_lists_are_of_a_tenant_newest_first(self, open_ledger: OpenLedger) -> None:
        ledger = open_ledger()
        await ledger.position("log", 0)
        many = [delivery(n, f"w-{n % 2}") for n in range(1, 6)]
        await follow(ledger, 0, 9, *many, delivery(6, tenant="other"))
        assert [d.position for d in await ledger.list("acme", "", None, 0, 10, None)] == [5, 4, 3, 2, 1]
        assert [d.position for d in await ledger.list("acme", "w-1", State.WAITING, 1, 10, 4)] == [1]
        assert await ledger.list("acme", "", State.DELIVERED, 0, 10, None) == []
        await ledger.close()

    async def test_what_was_delivered_long_ago_is_forgotten(self, open_ledger: OpenLedger) -> None:
        ledger = open_ledger()
        await ledger.position("log", 0)
        await follow(ledger, 0, 9, delivery(1), delivery(2), delivery(3))
        old, new, dead = await ledger.due("w-1", 9999, 9)
        await ledger.tried(old, TAKEN, State.DELIVERED, 0, 1000)
        await ledger.tried(new, TAKEN, State.DELIVERED, 0, 3000)
        await ledger.tried(dead, REFUSED, State.DEAD, 0, 1000)
        await ledger.forget_delivered(2000)
        assert [d.position for d in await ledger.list("acme", "", None, 0, 10, None)] == [3, 2]
        assert len((await ledger.get(dead.id, "acme"))[1]) == 1
        await ledger.close()
