"""What the prediction log's thread takes to put answers of many rows into its file, beside the database and in it.

    python tests/bench/bench_prediction_file.py [rounds]

The writer alone, in one thread: commits of 4,096 rows of 20 numbers, as requests of 32 rows that came within a moment
make them. Printed is the CPU time a row with SQLite's checkpoints and what is brought to the disk, least and median of
the rounds, both ways in turn: least is what a quiet machine takes.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from figures import machine, print_table
from modelog_common.domain.clock import SystemClock
from modelog_common.domain.ids import uuid7
from modelog_serving.predlog import bodies
from modelog_serving.predlog.answers import Answerer, Answers
from modelog_serving.predlog.journal import Journaled
from modelog_serving.predlog.rows import Repeated, RowIds
from modelog_serving.predlog.writer import Writer

ROWS, FEATURES, REQUESTS, COMMITS = 32, 20, 128, 12
ROUNDS = 50
NUMBERS = np.random.default_rng(7).random((ROWS, FEATURES)).astype("<f4")
ANSWERERS = [Answerer("1.0.0", "d" * 64)]
NAMES = [f"f{n}" for n in range(FEATURES)]


def gathered(after: int) -> list[Journaled]:
    """What is in the journal after so many frames."""
    now_us = time.time_ns() // 1000
    return [Journaled(after + n + 1, request(now_us), now_us) for n in range(REQUESTS)]


def request(now_us: int) -> Answers:
    """Answers to one."""
    ids, rows = [str(uuid7())], [ROWS]
    return Answers(
        "acme", "flights", "delay", RowIds(ids, rows), Repeated([now_us], rows), Repeated(ids, rows), ANSWERERS,
        np.zeros(ROWS, np.uint8), NAMES, NUMBERS.copy(), np.ascontiguousarray(NUMBERS[:, :1]), given_ids=False,
    )  # fmt: skip


def measured(rounds: int, beside_bytes: int) -> list[float]:
    """CPU microseconds a row, of each round."""
    bodies.BESIDE_BYTES = beside_bytes
    took_us, frames = [], 0
    with tempfile.TemporaryDirectory() as folder:
        writer = Writer(Path(folder) / "predictions.db", SystemClock(), 0)
        for _ in range(rounds):
            commits = [gathered(frames + n * REQUESTS) for n in range(COMMITS)]
            frames += COMMITS * REQUESTS
            began_s = time.thread_time()
            for commit in commits:
                writer.commit(commit, [])
            took_us.append((time.thread_time() - began_s) / (COMMITS * REQUESTS * ROWS) * 1e6)
        writer.close()
    return took_us


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    ways = {"beside the database": bodies.BESIDE_BYTES, "in the database": 1 << 40}
    took_us: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(3):
        for way, beside_bytes in ways.items():
            took_us[way] += measured(rounds // 3, beside_bytes)
    print(machine())
    rows = [[way, f"{min(took):.2f}", f"{statistics.median(took):.2f}"] for way, took in took_us.items()]
    print_table("CPU us a row", ["bodies", "least", "median"], rows)


if __name__ == "__main__":
    main()
