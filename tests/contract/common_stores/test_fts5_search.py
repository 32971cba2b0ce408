"""The SQLite file passes the suite of search and keeps its documents."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from modelog_common.domain.errors import Unavailable
from modelog_common.stores.search import Document, Query, SearchStore
from modelog_common.stores.search.fts5 import Fts5SearchStore
from search_suite import SearchStoreSuite

DOCUMENT = Document("acme", "Model:a", "Model", "delay", 1)


class TestFts5SearchStore(SearchStoreSuite):
    @pytest.fixture
    async def search(self, tmp_path: Path) -> AsyncIterator[SearchStore]:  # type: ignore[override]
        search = Fts5SearchStore(tmp_path / "search.db")
        yield search
        await search.close()


async def test_documents_outlive_the_process(tmp_path: Path) -> None:
    first = Fts5SearchStore(tmp_path / "new" / "search.db")
    await first.write([DOCUMENT], "1")
    await first.close()
    second = Fts5SearchStore(tmp_path / "new" / "search.db")
    assert (await second.find(Query("acme", "delay"))).documents == [DOCUMENT]
    assert await second.mark() == "1"
    await second.close()


async def test_an_index_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "search.db").write_bytes(b"not a database" * 100)
    search = Fts5SearchStore(tmp_path / "search.db")
    with pytest.raises(Unavailable, match=r"search index .*search\.db cannot be used: file is not a database"):
        await search.find(Query("acme"))
    (tmp_path / "search.db").unlink()
    await search.write([DOCUMENT], "1")
    assert await search.mark() == "1"
    await search.close()
