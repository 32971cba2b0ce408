"""Work that one process does at a time goes on after errors, and with another process when the first one ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from modelog_common.bus.leases import SqliteRelayProgress
from modelog_common.domain.errors import Unavailable
from modelog_registry.react import duty
from modelog_registry.react.duty import Duty

PATIENCE_S = 150


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duty, "RETRY_S", 0.01)


def at(path: Path, work: Callable[[], Awaitable[None]]) -> Duty:
    return Duty("work", SqliteRelayProgress(path / "leases.db"), work)


async def cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_errors_are_gone_on_after(tmp_path: Path) -> None:
    errors: list[Exception] = [Unavailable("the database is away"), ValueError("an event that cannot be told")]
    works = asyncio.Event()

    async def work() -> None:
        if errors:
            raise errors.pop(0)
        works.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(at(tmp_path, work).run())
    async with asyncio.timeout(PATIENCE_S):
        await works.wait()
    assert not task.done()
    await cancelled(task)
    assert task.cancelled()


async def test_another_goes_on_when_the_first_one_ends(tmp_path: Path) -> None:
    working: list[str] = []
    changed = asyncio.Condition()

    def worker(name: str) -> Callable[[], Awaitable[None]]:
        async def work() -> None:
            async with changed:
                working.append(name)
                changed.notify_all()
            try:
                await asyncio.Event().wait()
            finally:
                working.remove(name)

        return work

    async def until(name: str) -> None:
        async with asyncio.timeout(PATIENCE_S), changed:
            await changed.wait_for(lambda: working == [name])

    first = asyncio.create_task(at(tmp_path, worker("first")).run())
    await until("first")
    second = asyncio.create_task(at(tmp_path, worker("second")).run())
    await cancelled(first)
    await until("second")
    await cancelled(second)
