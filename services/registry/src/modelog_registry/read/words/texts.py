"""Models and runs by words: a search index beside the read tables, filled from the log and as of any position.

It follows the log a moment later than the tables, many events at once; whoever asks is waited for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

import msgspec
import structlog
from modelog_common.domain.errors import Invalid, Unavailable
from modelog_common.events.store import EventStore, StoredEvent
from modelog_common.read.project import Folded
from modelog_common.rpc.call import patience_s
from modelog_common.stores.search import Document, Query, SearchStore
from modelog_common.stores.search.checks import MOST_FOUND

from modelog_registry.events import EVENTS
from modelog_registry.model.decide import MODEL
from modelog_registry.read.words.text_documents import FORMAT, model_document, run_document
from modelog_registry.run.decide import RUN

BATCH = 1000
# How long it rests while nobody asks, so that many events are written at once.
REST_S = 1.0
WAIT_S = 30.0
# Conditions and orders look at no more than these.
MOST = 10_000
log = structlog.get_logger()


# (tenant, text, kind, position) -> ids, the best first.
Words = Callable[[str, str, str, int], Awaitable[list[str]]]


async def no_words(tenant: str, text: str, kind: str, at: int) -> list[str]:
    """Where there is no index."""
    raise Unavailable("there is no search index here")


class _Mark(msgspec.Struct):
    """How far the index has come, in which history of the log."""

    history: str
    position: int
    format: int = FORMAT


class Texts:
    """`run` is its background work."""

    def __init__(self, search: SearchStore, store: EventStore) -> None:
        self.error = ""
        self._search, self._store = search, store
        runs, models = Folded(store, RUN, EVENTS), Folded(store, MODEL, EVENTS)

        async def of_run(stored: StoredEvent) -> Document:
            return run_document(await runs.after(stored), stored)

        async def of_model(stored: StoredEvent) -> Document:
            return model_document(await models.after(stored), stored)

        self._of: Mapping[str, Callable[[StoredEvent], Awaitable[Document]]] = {
            RUN.category: of_run,
            MODEL.category: of_model,
        }
        self._forget = [runs.forget, models.forget]
        self._position: int | None = None
        self._moved = asyncio.Condition()
        self._turn = asyncio.Lock()
        self._asked = asyncio.Event()

    @property
    def position(self) -> int:
        """Everything up to this position is in the index."""
        return self._position or 0

    async def run(self) -> None:
        """Follow the log until cancelled; what is away is waited for."""
        while True:
            try:
                await self._catch_up()
                self.error = ""
            except Unavailable as error:
                log.warning("the search index waits", why=str(error))
                await self._report(error)
                continue
            except Exception as error:
                # The events stay where they are and are tried again: to skip them would make the answers lie.
                log.exception("the search index failed", position=self.position)
                await self._report(error)
                continue
            await self._store.wait_beyond(self.position, WAIT_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(REST_S):
                    await self._asked.wait()
            self._asked.clear()

    async def _report(self, error: Exception) -> None:
        async with self._moved:
            self.error = f"{type(error).__name__}: {error}"
            self._moved.notify_all()
        await asyncio.sleep(REST_S)

    async def wait_for(self, position: int) -> None:
        """Raises Unavailable when the index does not cover `position` while the caller waits."""
        if self.position >= position:
            return
        longest_s = patience_s()
        self._asked.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(longest_s), self._moved:
                await self._moved.wait_for(lambda: self.position >= position or self.error)
        if self.position < position:
            why = self.error or f"it did not come there in {longest_s:g} s"
            raise Unavailable(f"the search index is at position {self.position} and not at {position}: {why}")

    async def ids(self, tenant: str, text: str, kind: str, at: int) -> list[str]:
        """What holds all words of a text as of a position, the best first. Raises Invalid, also when it is too much."""
        await self.wait_for(at)
        found: list[str] = []
        query = Query(tenant, text, [kind], at=at, limit=MOST_FOUND)
        while True:
            page = await self._search.find(query)
            found += [document.id.removeprefix(f"{kind}:") for document in page.documents]
            if not page.next:
                return found
            if len(found) >= MOST:
                what = f"{text[:40]!r} is found in {page.total} {kind}s; at most {MOST} can be looked at"
                raise Invalid.field("text", f"{what}: say more words")
            query = replace(query, after=page.next)

    async def rebuild(self) -> int:
        """Drop everything and fold the log again; returns the position reached."""
        async with self._turn:
            await self._begin()
        return await self._catch_up()

    async def close(self) -> None:
        await self._search.close()

    async def _catch_up(self) -> int:
        async with self._turn:
            await self._open()
            head = await self._store.head()
            batch: list[StoredEvent] = []
            async for stored in self._store.read_all(after=self.position, categories=list(self._of), until=head):
                batch.append(stored)
                if len(batch) == BATCH:
                    await self._write(batch, stored.position)
                    batch = []
            if head > self.position:
                await self._write(batch, head)
            return self.position

    async def _open(self) -> None:
        """Look where the index stands: it may have been emptied, or belong to another history of the log."""
        told = await self._search.mark()
        try:
            mark = None if told is None else msgspec.json.decode(told, type=_Mark)
        except msgspec.DecodeError:
            mark = None
        if mark is None or (mark.history, mark.format) != (self._store.history, FORMAT):
            await self._begin()
        elif self._position is None or mark.position != self._position:
            self._restart(mark.position)

    async def _begin(self) -> None:
        await self._search.drop()
        await self._search.write([], self._mark(0))
        self._restart(0)

    def _restart(self, position: int) -> None:
        self._position = position
        for forget in self._forget:
            forget()

    async def _write(self, batch: Sequence[StoredEvent], position: int) -> None:
        await self._search.write(await self._changed(batch), self._mark(position))
        async with self._moved:
            self._position = position
            self._moved.notify_all()

    async def _changed(self, batch: Sequence[StoredEvent]) -> list[Document]:
        """The documents that end and begin with these events; an event that changes no word makes none."""
        if not batch:
            return []
        after = [await self._of[stored.category](stored) for stored in batch]
        latest = await self._before(after, batch[0].position)
        changed: dict[tuple[str, str, int], Document] = {}
        for document in after:
            key = document.tenant, document.id
            known = latest.get(key)
            if known is not None:
                if (known.title, known.text) == (document.title, document.text):
                    continue
                changed[*key, known.position] = replace(known, until=document.position)
            changed[*key, document.position] = latest[key] = document
        return list(changed.values())

    async def _before(self, after: Sequence[Document], first: int) -> dict[tuple[str, str], Document]:
        """What was true before: also when these events were written before, but their mark was not."""
        ids: dict[str, dict[str, None]] = {}
        for document in after:
            ids.setdefault(document.tenant, {})[document.id] = None
        known = [d for tenant, named in ids.items() for d in await self._search.as_of(tenant, list(named), first - 1)]
        return {(d.tenant, d.id): d for d in known}

    def _mark(self, position: int) -> str:
        return msgspec.json.encode(_Mark(self._store.history, position)).decode()
