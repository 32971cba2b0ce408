"""The rules of a model's new name, by given, when, then."""

from __future__ import annotations

from datetime import timedelta

import pytest
from modelog_common.domain.errors import Invalid, NotAllowed, NotFound
from modelog_common.domain.semver import SemanticVersion
from modelog_common.testing.scenario import NOW, scenario
from modelog_registry.artifact import Artifact
from modelog_registry.model.change_commands import CommentChange
from modelog_registry.model.change_events import ChangeCommented, ChangeRequested, Risk
from modelog_registry.model.commands import DeleteAlias, RenameModel, ReviewVersion, TagVersion
from modelog_registry.model.decide import MODEL
from modelog_registry.model.events import (
    AliasDeleted,
    AliasSet,
    ModelEvent,
    ModelRegistered,
    ModelRenamed,
    VersionDeleted,
    VersionRegistered,
    VersionTagged,
)
from modelog_registry.model.retired import ObjectToRetirement, RetirementAnnounced, RetirementObjected
from modelog_registry.model.signature import Signature, Tensor
from modelog_registry.model.stage import Decision, Stage

ID, OLD, NEW = "the-id", "delays", "flight-delays"
V1 = SemanticVersion(1, 0, 0)
SIGNATURE = Signature((Tensor("x", "FP32", (-1,)),), (Tensor("y", "FP32", (-1,)),))


def version(text: str) -> VersionRegistered:
    return VersionRegistered(
        ID, OLD, text, "alice", "", "", (), "xgboost", Artifact("m", "a" * 64, 1), SIGNATURE, {}, {}, f"r-{text}", NOW
    )


GIVEN: list[ModelEvent] = [
    ModelRegistered(ID, OLD, "", "alice", {}, NOW),
    version("1.0.0"),
    version("1.1.0"),
    VersionDeleted(ID, OLD, "1.1.0", "", "alice", NOW),
    AliasSet(ID, OLD, "champion", "1.0.0", "", "alice", NOW),
    ChangeRequested(ID, OLD, "1.0.0", 1, "t", "", Stage.STAGING, "", Risk.LOW, ("r",), (), (), (), "bob", "r", NOW),
    RetirementAnnounced(ID, OLD, "1.0.0", "unused", NOW + timedelta(days=7), 1, "service:registry", NOW),
]
RENAMED = ModelRenamed(ID, OLD, NEW, ("1.0.0",), 1, "alice", NOW, "request-1")


def test_a_model_gets_another_name() -> None:
    scenario(MODEL, given=GIVEN, when=RenameModel(OLD, NEW), then=[RENAMED])


def test_the_name_that_it_has_is_not_an_error() -> None:
    scenario(MODEL, given=GIVEN, when=RenameModel(OLD, OLD), then=[])


@pytest.mark.parametrize("name", [" x", "x ", "a\x07b", ".."])
def test_a_name_that_cannot_be_is_refused(name: str) -> None:
    scenario(MODEL, given=GIVEN, when=RenameModel(OLD, name), refused="new_name: ", error=Invalid, field="new_name")


def test_what_is_deployed_keeps_its_name() -> None:
    scenario(
        MODEL,
        given=GIVEN,
        when=RenameModel(OLD, NEW, ("delays-live", "delays-test")),
        refused="delays is served by delays-live, delays-test, and is known there by its name; stop what serves it",
        error=NotAllowed,
    )


def test_the_old_name_is_not_its_own_any_more() -> None:
    scenario(
        MODEL,
        given=[*GIVEN, RENAMED],
        when=ReviewVersion(OLD, V1, Decision.APPROVED, "ok"),
        by="bob",
        refused="there is no model 'delays'",
        error=NotFound,
    )


def test_what_is_said_from_then_on_is_said_of_the_new_name() -> None:
    given = [*GIVEN, RENAMED]
    scenario(
        MODEL,
        given=given,
        when=TagVersion(NEW, V1, {"k": "v"}),
        then=[VersionTagged(ID, NEW, "1.0.0", {"k": "v"}, (), "alice", NOW)],
    )
    scenario(
        MODEL,
        given=given,
        when=DeleteAlias(NEW, "champion"),
        then=[AliasDeleted(ID, NEW, "champion", "1.0.0", "alice", NOW)],
    )
    scenario(
        MODEL,
        given=given,
        when=CommentChange(NEW, 1, "why?"),
        then=[ChangeCommented(ID, NEW, "1.0.0", 1, "why?", "alice", NOW)],
    )
    scenario(
        MODEL,
        given=given,
        when=ObjectToRetirement(NEW, V1, "needed"),
        then=[RetirementObjected(ID, NEW, "1.0.0", "needed", "alice", NOW)],
    )
