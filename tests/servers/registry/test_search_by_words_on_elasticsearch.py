"""The registry's searches by words on Elasticsearch: every test of them; while it is away only they say so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from modelog_common.domain.clock import ManualClock
from modelog_common.domain.errors import Unavailable
from real_servers import UrlServer, started_again
from registry_fixtures import Registry, serving
from test_search_by_words import *  # noqa: F403
from test_search_by_words import models, runs

PATIENCE_S = 150


@pytest.fixture
async def registry(elasticsearch: UrlServer, tmp_path: Path) -> AsyncIterator[Any]:
    """A registry with an index of this test's own."""
    async with serving(Registry(tmp_path, ManualClock(), search=f"{elasticsearch.url}/t-{uuid4().hex}")) as made:
        yield made
    started_again(elasticsearch)


async def test_without_elasticsearch_everything_else_goes_on(
    alice: Any, registry: Any, elasticsearch: UrlServer
) -> None:
    await alice.experiment()
    first = await alice.run(name="forest one")
    assert await runs(alice, "forest") == [first.id]
    elasticsearch.stop()
    second = await alice.run(name="forest two")
    away = f"the search index at {elasticsearch.url} does not answer"
    with pytest.raises(Unavailable, match=away):
        await runs(alice, "forest")
    assert len(await runs(alice, "")) == 2
    assert await models(alice, "") == []
    elasticsearch.start()
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                assert sorted(await runs(alice, "forest")) == sorted([first.id, second.id])
                return
            except Unavailable:
                await asyncio.sleep(0.2)
