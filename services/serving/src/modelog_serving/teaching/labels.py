"""The labels that came for deployments that learn, in the order in which they came, and what became of each."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from modelog_common.bus.progress import Progress, SqliteProgress
from modelog_common.domain.errors import Unavailable

CONSUMER = "serving.labels"
WAITS, LEARNED, PASSED = 0, 1, 2
# A label whose prediction is not in the log is looked for again after so long, then twice as long, and so on; a day
# after it came it is passed over.
FIRST_S, LONGEST_S, DAY_S = 2.0, 3600.0, 86_400.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS history (only_one INTEGER PRIMARY KEY CHECK (only_one = 1), id TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS label (number INTEGER PRIMARY KEY AUTOINCREMENT, tenant TEXT NOT NULL,
  deployment TEXT NOT NULL, prediction_id TEXT NOT NULL, label REAL, amount REAL, came_s REAL NOT NULL,
  due_s REAL NOT NULL, tries INTEGER NOT NULL DEFAULT 0, became INTEGER NOT NULL DEFAULT 0,
  why TEXT NOT NULL DEFAULT '', UNIQUE (tenant, deployment, prediction_id));
CREATE INDEX IF NOT EXISTS waiting ON label (tenant, deployment, number) WHERE became = 0;
CREATE TABLE IF NOT EXISTS followed (deployment_id TEXT PRIMARY KEY, step INTEGER NOT NULL) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class Told:
    """What became known of a prediction: 0 or 1, a number, or both; None for what was not told."""

    prediction_id: str
    label: float | None
    amount: float | None


@dataclass(frozen=True)
class Waiting(Told):
    """A label that was not learned from; `number` is its place among all, `came_s` when it came, since 1970."""

    number: int
    came_s: float
    tries: int


@dataclass(frozen=True)
class Place:
    """Whose labels."""

    tenant: str
    deployment: str


class LabelFile:
    """One SQLite file. Of a prediction the first label counts; what becomes of it is written down here, and is found
    again in the log of events, which is the truth of it, should this file be lost.

    Its calls are short, and made in any thread. It belongs to one `history` of the log: for another it begins again.
    """

    def __init__(self, path: Path, history: str) -> None:
        self._turn = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(_SCHEMA)
            self.progress = SqliteProgress(self._db, CONSUMER)
            self._belong_to(history)
        except (sqlite3.Error, OSError) as error:
            raise Unavailable(f"the labels in {path} cannot be used: {error}") from error

    def _belong_to(self, history: str) -> None:
        if self._db.execute("SELECT id FROM history").fetchone() == (history,):
            return
        with self._whole() as db:
            for table in ("label", "followed", "history"):
                db.execute(f"DELETE FROM {table}")
            self.progress.forget()
            db.execute("INSERT INTO history VALUES (1, ?)", (history,))

    def add(self, told: Sequence[tuple[Place, Sequence[Told]]], now_s: float, progress: Progress) -> None:
        """Keep labels, in order, with how far their topic was read, all or nothing."""
        with self._whole() as db:
            for place, labels in told:
                db.executemany(
                    "INSERT OR IGNORE INTO label (tenant, deployment, prediction_id, label, amount, came_s, due_s) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?)",
                    [
                        (place.tenant, place.deployment, one.prediction_id, one.label, one.amount, now_s, now_s)
                        for one in labels
                    ],
                )
            self.progress.save(progress)

    def waiting(self, place: Place, now_s: float, most: int) -> list[Waiting]:
        """The first labels that wait and are due, in order."""
        with self._usable() as db:
            rows = db.execute(
                "SELECT prediction_id, label, amount, number, came_s, tries FROM label "
                "WHERE tenant = ? AND deployment = ? AND became = 0 AND due_s <= ? ORDER BY number LIMIT ?",
                (place.tenant, place.deployment, now_s, most),
            ).fetchall()
        return [Waiting(*row) for row in rows]

    def count(self, place: Place) -> dict[int, int]:
        """How many labels wait, were learned from, and were passed over."""
        with self._usable() as db:
            rows = db.execute(
                "SELECT became, count(*) FROM label WHERE tenant = ? AND deployment = ? GROUP BY became",
                (place.tenant, place.deployment),
            ).fetchall()
        return {became: int(count) for became, count in rows}

    def put_off(self, labels: Sequence[Waiting], now_s: float) -> None:
        """Their predictions are not in the log: look again later, or no more."""
        with self._whole() as db:
            for one in labels:
                if now_s - one.came_s >= DAY_S:
                    _pass_over(db, [one], "its prediction is not in the log")
                    continue
                due_s = now_s + min(FIRST_S * 2.0**one.tries, LONGEST_S)
                db.execute("UPDATE label SET due_s = ?, tries = tries + 1 WHERE number = ?", (due_s, one.number))

    def pass_over(self, labels: Sequence[Waiting], why: str) -> None:
        """They are never learned from."""
        with self._whole() as db:
            _pass_over(db, labels, why)

    def step(self, deployment_id: str) -> int:
        """Up to which step of a deployment all that was learned from is written down here."""
        with self._usable() as db:
            row = db.execute("SELECT step FROM followed WHERE deployment_id = ?", (deployment_id,)).fetchone()
        return int(row[0]) if row else 0

    def learned(self, place: Place, deployment_id: str, step: int, ids: Sequence[str], now_s: float) -> None:
        """These labels were learned from in a step; they are kept also where they had not come to this file."""
        with self._whole() as db:
            db.executemany(
                "INSERT INTO label (tenant, deployment, prediction_id, came_s, due_s, became) "
                "VALUES (?, ?, ?, ?, ?, ?) "
                "ON CONFLICT (tenant, deployment, prediction_id) DO UPDATE SET became = excluded.became",
                [(place.tenant, place.deployment, one, now_s, now_s, LEARNED) for one in ids],
            )
            db.execute(
                "INSERT INTO followed VALUES (?, ?) ON CONFLICT (deployment_id) DO UPDATE SET step = excluded.step",
                (deployment_id, step),
            )

    def close(self) -> None:
        """Close the file."""
        with self._turn:
            self._db.close()

    @contextmanager
    def _usable(self) -> Iterator[sqlite3.Connection]:
        with self._turn:
            try:
                yield self._db
            except sqlite3.Error as error:
                raise Unavailable(f"the labels cannot be used: {error}") from error

    @contextmanager
    def _whole(self) -> Iterator[sqlite3.Connection]:
        with self._usable() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
            except BaseException:
                db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")


def _pass_over(db: sqlite3.Connection, labels: Sequence[Waiting], why: str) -> None:
    db.executemany("UPDATE label SET became = ?, why = ? WHERE number = ?", [(PASSED, why, o.number) for o in labels])
