"""Search in one SQLite file, with its full-text index FTS5: the embedded default."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from modelog_common.domain.errors import Unavailable
from modelog_common.small_sqlite import open_file
from modelog_common.stores.search import Document, Found, Query
from modelog_common.stores.search.checks import (
    ANYWHERE,
    MOST_FACETS,
    STILL,
    TITLE_BEGINNING,
    TITLE_WORD,
    all_text,
    check_documents,
    check_query,
    key_of,
    place_of,
    tag_of,
    tags_of,
    token_of,
)
from modelog_common.stores.search.words import wanted_words, words_of

T = TypeVar("T")
_SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (
  number INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, tenant TEXT NOT NULL, id TEXT NOT NULL, kind TEXT NOT NULL,
  title TEXT NOT NULL, text TEXT NOT NULL, tags TEXT NOT NULL, position INTEGER NOT NULL, until INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS documents_by_id ON documents (tenant, id);
CREATE TABLE IF NOT EXISTS tags (
  number INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE, tag TEXT NOT NULL, PRIMARY KEY (number, tag)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS tags_by_text ON tags (tag, number);
CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5 (
  title, everything, tokenize = "unicode61 remove_diacritics 0 tokenchars '.'");
CREATE TABLE IF NOT EXISTS mark (only INTEGER PRIMARY KEY CHECK (only = 1), mark TEXT NOT NULL);
"""
_COLUMNS = "tenant, id, kind, title, position, text, tags, until"


class Fts5SearchStore:
    """A SearchStore in the file `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, "search")
        self._db: sqlite3.Connection | None = None

    async def write(self, documents: Sequence[Document], mark: str) -> None:
        check_documents(documents)

        def store(db: sqlite3.Connection) -> None:
            for document in documents:
                _replace(db, document)
            db.execute("INSERT OR REPLACE INTO mark VALUES (1, ?)", (mark,))

        await self._change(store)

    async def remove(self, tenant: str, ids: Sequence[str]) -> None:
        def forget(db: sqlite3.Connection) -> None:
            for id in ids:
                numbers = db.execute(
                    "SELECT number FROM documents WHERE tenant = ? AND id = ?", (tenant, id)
                ).fetchall()
                for (number,) in numbers:
                    _delete(db, number)

        await self._change(forget)

    async def as_of(self, tenant: str, ids: Sequence[str], at: int) -> list[Document]:
        where = "tenant = ? AND id IN (SELECT value FROM json_each(?)) AND position <= ? AND until > ?"
        statement = f"SELECT {_COLUMNS} FROM documents WHERE {where}"
        given = (tenant, json.dumps(list(ids)), at, at)
        return [_document(row) for row in await self._run(lambda db: db.execute(statement, given).fetchall())]

    async def find(self, query: Query) -> Found:
        check_query(query)
        search = _Search(query)
        rows, kinds, tags = await self._run(search.run)
        documents = [_document(row[3:]) for row in rows[: query.limit]]
        more = len(rows) > query.limit
        following = token_of(rows[query.limit - 1][:3]) if more else ""
        return Found(documents, sum(kinds.values()), kinds, tags, following)

    async def mark(self) -> str | None:
        row = await self._run(lambda db: db.execute("SELECT mark FROM mark").fetchone())
        return None if row is None else str(row[0])

    async def drop(self) -> None:
        def empty(db: sqlite3.Connection) -> None:
            for table in ("tags", "documents", "words", "mark"):
                db.execute(f"DELETE FROM {table}")

        await self._change(empty)

    async def close(self) -> None:
        await asyncio.to_thread(self._shut_down)

    def _shut_down(self) -> None:
        self._thread.shutdown(wait=True)
        if self._db is not None:
            self._db.close()
            self._db = None

    async def _change(self, work: Callable[[sqlite3.Connection], None]) -> None:
        def in_one_transaction(db: sqlite3.Connection) -> None:
            with db:
                db.execute("BEGIN IMMEDIATE")
                work(db)

        await self._run(in_one_transaction)

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: work(self._connection()))
        except (sqlite3.Error, OSError) as error:
            raise Unavailable(f"the search index {self._path} cannot be used: {error}") from error

    def _connection(self) -> sqlite3.Connection:
        if self._db is None:
            self._db = open_file(self._path, _prepare)
        return self._db


def _prepare(db: sqlite3.Connection) -> None:
    # The index is a projection: what a power failure takes is written again from the topics.
    db.execute("PRAGMA synchronous=NORMAL")
    db.execute("PRAGMA foreign_keys=ON")
    db.executescript(_SCHEMA)


class _Search:
    """A query as SQL. Text reaches FTS5 as quoted words of letters, digits and points: it is never its syntax."""

    def __init__(self, query: Query) -> None:
        self._limit, self._after = query.limit, place_of(query.after)
        at = STILL - 1 if query.at is None else query.at
        where = ["tenant = ?", "position <= ?", "until > ?"]
        self._given: list[Any] = [query.tenant, at, at]
        words = wanted_words(query.text)
        if words:
            where.append("number IN (SELECT rowid FROM words WHERE words MATCH ?)")
            self._given.append(" AND ".join(f'"{word}"' for word in words) + "*")
        if query.kinds:
            where.append("kind IN (SELECT value FROM json_each(?))")
            self._given.append(json.dumps(list(query.kinds)))
        for name, value in query.tags.items():
            where.append("number IN (SELECT number FROM tags WHERE tag = ?)")
            self._given.append(tag_of(name, value))
        self._where = " AND ".join(where)
        self._score, self._scored = _score(words)

    def run(self, db: sqlite3.Connection) -> tuple[list[Any], dict[str, int], dict[str, int]]:
        """The rows of the page and one more, each with its place; how many documents there are by kind and tag."""
        kinds = db.execute(f"SELECT kind, count(*) FROM documents WHERE {self._where} GROUP BY kind", self._given)
        tags = db.execute(
            f"SELECT tag, count(*) AS n FROM tags WHERE number IN (SELECT number FROM documents WHERE {self._where}) "
            f"GROUP BY tag ORDER BY n DESC, tag LIMIT {MOST_FACETS}",
            self._given,
        )
        return self._page(db), _counted(kinds), dict(tags.fetchall())

    def _page(self, db: sqlite3.Connection) -> list[Any]:
        beyond, given = "", [*self._scored, *self._given]
        if self._after is not None:
            # Row values compare in order; positions go down while keys go up.
            beyond = "WHERE (-score, -position, key) > (?, ?, ?)"
            score, position, key = self._after
            given += [-score, -position, key]
        return db.execute(
            f"SELECT score, position, key, {_COLUMNS} FROM (SELECT *, {self._score} AS score FROM documents "
            f"WHERE {self._where}) {beyond} ORDER BY score DESC, position DESC, key LIMIT {self._limit + 1}",
            given,
        ).fetchall()


def _score(words: Sequence[str]) -> tuple[str, list[str]]:
    """How well a document matches, as an expression with what is to be filled in."""
    in_title = "number IN (SELECT rowid FROM words WHERE words MATCH ?)"
    parts, given = ["0"], []
    for number, word in enumerate(words):
        cases = f"WHEN {in_title} THEN {TITLE_WORD} "
        given.append(f'title : "{word}"')
        if number == len(words) - 1:
            cases += f"WHEN {in_title} THEN {TITLE_BEGINNING} "
            given.append(f'title : "{word}"*')
        parts.append(f"CASE {cases}ELSE {ANYWHERE} END")
    return " + ".join(parts), given


def _counted(rows: sqlite3.Cursor) -> dict[str, int]:
    return dict(sorted(rows.fetchall(), key=lambda r: (-r[1], r[0])))


def _replace(db: sqlite3.Connection, document: Document) -> None:
    key = key_of(document)
    known = db.execute("SELECT number FROM documents WHERE key = ?", (key,)).fetchone()
    if known is not None:
        _delete(db, known[0])
    number = db.execute(
        "INSERT INTO documents (key, tenant, id, kind, title, text, tags, position, until) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            key, document.tenant, document.id, document.kind, document.title, document.text,
            json.dumps(dict(document.tags)), document.position, STILL if document.until is None else document.until,
        ),
    ).lastrowid  # fmt: skip
    db.executemany("INSERT INTO tags VALUES (?, ?)", ((number, tag) for tag in tags_of(document.tags)))
    words = (number, " ".join(words_of(document.title)), " ".join(words_of(all_text(document))))
    db.execute("INSERT INTO words (rowid, title, everything) VALUES (?, ?, ?)", words)


def _delete(db: sqlite3.Connection, number: int) -> None:
    db.execute("DELETE FROM words WHERE rowid = ?", (number,))
    db.execute("DELETE FROM documents WHERE number = ?", (number,))


def _document(row: Sequence[Any]) -> Document:
    tenant, id, kind, title, position, text, tags, until = row
    return Document(tenant, id, kind, title, position, text, json.loads(tags), None if until == STILL else until)
