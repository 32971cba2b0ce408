"""What every event store guarantees when many processes use it at once. An adapter's test module gives `address`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
import racing

SCRIPT = Path(racing.__file__)
WRITERS, READERS = 8, 4
PLAIN_ROWS = 1000
# One race in hundreds is so even that nothing is missed.
TRIES = 10


async def run(*arguments: object) -> str:
    """What racing.py printed; fails with what it complained about."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, SCRIPT, *map(str, arguments), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        out, error = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, f"racing.py {arguments}: {error.decode()[-2000:]}"
    return out.decode().strip()


class EventStoreRace:
    PER_WRITER = 25_000

    @pytest.fixture
    async def address(self) -> str:
        """Where an empty store is, for the processes to open."""
        raise NotImplementedError

    @pytest.mark.slow
    @pytest.mark.timeout(2400)
    async def test_eight_writers_and_four_readers_in_twelve_processes(self, address: str) -> None:
        """Not one event is missed, doubled or out of order, and all readers saw the same."""
        total = WRITERS * self.PER_WRITER
        await (await racing.open_store(address)).close()
        async with asyncio.TaskGroup() as group:
            readers = [group.create_task(run("read", address, total)) for _ in range(READERS)]
            for n in range(WRITERS):
                group.create_task(run("write", address, f"w{n}", self.PER_WRITER))
        seen = {reader.result() for reader in readers}
        assert len(seen) == 1
        assert seen.pop().startswith(f"{total} {total} ")


class PlainSequenceRace:
    """For stores whose database has sequences: what the store's own way of counting avoids."""

    @pytest.mark.slow
    async def test_a_plain_sequence_loses_events(self, address: str) -> None:
        """The same race with positions from a sequence: the reader passes rows that become visible later."""
        for _ in range(TRIES):
            await racing.make(address)
            async with asyncio.TaskGroup() as group:
                reader = group.create_task(run("tail", address, WRITERS * PLAIN_ROWS))
                for _ in range(WRITERS):
                    group.create_task(run("draw", address, PLAIN_ROWS))
            if int(reader.result()) > 0:
                return
        raise AssertionError(f"in {TRIES} races the reader missed nothing")
