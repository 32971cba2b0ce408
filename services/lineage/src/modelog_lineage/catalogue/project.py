"""The catalogue as a sink of events: batches of them become documents of the search index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from modelog_common.bus.progress import Progress
from modelog_common.events.store import StoredEvent
from modelog_common.stores.search import Document, SearchStore

from modelog_lineage.catalogue.documents import Translated, described, documents_of
from modelog_lineage.follow import Stand
from modelog_lineage.graph.translate import changes_of

# What is written, and how: an index of another format is filled again, never migrated.
FORMAT = 1


class _Mark(msgspec.Struct):
    generation: str
    progress: Mapping[str, Progress]
    format: int = FORMAT


_MARK = msgspec.json.Decoder(_Mark)


class CatalogueSink:
    """A Sink that is a search index."""

    def __init__(self, search: SearchStore) -> None:
        self._search = search

    async def open(self) -> Stand | None:
        mark = await self._mark()
        return None if mark is None or mark.format != FORMAT else Stand(mark.generation, mark.progress)

    async def begin(self, stand: Stand) -> None:
        await self._search.drop()
        await self._search.write([], _text(stand))

    async def generation(self) -> str | None:
        mark = await self._mark()
        return None if mark is None else mark.generation

    async def write(self, events: Sequence[StoredEvent], stand: Stand) -> bool:
        if await self.generation() != stand.generation:
            return False
        translated = [(event, changes_of(event)) for event in events]
        documents = documents_of(translated, await self._before(translated))
        await self._search.write(documents, _text(stand))
        return True

    async def close(self) -> None:
        await self._search.close()

    async def _before(self, translated: Translated) -> list[Document]:
        """What was true before the first event: also when these events were written before, but their mark was not."""
        if not translated:
            return []
        first = translated[0][0].position
        found: list[Document] = []
        for tenant, ids in described(translated).items():
            found += await self._search.as_of(tenant, ids, first - 1)
        return found

    async def _mark(self) -> _Mark | None:
        mark = await self._search.mark()
        try:
            return None if mark is None else _MARK.decode(mark)
        except msgspec.DecodeError:
            return None


def _text(stand: Stand) -> str:
    return msgspec.json.encode(_Mark(stand.generation, stand.progress)).decode()
