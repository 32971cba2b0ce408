"""A restricted workspace is not there for who is no member: every question and command of the registry."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from modelog_common.domain.errors import AlreadyExists, Forbidden, NotFound
from modelog_proto.common.v1 import common_pb2 as common
from modelog_proto.registry.v1 import (
    card_pb2,
    compare_pb2,
    experiment_pb2,
    logged_model_pb2,
    model_pb2,
    policy_pb2,
    sla_pb2,
)
from modelog_proto.registry.v1 import workspace_pb2 as pb
from modelog_proto.registry.v1.card_pb2_grpc import ModelCardsStub
from modelog_proto.registry.v1.policy_pb2_grpc import PromotionPoliciesStub
from modelog_proto.registry.v1.sla_pb2_grpc import ModelSlasStub
from modelog_proto.registry.v1.workspace_pb2_grpc import WorkspacesStub

RESTRICTED, OPEN = pb.WORKSPACE_ACCESS_RESTRICTED, pb.WORKSPACE_ACCESS_OPEN
Ask = Callable[[Any, Any], Awaitable[Any]]


def spaces(person: Any) -> Any:
    return WorkspacesStub(person.channel)


async def access(person: Any, wanted: int) -> Any:
    return await spaces(person).UpdateWorkspace(pb.UpdateWorkspaceRequest(workspace="fraud", access=wanted))


class Secret:
    """What is in the restricted workspace."""

    experiment: Any
    run: Any
    again: Any
    logged: Any


@pytest.fixture
async def secret(registry: Any) -> Secret:
    """The workspace "fraud" of alice, with bob a viewer, and an experiment, a run, a logged model and a model in it."""
    alice, made = registry.person("alice", "developer"), Secret()
    await spaces(alice).CreateWorkspace(pb.CreateWorkspaceRequest(workspace="fraud"))
    await spaces(alice).SetWorkspaceMember(pb.SetWorkspaceMemberRequest(workspace="fraud", user="bob", role="viewer"))
    await access(alice, RESTRICTED)
    made.experiment = await alice.experiments.CreateExperiment(
        experiment_pb2.CreateExperimentRequest(name="delays", workspace="fraud")
    )
    made.run, made.again = await alice.run(), await alice.run()
    column = experiment_pb2.MetricColumn(name="auc", steps=[1], times_ms=[1], values=[0.5])
    await alice.experiments.LogMetrics(experiment_pb2.LogMetricsRequest(run_id=made.run.id, columns=[column]))
    made.logged = await alice.logged_models.CreateLoggedModel(
        logged_model_pb2.CreateLoggedModelRequest(experiment_id=made.experiment.id, name="m")
    )
    await alice.upload()
    await alice.models.RegisterModel(model_pb2.RegisterModelRequest(name="scores", workspace="fraud"))
    await alice.version("scores", run_id=made.run.id)
    return made


ASKED: dict[str, Ask] = {
    "an experiment": lambda p, s: p.experiments.GetExperiment(experiment_pb2.GetExperimentRequest(name="delays")),
    "an experiment by id": lambda p, s: p.experiments.GetExperimentById(
        experiment_pb2.GetExperimentByIdRequest(experiment_id=s.experiment.id)
    ),
    "files of an experiment": lambda p, s: p.experiments.ListExperimentArtifacts(
        experiment_pb2.ListExperimentArtifactsRequest(experiment_id=s.experiment.id)
    ),
    "a run": lambda p, s: p.experiments.GetRun(experiment_pb2.GetRunRequest(run_id=s.run.id)),
    "a curve": lambda p, s: p.experiments.GetMetricHistory(
        experiment_pb2.GetMetricHistoryRequest(run_id=s.run.id, metric="auc")
    ),
    "two runs": lambda p, s: p.comparisons.CompareRuns(compare_pb2.CompareRunsRequest(runs=[s.run.id, s.again.id])),
    "a logged model": lambda p, s: p.logged_models.GetLoggedModel(
        logged_model_pb2.GetLoggedModelRequest(model_id=s.logged.id)
    ),
    "a model": lambda p, s: p.models.GetModel(model_pb2.GetModelRequest(name="scores")),
    "a version": lambda p, s: p.models.GetVersion(model_pb2.GetVersionRequest(model="scores", version="1.0.0")),
    "a history": lambda p, s: p.models.ListModelHistory(model_pb2.ListModelHistoryRequest(model="scores")),
    "two versions": lambda p, s: p.comparisons.CompareVersions(
        compare_pb2.CompareVersionsRequest(versions=["scores/1.0.0", "scores/1.0.0"])
    ),
    "a card": lambda p, s: ModelCardsStub(p.channel).GetModelCard(
        card_pb2.GetModelCardRequest(model="scores", version="1.0.0")
    ),
    "targets": lambda p, s: ModelSlasStub(p.channel).GetModelSla(sla_pb2.GetModelSlaRequest(model="scores")),
    "the workspace": lambda p, s: spaces(p).GetWorkspace(pb.GetWorkspaceRequest(workspace="fraud")),
}
DONE: dict[str, Ask] = {
    "a run in it": lambda p, s: p.run(),
    "a run in it by id": lambda p, s: p.run("", experiment_id=s.experiment.id),
    "several runs": lambda p, s: p.experiments.StartRuns(
        experiment_pb2.StartRunsRequest(
            runs=[experiment_pb2.StartRunRequest(request_id="several", experiment_id=s.experiment.id)]
        )
    ),
    "a nested run": lambda p, s: p.run("", parent_run_id=s.run.id),
    "points": lambda p, s: p.experiments.LogMetrics(experiment_pb2.LogMetricsRequest(run_id=s.run.id)),
    "points of runs": lambda p, s: p.experiments.LogMetricsOfRuns(
        experiment_pb2.LogMetricsOfRunsRequest(runs=[experiment_pb2.LogMetricsRequest(run_id=s.run.id)])
    ),
    "files off a run": lambda p, s: p.experiments.RemoveRunArtifacts(
        experiment_pb2.RemoveRunArtifactsRequest(run_id=s.run.id, paths=["x"])
    ),
    "files off a logged model": lambda p, s: p.logged_models.RemoveLoggedModelArtifacts(
        logged_model_pb2.RemoveLoggedModelArtifactsRequest(model_id=s.logged.id, paths=["x"])
    ),
    "files off it": lambda p, s: p.experiments.RemoveExperimentArtifacts(
        experiment_pb2.RemoveExperimentArtifactsRequest(experiment_id=s.experiment.id, paths=["x"])
    ),
    "an end": lambda p, s: p.experiments.EndRun(experiment_pb2.EndRunRequest(run_id=s.run.id, status=2)),
    "a deletion": lambda p, s: p.experiments.DeleteExperiment(
        experiment_pb2.DeleteExperimentRequest(experiment_id=s.experiment.id)
    ),
    "an experiment in it": lambda p, s: p.experiments.CreateExperiment(
        experiment_pb2.CreateExperimentRequest(name="mine", workspace="fraud")
    ),
    "a tag": lambda p, s: p.models.SetModelTags(model_pb2.SetModelTagsRequest(name="scores", tags={"a": "b"})),
    "a version": lambda p, s: p.version("scores"),
    "a promotion": lambda p, s: p.promote("1.0.0", 2, model="scores"),
    "a project": lambda p, s: spaces(p).CreateProject(pb.CreateProjectRequest(workspace="fraud", project="x")),
}


async def listed(person: Any, experiment_id: str, **read: Any) -> dict[str, list[str]]:
    """What lists and searches find, by what they are asked for."""
    options = common.ReadOptions(**read)
    e, m = person.experiments, person.models
    found = {
        "experiments": (await e.ListExperiments(experiment_pb2.ListExperimentsRequest(read=options))).experiments,
        "found": (await e.SearchExperiments(experiment_pb2.SearchExperimentsRequest(read=options))).experiments,
        "runs": (await e.ListRuns(experiment_pb2.ListRunsRequest(read=options))).runs,
        "runs of it": (await e.ListRuns(experiment_pb2.ListRunsRequest(experiment="delays", read=options))).runs,
        "found runs": (await e.SearchRuns(experiment_pb2.SearchRunsRequest(read=options))).runs,
        "found in it": (
            await e.SearchRuns(experiment_pb2.SearchRunsRequest(experiment_ids=[experiment_id], read=options))
        ).runs,
        "logged": (
            await person.logged_models.SearchLoggedModels(
                logged_model_pb2.SearchLoggedModelsRequest(experiment_ids=[experiment_id], read=options)
            )
        ).models,
        "models": (await m.ListModels(model_pb2.ListModelsRequest(read=options))).models,
        "searched": (await m.SearchModels(model_pb2.SearchModelsRequest(read=options))).models,
        "counted": [
            count
            for facet in (await m.CountModels(model_pb2.CountModelsRequest(read=options))).facets
            for count in facet.counts
        ],
        "models by words": (await m.SearchModels(model_pb2.SearchModelsRequest(text="scores", read=options))).models,
        "versions": (await m.ListVersions(model_pb2.ListVersionsRequest(model="scores", read=options))).versions,
        "all versions": (await m.SearchVersions(model_pb2.SearchVersionsRequest(read=options))).versions,
        "workspaces": [
            w
            for w in (await spaces(person).ListWorkspaces(pb.ListWorkspacesRequest(read=options))).workspaces
            if w.name != "default"
        ],
    }
    return {what: [str(one) for one in ones] for what, ones in found.items()}


async def test_to_strangers_it_is_not_there_and_to_members_and_admins_it_is(registry: Any, secret: Secret) -> None:
    eve, bob = registry.person("eve", "developer", "reviewer"), registry.person("bob", "viewer")
    root, machine = registry.person("root", "admin"), registry.person("service:training", "service")
    for what, ask in ASKED.items():
        for sees in (bob, root, machine):
            assert await ask(sees, secret), what
        with pytest.raises(NotFound):
            await ask(eve, secret)
    head = await spaces(bob).GetWorkspace(pb.GetWorkspaceRequest(workspace="fraud"))
    for read in ({}, {"as_of": str(secret.run.position)}, {"as_of": str(head.position)}):
        assert all(not found for found in (await listed(eve, secret.experiment.id, **read)).values())
    for sees in (bob, root, machine):
        assert all(found for found in (await listed(sees, secret.experiment.id)).values())


async def test_strangers_change_nothing_in_it_and_members_what_their_role_allows(registry: Any, secret: Secret) -> None:
    eve, bob = registry.person("eve", "developer", "reviewer"), registry.person("bob", "developer")
    for ask in DONE.values():
        with pytest.raises(NotFound):
            await ask(eve, secret)
        with pytest.raises(Forbidden, match="bob is viewer in the workspace 'fraud', which lacks the permission"):
            await ask(bob, secret)
    for name in ("delays", "scores"):
        with pytest.raises(AlreadyExists, match="is taken in this tenant"):
            await (eve.experiment(name) if name == "delays" else eve.model(name))
    asked = pb.SetWorkspaceMemberRequest(workspace="fraud", user="bob", role="developer")
    await spaces(registry.person("alice", "developer")).SetWorkspaceMember(asked)
    await bob.run("", experiment_id=secret.experiment.id)


async def test_what_is_decided_now_holds_at_once(registry: Any, secret: Secret) -> None:
    alice, eve, bob = (registry.person(name, "developer") for name in ("alice", "eve", "bob"))
    await access(alice, OPEN)
    assert all(found for found in (await listed(eve, secret.experiment.id)).values())
    await access(alice, RESTRICTED)
    assert all(not found for found in (await listed(eve, secret.experiment.id)).values())
    await spaces(alice).RemoveWorkspaceMember(pb.RemoveWorkspaceMemberRequest(workspace="fraud", user="bob"))
    with pytest.raises(NotFound):
        await bob.models.GetModel(model_pb2.GetModelRequest(name="scores"))
    moved = experiment_pb2.MoveExperimentRequest(experiment_id=secret.experiment.id, workspace="default")
    await alice.experiments.MoveExperiment(moved)
    assert (await eve.experiments.GetRun(experiment_pb2.GetRunRequest(run_id=secret.run.id))).id == secret.run.id
    # A model whose run is elsewhere: who sees one need not see the other.
    away = experiment_pb2.MoveExperimentRequest(experiment_id=secret.experiment.id, workspace="fraud")
    with pytest.raises(NotFound, match="no workspace 'fraud'"):
        await eve.experiments.MoveExperiment(away)


async def test_what_is_in_a_restricted_workspace_leaves_it_by_an_admin_only(registry: Any, secret: Secret) -> None:
    alice, bob = registry.person("alice", "developer"), registry.person("bob", "developer")
    asked = pb.SetWorkspaceMemberRequest(workspace="fraud", user="bob", role="developer")
    await spaces(alice).SetWorkspaceMember(asked)
    leave = model_pb2.MoveModelRequest(name="scores", workspace="default")
    with pytest.raises(Forbidden, match="bob does not run the workspace 'fraud'; ask alice"):
        await bob.models.MoveModel(leave)
    await alice.models.MoveModel(leave)
    eve = registry.person("eve", "viewer")
    card = card_pb2.GetModelCardRequest(model="scores", version="1.0.0")
    assert (await ModelCardsStub(eve.channel).GetModelCard(card)).model == "scores"
    compared = compare_pb2.CompareVersionsRequest(versions=["scores/1.0.0", "scores/1.0.0"])
    assert (await eve.comparisons.CompareVersions(compared)).columns


async def test_a_deleted_models_history_stays_out_of_sight(registry: Any, secret: Secret) -> None:
    alice, eve = registry.person("alice", "developer"), registry.person("eve", "developer")
    await alice.models.DeleteModel(model_pb2.DeleteModelRequest(name="scores"))
    history = model_pb2.ListModelHistoryRequest(model="scores")
    assert len((await alice.models.ListModelHistory(history)).facts) == 3
    with pytest.raises(NotFound):
        await eve.models.ListModelHistory(history)
    with pytest.raises(AlreadyExists, match="taken in this tenant"):
        await eve.model("scores")


async def test_replays_tell_of_what_is_in_sight(registry: Any, secret: Secret) -> None:
    alice, eve = registry.person("alice", "developer"), registry.person("eve", "developer")
    await alice.promote("1.0.0", model_pb2.STAGE_STAGING, model="scores")
    replay = policy_pb2.ReplayPromotionsRequest(rules=policy_pb2.PromotionRules())
    assert (await PromotionPoliciesStub(alice.channel).ReplayPromotions(replay)).considered == 1
    assert (await PromotionPoliciesStub(eve.channel).ReplayPromotions(replay)).considered == 0


async def test_other_services_ask_what_is_hidden(registry: Any, secret: Secret) -> None:
    things = [
        f"experiment:{secret.experiment.id}",
        f"run:{secret.run.id}",
        "model:scores",
        "version:scores/1.0.0",
        f"logged-model:{secret.logged.id}",
        f"stream:registry.run-{secret.run.id}",
        f"stream:registry.experiment-{secret.experiment.id}",
    ]
    asked = pb.FindHiddenRequest(things=[*things, "model:unheard-of", "stream:serving.deployment-1"])
    for name, roles, hidden in (("eve", ["viewer"], things), ("bob", ["viewer"], []), ("root", ["admin"], [])):
        answer = await spaces(registry.person(name, *roles)).FindHidden(asked)
        assert (list(answer.hidden), answer.has_hidden_workspaces) == (hidden, bool(hidden))
