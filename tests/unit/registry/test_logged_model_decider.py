"""The rules of logged models, by given, when, then."""

from __future__ import annotations

from modelog_common.domain.errors import AlreadyExists, Invalid, NotAllowed, NotFound
from modelog_common.testing.scenario import NOW, context, scenario
from modelog_registry.artifact import Artifact
from modelog_registry.logged_model.commands import (
    AddToLoggedModel,
    CreateLoggedModel,
    DeleteLoggedModel,
    FinaliseLoggedModel,
    MeasuredModel,
    RemoveLoggedModelArtifacts,
)
from modelog_registry.logged_model.decide import LOGGED_MODEL
from modelog_registry.logged_model.events import (
    LoggedModelAddedTo,
    LoggedModelArtifactsRemoved,
    LoggedModelCreated,
    LoggedModelDeleted,
    LoggedModelFinalised,
    LoggedModelStatus,
    ModelMetric,
)
from modelog_registry.run.commands import Measured

ID = "m-1"
CREATED = LoggedModelCreated(ID, "acme", "e-1", "forest", "", "r-1", {"depth": "6"}, {"k": "v"}, "alice", NOW)
READY = LoggedModelFinalised(ID, LoggedModelStatus.READY, "", "alice", NOW)
DELETED = LoggedModelDeleted(ID, "alice", NOW)


def test_a_logged_model_begins_pending() -> None:
    after = scenario(
        LOGGED_MODEL,
        when=CreateLoggedModel(ID, "e-1", "forest", "", "r-1", {"depth": "6"}, {"k": "v"}),
        then=[CREATED],
    )
    assert after.status is LoggedModelStatus.PENDING
    unnamed = LoggedModelCreated(ID, "acme", "e-1", ID, "", "", {}, {}, "alice", NOW)
    scenario(LOGGED_MODEL, when=CreateLoggedModel(ID, "e-1"), then=[unnamed])
    scenario(
        LOGGED_MODEL, given=[CREATED], when=CreateLoggedModel(ID, "e-1"), refused="exists already", error=AlreadyExists
    )


def test_what_is_told_adds_up() -> None:
    metric = MeasuredModel(Measured("auc", float("nan"), 3), "r-1", "flights", "abc")
    stored = ModelMetric("auc", "NaN", 3, NOW, "r-1", "flights", "abc")
    artifact = Artifact("model.pkl", "a" * 64, 3)
    after = scenario(
        LOGGED_MODEL,
        given=[CREATED, READY],
        when=AddToLoggedModel(ID, {"eta": "1"}, {"l": "w"}, ("k",), (metric,), (artifact,)),
        then=[LoggedModelAddedTo(ID, {"eta": "1"}, {"l": "w"}, ("k",), (stored,), (artifact,), "alice", NOW)],
    )
    assert (after.tags, after.parameters) == ({"l": "w"}, {"depth": "6", "eta": "1"})
    assert list(after.metrics.values()) == [stored]
    scenario(LOGGED_MODEL, given=[CREATED], when=AddToLoggedModel(ID), then=[])


def test_what_cannot_be_is_refused() -> None:
    for command, refused, error in (
        (AddToLoggedModel(ID, {"depth": "7"}), "is '6' already and cannot become '7'", Invalid),
        (AddToLoggedModel(ID, removed_tags=("x",)), "has no tag 'x'", NotFound),
        (AddToLoggedModel(ID, artifacts=(Artifact("../x", "a" * 64, 1),)), "holds '.' or '..'", Invalid),
        (FinaliseLoggedModel(ID, LoggedModelStatus.PENDING), "use READY or FAILED", Invalid),
    ):
        scenario(LOGGED_MODEL, given=[CREATED], when=command, refused=refused, error=error)


def test_it_is_finalised_once() -> None:
    scenario(LOGGED_MODEL, given=[CREATED], when=FinaliseLoggedModel(ID, LoggedModelStatus.READY), then=[READY])
    scenario(LOGGED_MODEL, given=[CREATED, READY], when=FinaliseLoggedModel(ID, LoggedModelStatus.READY), then=[])
    scenario(
        LOGGED_MODEL,
        given=[CREATED, READY],
        when=FinaliseLoggedModel(ID, LoggedModelStatus.FAILED),
        refused="is ready and cannot become failed",
        error=NotAllowed,
    )


def test_what_is_deleted_or_anothers_is_not_there() -> None:
    scenario(LOGGED_MODEL, given=[CREATED], when=DeleteLoggedModel(ID), then=[DELETED])
    commands = (DeleteLoggedModel(ID), AddToLoggedModel(ID), FinaliseLoggedModel(ID, LoggedModelStatus.READY))
    for command in commands:
        scenario(
            LOGGED_MODEL, given=[CREATED, DELETED], when=command, refused="there is no logged model", error=NotFound
        )
        mallory = context("mallory", tenant="other")
        scenario(
            LOGGED_MODEL, given=[CREATED], when=command, by=mallory, refused="there is no logged model", error=NotFound
        )


def test_files_are_taken_off_a_logged_model() -> None:
    files = tuple(Artifact(path, "a" * 64, 1) for path in ("MLmodel", "data/a", "data/b"))
    told = LoggedModelAddedTo(ID, {}, {}, (), (), files, "alice", NOW)
    after = scenario(
        LOGGED_MODEL,
        given=[CREATED, told],
        when=RemoveLoggedModelArtifacts(ID, ("data",)),
        then=[LoggedModelArtifactsRemoved(ID, ("data/a", "data/b"), "alice", NOW)],
    )
    assert list(after.artifacts) == ["MLmodel"]
    gone = RemoveLoggedModelArtifacts(ID, ("dat",))
    scenario(LOGGED_MODEL, given=[CREATED, told], when=gone, refused="no file and no folder 'dat'", error=NotFound)
