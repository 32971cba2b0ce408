"""The rules of experiments and of their names, by given, when, then."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from modelog_common.domain.errors import AlreadyExists, Invalid, NotAllowed, NotFound
from modelog_common.domain.ids import derived_id
from modelog_common.events.types import EventTypes
from modelog_common.testing.scenario import NOW, context, scenario
from modelog_registry.artifact import Artifact
from modelog_registry.events import EVENTS
from modelog_registry.experiment.commands import (
    AddExperimentArtifacts,
    CreateExperiment,
    DeleteExperiment,
    DescribeExperiment,
    ExperimentCommand,
    RemoveExperimentArtifacts,
    RenameExperiment,
    RestoreExperiment,
    TagExperiment,
)
from modelog_registry.experiment.decide import DEFAULT, EXPERIMENT
from modelog_registry.experiment.events import (
    ExperimentArtifactsAdded,
    ExperimentArtifactsRemoved,
    ExperimentCreated,
    ExperimentDeleted,
    ExperimentDescribed,
    ExperimentRenamed,
    ExperimentRestored,
    ExperimentTagged,
)
from modelog_registry.experiment.state import Experiment
from modelog_registry.name.commands import ReleaseName, TakeName
from modelog_registry.name.decide import NAME, UNUSED
from modelog_registry.name.events import NameReleased, NameTaken

ID = "e-1"
CREATED = ExperimentCreated(ID, "delays", "", "alice", NOW, "acme", {"k": "v"}, "")
DELETED = ExperimentDeleted(ID, "delays", "alice", NOW)


@pytest.mark.parametrize("name", ["delays", "задержки", "航班延误", "a/b c"])
def test_an_experiment_gets_its_name(name: str) -> None:
    after = scenario(
        EXPERIMENT,
        when=CreateExperiment(ID, name, "why flights are late", {"team": "air"}, "s3://x"),
        then=[ExperimentCreated(ID, name, "why flights are late", "alice", NOW, "acme", {"team": "air"}, "s3://x")],
    )
    assert (after.name, after.description, after.tags) == (name, "why flights are late", {"team": "air"})


def test_asking_again_is_no_error_unless_the_caller_says_so() -> None:
    scenario(EXPERIMENT, given=[CREATED], when=CreateExperiment(ID, "delays", "other words"), by="bob", then=[])
    scenario(
        EXPERIMENT,
        given=[CREATED],
        when=CreateExperiment(ID, "delays", must_be_new=True),
        refused="there is an experiment 'delays' already",
        error=AlreadyExists,
    )


@pytest.mark.parametrize(
    ("name", "refused"),
    [(" delays", "white space"), ("delays\n", "white space"), ("de\x00lays", "control character '\\x00'")],
)
def test_a_name_that_looks_like_another_is_refused(name: str, refused: str) -> None:
    scenario(EXPERIMENT, when=CreateExperiment(ID, name), refused=refused, field="name")
    scenario(EXPERIMENT, given=[CREATED], when=RenameExperiment(ID, name), refused=refused, field="name")


def test_an_experiment_is_renamed_and_described() -> None:
    after = scenario(
        EXPERIMENT,
        given=[CREATED, ExperimentDescribed(ID, "why", "bob", NOW)],
        when=RenameExperiment(ID, "lateness"),
        by="bob",
        then=[ExperimentRenamed(ID, "delays", "lateness", "bob", NOW)],
    )
    assert (after.name, after.description) == ("lateness", "why")
    scenario(EXPERIMENT, given=[CREATED], when=RenameExperiment(ID, "delays"), then=[])
    scenario(EXPERIMENT, given=[CREATED], when=RenameExperiment(ID, ""), refused="needs a name", field="name")
    scenario(EXPERIMENT, given=[CREATED], when=DescribeExperiment(ID, ""), then=[])


def test_tags_are_set_and_taken_away() -> None:
    after = scenario(
        EXPERIMENT,
        given=[CREATED],
        when=TagExperiment(ID, {"a": "1"}, ("k",)),
        then=[ExperimentTagged(ID, {"a": "1"}, ("k",), "alice", NOW)],
    )
    assert after.tags == {"a": "1"}
    scenario(EXPERIMENT, given=[CREATED], when=TagExperiment(ID, {"k": "v"}), then=[])
    scenario(
        EXPERIMENT,
        given=[CREATED],
        when=TagExperiment(ID, {}, ("nope",)),
        refused="'delays' has no tag 'nope'",
        error=NotFound,
    )


def test_what_is_deleted_can_only_be_restored() -> None:
    after = scenario(EXPERIMENT, given=[CREATED], when=DeleteExperiment(ID), then=[DELETED])
    assert after.deleted_at == NOW
    scenario(EXPERIMENT, given=[CREATED, DELETED], when=DeleteExperiment(ID), then=[])
    scenario(EXPERIMENT, given=[CREATED], when=RestoreExperiment(ID), then=[])
    refused: tuple[ExperimentCommand, ...] = (
        RenameExperiment(ID, "x"), DescribeExperiment(ID, "x"), TagExperiment(ID, {"a": "b"}),
    )  # fmt: skip
    for command in refused:
        scenario(EXPERIMENT, given=[CREATED, DELETED], when=command, refused="restore it first", error=NotAllowed)
    scenario(
        EXPERIMENT,
        given=[CREATED, DELETED],
        when=CreateExperiment(ID, "delays"),
        refused="is there and deleted; restore it or take another name",
        error=AlreadyExists,
    )
    restored = scenario(
        EXPERIMENT,
        given=[CREATED, DELETED],
        when=RestoreExperiment(ID),
        then=[ExperimentRestored(ID, "delays", "alice", NOW)],
    )
    assert restored.deleted_at is None


def test_the_default_stays() -> None:
    default = replace_name(CREATED, DEFAULT)
    scenario(EXPERIMENT, given=[default], when=DeleteExperiment(ID), refused="cannot be deleted", error=NotAllowed)
    scenario(EXPERIMENT, given=[default], when=RenameExperiment(ID, "x"), refused="keeps its name", error=NotAllowed)


def replace_name(created: ExperimentCreated, name: str) -> ExperimentCreated:
    return ExperimentCreated(
        created.experiment_id, name, created.description, created.author, created.at, created.tenant, created.tags, ""
    )


def test_another_tenants_experiment_is_not_there() -> None:
    mallory = context("mallory", tenant="other")
    for command in (DeleteExperiment(ID), RestoreExperiment(ID), RenameExperiment(ID, "x"), TagExperiment(ID, {})):
        scenario(EXPERIMENT, given=[CREATED], when=command, by=mallory, refused=f"no experiment '{ID}'", error=NotFound)
        scenario(EXPERIMENT, when=command, refused=f"no experiment '{ID}'", error=NotFound)


def test_an_event_of_the_first_version_belongs_to_the_tenant_of_its_id() -> None:
    old = first_version(EVENTS, derived_id("acme", "delays"))
    after = EXPERIMENT.evolve(Experiment(), old)
    assert after.of("acme") == old
    assert after.of("other") is None


def first_version(types: EventTypes, experiment_id: str) -> ExperimentCreated:
    payload = (
        f'{{"experiment_id":"{experiment_id}","name":"delays","description":"","author":"a","at":"{NOW.isoformat()}"}}'
    )
    created: ExperimentCreated = types.decode("registry.ExperimentCreated", 1, payload.encode())
    return created


TAKEN = NameTaken("experiment", "delays", "e-1", NOW)


def test_a_name_has_one_owner() -> None:
    scenario(NAME, when=TakeName("experiment", "delays", "e-1"), then=[TAKEN])
    scenario(NAME, given=[TAKEN], when=TakeName("experiment", "delays", "e-1"), then=[])
    scenario(
        NAME,
        given=[TAKEN],
        when=TakeName("experiment", "delays", "e-2"),
        refused="there is another experiment called 'delays'",
        error=AlreadyExists,
    )


def test_a_name_that_was_let_go_can_be_taken() -> None:
    released = NameReleased("experiment", "delays", "e-1", NOW)
    scenario(NAME, given=[TAKEN], when=ReleaseName("experiment", "delays", "e-1"), then=[released])
    scenario(NAME, given=[TAKEN], when=ReleaseName("experiment", "delays", "e-2"), then=[])
    scenario(NAME, when=ReleaseName("experiment", "delays", "e-1"), then=[])
    taken = NameTaken("experiment", "delays", "e-2", NOW)
    scenario(NAME, given=[TAKEN, released], when=TakeName("experiment", "delays", "e-2"), then=[taken])


def test_a_name_that_was_never_used_is_free_after_a_while() -> None:
    take = TakeName("experiment", "delays", "e-2", unused_by="e-1")
    soon = replace(context(), now=NOW + UNUSED)
    scenario(NAME, given=[TAKEN], when=take, by=soon, refused="take another name", error=AlreadyExists)
    late = NOW + UNUSED + timedelta(seconds=1)
    scenario(
        NAME,
        given=[TAKEN],
        when=take,
        by=replace(context(), now=late),
        then=[NameReleased("experiment", "delays", "e-1", late), NameTaken("experiment", "delays", "e-2", late)],
    )


def test_files_that_belong_to_no_run_are_added_and_taken_away() -> None:
    files = tuple(Artifact(path, "a" * 64, 1) for path in ("sets/a", "sets/b", "notes"))
    added = ExperimentArtifactsAdded(ID, files, "bob", NOW)
    after = scenario(EXPERIMENT, given=[CREATED], when=AddExperimentArtifacts(ID, files), by="bob", then=[added])
    assert (list(after.artifacts), after.updated_at) == (["sets/a", "sets/b", "notes"], NOW)
    removed = ExperimentArtifactsRemoved(ID, ("sets/a", "sets/b"), "alice", NOW)
    after = scenario(EXPERIMENT, given=[CREATED, added], when=RemoveExperimentArtifacts(ID, ("sets",)), then=[removed])
    assert list(after.artifacts) == ["notes"]
    again = RemoveExperimentArtifacts(ID, ("sets/a",))
    refused = "the experiment 'delays' has no file and no folder 'sets/a'"
    scenario(EXPERIMENT, given=[CREATED, added, removed], when=again, refused=refused, error=NotFound)
    scenario(EXPERIMENT, given=[CREATED, DELETED], when=again, refused="restore it first", error=NotAllowed)
    outside = AddExperimentArtifacts(ID, (Artifact("../x", "a" * 64, 1),))
    scenario(EXPERIMENT, given=[CREATED], when=outside, refused="holds '.' or '..'", error=Invalid)
