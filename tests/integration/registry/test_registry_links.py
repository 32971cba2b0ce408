"""Links that show one thing to whoever has them: through gRPC, with and without a token of one's own."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from modelog_common.domain.errors import AlreadyExists, Forbidden, Invalid, NotFound
from modelog_common.rpc.client import connect
from modelog_proto.registry.v1 import experiment_pb2, model_pb2, workspace_pb2
from modelog_proto.registry.v1 import link_pb2 as pb
from modelog_proto.registry.v1.link_pb2_grpc import LinksStub
from modelog_proto.registry.v1.workspace_pb2_grpc import WorkspacesStub


def stamp(moment: datetime) -> Timestamp:
    found = Timestamp()
    found.FromDatetime(moment)
    return found


async def share(registry: Any, person: Any, days: float = 7, **named: Any) -> Any:
    expires = stamp(registry.clock.now() + timedelta(days=days))
    return await LinksStub(person.channel).CreateLink(pb.CreateLinkRequest(expires_at=expires, **named))


async def opened(registry: Any, token: str) -> Any:
    """By somebody without a token of their own."""
    channel = connect(registry.address, "")
    try:
        return await LinksStub(channel).OpenLink(pb.OpenLinkRequest(token=token))
    finally:
        await channel.close()


@pytest.fixture
async def things(alice: Any) -> dict[str, dict[str, str]]:
    """What alice may share, in a restricted workspace of hers."""
    spaces = WorkspacesStub(alice.channel)
    await spaces.CreateWorkspace(workspace_pb2.CreateWorkspaceRequest(workspace="fraud"))
    closed = workspace_pb2.WORKSPACE_ACCESS_RESTRICTED
    await spaces.UpdateWorkspace(workspace_pb2.UpdateWorkspaceRequest(workspace="fraud", access=closed))
    made = await alice.experiments.CreateExperiment(
        experiment_pb2.CreateExperimentRequest(name="delays", workspace="fraud")
    )
    run = await alice.run()
    point = experiment_pb2.MetricPoint(name="auc", value=0.7)
    await alice.experiments.LogRun(experiment_pb2.LogRunRequest(run_id=run.id, metrics=[point]))
    await alice.upload()
    await alice.models.RegisterModel(model_pb2.RegisterModelRequest(name="scores", workspace="fraud"))
    await alice.version("scores")
    return {
        "experiment": {"experiment_id": made.id},
        "run": {"run_id": run.id},
        "version": {"model": "scores", "version": "1.0.0"},
    }


async def test_whoever_has_a_link_sees_one_thing(registry: Any, alice: Any, things: Any) -> None:
    links = {what: await share(registry, alice, **named) for what, named in things.items()}
    shown = {what: await opened(registry, link.token) for what, link in links.items()}
    run_id = things["run"]["run_id"]
    assert (shown["experiment"].experiment.name, [r.id for r in shown["experiment"].runs]) == ("delays", [run_id])
    assert (shown["run"].run.id, dict(shown["run"].run.metrics), len(shown["run"].run.points)) == (
        run_id,
        {"auc": 0.7},
        1,
    )
    assert (shown["version"].version.model, shown["version"].version.version) == ("scores", "1.0.0")
    assert {(s.by, s.expires_at.seconds) for s in shown.values()} == {("alice", links["run"].link.expires_at.seconds)}
    assert not shown["run"].HasField("experiment")
    # A link is no membership: whoever is none sees the thing by it alone.
    eve = registry.person("eve", "developer")
    with pytest.raises(NotFound):
        await eve.experiments.GetRun(experiment_pb2.GetRunRequest(run_id=run_id))
    by_eve = pb.OpenLinkRequest(token=links["run"].token)
    assert (await LinksStub(eve.channel).OpenLink(by_eve)).run.id == run_id


async def test_a_link_ends_by_time_and_by_being_revoked(registry: Any, alice: Any, things: Any) -> None:
    first, second = [await share(registry, alice, days=d, **things["run"]) for d in (1, 2)]
    revoked = await LinksStub(alice.channel).RevokeLink(pb.RevokeLinkRequest(link_id=second.link.id))
    assert revoked.revoked_by == "alice"
    again = await LinksStub(alice.channel).RevokeLink(pb.RevokeLinkRequest(link_id=second.link.id))
    assert again.position == revoked.position
    bad = [
        second.token,
        first.link.id,
        f"{first.link.id}.guess",
        f"{second.link.id}.{first.token.partition('.')[2]}",
        "x",
    ]
    refusals = set()
    for token in bad:
        with pytest.raises(NotFound, match="this link shows nothing") as refused:
            await opened(registry, token)
        refusals.add(str(refused.value))
    assert len(refusals) == 1, "what is wrong with a link is not told"
    await opened(registry, first.token)
    registry.clock.advance(timedelta(days=1))
    with pytest.raises(NotFound, match="this link shows nothing"):
        await opened(registry, first.token)


async def test_the_log_holds_the_hash_of_the_secret_only(registry: Any, alice: Any, things: Any) -> None:
    made = await share(registry, alice, **things["version"], request_id="once")
    secret = made.token.partition(".")[2]
    assert len(secret) >= 43
    for file in registry.folder.rglob("*"):
        if file.is_file():
            assert secret.encode() not in file.read_bytes(), file
    with pytest.raises(AlreadyExists, match="its token is told once; make another"):
        await share(registry, alice, **things["version"], request_id="once")
    listed = await LinksStub(alice.channel).ListLinks(pb.ListLinksRequest(model="scores"))
    assert [link.id for link in listed.links] == [made.link.id]
    assert secret not in json.dumps([str(link) for link in listed.links])


async def test_who_may_write_there_makes_and_revokes_links(registry: Any, alice: Any, things: Any) -> None:
    made = await share(registry, alice, **things["run"])
    bob = registry.person("bob", "developer")
    links = LinksStub(bob.channel)
    revoke = pb.RevokeLinkRequest(link_id=made.link.id)
    with pytest.raises(NotFound, match="no run"):
        await share(registry, bob, **things["run"])
    with pytest.raises(NotFound, match="no link"):
        await links.RevokeLink(revoke)
    assert not (await links.ListLinks(pb.ListLinksRequest())).links
    spaces = WorkspacesStub(alice.channel)
    member = workspace_pb2.SetWorkspaceMemberRequest(workspace="fraud", user="bob", role="viewer")
    await spaces.SetWorkspaceMember(member)
    assert [link.id for link in (await links.ListLinks(pb.ListLinksRequest())).links] == [made.link.id]
    with pytest.raises(Forbidden, match="link.write"):
        await share(registry, bob, **things["run"])
    with pytest.raises(Forbidden, match="link.write"):
        await links.RevokeLink(revoke)
    member.role = "developer"
    await spaces.SetWorkspaceMember(member)
    assert (await links.RevokeLink(revoke)).revoked_by == "bob"


@pytest.mark.parametrize("days", [0, -1, 91])
async def test_a_link_is_good_for_a_while(registry: Any, alice: Any, things: Any, days: int) -> None:
    with pytest.raises(Invalid, match="after now, and within 90 days") as refused:
        await share(registry, alice, days=days, **things["run"])
    assert [v.field for v in refused.value.violations] == ["expires_at"]


async def test_a_link_shows_one_thing_that_is_there(registry: Any, alice: Any, things: Any) -> None:
    for named in ({}, {**things["run"], **things["experiment"]}, {"model": "scores"}):
        with pytest.raises(Invalid, match="name one thing"):
            await share(registry, alice, **named)
    with pytest.raises(NotFound, match="no run 'x'"):
        await share(registry, alice, run_id="x")
    with pytest.raises(NotFound, match="no link 'x'"):
        await LinksStub(alice.channel).RevokeLink(pb.RevokeLinkRequest(link_id="x"))
