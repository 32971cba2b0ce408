"""Appends and replayed events a second of the SQLite event store, beside its limits and beside `eventsourcing` (PyPI).

The quicker the disk, the less a shared commit saves: appends are measured on the disk as it is, and on one that needs
370 microseconds to make a write durable (2,700 fsync/s).

Run: python tests/bench/bench_event_store.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import slow_disk
import uvloop
from event_replay_contenders import ModelogReplay, PeerReplay, rows_rate
from event_store_contenders import fsync_rate, modelog_rate, peer_rate, sqlite_rate
from figures import machine, median, per_s, print_table, ratio

ROUNDS = 5
ROUND_S = 0.4
FSYNC_US = 370
# (what it is called, writers, events an append, the peer's writers, how many times the peer is asked for)
CASES = (
    ("1 writer, 1 event, awaited", 1, 1, 1, 1),
    ("1 writer, 10 events", 1, 10, 1, 1),
    ("8 writers, 1 event", 8, 1, 8, 8),
    ("64 writers, 1 event", 64, 1, 8, 15),
)
STREAMS, LENGTH = 20, 1000


async def appends(folder: Path) -> None:
    """Contenders take turns, so that other work on the machine slows all alike."""
    disk = median([fsync_rate(folder, ROUND_S) for _ in range(ROUNDS)])
    rows = []
    for name, writers, batch, peer_writers, wanted in CASES:
        ours, limit, peer = [], [], []
        for _ in range(ROUNDS):
            ours.append(await modelog_rate(folder, writers, batch, ROUND_S))
            limit.append(sqlite_rate(folder, writers * batch, ROUND_S))
            peer.append(peer_rate(folder, peer_writers, batch, ROUND_S))
        mine, most, other = median(ours), median(limit), median(peer)
        rows.append(
            [name, per_s(mine), per_s(most), ratio(mine, most), per_s(other), ratio(mine, other), f"{wanted:g} x"]
        )
    columns = ["appended events/s", "modelog", "sqlite alone", "of it", "eventsourcing", "modelog to it", "wanted"]
    print_table(f"Appends, all durable (synchronous=FULL); the disk does {per_s(disk)} fsync/s", columns, rows)
    print("  eventsourcing: as many writers, 8 at most, since more slow it down")
    print("  sqlite alone: one thread, all writers' events in one transaction, same table, nothing checked")


async def replays(folder: Path) -> None:
    ours = await ModelogReplay.filled(folder / "replay.db", STREAMS, LENGTH)
    peer = PeerReplay(folder / "peer-replay.db", STREAMS, LENGTH)
    state, log, peer_state, peer_log, bare = [], [], [], [], []
    for _ in range(ROUNDS):
        state.append(await ours.to_state())
        peer_state.append(peer.to_state())
        log.append(await ours.whole_log())
        peer_log.append(peer.whole_log())
        bare.append(rows_rate(folder / "replay.db"))
    await ours.close()
    peer.close()
    most = median(bare)
    rows = [
        [name, per_s(mine), per_s(most), ratio(mine, most), per_s(other), ratio(mine, other), f"{wanted:g} x"]
        for name, mine, other, wanted in (
            (f"{LENGTH:,} events to an entity's state", median(state), median(peer_state), 10),
            (f"{STREAMS * LENGTH:,} events as typed events", median(log), median(peer_log), 3),
        )
    ]
    columns = ["replayed events/s", "modelog", "bare rows", "of it", "eventsourcing", "modelog to it", "wanted"]
    print_table("Replay, from the file to Python", columns, rows)


async def main() -> None:
    with tempfile.TemporaryDirectory(prefix="bench-events-") as folder:
        if slow_disk.asked_us():
            await appends(Path(folder))
            return
        print(f"Event store: median of {ROUNDS} rounds; {machine()}")
        await appends(Path(folder))
        await replays(Path(folder))


if __name__ == "__main__":
    uvloop.run(main())
    if not slow_disk.asked_us():
        slow_disk.run_again(FSYNC_US)
