"""Model cards through gRPC: filled, written, as of a moment, and as evidence of a change request."""

from __future__ import annotations

import json
from typing import Any

import pytest
from modelog_common.domain.errors import Forbidden, Invalid, NotFound
from modelog_proto.common.v1 import common_pb2 as common
from modelog_proto.registry.v1 import card_pb2 as pb
from modelog_proto.registry.v1 import change_pb2, experiment_pb2, model_pb2
from modelog_proto.registry.v1.card_pb2_grpc import ModelCardsStub
from modelog_proto.registry.v1.change_pb2_grpc import ChangeRequestsStub

NAME = "flight-delay"


def cards(person: Any) -> Any:
    return ModelCardsStub(person.channel)


async def get(person: Any, as_of: str = "", version: str = "1.0.0") -> Any:
    read = common.ReadOptions(as_of=as_of)
    return await cards(person).GetModelCard(pb.GetModelCardRequest(model=NAME, version=version, read=read))


async def write(person: Any, cleared: tuple[str, ...] = (), **parts: Any) -> Any:
    return await cards(person).EditModelCard(
        pb.EditModelCardRequest(model=NAME, version="1.0.0", parts=pb.CardParts(**parts), cleared=cleared)
    )


@pytest.fixture
async def trained(alice: Any) -> Any:
    """flight-delay 1.0.0, made by a run that told a curve."""
    await alice.upload()
    await alice.model()
    await alice.experiment()
    run = await alice.run(parameters={"depth": 3})
    points = [experiment_pb2.MetricPoint(name="loss", step=n, value=1 / (n + 1)) for n in range(5)]
    await alice.experiments.LogRun(experiment_pb2.LogRunRequest(run_id=run.id, metrics=points))
    return await alice.version(
        run_id=run.id, metrics={"auc": 0.7, "auc_lower": 0.6, "auc_upper": 0.8}, description="The first"
    )


async def test_a_card_is_filled_and_written_and_keeps_its_past(alice: Any, bob: Any, trained: Any) -> None:
    first = await get(bob)
    assert first.card["model_details"]["overview"] == "The first"
    assert list(first.missing) == ["licenses", "use_cases", "limitations", "ethical_considerations"]
    written = await write(alice, limitations=["no **snow** in it"], licenses=[pb.CardLicense(identifier="MIT")])
    assert (written.edited_by, list(written.missing)) == ("alice", ["use_cases", "ethical_considerations"])
    assert written.digest != first.digest
    assert await get(bob, str(written.position - 1)) == first
    assert await get(bob, str(written.position)) == written == await get(bob)
    cleared = await write(bob, cleared=("licenses",), overview="Late?")
    assert cleared.card["considerations"]["limitations"][0]["description"] == "no **snow** in it"
    assert "licenses" in cleared.missing
    facts = await alice.models.ListModelHistory(model_pb2.ListModelHistoryRequest(model=NAME, version="1.0.0"))
    assert (facts.facts[-1].kind, facts.facts[-1].by, facts.facts[-1].reason) == (
        model_pb2.FACT_KIND_CARD_EDITED,
        "bob",
        "overview, licenses",
    )


async def test_a_card_is_a_page_with_the_curves_of_the_run(alice: Any, trained: Any) -> None:
    await write(alice, limitations=["no **snow** in it"])
    page = await cards(alice).RenderModelCard(pb.RenderModelCardRequest(model=NAME, version="1.0.0"))
    assert "<strong>snow</strong>" in page.html
    assert "loss over 5 steps: from 1 to 0.2" in page.html
    assert "auc 0.7, interval 0.6 to 0.8" in page.html
    assert "- no **snow** in it" in page.markdown
    assert page.digest == (await get(alice)).digest


async def test_a_bill_of_materials_is_the_same_as_of_its_moment(alice: Any, trained: Any) -> None:
    async def bom(as_of: str = "") -> Any:
        read = common.ReadOptions(as_of=as_of)
        return await cards(alice).GetModelBom(pb.GetModelBomRequest(model=NAME, version="1.0.0", read=read))

    first = await bom()
    assert json.loads(first.json)["metadata"]["component"]["name"] == NAME
    await write(alice, limitations=["snow"])
    assert (await bom()).digest != first.digest
    assert await bom(str(first.position)) == first


async def test_a_card_is_evidence(alice: Any, trained: Any) -> None:
    evidence = change_pb2.EvidenceInput(name="card", kind=change_pb2.EVIDENCE_KIND_MODEL_CARD, link=f"{NAME}/1.0.0")
    opened = await ChangeRequestsStub(alice.channel).OpenChangeRequest(
        change_pb2.OpenChangeRequestRequest(
            model=NAME, version="1.0.0", title="Try", to_stage=model_pb2.STAGE_STAGING, risk=change_pb2.RISK_LOW,
            risk_reasons=["small"], evidence=[evidence],
        )
    )  # fmt: skip
    await write(alice, limitations=["snow"])
    seen = opened.evidence[0]
    assert seen.digest == (await get(alice, str(seen.position))).digest != (await get(alice)).digest


async def test_who_may_not_write_and_what_is_not_there(alice: Any, trained: Any, registry: Any) -> None:
    with pytest.raises(Forbidden):
        await write(registry.person("eve", "viewer"), overview="x")
    with pytest.raises(NotFound, match="there is no version '9.0.0' of a model 'flight-delay'"):
        await get(alice, version="9.0.0")
    with pytest.raises(NotFound):
        await get(registry.person("eve", tenant="other"))
    with pytest.raises(Invalid, match=r"parts\.licenses\[0\]"):
        await write(alice, licenses=[pb.CardLicense()])
