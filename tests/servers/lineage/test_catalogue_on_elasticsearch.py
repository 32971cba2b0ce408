"""The catalogue keeps its promises on Elasticsearch; while that is away, only searches say so, and it catches up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from lineage_support import Log, Person, Place, until
from modelog_common.domain.errors import Unavailable
from modelog_proto.lineage.v1 import lineage_pb2 as pb
from real_servers import UrlServer, started_again
from test_catalogue_search import *  # noqa: F403
from test_catalogue_search import ids, search


@pytest.fixture
def place(tmp_path: Path, fresh_broker: Any, elasticsearch: UrlServer) -> Iterator[Place]:
    """A lineage service with an index of this test's own."""
    address = f"{elasticsearch.url.replace('http', 'elasticsearch', 1)}/t-{uuid4().hex}"
    yield Place(tmp_path, kafka_bootstrap=fresh_broker.bootstrap, search=address)
    started_again(elasticsearch)


async def finds(person: Person, wanted: set[str]) -> None:
    """Wait until a search finds just these, and the status tells of no trouble."""

    async def is_so() -> bool:
        try:
            found = set(ids(await search(person)))
        except Unavailable:
            return False
        return found == wanted and (await person.projection("catalogue")).error == ""

    await until(is_so, f"the catalogue holds {wanted}", timeout_s=300)


@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_the_catalogue_catches_up_when_elasticsearch_is_back(
    place: Place, log: Log, fresh_broker: Any, elasticsearch: UrlServer, how: str
) -> None:
    await log.append("registry.model/ModelRegistered", "one", name="one", author="alice")
    async with place.running(), log.relayed(fresh_broker.bootstrap):
        alice = place.person()
        await finds(alice, {"Model:one"})
        getattr(elasticsearch, how)()
        away = f"the search index at {elasticsearch.url} does not answer"
        with pytest.raises(Unavailable, match=away):
            await search(alice, "one")
        last = await log.append("registry.model/ModelRegistered", "two", name="two", author="alice")
        assert (await alice.audit.ListEvents(pb.ListEventsRequest())).head == last

        async def told() -> bool:
            return away in (await alice.projection("catalogue")).error

        await until(told, "the status tells that the index is away")
        with pytest.raises(Unavailable, match=f"the catalogue is not up to date: {away}"):
            await search(alice, "two", at_least=last)
        elasticsearch.start()
        await finds(alice, {"Model:one", "Model:two"})


async def test_the_service_starts_while_elasticsearch_is_away(
    place: Place, log: Log, fresh_broker: Any, elasticsearch: UrlServer
) -> None:
    last = await log.append("registry.model/ModelRegistered", "one", name="one", author="alice")
    elasticsearch.stop()
    async with place.running(), log.relayed(fresh_broker.bootstrap):
        alice = place.person()
        with pytest.raises(Unavailable, match=f"the search index at {elasticsearch.url} does not answer"):
            await search(alice)
        assert (await alice.audit.ListEvents(pb.ListEventsRequest())).head == last
        elasticsearch.start()
        await finds(alice, {"Model:one"})
