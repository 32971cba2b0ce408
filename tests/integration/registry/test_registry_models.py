"""Models, versions, reviews and promotions through gRPC, by two people with tokens."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import pytest
from modelog_common.domain.errors import AlreadyExists, Forbidden, Invalid, NotAllowed, NotFound, Unauthenticated
from modelog_proto.common.v1 import common_pb2 as common
from modelog_proto.registry.v1 import model_pb2 as pb


@pytest.fixture
async def flight_delay(alice: Any) -> None:
    """The model flight-delay, by alice, and the file that its versions name."""
    await alice.upload()
    await alice.model()


async def test_from_registration_to_production(alice: Any, bob: Any, flight_delay: None) -> None:
    first = await alice.version(description="first", metrics={"auc": 0.69}, tags={"k": "v"})
    assert (first.version, first.stage, first.author) == ("1.0.0", pb.STAGE_DEVELOPMENT, "alice")
    assert (first.metrics["auc"], first.tags["k"], first.description) == (0.69, "v", "first")
    assert first.signature.inputs[0].columns == ["hour", "wind"]

    staged = await alice.promote("1.0.0", pb.STAGE_STAGING, reason="to be tried")
    assert staged.stage == pb.STAGE_STAGING
    with pytest.raises(NotAllowed, match=r"^flight-delay 1\.0\.0 needs an approval by someone other than alice$"):
        await alice.promote("1.0.0", pb.STAGE_PRODUCTION)
    with pytest.raises(NotAllowed, match=r"^alice registered flight-delay 1\.0\.0 and may not approve it; ask someone"):
        await alice.review("1.0.0")

    reviewed = await bob.review("1.0.0", evidence={"auc": [0.69, 0.71]}, comment="good")
    assert [(r.reviewer, r.decision, r.comment) for r in reviewed.reviews] == [
        ("bob", pb.REVIEW_DECISION_APPROVED, "good")
    ]
    assert reviewed.reviews[0].approval_id
    produced = await alice.promote("1.0.0", pb.STAGE_PRODUCTION)
    assert produced.stage == pb.STAGE_PRODUCTION
    assert first.position < staged.position < reviewed.position < produced.position

    again = await bob.promote("1.0.0", pb.STAGE_PRODUCTION)
    assert again == produced, "asking twice changes nothing"
    archived = await bob.promote("1.0.0", pb.STAGE_ARCHIVED)
    assert archived.stage == pb.STAGE_ARCHIVED
    with pytest.raises(NotAllowed, match="is archived, which is final"):
        await bob.promote("1.0.0", pb.STAGE_STAGING)


async def test_a_model_has_its_versions_newest_first(alice: Any, flight_delay: None) -> None:
    for _ in range(3):
        await alice.version()
    await alice.version(version="1.0.1")
    model = await alice.models.GetModel(pb.GetModelRequest(name="flight-delay"))
    assert [v.version for v in model.versions] == ["1.0.1", "1.2.0", "1.1.0", "1.0.0"]
    listed = await alice.models.ListModels(pb.ListModelsRequest())
    assert list(listed.models) == [model]
    versions = await alice.models.ListVersions(pb.ListVersionsRequest(model="flight-delay"))
    assert list(versions.versions) == list(model.versions)


async def test_versions_of_all_models_by_stage_and_page(alice: Any, flight_delay: None) -> None:
    await alice.model("other")
    for model in ("flight-delay", "other", "flight-delay"):
        await alice.version(model)
    await alice.promote("1.1.0", pb.STAGE_STAGING)
    staged = await alice.models.ListVersions(pb.ListVersionsRequest(stage=pb.STAGE_STAGING))
    assert [(v.model, v.version) for v in staged.versions] == [("flight-delay", "1.1.0")]

    first = await alice.models.ListVersions(pb.ListVersionsRequest(page=common.Page(size=2)))
    await alice.version("other")
    rest = await alice.models.ListVersions(
        pb.ListVersionsRequest(page=common.Page(size=2, token=first.next_page_token))
    )
    seen = {(v.model, v.version) for v in [*first.versions, *rest.versions]}
    assert seen == {("flight-delay", "1.0.0"), ("flight-delay", "1.1.0"), ("other", "1.0.0")}, "pages of one moment"
    assert not rest.next_page_token


async def test_the_same_request_registers_one_version(alice: Any, bob: Any, flight_delay: None) -> None:
    first = await alice.version(request_id="retry-1")
    await alice.version(request_id="retry-2")
    assert await alice.version(request_id="retry-1") == first
    assert (await bob.version(request_id="retry-1")).version == "1.2.0", "another person's request is another one"
    model = await alice.models.GetModel(pb.GetModelRequest(name="flight-delay"))
    assert len(model.versions) == 3


async def test_a_request_id_does_not_swallow_another_kind_of_request(alice: Any, bob: Any, flight_delay: None) -> None:
    await alice.version(request_id="1")
    reviewed = await bob.review("1.0.0", request_id="1")
    staged = await alice.promote("1.0.0", pb.STAGE_STAGING, request_id="1")
    assert (len(reviewed.reviews), staged.stage) == (1, pb.STAGE_STAGING)


async def test_a_version_keeps_its_content(alice: Any, bob: Any, flight_delay: None) -> None:
    first = await alice.version(version="1.0.0")
    assert await alice.version(version="1.0.0") == first
    with pytest.raises(AlreadyExists, match=r"flight-delay 1\.0\.0 exists already with other content"):
        await alice.version(version="1.0.0", flavor="sklearn")
    with pytest.raises(AlreadyExists, match="registered by alice"):
        await bob.version(version="1.0.0")


async def test_a_model_is_registered_once(alice: Any, bob: Any) -> None:
    made = await alice.models.RegisterModel(pb.RegisterModelRequest(name="m", description="d", tags={"a": "b"}))
    assert (made.author, made.description, made.tags["a"]) == ("alice", "d", "b")
    assert await bob.models.RegisterModel(pb.RegisterModelRequest(name="m", description="d", tags={"a": "b"})) == made
    with pytest.raises(AlreadyExists, match="model 'm' exists already"):
        await bob.models.RegisterModel(pb.RegisterModelRequest(name="m", description="e"))


async def test_what_does_not_exist_is_named(alice: Any, flight_delay: None) -> None:
    with pytest.raises(NotFound, match="no model 'nope'"):
        await alice.models.GetModel(pb.GetModelRequest(name="nope"))
    with pytest.raises(NotFound, match="no model 'nope'; register it first"):
        await alice.version("nope")
    with pytest.raises(NotFound, match=r"no version '9\.9\.9' of a model 'flight-delay'"):
        await alice.models.GetVersion(pb.GetVersionRequest(model="flight-delay", version="9.9.9"))
    with pytest.raises(NotFound, match=r"flight-delay has no version 9\.9\.9; it has none yet"):
        await alice.promote("9.9.9", pb.STAGE_STAGING)


@pytest.mark.parametrize(
    ("wrong", "field", "said"),
    [
        ({"run_id": "nope"}, "run_id", "there is no run 'nope'"),
        ({"datasets": [common.DatasetRef(dataset="nope", version=1)]}, "datasets[0]", "version 1 of a dataset 'nope'"),
        (
            {"artifact": pb.Artifact(path="m", digest="0" * 64, size_bytes=1)},
            "artifact.digest",
            "is not in the artifact store; upload it first",
        ),
        (
            {"artifact": pb.Artifact(path="m", digest=hashlib.sha256(b"a model").hexdigest(), size_bytes=1)},
            "artifact.size_bytes",
            "is 1; the stored file has 7 bytes",
        ),
        (
            {"artifact": pb.Artifact(path="../m", digest=hashlib.sha256(b"a model").hexdigest(), size_bytes=7)},
            "artifact.path",
            "holds '.' or '..'",
        ),
        ({"metrics": {"auc": float("nan")}}, "metrics['auc']", "must be finite"),
        ({"version": "1.0"}, "version", "a semantic version such as 1.2.3"),
        ({"signature": None}, "signature", "is missing"),
        ({"signature": pb.Signature()}, "signature.inputs", "is empty"),
        ({"flavor": ""}, "flavor", "is missing"),
    ],
)
async def test_a_wrong_version_is_refused_and_nothing_happens(
    alice: Any, flight_delay: None, registry: Any, wrong: dict[str, Any], field: str, said: str
) -> None:
    before = (await alice.admin.GetStatus(common.GetStatusRequest())).log_position
    with pytest.raises(Invalid, match=r".+") as refused:
        await alice.version(**wrong)
    assert [v.field for v in refused.value.violations] == [field]
    assert said in str(refused.value)
    assert (await alice.admin.GetStatus(common.GetStatusRequest())).log_position == before


async def test_an_unknown_stage_or_decision_is_refused(alice: Any, bob: Any, flight_delay: None) -> None:
    await alice.version()
    for stage in (0, 99):
        with pytest.raises(Invalid, match="stage"):
            await alice.promote("1.0.0", stage)
    for decision in (0, 99):
        with pytest.raises(Invalid, match="decision"):
            await bob.review("1.0.0", decision)
    with pytest.raises(Invalid, match="not a semantic version"):
        await alice.promote("one", pb.STAGE_STAGING)
    with pytest.raises(Invalid, match="evidence"):
        await bob.review("1.0.0", evidence={"auc": float("inf")})


async def test_permissions_come_from_the_token(registry: Any, alice: Any, flight_delay: None) -> None:
    await alice.version()
    developer, viewer = registry.person("dan", "developer"), registry.person("vera", "viewer")
    with pytest.raises(Forbidden, match=r"model\.review"):
        await developer.review("1.0.0")
    with pytest.raises(Forbidden, match=r"model\.write"):
        await viewer.model("another")
    assert (await viewer.models.GetModel(pb.GetModelRequest(name="flight-delay"))).name == "flight-delay"


async def test_without_a_token_there_is_no_answer(registry: Any) -> None:
    from modelog_common.rpc.client import connect
    from modelog_proto.registry.v1.model_pb2_grpc import ModelRegistryStub

    async with connect(registry.address, "") as channel:
        stub: Any = ModelRegistryStub(channel)
        with pytest.raises(Unauthenticated):
            await stub.ListModels(pb.ListModelsRequest())


async def test_tenants_do_not_see_each_other(registry: Any, alice: Any, flight_delay: None) -> None:
    await alice.version()
    eve = registry.person("eve", tenant="other")
    assert not (await eve.models.ListModels(pb.ListModelsRequest())).models
    assert not (await eve.models.ListVersions(pb.ListVersionsRequest())).versions
    with pytest.raises(NotFound):
        await eve.models.GetModel(pb.GetModelRequest(name="flight-delay"))
    with pytest.raises(NotFound):
        await eve.review("1.0.0")
    theirs = await eve.model()
    ours = await alice.models.GetModel(pb.GetModelRequest(name="flight-delay"))
    assert (theirs.id != ours.id, len(theirs.versions), len(ours.versions)) == (True, 0, 1)


async def test_two_people_promote_at_once(registry: Any, alice: Any, bob: Any, flight_delay: None) -> None:
    await alice.version()
    await bob.review("1.0.0")
    await alice.promote("1.0.0", pb.STAGE_STAGING)
    before = (await alice.admin.GetStatus(common.GetStatusRequest())).log_position
    answers = await asyncio.gather(*(p.promote("1.0.0", pb.STAGE_PRODUCTION) for p in [alice, bob] * 5))
    assert {a.stage for a in answers} == {pb.STAGE_PRODUCTION}
    assert len({a.position for a in answers}) == 1
    after = (await alice.admin.GetStatus(common.GetStatusRequest())).log_position
    assert after == before + 1, "ten requests, one promotion"


async def test_two_ways_at_once_end_in_one(alice: Any, bob: Any, flight_delay: None) -> None:
    await alice.version()
    answers = await asyncio.gather(
        alice.promote("1.0.0", pb.STAGE_STAGING), bob.promote("1.0.0", pb.STAGE_ARCHIVED), return_exceptions=True
    )
    version = await alice.models.GetVersion(pb.GetVersionRequest(model="flight-delay", version="1.0.0"))
    assert version.stage == pb.STAGE_ARCHIVED
    assert all(isinstance(a, NotAllowed | pb.ModelVersion) for a in answers)


async def test_versions_registered_at_once_differ(alice: Any, bob: Any, flight_delay: None) -> None:
    made = await asyncio.gather(*(p.version(metrics={"n": n}) for n, p in enumerate([alice, bob] * 10)))
    assert len({v.version for v in made}) == 20
    for n, version in enumerate(made):
        assert (version.metrics["n"], version.author) == (n, ["alice", "bob"][n % 2]), "everybody gets their own back"
