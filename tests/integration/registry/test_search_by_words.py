"""Models and runs by words: what looking at each one would find, in that order, now and as of before."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from modelog_common.adapters import open_search
from modelog_common.domain.errors import Invalid
from modelog_common.stores.search.words import words_of
from modelog_proto.common.v1 import common_pb2 as common
from modelog_proto.registry.v1 import experiment_pb2 as pb
from modelog_proto.registry.v1 import model_pb2, search_pb2

WORDS = ("forest", "Forêt", "fore", "Größe", "漢字", "лес", "1.0.0", "a_b", "team", "x")


async def runs(person: Any, text: str, **fields: Any) -> list[str]:
    """The ids of a search, page by page."""
    request = pb.SearchRunsRequest(text=text, page=common.Page(size=7), **fields)
    found: list[str] = []
    while True:
        answer = await person.experiments.SearchRuns(request)
        found += [run.id for run in answer.runs]
        if not answer.next_page_token:
            return found
        request.page.token = answer.next_page_token


async def models(person: Any, text: str, **fields: Any) -> list[str]:
    answer = await person.models.SearchModels(model_pb2.SearchModelsRequest(text=text, **fields))
    return [model.name for model in answer.models]


def score(asked: list[str], title: str, everything: str) -> int:
    """How well it matches; 0 when it does not."""
    of_title, of_all, points = words_of(title), words_of(everything), 0
    for n, word in enumerate(asked):
        last = n == len(asked) - 1
        if not (word in of_all or (last and any(one.startswith(word) for one in of_all))):
            return 0
        begun = last and any(one.startswith(word) for one in of_title)
        points += 3 if word in of_title else 2 if begun else 1
    return points


def met(all_runs: list[Any], text: str) -> set[tuple[int, str]]:
    found = set()
    for run in all_runs:
        told = [run.name, *(f"{k} {v}" for k, v in run.tags.items()), *(f"{k} {v}" for k, v in run.parameters.items())]
        points = score(words_of(text), run.name, " ".join(told))
        if points:
            found.add((points, run.id))
    return found


async def test_words_find_what_looking_at_every_run_finds(alice: Any) -> None:
    dice, positions = Random(11), []
    one, _ = await alice.experiment("one"), await alice.experiment("two")
    for n in range(40):
        told = {k: " ".join(dice.sample(WORDS, 2)) for k in ("team", "note") if dice.random() < 0.6}
        run = await alice.run(
            dice.choice(["one", "two"]), name=" ".join(dice.sample(WORDS, 2)), tags=told,
            parameters={"kind": dice.choice(WORDS)},
        )  # fmt: skip
        positions.append(run.position)
        if n % 5 == 0:
            request = pb.SetRunTagsRequest(run_id=run.id, tags={"team": "renamed Wald"})
            positions.append((await alice.experiments.SetRunTags(request)).position)
    for at in (positions[-1], positions[len(positions) // 2]):
        read = common.ReadOptions(as_of=str(at))
        everything = pb.SearchRunsRequest(page=common.Page(size=100), read=read)
        all_runs = list((await alice.experiments.SearchRuns(everything)).runs)
        for _ in range(25):
            text = " ".join(dice.choice([w, w.upper(), w[:2]]) for w in dice.sample(WORDS, dice.choice([1, 1, 2])))
            wanted = met(all_runs, text)
            got = await runs(alice, text, read=read)
            assert set(got) == {run_id for _, run_id in wanted}, text
            points = {run_id: points for points, run_id in wanted}
            assert [points[run_id] for run_id in got] == sorted(points.values(), reverse=True), text
            in_one = await runs(alice, text, read=read, experiment_ids=[one.id])
            mine = {run.id for run in all_runs if run.experiment_id == one.id}
            assert in_one == [run_id for run_id in got if run_id in mine]
    by_name = search_pb2.Order(field=search_pb2.FIELD_ATTRIBUTE, key="run_name")
    ordered = await runs(alice, "forest", order_by=[by_name])
    assert sorted(ordered) == sorted(await runs(alice, "forest"))


async def test_models_are_found_by_their_words_now_and_as_of_before(alice: Any, bob: Any) -> None:
    await alice.models.RegisterModel(
        model_pb2.RegisterModelRequest(name="flight-delay", description="Verspätung der Flüge", tags={"team": "air"})
    )
    other = await alice.models.RegisterModel(model_pb2.RegisterModelRequest(name="delays", description="other"))
    await alice.upload()
    await alice.version("flight-delay", description="trained on données")
    assert await models(alice, "delay") == ["flight-delay", "delays"], "a whole word of the name comes first"
    assert await models(alice, "VERSPAT") == await models(bob, "donnees") == ["flight-delay"]
    assert await models(alice, "team air") == ["flight-delay"]
    assert await models(alice, "air delays") == []
    before = common.ReadOptions(as_of=str(other.position))
    assert await models(alice, "donnees", read=before) == []
    gone = await alice.models.DeleteModel(model_pb2.DeleteModelRequest(name="delays", reason="done"))
    assert await models(alice, "delay") == ["flight-delay"]
    assert await models(alice, "delay", read=before) == ["flight-delay", "delays"]
    assert gone.position > other.position
    with pytest.raises(Invalid, match="text: '---' holds no word"):
        await models(alice, "---")


async def test_the_view_and_the_tenant_hold_for_words_too(alice: Any, registry: Any) -> None:
    await alice.experiment()
    run = await alice.run(name="a quick forest")
    stranger = registry.person("eve", tenant="other")
    assert await runs(alice, "quick") == [run.id]
    assert await runs(stranger, "quick") == []
    await alice.experiments.DeleteRun(pb.DeleteRunRequest(run_id=run.id))
    assert await runs(alice, "quick") == []
    assert await runs(alice, "quick", view="VIEW_DELETED") == [run.id]


async def test_an_index_that_was_emptied_or_rebuilt_answers_as_before(
    alice: Any, registry: Any, once_more: Callable[..., Any]
) -> None:
    await alice.experiment()
    ids = [(await alice.run(name=f"forest {n}")).id for n in range(5)]
    before = await runs(alice, "forest")
    assert sorted(before) == sorted(ids)
    answer = await alice.admin.Rebuild(common.RebuildRequest(projections=["search"]))
    assert [p.error for p in answer.projections if p.name == "search"] == [""]
    assert await runs(alice, "forest") == before
    index = open_search(registry.settings, "registry")
    await index.drop()
    await index.close()
    last = await alice.run(name="forest too")
    assert sorted(await runs(alice, "forest")) == sorted([*ids, last.id])
