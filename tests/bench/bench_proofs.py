"""Proofs in a log of 10,000,000 events: building the tree, an inclusion proof, and verifying it offline.

Run: python tests/bench/bench_proofs.py [EVENTS]        (a first number to try it small: 100000)

The events are made up as they are read, for a store of that size would take most of the time; all else is what the
lineage service runs: hashing, the tree's file, signing, the bundle.
"""

from __future__ import annotations

import asyncio
import json
import random
import resource
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import uvloop
from figures import machine, median, per_s, print_table, ratio
from modelog_common.domain.clock import SystemClock
from modelog_common.events.store import StoredEvent
from modelog_lineage.audit.log import AuditLog
from modelog_lineage.audit.treefile import TreeFile
from modelog_proofs import verify_bundle

EVENTS = 10_000_000
PROOFS = 300
PROOF_LIMIT_MS, VERIFY_LIMIT_MS = 5.0, 1.0
BEGAN = datetime(2013, 1, 1, tzinfo=UTC)
TENANT = "default"
# An event every second; only the figures in it differ, as in a real log the size of most events is the same.
PAYLOAD = json.dumps({"run_id": "7f3c1d2e", "metrics": [{"name": "auc", "value": 0.731, "step": 0}]}).encode()


class MadeUpLog:
    """A store of `size` events, of which none is kept: as much of an EventStore as the audit log reads."""

    def __init__(self, size: int) -> None:
        self.size = size

    async def head(self) -> int:
        return self.size

    async def read_all(
        self, *, after: int = 0, categories: Sequence[str] | None = None, until: int | None = None
    ) -> AsyncIterator[StoredEvent]:
        for position in range(after + 1, min(self.size, until or self.size) + 1):
            if position % 1000 == 0:
                await asyncio.sleep(0)
            yield StoredEvent(
                position, f"0190-{position:032d}", f"registry.run-{position % 1000}", position // 1000 + 1,
                "registry.RunLogged", 1, BEGAN + timedelta(seconds=position), TENANT, "alice", "c", "", "", PAYLOAD,
            )  # fmt: skip


async def main(events: int) -> None:
    print(f"{events:,} events; {machine()}")
    with tempfile.TemporaryDirectory() as folder:
        tree = TreeFile(Path(folder, "audit.db"))
        log = AuditLog(MadeUpLog(events), tree, Path(folder, "audit-key"), SystemClock())  # type: ignore[arg-type]
        started = time.perf_counter()
        await log.rebuild()
        built_s = time.perf_counter() - started
        size_mb = sum(f.stat().st_size for f in Path(folder).iterdir()) / 1e6
        await log.checkpoint()
        key = await log.public_key()
        proofs, checks = [], []
        chosen = random.Random(1)
        for _ in range(PROOFS):
            position = chosen.randint(1, events)
            started = time.perf_counter()
            bundle = json.dumps(await log.inclusion_proof(position, TENANT))
            proofs.append((time.perf_counter() - started) * 1000)
            started = time.perf_counter()
            verify_bundle(bundle, key)
            checks.append((time.perf_counter() - started) * 1000)
        await tree.close()
    memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print_table(
        "Building the tree",
        ["", "seconds", "events/s", "file, MB", "memory, MB"],
        [[f"{events:,} events", f"{built_s:.1f}", per_s(events / built_s), f"{size_mb:,.0f}", f"{memory_mb:,.0f}"]],
    )
    print_table(
        "One event",
        ["", "median, ms", "slowest of 100, ms", "limit, ms", "of the limit"],
        [
            row("inclusion proof, from the service", proofs, PROOF_LIMIT_MS),
            row("verified offline, with its signature", checks, VERIFY_LIMIT_MS),
        ],
    )


def row(name: str, values: list[float], limit: float) -> list[str]:
    slow = sorted(values)[len(values) * 99 // 100]
    return [name, f"{median(values):.2f}", f"{slow:.2f}", f"{limit:g}", ratio(median(values), limit)]


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else EVENTS))
