"""Aliases, tags, deletion, history and search of models through gRPC."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.struct_pb2 import Struct
from modelog_common.domain.errors import AlreadyExists, Conflict, Invalid, NotFound
from modelog_proto.common.v1 import common_pb2 as common
from modelog_proto.registry.v1 import model_pb2 as pb
from modelog_proto.registry.v1 import search_pb2 as search

NAME, CONTENT = "flight-delay", b"a model"


@pytest.fixture
async def two_versions(alice: Any) -> None:
    await alice.upload()
    await alice.model()
    for _ in range(2):
        await alice.version()


async def alias(person: Any, name: str, version: str, **fields: Any) -> Any:
    return await person.models.SetAlias(pb.SetAliasRequest(model=NAME, alias=name, version=version, **fields))


async def by_alias(person: Any, name: str, as_of: str = "") -> Any:
    read = common.ReadOptions(as_of=as_of)
    return await person.models.GetVersionByAlias(pb.GetVersionByAliasRequest(model=NAME, alias=name, read=read))


async def test_an_alias_moves_and_its_past_is_kept(alice: Any, two_versions: None) -> None:
    first = await alias(alice, "champion", "1.0.0")
    assert [(a.alias, a.version) for a in first.aliases] == [("champion", "1.0.0")]
    await alias(alice, "champion", "1.1.0")
    assert (await by_alias(alice, "champion")).version == "1.1.0"
    assert (await by_alias(alice, "champion", str(first.position))).version == "1.0.0"
    model = await alice.models.GetModel(pb.GetModelRequest(name=NAME))
    assert {v.version: list(v.aliases) for v in model.versions} == {"1.0.0": [], "1.1.0": ["champion"]}
    gone = await alice.models.DeleteAlias(pb.DeleteAliasRequest(model=NAME, alias="champion"))
    assert not gone.aliases
    with pytest.raises(NotFound, match=r"^model 'flight-delay' has no alias 'champion'; it has none$"):
        await by_alias(alice, "champion")


async def test_of_two_who_promote_at_once_one_is_told_who_was_first(
    alice: Any, bob: Any, two_versions: None, registry: Any
) -> None:
    registry.clock.advance(timedelta(minutes=5))
    known = {"expected_stage": pb.STAGE_DEVELOPMENT}
    answers = await asyncio.gather(
        alice.promote("1.0.0", pb.STAGE_STAGING, **known),
        bob.promote("1.0.0", pb.STAGE_ARCHIVED, **known),
        return_exceptions=True,
    )
    won = next(a for a in answers if isinstance(a, pb.ModelVersion))
    told = next(str(a) for a in answers if isinstance(a, Conflict))
    stage = {pb.STAGE_STAGING: "staging", pb.STAGE_ARCHIVED: "archived"}[won.stage]
    assert told == (
        f"flight-delay 1.0.0 is not in development any more but in {stage}; "
        f"{won.stage_by} moved it there at 2026-01-01 00:05:00 UTC"
    )


async def test_what_was_deleted_is_gone_now_and_there_as_of_then(alice: Any, two_versions: None) -> None:
    before = (await alice.models.GetModel(pb.GetModelRequest(name=NAME))).position
    deleted = await alice.models.DeleteVersion(pb.DeleteVersionRequest(model=NAME, version="1.0.0", reason="broken"))
    since = common.ReadOptions(at_least=deleted.position)
    with pytest.raises(NotFound, match=r"there is no version '1\.0\.0'"):
        await alice.models.GetVersion(pb.GetVersionRequest(model=NAME, version="1.0.0", read=since))
    with pytest.raises(AlreadyExists, match="a version is never used again"):
        await alice.version(version="1.0.0")
    deleted = await alice.models.DeleteModel(pb.DeleteModelRequest(name=NAME))
    with pytest.raises(NotFound, match="there is no model 'flight-delay'"):
        await alice.models.GetModel(pb.GetModelRequest(name=NAME, read=common.ReadOptions(at_least=deleted.position)))
    then = await alice.models.GetModel(pb.GetModelRequest(name=NAME, read=common.ReadOptions(as_of=str(before))))
    assert [v.version for v in then.versions] == ["1.1.0", "1.0.0"]

    again = await alice.model()
    assert (again.id, list(again.versions)) == (then.id, [])
    third = await alice.version()
    assert (third.version, third.number) == ("1.2.0", 3)


async def test_the_history_says_who_did_what_and_when(alice: Any, bob: Any, two_versions: None) -> None:
    await alice.promote("1.0.0", pb.STAGE_STAGING, reason="to be tried")
    await bob.review("1.0.0", comment="good")
    produced = await bob.promote("1.0.0", pb.STAGE_PRODUCTION)
    await alias(bob, "champion", "1.0.0")
    await alice.models.SetVersionTags(pb.SetVersionTagsRequest(model=NAME, version="1.0.0", tags={"a": "b"}))
    asked = pb.ListModelHistoryRequest(model=NAME, version="1.0.0")
    facts = list((await alice.models.ListModelHistory(asked)).facts)
    assert [(f.by, pb.FactKind.Name(f.kind).removeprefix("FACT_KIND_")) for f in facts] == [
        ("alice", "VERSION_REGISTERED"),
        ("alice", "VERSION_PROMOTED"),
        ("bob", "VERSION_REVIEWED"),
        ("bob", "VERSION_PROMOTED"),
        ("bob", "ALIAS_SET"),
        ("alice", "VERSION_TAGGED"),
    ]
    move = facts[3]
    assert (move.from_stage, move.to_stage, move.position) == (
        pb.STAGE_STAGING,
        pb.STAGE_PRODUCTION,
        produced.position,
    )
    assert move.approval_id == facts[2].approval_id != ""
    assert facts[1].reason == "to be tried"
    everything = (await alice.models.ListModelHistory(pb.ListModelHistoryRequest(model=NAME))).facts
    assert len(everything) == len(facts) + 2, "the model's registration and the other version's"
    with pytest.raises(NotFound, match="nothing ever happened to a model 'other'"):
        await alice.models.ListModelHistory(pb.ListModelHistoryRequest(model="other"))


async def test_a_version_keeps_all_that_it_was_registered_with(alice: Any, two_versions: None) -> None:
    artifacts = [
        pb.Artifact(path=path, digest=hashlib.sha256(CONTENT).hexdigest(), size_bytes=len(CONTENT))
        for path in ("model.ubj", "MLmodel")
    ]
    found = await alice.version(
        artifacts=artifacts,
        flavors={"python_function": plain(loader_module="mlflow.xgboost"), "xgboost": plain(xgb_version="3.2")},
        hyperparameters=plain(depth=6, eta=0.1),
        environment=pb.ModelEnvironment(python="3.11.9", packages={"numpy": "2.4"}),
        source="runs:/abc/model",
    )
    assert [a.path for a in found.artifacts] == ["model.ubj", "MLmodel"]
    assert found.flavors["xgboost"]["xgb_version"] == "3.2"
    assert (found.hyperparameters["depth"], found.environment.packages["numpy"]) == (6, "2.4")
    assert (found.source, found.number) == ("runs:/abc/model", 3)
    missing = pb.Artifact(path="x", digest="0" * 64, size_bytes=1)
    with pytest.raises(Invalid, match=r"artifacts\[2\]\.digest: .* is not in the artifact store"):
        await alice.version(artifacts=[*artifacts, missing])


def plain(**fields: Any) -> Struct:
    message = Struct()
    message.update(fields)
    return message


def attribute(key: str, comparison: str, **value: Any) -> Any:
    return search.Condition(
        field=search.FIELD_ATTRIBUTE, key=key, comparison=getattr(search, f"COMPARISON_{comparison}"), **value
    )


def tagged(key: str, comparison: str, **value: Any) -> Any:
    return search.Condition(
        field=search.FIELD_TAG, key=key, comparison=getattr(search, f"COMPARISON_{comparison}"), **value
    )


async def versions(person: Any, *conditions: Any, as_of: str = "") -> list[tuple[str, str]]:
    asked = pb.SearchVersionsRequest(conditions=conditions, read=common.ReadOptions(as_of=as_of))
    return [(v.model, v.version) for v in (await person.models.SearchVersions(asked)).versions]


async def models(person: Any, *conditions: Any, **fields: Any) -> list[str]:
    asked = pb.SearchModelsRequest(conditions=conditions, **fields)
    return [m.name for m in (await person.models.SearchModels(asked)).models]


async def counts(person: Any, *conditions: Any, **fields: Any) -> tuple[int, dict[str, list[tuple[str, str, int]]]]:
    answer = await person.models.CountModels(pb.CountModelsRequest(conditions=conditions, **fields))
    return answer.models, {f.name: [(c.key, c.value, c.models) for c in f.counts] for f in answer.facets}


async def test_models_are_counted_by_flavor_stage_type_and_tag(alice: Any, bob: Any, two_versions: None) -> None:
    for name, kind, tags in (
        ("empty", pb.MODEL_TYPE_UNSPECIFIED, {}),
        ("second", pb.MODEL_TYPE_SUPERVISED, {"team": "air", "x": "1"}),
        ("third", pb.MODEL_TYPE_SUPERVISED, {"team": "air"}),
    ):
        await bob.models.RegisterModel(pb.RegisterModelRequest(name=name, type=kind, tags=tags))
    await alice.promote("1.0.0", pb.STAGE_STAGING)
    total, before = await counts(alice)
    assert total == 4
    assert before["stage"] == [("", "development", 1), ("", "staging", 1)]
    assert [(value, models) for _, value, models in before["flavor"]] == [("xgboost", 1)]
    assert ("", "supervised", 2) in before["type"]
    assert ("team", "air", 2) in before["tag"]
    total, met = await counts(alice, tagged("x", "IS_NOT_NULL"))
    assert (total, met["stage"], met["tag"]) == (1, [], [("team", "air", 1), ("x", "1", 1)])
    total, met = await counts(alice, attribute("flavor", "EQUAL", text="xgboost"))
    assert (total, met["stage"]) == (1, before["stage"])
    few = await alice.models.CountModels(pb.CountModelsRequest(values=1))
    assert [(f.name, len(f.counts), f.more) for f in few.facets] == [
        ("flavor", 1, False), ("type", 1, False), ("stage", 1, True), ("tag", 1, True),
    ]  # fmt: skip
    position = (await bob.models.DeleteModel(pb.DeleteModelRequest(name="third"))).position
    assert (await counts(alice))[0] == 3
    assert await counts(alice, read=common.ReadOptions(as_of=str(position - 1))) == (4, before)


async def test_a_search_tells_the_newest_version_in_each_stage_and_those_with_an_alias(
    alice: Any, bob: Any, two_versions: None
) -> None:
    for _ in range(3):
        await alice.version()
    await bob.models.RegisterModel(pb.RegisterModelRequest(name="empty"))
    await alice.promote("1.0.0", pb.STAGE_STAGING)
    await alice.promote("1.1.0", pb.STAGE_STAGING)
    await alias(alice, "champion", "1.2.0")
    before = (await alias(alice, "newest", "1.4.0")).position
    await alice.promote("1.4.0", pb.STAGE_ARCHIVED)

    async def told(as_of: str = "") -> dict[str, list[str]]:
        read = common.ReadOptions(as_of=as_of)
        asked = pb.SearchModelsRequest(newest_versions_only=True, read=read)
        found = (await alice.models.SearchModels(asked)).models
        asked.encoded = True
        encoded = (await alice.models.SearchModels(asked)).encoded_models
        assert [pb.Model.FromString(model) for model in encoded] == list(found)
        return {model.name: [v.version for v in model.versions] for model in found}

    assert await told() == {"empty": [], NAME: ["1.4.0", "1.3.0", "1.2.0", "1.1.0"]}
    assert await told(str(before)) == {"empty": [], NAME: ["1.4.0", "1.2.0", "1.1.0"]}


async def test_models_and_versions_are_found_by_what_they_are(
    alice: Any, bob: Any, two_versions: None, registry: Any
) -> None:
    registry.clock.advance(timedelta(minutes=30))
    await bob.models.RegisterModel(pb.RegisterModelRequest(name="Flüge [1] 100%", type=pb.MODEL_TYPE_ENSEMBLE))
    await bob.version("Flüge [1] 100%", tags={"team": "Öl"})
    await alias(alice, "champion", "1.0.0")
    before = (await alice.promote("1.1.0", pb.STAGE_STAGING)).position
    await alice.models.SetModelTags(pb.SetModelTagsRequest(name=NAME, tags={"team": "air"}))
    last = await alice.models.SetVersionTags(pb.SetVersionTagsRequest(model=NAME, version="1.0.0", tags={"n": "a_b"}))

    assert await models(alice, attribute("name", "LIKE", text="F%")) == ["Flüge [1] 100%"]
    assert await models(alice, attribute("name", "ILIKE", text="f%")) == ["Flüge [1] 100%", NAME]
    assert await models(alice, attribute("name", "LIKE", text="%[1]%")) == ["Flüge [1] 100%"]
    assert await models(alice, attribute("type", "EQUAL", text="ensemble")) == ["Flüge [1] 100%"]
    assert await models(alice, attribute("stage", "EQUAL", text="staging")) == [NAME]
    assert await models(alice, attribute("alias", "IS_NULL")) == ["Flüge [1] 100%"]
    assert await models(alice, tagged("team", "EQUAL", text="air")) == [NAME]
    assert await models(alice, tagged("team", "IS_NULL")) == ["Flüge [1] 100%"]
    newest = search.Order(field=search.FIELD_ATTRIBUTE, key="creation_time", descending=True)
    assert await models(alice, order_by=[newest]) == ["Flüge [1] 100%", NAME]
    at_first_ms = 1767225600000
    assert await models(alice, attribute("creation_time", "LESS_OR_EQUAL", number=at_first_ms)) == [NAME]

    assert await versions(alice, attribute("alias", "EQUAL", text="champion")) == [(NAME, "1.0.0")]
    assert await versions(alice, attribute("stage", "EQUAL", text="staging")) == [(NAME, "1.1.0")]
    assert await versions(alice, attribute("author", "EQUAL", text="bob")) == [("Flüge [1] 100%", "1.0.0")]
    assert await versions(alice, tagged("team", "ILIKE", text="ö_")) == [("Flüge [1] 100%", "1.0.0")]
    assert await versions(alice, tagged("n", "LIKE", text="a_b")) == [(NAME, "1.0.0")]
    assert await versions(alice, tagged("n", "LIKE", text="a_b"), as_of=str(last.position - 1)) == []
    assert await versions(alice, attribute("stage", "IN", texts=["staging"]), as_of=str(before - 1)) == []
    both = [attribute("model", "EQUAL", text=NAME), attribute("number", "GREATER", number=1)]
    assert await versions(alice, *both) == [(NAME, "1.1.0")]
    assert await versions(alice, attribute("type", "EQUAL", text="ensemble")) == [("Flüge [1] 100%", "1.0.0")]


@pytest.mark.parametrize(
    ("condition", "field", "said"),
    [
        (attribute("colour", "EQUAL", text="x"), "conditions[0].key", "'colour' is not known; allowed: a tag, or one"),
        (attribute("name", "LESS", text="x"), "conditions[0].comparison", "LESS does not go with 'name'; allowed"),
        (attribute("creation_time", "LIKE", text="x"), "conditions[0].comparison", "LIKE does not go with"),
        (attribute("creation_time", "LESS", number=float("nan")), "conditions[0].number", "must be a finite number"),
    ],
)
async def test_a_search_that_cannot_be_says_why(
    alice: Any, two_versions: None, condition: Any, field: str, said: str
) -> None:
    with pytest.raises(Invalid) as refused:
        await models(alice, condition)
    assert [v.field for v in refused.value.violations] == [field]
    assert said in str(refused.value)
