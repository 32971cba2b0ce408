"""Work that goes on while a platform's processes are killed, and remembers what was acknowledged."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress

import modelog
import numpy as np
from modelog.inference import predict
from modelog.stream import StreamProducer
from toy_model import FEATURES, toy_rows

BATCH_ROWS = 20
BATCHES_A_DAY = 24
HOUR_US = 3600 * 1_000_000
FIRST_US = 1_577_836_800_000_000  # 2020-01-01T00:00:00Z
ROUND = 4


class Work:
    """Commands, streamed batches and single predictions, each kind in a thread of its own, until `stop` is set.

    A command whose answer never came is left out of what was acknowledged; it may have happened or not.
    """

    def __init__(self, client: modelog.Client, name: str) -> None:
        self._client, self._name = client, name
        self._stop = threading.Event()
        self._threads: list[Future[None]] = []
        self.started: dict[str, str] = {}
        self.ended: set[str] = set()
        self.users: set[str] = set()
        self.predicted: dict[str, float] = {}
        self.batches = 0

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Work until the block ends; then the stream goes on to the end of its day."""
        with ThreadPoolExecutor(3, "work") as pool:
            self._threads = [pool.submit(work) for work in (self._command, self._stream, self._predict)]
            try:
                yield
            finally:
                self._stop.set()
            for thread in self._threads:
                thread.result()

    def amounts(self) -> tuple[int, int, int]:
        """How much was acknowledged so far: commands, batches, predictions."""
        return len(self.ended) + len(self.users), self.batches, len(self.predicted)

    def moved_on(self, since: tuple[int, int, int]) -> bool:
        """Whether every kind of work got a round further; raises what ended one of them."""
        for thread in self._threads:
            if thread.done():
                thread.result()
        return all(now >= then + ROUND for now, then in zip(self.amounts(), since, strict=True))

    def _command(self) -> None:
        number = 0
        while not self._stop.is_set():
            number += 1
            self._acknowledged(lambda n=number: self._run(f"run-{n}"))  # type: ignore[misc]
            self._acknowledged(lambda n=number: self._user(f"user-{n}"))  # type: ignore[misc]

    def _run(self, name: str) -> None:
        run = self._client.runs.start(self._name, name)
        self.started[name] = run.id
        self._client.runs.log(run.id, metrics={"accuracy": 0.5})
        self._client.runs.end(run.id)
        self.ended.add(name)

    def _user(self, name: str) -> None:
        self._client.users.create(name, ["viewer"])
        self.users.add(name)

    def _predict(self) -> None:
        rows = toy_rows(seed=3).select(FEATURES).to_dicts()
        number = 0
        while not self._stop.is_set():
            number += 1
            self._acknowledged(lambda n=number: self._ask(rows[n % len(rows)]))  # type: ignore[misc]

    def _ask(self, row: dict[str, float]) -> None:
        answer = predict(self._client, self._name, [row])
        self.predicted[answer["prediction_ids"][0]] = answer["outputs"][0][0]

    def _stream(self) -> None:
        with StreamProducer(self._client, self._name) as stream:
            while not self._stop.is_set() or self.batches % BATCHES_A_DAY:
                self._send(stream, self.batches)
                self.batches += 1

    def _send(self, stream: StreamProducer, number: int) -> None:
        rows = toy_rows(seed=number, rows=BATCH_ROWS)
        ids = [f"streamed-{number}-{row}" for row in range(BATCH_ROWS)]
        times = np.full(BATCH_ROWS, FIRST_US + number * HOUR_US)
        watermark = FIRST_US + (number + 1) * HOUR_US
        features, labels = rows.select(FEATURES).to_numpy(), rows["label"].to_numpy()
        _patiently(stream, lambda: stream.send_requests(ids, times, features, FEATURES, watermark_us=watermark))
        _patiently(stream, lambda: stream.send_outcomes(ids, labels, times + 1, watermark_us=watermark))

    def _acknowledged(self, ask: Callable[[], None]) -> None:
        try:
            ask()
        except modelog.Unavailable:
            return


def _patiently(stream: StreamProducer, send: Callable[[], None]) -> None:
    """A batch that the platform did not take in time is kept by the stream, and waited for again."""
    try:
        send()
    except modelog.Unavailable:
        while True:
            with suppress(modelog.Unavailable):
                stream.flush()
                return
