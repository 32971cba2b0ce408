"""CPU seconds to take in, label and evaluate nine months of flights' size: 280,000 predictions, 23 features.

Run: python tests/bench/bench_monitoring_windows.py
"""

from __future__ import annotations

import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from modelog_common.bus.progress import Progress
from modelog_monitoring.data.ingest import outcomes_of, predictions_of
from modelog_monitoring.data.rows import Span, read_rows, to_micros
from modelog_monitoring.data.store import Flow, Kind, WindowStore
from modelog_monitoring.monitor.events import DriftLimits
from modelog_monitoring.monitor.window import WindowUnit, window_at
from modelog_monitoring.react.figures import findings_of
from modelog_monitoring.stats.profile import Kind as Column
from modelog_monitoring.stats.profile import profile_of
from modelog_proto.serving.v1.data_pb2 import Answerer, OutcomeBatch, PredictionBatch

ROWS, FEATURES, MONTHS, BATCH = 280_000, 23, 9, 1_000
GOAL_S = 5.0
NAMES = [f"feature_{n}" for n in range(FEATURES)]
START = to_micros(datetime(2013, 4, 1, tzinfo=UTC))
HERE = Progress("modelog.predictions", 0, "one", 1)


def messages() -> list[tuple[bytes, bytes]]:
    """What Kafka carries: a batch of predictions and one of their outcomes, again and again."""
    rng = np.random.default_rng(1)
    step_us = (to_micros(datetime(2014, 1, 1, tzinfo=UTC)) - START) // ROWS
    made = []
    for sequence, first in enumerate(range(0, ROWS, BATCH), 1):
        ids = [f"2013-{n}-UA-1545-N14228-EWR" for n in range(first, first + BATCH)]
        times = [START + n * step_us for n in range(first, first + BATCH)]
        predictions = PredictionBatch(
            deployment="flights", log_id="log", sequence=sequence, prediction_ids=ids, event_times_us=times,
            answerers=[Answerer(version="1.0.0")], answered_by=bytes(BATCH), feature_names=NAMES,
            features=rng.normal(size=(BATCH, FEATURES)).astype("<f4").tobytes(),
            outputs=rng.random(BATCH).astype("<f4").tobytes(), watermark_us=times[-1], tenant="acme",
        )  # fmt: skip
        outcomes = OutcomeBatch(
            deployment="flights", producer="airport", sequence=sequence, prediction_ids=ids,
            labels=rng.integers(0, 2, BATCH), event_times_us=[t + 10_000_000_000 for t in times],
            watermark_us=times[-1],
        )  # fmt: skip
        made.append((predictions.SerializeToString(), outcomes.SerializeToString()))
    return made


def main() -> None:
    """Print the figures."""
    stream = messages()
    reference = profile_of(
        np.random.default_rng(2).normal(size=(50_000, FEATURES)), dict.fromkeys(NAMES, Column.NUMERIC)
    )
    with tempfile.TemporaryDirectory() as folder:
        store = WindowStore(Path(folder) / "windows.db")
        started = time.process_time()
        for predictions, outcomes in stream:
            store.add([predictions_of(predictions, "acme"), outcomes_of(outcomes, "acme")], HERE)
        stored = time.process_time()
        window = window_at(WindowUnit.MONTH, datetime(2013, 4, 1, tzinfo=UTC))
        rows = 0
        for _ in range(MONTHS):
            start_us, end_us = to_micros(window.start), to_micros(window.end)
            span = Span(start_us, end_us, end_us + 86_400_000_000)
            found = findings_of(
                reference, DriftLimits(), read_rows(store, Flow(Kind.PREDICTIONS, "flights", "acme"), span, NAMES)
            )
            rows += found.labelled
            window = window.next()
        done = time.process_time()
        size_mb = (Path(folder) / "windows.db").stat().st_size / 1e6
        store.close()
    print(f"take in and store   {stored - started:6.2f} CPU s   {2 * len(stream)} batches, {size_mb:.0f} MB on disk")
    print(f"evaluate 9 windows  {done - stored:6.2f} CPU s   {rows} labelled rows")
    print(f"in total            {done - started:6.2f} CPU s   goal {GOAL_S:g}")


if __name__ == "__main__":
    main()
