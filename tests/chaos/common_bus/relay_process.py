"""A relay as a process of its own, for tests that stop and kill it: relay_process.py STORE BOOTSTRAP PREFIX."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from modelog_common.bus.kafka import KafkaBroker
from modelog_common.bus.leases import SqliteRelayProgress
from modelog_common.bus.relay import Relay
from modelog_common.bus.topics import Family
from modelog_common.events.sqlite import SqliteEventStore

LEASE_S = 0.5
BATCH = 50


async def main(path: Path, bootstrap: str, prefix: str) -> None:
    store = await SqliteEventStore.open(path)
    topics = Family("events.registry", prefix)
    relay = Relay(
        store,
        "registry",
        ["registry.model"],
        topics,
        KafkaBroker(bootstrap),
        SqliteRelayProgress(path),
        batch=BATCH,
        lease_s=LEASE_S,
    )
    await relay.run()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
