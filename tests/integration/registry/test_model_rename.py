"""A model that gets another name, through gRPC: all that is known of it goes along, and the past stays as it was."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from modelog_common.domain.errors import AlreadyExists, Invalid, NotFound
from modelog_common.rpc.client import connect
from modelog_proto.common.v1 import common_pb2 as common
from modelog_proto.registry.v1 import (
    card_pb2,
    change_pb2,
    link_pb2,
    policy_pb2,
    retire_pb2,
    sign_pb2,
    sla_pb2,
    workspace_pb2,
)
from modelog_proto.registry.v1 import model_pb2 as pb
from modelog_proto.registry.v1 import search_pb2 as search
from modelog_proto.registry.v1.card_pb2_grpc import ModelCardsStub
from modelog_proto.registry.v1.change_pb2_grpc import ChangeRequestsStub
from modelog_proto.registry.v1.link_pb2_grpc import LinksStub
from modelog_proto.registry.v1.policy_pb2_grpc import PromotionPoliciesStub
from modelog_proto.registry.v1.retire_pb2_grpc import RetirementsStub
from modelog_proto.registry.v1.sign_pb2_grpc import ModelSignaturesStub
from modelog_proto.registry.v1.sla_pb2_grpc import ModelSlasStub
from modelog_proto.registry.v1.workspace_pb2_grpc import WorkspacesStub
from modelog_registry.events import EVENTS
from modelog_registry.handle.names import first_id

OLD, NEW = "flight-delay", "задержки"


def as_of(position: int) -> Any:
    return common.ReadOptions(as_of=str(position))


async def rename(person: Any, old: str = OLD, new: str = NEW, **fields: Any) -> Any:
    return await person.models.RenameModel(pb.RenameModelRequest(name=old, new_name=new, **fields))


async def get(person: Any, name: str, at: int = 0) -> Any:
    read = as_of(at) if at else common.ReadOptions()
    return await person.models.GetModel(pb.GetModelRequest(name=name, read=read))


async def missing(person: Any, name: str, at: int = 0) -> None:
    with pytest.raises(NotFound, match=f"there is no model '{name}'"):
        await get(person, name, at)


@pytest.fixture
async def made(alice: Any) -> Any:
    """A model with two versions, an alias and tags."""
    await alice.upload()
    await alice.models.RegisterModel(pb.RegisterModelRequest(name=OLD, description="late?", tags={"team": "air"}))
    await alice.version(tags={"checked": "yes"})
    await alice.version()
    return await alice.models.SetAlias(pb.SetAliasRequest(model=OLD, alias="champion", version="1.0.0"))


async def test_a_model_keeps_its_id_its_versions_and_its_past(alice: Any, made: Any) -> None:
    after = await rename(alice)
    assert (after.id, after.name, after.description, dict(after.tags)) == (made.id, NEW, "late?", {"team": "air"})
    assert [(v.model, v.version, list(v.aliases)) for v in after.versions] == [
        (NEW, "1.1.0", []),
        (NEW, "1.0.0", ["champion"]),
    ]
    await missing(alice, OLD)
    before = await get(alice, OLD, made.position)
    assert (before.name, {v.model for v in before.versions}) == (OLD, {OLD})
    await missing(alice, NEW, made.position)
    facts = (await alice.models.ListModelHistory(pb.ListModelHistoryRequest(model=NEW))).facts
    assert [f.kind for f in facts] == [
        pb.FACT_KIND_MODEL_REGISTERED,
        pb.FACT_KIND_VERSION_REGISTERED,
        pb.FACT_KIND_VERSION_REGISTERED,
        pb.FACT_KIND_ALIAS_SET,
        pb.FACT_KIND_MODEL_RENAMED,
    ]
    assert (facts[-1].by, facts[-1].reason) == ("alice", f"from {OLD} to {NEW}")
    by_alias = pb.GetVersionByAliasRequest(model=NEW, alias="champion")
    assert (await alice.models.GetVersionByAlias(by_alias)).version == "1.0.0"
    assert (await alice.version(NEW)).number == 3
    with pytest.raises(NotFound, match="there is no model 'flight-delay'; register it first"):
        await alice.version(OLD)


async def test_a_search_finds_it_by_its_new_name_only(alice: Any, made: Any) -> None:
    async def found(**fields: Any) -> list[str]:
        return [m.name for m in (await alice.models.SearchModels(pb.SearchModelsRequest(**fields))).models]

    assert await found(text="flight") == [OLD]
    after = await rename(alice)
    like = {"field": search.FIELD_ATTRIBUTE, "comparison": search.COMPARISON_ILIKE}
    tag = {"field": search.FIELD_TAG, "comparison": search.COMPARISON_EQUAL}
    assert await found(conditions=[search.Condition(key="name", text="ЗАДЕРЖ%", **like)]) == [NEW]
    assert await found(conditions=[search.Condition(key="team", text="air", **tag)]) == [NEW]
    alias = search.Condition(key="alias", text="champion", **{**like, "comparison": search.COMPARISON_EQUAL})
    assert await found(conditions=[alias]) == [NEW]
    assert await found(text="задержки late") == [NEW]
    assert await found(text="flight") == []
    for text, models in (("задержки", 1), ("flight", 0)):
        assert (await alice.models.CountModels(pb.CountModelsRequest(text=text))).models == models
    assert await found(text="flight", read=as_of(after.position - 1)) == [OLD]
    checked = pb.SearchVersionsRequest(conditions=[search.Condition(key="checked", text="yes", **tag)])
    assert [(v.model, v.version) for v in (await alice.models.SearchVersions(checked)).versions] == [(NEW, "1.0.0")]
    assert (await alice.models.CountModels(pb.CountModelsRequest())).models == 1


async def test_a_name_that_was_let_go_is_another_models(alice: Any, bob: Any, made: Any) -> None:
    await rename(alice)
    other = await bob.model(OLD)
    assert other.id != made.id
    assert not other.versions
    assert (await bob.version(OLD)).number == 1
    assert {m.name for m in (await alice.models.ListModels(pb.ListModelsRequest())).models} == {OLD, NEW}
    assert (await get(alice, OLD, made.position)).id == made.id
    assert len((await bob.models.ListModelHistory(pb.ListModelHistoryRequest(model=OLD))).facts) == 2
    with pytest.raises(AlreadyExists, match=f"there is another model called '{OLD}'; take another name"):
        await rename(alice, NEW, OLD)
    await rename(bob, OLD, "other")
    assert (await rename(alice, NEW, OLD)).id == made.id


async def test_a_name_belongs_to_one_model_of_many_who_want_it(alice: Any, bob: Any) -> None:
    """Three are renamed to it, and two register it."""
    for name in "abc":
        await alice.model(name)
    request = pb.RegisterModelRequest(name="wanted", must_be_new=True)
    wanted = [rename(alice, name, "wanted") for name in "abc"]
    wanted += [person.models.RegisterModel(request) for person in (alice, bob)]
    answers = await asyncio.gather(*wanted, return_exceptions=True)
    assert sum(isinstance(a, pb.Model) for a in answers) == 1, answers
    assert sum(isinstance(a, AlreadyExists) for a in answers) == 4, answers
    names = [m.name for m in (await alice.models.ListModels(pb.ListModelsRequest())).models]
    assert names.count("wanted") == 1


async def test_renaming_again_is_answered_as_before(alice: Any, bob: Any, made: Any) -> None:
    """Also when another model has the old name by then."""
    first = await rename(alice, request_id="r-1")
    other = await bob.model(OLD)
    assert await rename(alice, request_id="r-1") == first
    assert (await get(bob, OLD)).id == other.id
    assert await rename(alice, NEW, NEW) == first


async def test_what_cannot_be_is_refused_by_name(alice: Any, made: Any) -> None:
    with pytest.raises(NotFound, match="there is no model 'nothing'"):
        await rename(alice, "nothing")
    for bad in ("a/b", " a", "..", ""):
        with pytest.raises(Invalid) as refused:
            await rename(alice, OLD, bad)
        assert refused.value.violations[0].field == "new_name"
    await alice.model("gone")
    await alice.models.DeleteModel(pb.DeleteModelRequest(name="gone"))
    with pytest.raises(AlreadyExists, match=r"the name 'gone' is that of a model that is deleted \(alice deleted it"):
        await rename(alice, OLD, "gone")
    assert (await get(alice, OLD)).id == made.id


async def test_what_hangs_on_a_model_goes_along(alice: Any, made: Any, registry: Any) -> None:
    """Change request, card, signature, targets, promotion, retirement and link, each asked of by the new name."""
    asked = change_pb2.OpenChangeRequestRequest(
        model=OLD, version="1.0.0", title="Try it", to_stage=pb.STAGE_STAGING, risk=change_pb2.RISK_LOW,
        risk_reasons=["small"],
    )  # fmt: skip
    await ChangeRequestsStub(alice.channel).OpenChangeRequest(asked)
    written = card_pb2.EditModelCardRequest(model=OLD, version="1.0.0", parts=card_pb2.CardParts(overview="late?"))
    await ModelCardsStub(alice.channel).EditModelCard(written)
    file = pb.Artifact(path="s.json", digest=(await alice.upload(b"signed")).digest, size_bytes=6)
    signed = sign_pb2.AddModelSignatureRequest(model=OLD, version="1.0.0", key="a" * 64, signature=file, files=[file])
    await ModelSignaturesStub(alice.channel).AddModelSignature(signed)
    targets = sla_pb2.SlaTargets(latency_p99_ms=20)
    await ModelSlasStub(alice.channel).SetModelSla(sla_pb2.SetModelSlaRequest(model=OLD, targets=targets))
    await alice.promote("1.1.0", pb.STAGE_STAGING)
    rule = retire_pb2.RetirementRule(
        stage=pb.STAGE_STAGING, condition=retire_pb2.RETIREMENT_CONDITION_UNUSED, after_days=30, announce_days=7
    )
    rules = retire_pb2.SetRetirementPolicyRequest(rules=[rule])
    await RetirementsStub(alice.channel).SetRetirementPolicy(rules)
    registry.clock.advance(timedelta(days=31))
    # The token of before has expired.
    alice = registry.person("alice")
    changes, cards, links = (stub(alice.channel) for stub in (ChangeRequestsStub, ModelCardsStub, LinksStub))
    signatures, slas = ModelSignaturesStub(alice.channel), ModelSlasStub(alice.channel)
    retirements, policies = RetirementsStub(alice.channel), PromotionPoliciesStub(alice.channel)
    assert (await retirements.CheckRetirements(retire_pb2.CheckRetirementsRequest(request_id="r"))).changed == 1
    expires = Timestamp()
    expires.FromDatetime(registry.clock.now() + timedelta(days=7))
    link = await links.CreateLink(link_pb2.CreateLinkRequest(model=OLD, version="1.0.0", expires_at=expires))

    await rename(alice)

    found = await changes.GetChangeRequest(change_pb2.GetChangeRequestRequest(model=NEW, number=1))
    assert (found.model, found.title) == (NEW, "Try it")
    listed = await changes.ListChangeRequests(change_pb2.ListChangeRequestsRequest(model=NEW))
    assert [c.number for c in listed.changes] == [1]
    card = await cards.GetModelCard(card_pb2.GetModelCardRequest(model=NEW, version="1.0.0"))
    assert (card.model, card.parts.overview) == (NEW, "late?")
    bom = await cards.GetModelBom(card_pb2.GetModelBomRequest(model=NEW, version="1.0.0"))
    assert json.loads(bom.json)["metadata"]["component"]["name"] == NEW
    given = await signatures.ListModelSignatures(sign_pb2.ListModelSignaturesRequest(model=NEW, version="1.0.0"))
    assert [s.model for s in given.signatures] == [OLD], "it was said of the name of then"
    promised = await slas.GetModelSla(sla_pb2.GetModelSlaRequest(model=NEW))
    assert promised.targets == targets
    assert (await slas.SetModelSla(sla_pb2.SetModelSlaRequest(model=NEW, targets=sla_pb2.SlaTargets()))).version == 2
    due = await retirements.ListRetirements(retire_pb2.ListRetirementsRequest(model=NEW))
    assert [(r.model, r.version) for r in due.retirements] == [(NEW, "1.1.0")]
    kept = retire_pb2.ObjectToRetirementRequest(model=NEW, version="1.1.0", reason="needed")
    assert (await retirements.ObjectToRetirement(kept)).model == NEW
    replayed = await policies.ReplayPromotions(policy_pb2.ReplayPromotionsRequest(rules=policy_pb2.PromotionRules()))
    assert replayed.considered == 1
    assert [n.id for n in (await links.ListLinks(link_pb2.ListLinksRequest(model=NEW))).links] == [link.link.id]
    channel = connect(registry.address, "")
    shown = await LinksStub(channel).OpenLink(link_pb2.OpenLinkRequest(token=link.token))
    await channel.close()
    assert (shown.version.model, shown.version.version) == (NEW, "1.0.0")


async def test_read_tables_that_are_built_again_say_the_same(registry: Any, alice: Any, made: Any) -> None:
    await rename(alice)
    other = await alice.model(OLD)
    before = [await get(alice, NEW), await get(alice, OLD), await get(alice, OLD, made.position)]
    await registry.person("root", "admin").admin.Rebuild(common.RebuildRequest())
    after = [await get(alice, NEW), await get(alice, OLD), await get(alice, OLD, made.position)]
    assert after == before
    assert after[1].id == other.id


async def test_neither_name_of_a_hidden_model_shows_it(registry: Any) -> None:
    """Not the old one as of then, not the events of a name, and not to the services that know it by its old name."""
    alice, carol = registry.person("alice", "developer"), registry.person("carol", "developer")
    spaces = WorkspacesStub(alice.channel)
    await spaces.CreateWorkspace(workspace_pb2.CreateWorkspaceRequest(workspace="fraud"))
    closed = workspace_pb2.WORKSPACE_ACCESS_RESTRICTED
    await spaces.UpdateWorkspace(workspace_pb2.UpdateWorkspaceRequest(workspace="fraud", access=closed))
    before = await alice.models.RegisterModel(pb.RegisterModelRequest(name=OLD, workspace="fraud"))
    await rename(alice)
    await missing(carol, NEW)
    await missing(carol, OLD)
    await missing(carol, OLD, before.position)
    with pytest.raises(AlreadyExists, match=f"the name '{NEW}' is taken in this tenant"):
        await carol.models.RenameModel(pb.RenameModelRequest(name=(await carol.model("mine")).name, new_name=NEW))
    things = [f"model:{NEW}", f"model:{OLD}", f"version:{OLD}/1.0.0", "model:mine"]
    asked = workspace_pb2.FindHiddenRequest(things=things)
    assert list((await WorkspacesStub(carol.channel).FindHidden(asked)).hidden) == things[:3]
    assert (await carol.model(OLD)).id != before.id
    await get(carol, OLD)
    await missing(carol, OLD, before.position)


def test_a_link_of_before_there_were_renames_knows_its_model_by_id() -> None:
    shared = {"experiment_id": "", "run_id": "", "model": OLD, "version": "1.0.0"}
    made = {
        "link_id": "l", "tenant": "acme", "shared": shared, "secret_sha256": "a" * 64,
        "expires_at": "2026-01-02T00:00:00Z", "by": "alice", "at": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    assert EVENTS.decode("registry.LinkMade", 1, json.dumps(made).encode()).shared.model_id == first_id("acme", OLD)
