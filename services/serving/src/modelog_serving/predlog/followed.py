"""Prediction logs that another process writes, on this machine: looked at, sealed, published and dropped here."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from time import monotonic

from modelog_common.domain.clock import Clock
from modelog_common.domain.errors import ModelogError

from modelog_serving.predlog import file, index
from modelog_serving.predlog.answers import Answers
from modelog_serving.predlog.bodies import Connection, connected
from modelog_serving.predlog.journal import Journal, NoJournal
from modelog_serving.predlog.log import GATHER_S, PredictionLog
from modelog_serving.predlog.writer import Outcome, before

LOOK_S = 0.2
# A worker that is busy may be late with writing down what it answered; one that was killed is replaced by then.
FLUSH_S = 5.0
LOG_FILE = "predictions.db"
WORKERS = "workers"


def log_of_worker(folder: Path, number: int) -> Path:
    """Where the worker `number` of the service whose data is in `folder` writes what it answered."""
    return folder / WORKERS / str(number) / LOG_FILE


def worker_logs(folder: Path, workers: int) -> list[Path]:
    """The logs of so many workers, and of all that there ever were: they are kept as long as their answers are."""
    known = {int(path.parent.name) for path in (folder / WORKERS).glob(f"*/{LOG_FILE}") if path.parent.name.isdecimal()}
    return [log_of_worker(folder, number) for number in sorted(known | set(range(1, workers + 1)))]


class FollowedLog(PredictionLog):
    """A log that only another process appends to. `run` it as a task of its own."""

    def __init__(self, path: Path, clock: Clock, most_bytes: int = 0) -> None:
        super().__init__(path, clock, most_bytes)
        self._seen = self._sequence

    def _open_journal(self) -> Journal:
        self._theirs = NoJournal(self.path)
        return self._theirs

    @property
    def sequence(self) -> int:
        """The last batch that was seen here."""
        return self._seen

    async def flush(self) -> None:
        """Wait until the other process put what it had answered into the file; not for long, should it be gone."""
        until_s = monotonic() + FLUSH_S
        while True:
            if not await self.reading(self._waits, whole=False) or monotonic() > until_s:
                break
            await asyncio.sleep(GATHER_S)
        await self.look()

    def _waits(self, db: sqlite3.Connection) -> bool:
        return self._theirs.waits(int(file.meta(db, "journal")))

    async def look(self) -> None:
        """See what was written since."""
        last = await self.reading(file.last_sequence, whole=False)
        if last > self._seen:
            self._seen = last
            self._wake()

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_S)


class OtherLogs:
    """Looks up ids that a caller chose in the logs of the processes beside this one, so that a request that is sent
    again is answered as it was before, whoever gets it.

    Used in the thread of a log's writer only. Two processes that get the same new id at the same time both answer it.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self._opened: dict[Path, Connection] = {}

    def known(self, answers: Answers) -> Outcome | ModelogError:
        """As `PredictionLog.append` says it; raises sqlite3.Error when a log cannot be read."""
        for path in self._paths:
            db = self._connection(path)
            number = None if db is None else file.known_number(db, answers.tenant, answers.deployment)
            if db is None or number is None:
                continue
            places = [index.place_of(db, number, prediction_id) for prediction_id in answers.ids]
            if any(place is not None for place in places):
                return before(db, answers, places)
        return None

    def _connection(self, path: Path) -> Connection | None:
        if path not in self._opened:
            if not path.is_file():
                return None
            self._opened[path] = connected(path, f"{path.resolve().as_uri()}?mode=ro", uri=True)
        return self._opened[path]

    async def close(self) -> None:
        """Close what was opened, when the writer's thread has ended."""
        for db in self._opened.values():
            db.close()
