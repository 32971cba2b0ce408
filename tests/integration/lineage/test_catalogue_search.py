"""The catalogue that the events of all services make, over a real broker and a real search index."""

from __future__ import annotations

from typing import Any

import pytest
from lineage_support import Log, Person, Place, tell_story, until
from modelog_common.adapters import open_search
from modelog_common.domain.errors import Invalid, Unavailable
from modelog_common.stores.search import SearchStore
from modelog_proto.common.v1 import common_pb2
from modelog_proto.lineage.v1 import lineage_pb2 as pb

VERSION = "ModelVersion:flight-delay/1.0.0"
CHALLENGER = "ModelVersion:flight-delay/1.1.0"


async def search(person: Person, text: str = "", **more: Any) -> pb.SearchCatalogueResponse:
    read = common_pb2.ReadOptions(as_of=str(more.pop("as_of", "")), at_least=more.pop("at_least", 0))
    page = common_pb2.Page(size=more.pop("size", 0), token=more.pop("token", ""))
    asked = pb.SearchCatalogueRequest(text=text, read=read, page=page, **more)
    answer: pb.SearchCatalogueResponse = await person.lineage.SearchCatalogue(asked)
    return answer


def ids(answer: pb.SearchCatalogueResponse) -> list[str]:
    return [entry.id for entry in answer.entries]


def index_of(place: Place) -> SearchStore:
    """The test's own way to the index of a service."""
    return open_search(place.settings, "lineage")


async def test_everything_with_a_name_is_found(
    place: Place, log: Log, story: dict[str, int], fresh_broker: Any
) -> None:
    async with place.running(), log.relayed(fresh_broker.bootstrap):
        alice = place.person()
        every = await search(alice, at_least=story["archived"], size=100)
        assert set(ids(every)) == {
            "DatasetVersion:flights/1", "DatasetVersion:flights/2", "Experiment:delays", "Run:r1", "Run:r2",
            "Model:flight-delay", VERSION, CHALLENGER, "Deployment:live", "Monitor:watch",
        }  # fmt: skip
        assert every.total == 10
        assert {f.name: f.count for f in every.kinds}["ModelVersion"] == 2
        assert ids(await search(alice, "flight delay", kinds=["ModelVersion"])) == [VERSION, CHALLENGER]
        production = await search(alice, tags=["stage=archived"])
        assert ids(production) == [VERSION]
        (entry,) = production.entries
        assert (entry.kind, entry.title, entry.since) == ("ModelVersion", "flight-delay 1.0.0", story["archived"])
        assert entry.tags["metric.auc"] == "0.73"
        assert ids(await search(alice, tags=["parameter.max_depth=6"])) == ["Run:r1"]
        assert ids(await search(alice, "delay 1.1.0", kinds=["ModelVersion"])) == [CHALLENGER]
        assert ids(await search(alice, "nothing like it")) == []


async def test_the_catalogue_answers_as_of_a_moment(
    place: Place, log: Log, story: dict[str, int], fresh_broker: Any
) -> None:
    async with place.running(), log.relayed(fresh_broker.bootstrap):
        alice = place.person()
        stages = {}
        for name in ("registered", "promoted", "archived"):
            found = await search(alice, kinds=["ModelVersion"], tags=["version=1.0.0"], as_of=story[name])
            stages[name] = [entry.tags["stage"] for entry in found.entries]
        at = (await log.recorded_at(story["promoted"])).isoformat()
        found = await search(alice, tags=["stage=production"], as_of=at)
        assert ids(found) == [VERSION]
        assert ids(await search(alice, "flight-delay", as_of=1)) == []
        with pytest.raises(Invalid, match=r"read.as_of: position 999 is in the future"):
            await search(alice, as_of=999)
    assert stages == {"registered": ["development"], "promoted": ["production"], "archived": ["archived"]}


async def test_later_pages_see_the_catalogue_of_the_first(place: Place, log: Log, fresh_broker: Any) -> None:
    for n in range(7):
        last = await log.append("registry.model/ModelRegistered", f"m{n}", name=f"m{n}", author="alice")
    async with place.running(), log.relayed(fresh_broker.bootstrap):
        alice = place.person()
        page = await search(alice, "m", at_least=last, size=3)
        more = await log.append("registry.model/ModelRegistered", "m-new", name="m-new", author="alice")
        assert (await search(alice, "m", at_least=more)).total == 8
        found = ids(page)
        while page.next_page_token:
            page = await search(alice, "m", size=3, token=page.next_page_token)
            assert page.total == 7
            found += ids(page)
    assert found == [f"Model:m{n}" for n in reversed(range(7))]


async def test_a_tenant_finds_only_what_is_its_own(place: Place, log: Log, fresh_broker: Any) -> None:
    await tell_story(log)
    mine = await log.append(
        "registry.model/ModelRegistered", "flight-delay", tenant="umbrella", name="flight-delay", author="eve"
    )
    async with place.running(), log.relayed(fresh_broker.bootstrap):
        eve = place.person("eve", "umbrella")
        found = await search(eve, at_least=mine)
        assert (ids(found), found.total) == (["Model:flight-delay"], 1)
        assert {f.name for f in found.tags} == {"author=eve", "status=registered"}
        assert "Model:flight-delay" in ids(await search(place.person(), "flight-delay"))
        assert ids(await search(place.person(), tags=["author=eve"])) == []


async def test_bad_searches_name_the_field(place: Place) -> None:
    async with place.running():
        alice = place.person()
        with pytest.raises(Invalid, match="kinds: 'Planet' is not in the catalogue; it has Model, ModelVersion"):
            await search(alice, kinds=["Planet"])
        with pytest.raises(Invalid, match="tags: 'stage' must look like name=value"):
            await search(alice, tags=["stage"])
        with pytest.raises(Invalid, match="tags: stage cannot be both 'a' and 'b'"):
            await search(alice, tags=["stage=a", "stage=b"])
        with pytest.raises(Invalid, match="text: '---' holds no word"):
            await search(alice, "---")
        with pytest.raises(Invalid, match="text: has 21 words; at most 20"):
            await search(alice, "a " * 21)
        for token in ("x", "5.x", "x.W10=", ".", "5."):
            with pytest.raises(Invalid, match=r"page.token: is not a token that an earlier answer gave"):
                await search(alice, token=token)


async def test_a_rebuilt_catalogue_answers_the_same(
    place: Place, log: Log, story: dict[str, int], fresh_broker: Any
) -> None:
    async def answers(person: Person) -> list[bytes]:
        asked = [await search(person, text, as_of=at) for text in ("", "flight", "alice") for at in range(1, 26, 4)]
        return [answer.SerializeToString(deterministic=True) for answer in asked]

    async with place.running(), log.relayed(fresh_broker.bootstrap):
        alice = place.person()
        await search(alice, at_least=story["archived"])
        before = await answers(alice)
        answer = await alice.admin.Rebuild(common_pb2.RebuildRequest(projections=["catalogue"]))
        told = next(p for p in answer.projections if p.name == "catalogue")
        assert (told.position, told.error) == (story["archived"], "")
        assert await answers(alice) == before


async def test_a_restarted_service_goes_on_where_the_index_stands(
    place: Place, log: Log, story: dict[str, int], fresh_broker: Any
) -> None:
    async with log.relayed(fresh_broker.bootstrap):
        async with place.running():
            before = await search(place.person(), at_least=story["archived"])
        last = await log.append("registry.model/ModelRegistered", "other", name="other", author="alice")
        async with place.running():
            found = await search(place.person(), at_least=last)
    assert ids(found) == ["Model:other", *ids(before)]


async def test_an_index_that_comes_back_empty_is_filled_again(
    place: Place, log: Log, story: dict[str, int], fresh_broker: Any
) -> None:
    async with place.running(), log.relayed(fresh_broker.bootstrap):
        alice = place.person()
        before = await search(alice, at_least=story["archived"])
        index = index_of(place)
        await index.drop()
        await index.close()

        async def same_again() -> bool:
            try:
                return bool(await search(alice) == before)
            except Unavailable:  # a server may need a moment to make a new index ready
                return False

        await until(same_again, "the index was filled again")


async def test_the_catalogue_goes_on_without_the_graph(tmp_path: Any, log: Log, fresh_broker: Any) -> None:
    """Each store answers for itself: here no graph was configured."""
    place = Place(tmp_path, kafka_bootstrap=fresh_broker.bootstrap)
    last = await log.append("registry.model/ModelRegistered", "one", name="one", author="alice")
    async with place.running(), log.relayed(fresh_broker.bootstrap):
        assert ids(await search(place.person(), at_least=last)) == ["Model:one"]


async def test_without_a_broker_the_catalogue_says_what_to_set(bare: Place) -> None:
    async with bare.running():
        with pytest.raises(Unavailable, match="this service has no catalogue: set MODELOG_KAFKA_BOOTSTRAP"):
            await search(bare.person())
