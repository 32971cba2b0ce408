"""Elasticsearch passes the suite of search, is found again after a restart, and its index is made from a template."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from elasticsearch import AsyncElasticsearch
from modelog_common.domain.errors import Unavailable
from modelog_common.stores.search import Document, Query, SearchStore
from modelog_common.stores.search.elastic import ElasticSearchStore
from search_suite import SearchStoreSuite

PATIENCE_S = 150
DOCUMENT = Document("acme", "Model:a", "Model", "delay", 1)


class TestElasticSearchStore(SearchStoreSuite):
    @pytest.fixture
    async def search(self, elasticsearch: Any) -> AsyncIterator[SearchStore]:  # type: ignore[override]
        index = f"t-{uuid4().hex}"
        search = ElasticSearchStore(elasticsearch.url, index)
        yield search
        await search.close()
        async with AsyncElasticsearch(elasticsearch.url, request_timeout=PATIENCE_S) as client:
            # A node holds a thousand shards at most.
            await client.indices.delete(index=index, ignore_unavailable=True)


async def test_elasticsearch_is_found_again_with_its_documents(elasticsearch: Any) -> None:
    search = ElasticSearchStore(elasticsearch.url, f"t-{uuid4().hex}")
    await search.write([DOCUMENT], "1")
    for take_away in (elasticsearch.stop, elasticsearch.kill):
        take_away()
        away = f"the search index at {elasticsearch.url} does not answer"
        with pytest.raises(Unavailable, match=away):
            await search.find(Query("acme"))
        with pytest.raises(Unavailable, match=away):
            await search.write([DOCUMENT], "2")
        with pytest.raises(Unavailable, match=away):
            await search.mark()
        elasticsearch.start()
        await recovered(elasticsearch.url)
        assert (await search.find(Query("acme", "delay"))).documents == [DOCUMENT]
        assert await search.mark() == "1"
    await search.close()


async def test_the_index_is_made_from_its_template(elasticsearch: Any) -> None:
    index = f"t-{uuid4().hex}"
    search = ElasticSearchStore(elasticsearch.url, index)
    await search.write([], "1")
    await search.close()
    async with AsyncElasticsearch(elasticsearch.url, request_timeout=PATIENCE_S) as client:
        (template,) = (await client.indices.get_index_template(name=index))["index_templates"]
        assert template["index_template"]["index_patterns"] == [index]
        mapping = (await client.indices.get_mapping(index=index))[index]["mappings"]
        assert mapping == template["index_template"]["template"]["mappings"]
        assert mapping["dynamic"] == "strict"


async def recovered(url: str) -> None:
    """Wait until the shards are there again: a node answers before."""
    async with AsyncElasticsearch(url, request_timeout=PATIENCE_S) as client:
        answer = await client.cluster.health(wait_for_status="yellow", timeout=f"{PATIENCE_S}s")
        assert not answer["timed_out"]
