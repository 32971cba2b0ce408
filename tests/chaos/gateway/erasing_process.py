"""Processes that erase somebody, each killed with SIGKILL one step later: erasing_process.py FOLDER LOG KEYS [STEP].

A step is what is sent to a database, or the answer: a process is killed just before its n-th one. The n-th process
erases user n; the last one, which needed fewer steps, is not killed. Prints, as JSON, the step that each was about to
take. With STEP there is only the process that is killed just before that one.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
from erased_users import ADMIN, USERS_MADE, Erasers


class Killer:
    """Kills this process just before step `at`, counted from `armed` on."""

    def __init__(self, at: int, last_words: int) -> None:
        self.armed = False
        self._left, self._last_words = at, last_words

    def step(self, statement: str) -> None:
        if not self.armed:
            return
        if self._left == 0:
            os.write(self._last_words, " ".join(statement.split())[:60].encode())
            os.kill(os.getpid(), signal.SIGKILL)
        self._left -= 1

    def watch_sqlite(self) -> None:
        connect = sqlite3.connect

        def watched(*arguments: Any, **named: Any) -> sqlite3.Connection:
            db: sqlite3.Connection = connect(*arguments, **named)
            db.set_trace_callback(self.step)
            return db

        sqlite3.connect = watched  # type: ignore[assignment]

    def watch_postgres(self) -> None:
        for name in ("execute", "fetch", "fetchrow", "fetchval"):
            setattr(asyncpg.Connection, name, self._watched(getattr(asyncpg.Connection, name)))

    def _watched(self, ask: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def watched(connection: Any, query: str, *arguments: Any, **named: Any) -> Any:
            self.step(query)
            return await ask(connection, query, *arguments, **named)

        return watched


def erase_and_die(number: int, last_words: int, folder: Path, log: str, keys: str) -> None:
    killer = Killer(number, last_words)
    killer.watch_sqlite()
    killer.watch_postgres()

    async def erase() -> None:
        erasers = await Erasers.open(folder, log, keys)
        killer.armed = True
        await erasers.users.erase(f"user-{number}", "ticket 4711", ADMIN)
        killer.step("the answer")

    asyncio.run(erase())


def main(folder: Path, log: str, keys: str, *only: str) -> list[str]:
    steps: list[str] = []
    for number in [int(step) for step in only] or range(USERS_MADE):
        ours, theirs = os.pipe()
        child = os.fork()
        if child == 0:
            # What a killed process would have done at its end is not done here either.
            erase_and_die(number, theirs, folder, log, keys)
            os._exit(0)
        os.close(theirs)
        _, status = os.waitpid(child, 0)
        step = os.read(ours, 1000).decode()
        os.close(ours)
        if os.WIFEXITED(status):
            assert os.WEXITSTATUS(status) == 0, "an erasure failed"
            return steps
        assert os.WTERMSIG(status) == signal.SIGKILL
        steps.append(step)
        if only:
            return steps
    raise AssertionError(f"an erasure takes {USERS_MADE} steps and more")


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), *sys.argv[2:])))
