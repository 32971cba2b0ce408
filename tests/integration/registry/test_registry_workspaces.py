"""Workspaces, projects, and where experiments and models are: through gRPC."""

from __future__ import annotations

from typing import Any

import pytest
from modelog_common.domain.errors import AlreadyExists, Forbidden, Invalid, NotAllowed, NotFound
from modelog_proto.common.v1 import common_pb2 as common
from modelog_proto.registry.v1 import experiment_pb2, model_pb2
from modelog_proto.registry.v1 import workspace_pb2 as pb
from modelog_proto.registry.v1.workspace_pb2_grpc import WorkspacesStub


def spaces(person: Any) -> Any:
    return WorkspacesStub(person.channel)


async def made(person: Any, name: str = "fraud", *projects: str) -> Any:
    """A workspace of this person's with projects."""
    found = await spaces(person).CreateWorkspace(pb.CreateWorkspaceRequest(workspace=name))
    for project in projects:
        asked = pb.CreateProjectRequest(workspace=name, project=project)
        found = await spaces(person).CreateProject(asked)
    return found


async def experiment(person: Any, name: str, **place: str) -> Any:
    request = experiment_pb2.CreateExperimentRequest(name=name, **place)
    return await person.experiments.CreateExperiment(request)


async def model(person: Any, name: str, **place: str) -> Any:
    return await person.models.RegisterModel(model_pb2.RegisterModelRequest(name=name, **place))


async def listed(person: Any, as_of: str = "", **place: str) -> tuple[list[str], list[str]]:
    """The names of the experiments and of the models that are somewhere, as lists and as searches give them."""
    read = common.ReadOptions(as_of=as_of)
    listing = experiment_pb2.ListExperimentsRequest(read=read, **place)
    experiments = [e.name for e in (await person.experiments.ListExperiments(listing)).experiments]
    search = experiment_pb2.SearchExperimentsRequest(read=read, **place)
    assert [e.name for e in (await person.experiments.SearchExperiments(search)).experiments] == experiments
    models = [m.name for m in (await person.models.ListModels(model_pb2.ListModelsRequest(read=read, **place))).models]
    found = await person.models.SearchModels(model_pb2.SearchModelsRequest(read=read, **place))
    assert [m.name for m in found.models] == models
    return experiments, models


async def test_default_is_there_for_everybody_and_others_are_made(alice: Any) -> None:
    (first,) = (await spaces(alice).ListWorkspaces(pb.ListWorkspacesRequest())).workspaces
    assert (first.name, [p.name for p in first.projects], first.HasField("created_at")) == (
        "default",
        ["default"],
        False,
    )
    found = await made(alice, "fraud", "cards")
    assert (found.author, [(m.user, m.role) for m in found.members]) == ("alice", [("alice", "admin")])
    assert [p.name for p in found.projects] == ["cards", "default"]
    with pytest.raises(AlreadyExists, match="a workspace 'fraud' already"):
        await made(alice)
    told = await spaces(alice).UpdateWorkspace(pb.UpdateWorkspaceRequest(workspace="fraud", description="cards only"))
    before = pb.GetWorkspaceRequest(workspace="fraud", read=common.ReadOptions(as_of=str(found.position)))
    assert ((await spaces(alice).GetWorkspace(before)), told.description) == (found, "cards only")
    with pytest.raises(NotFound, match="no workspace 'frauds'"):
        await spaces(alice).GetWorkspace(pb.GetWorkspaceRequest(workspace="frauds"))


async def test_experiments_and_models_are_in_a_project(alice: Any) -> None:
    await made(alice, "fraud", "cards")
    plain = await alice.experiment("plain")
    assert (plain.workspace, plain.project) == ("default", "default")
    in_cards = await experiment(alice, "in-cards", workspace="fraud", project="cards")
    assert (in_cards.workspace, in_cards.project) == ("fraud", "cards")
    await model(alice, "scores", workspace="fraud")
    await model(alice, "other")
    assert await listed(alice) == (["in-cards", "plain"], ["other", "scores"])
    assert await listed(alice, workspace="fraud") == (["in-cards"], ["scores"])
    assert await listed(alice, workspace="fraud", project="cards") == (["in-cards"], [])
    assert await listed(alice, workspace="default", project="default") == (["plain"], ["other"])
    assert await listed(alice, workspace="nowhere") == ([], [])


@pytest.mark.parametrize(
    ("place", "field"),
    [({"workspace": "none"}, "workspace"), ({"project": "none"}, "project")],
)
async def test_a_place_that_is_not_there_is_named(alice: Any, place: dict[str, str], field: str) -> None:
    for make in (experiment, model):
        with pytest.raises(Invalid, match="'none'") as refused:
            await make(alice, "x", **place)
        assert [v.field for v in refused.value.violations] == [field]
    with pytest.raises(Invalid, match="without its workspace"):
        await alice.experiments.ListExperiments(experiment_pb2.ListExperimentsRequest(project="cards"))


async def test_what_is_moved_takes_its_history_along(alice: Any) -> None:
    await made(alice, "fraud", "cards")
    thing = await alice.experiment("delays")
    known = await alice.model("scores")
    to = {"workspace": "fraud", "project": "cards"}
    move = experiment_pb2.MoveExperimentRequest(experiment_id=thing.id, **to)
    moved = await alice.experiments.MoveExperiment(move)
    assert (moved.id, moved.workspace, moved.project) == (thing.id, "fraud", "cards")
    assert (await alice.experiments.MoveExperiment(move)).position == moved.position
    there = await alice.models.MoveModel(model_pb2.MoveModelRequest(name="scores", **to))
    assert (there.id, there.workspace, there.project) == (known.id, "fraud", "cards")
    assert await listed(alice, **to) == (["delays"], ["scores"])
    assert await listed(alice, as_of=str(known.position), workspace="default") == (["delays"], ["scores"])
    facts = await alice.models.ListModelHistory(model_pb2.ListModelHistoryRequest(model="scores"))
    assert facts.facts[-1].reason == "from default/default to fraud/cards"
    default = await alice.experiment("Default")
    with pytest.raises(NotAllowed, match="Default stays where it is"):
        await alice.experiments.MoveExperiment(experiment_pb2.MoveExperimentRequest(experiment_id=default.id, **to))
    with pytest.raises(NotAllowed, match="Default is in default/default"):
        await experiment(alice, "Default", **to)


async def test_a_workspace_with_things_in_it_is_not_deleted(alice: Any) -> None:
    await made(alice, "fraud", "cards")
    thing = await experiment(alice, "delays", workspace="fraud", project="cards")
    await model(alice, "scores", workspace="fraud")
    with pytest.raises(NotAllowed, match="fraud/cards has 1 experiment or model in it"):
        await spaces(alice).DeleteProject(pb.DeleteProjectRequest(workspace="fraud", project="cards"))
    with pytest.raises(NotAllowed, match="'fraud' has 2 experiments and models in it"):
        await spaces(alice).DeleteWorkspace(pb.DeleteWorkspaceRequest(workspace="fraud"))
    await alice.experiments.DeleteExperiment(experiment_pb2.DeleteExperimentRequest(experiment_id=thing.id))
    await alice.models.DeleteModel(model_pb2.DeleteModelRequest(name="scores"))
    after = await spaces(alice).DeleteProject(pb.DeleteProjectRequest(workspace="fraud", project="cards"))
    assert [p.name for p in after.projects] == ["default"]
    gone = await spaces(alice).DeleteWorkspace(pb.DeleteWorkspaceRequest(workspace="fraud"))
    assert gone.HasField("deleted_at")
    with pytest.raises(NotAllowed, match="'fraud' is deleted; restore it first"):
        await model(alice, "later", workspace="fraud")
    assert [w.name for w in (await spaces(alice).ListWorkspaces(pb.ListWorkspacesRequest())).workspaces] == ["default"]
    whole = await spaces(alice).ListWorkspaces(pb.ListWorkspacesRequest(with_deleted=True))
    assert [w.name for w in whole.workspaces] == ["default", "fraud"]
    back = await spaces(alice).RestoreWorkspace(pb.RestoreWorkspaceRequest(workspace="fraud"))
    assert not back.HasField("deleted_at")


async def test_tenants_have_workspaces_of_their_own_and_admins_run_them(registry: Any, alice: Any) -> None:
    await made(alice, "fraud")
    stranger, carol = registry.person("eve", tenant="other"), registry.person("carol", "developer")
    with pytest.raises(NotFound, match="no workspace 'fraud'"):
        await spaces(stranger).GetWorkspace(pb.GetWorkspaceRequest(workspace="fraud"))
    asked = pb.SetWorkspaceMemberRequest(workspace="fraud", user="carol", role="admin")
    with pytest.raises(Forbidden, match="carol does not run the workspace 'fraud'; ask alice"):
        await spaces(carol).SetWorkspaceMember(asked)
    await spaces(alice).SetWorkspaceMember(asked)
    left = pb.RemoveWorkspaceMemberRequest(workspace="fraud", user="alice")
    assert [m.user for m in (await spaces(carol).RemoveWorkspaceMember(left)).members] == ["carol"]
    with pytest.raises(Invalid, match="viewer, developer, reviewer or admin"):
        await spaces(carol).SetWorkspaceMember(pb.SetWorkspaceMemberRequest(workspace="fraud", user="x", role="boss"))
    with pytest.raises(Forbidden, match="workspace.write"):
        await spaces(registry.person("vic", "viewer")).CreateWorkspace(pb.CreateWorkspaceRequest(workspace="mine"))
