"""The rules of aliases, tags, descriptions and deletion, and of two people at once, by given, when, then."""

from __future__ import annotations

import pytest
from modelog_common.domain.errors import AlreadyExists, Conflict, Invalid, NotAllowed, NotFound
from modelog_common.domain.ids import derived_id
from modelog_common.domain.semver import SemanticVersion
from modelog_common.testing.scenario import NOW, scenario
from modelog_registry.artifact import Artifact
from modelog_registry.model.commands import (
    DeleteAlias,
    DeleteModel,
    DeleteVersion,
    PromoteVersion,
    RegisterModel,
    RegisterVersion,
    SetAlias,
    TagModel,
    TagVersion,
    UpdateModel,
    UpdateVersion,
)
from modelog_registry.model.decide import MODEL
from modelog_registry.model.events import (
    AliasDeleted,
    AliasSet,
    ModelDeleted,
    ModelEvent,
    ModelRegistered,
    ModelTagged,
    ModelUpdated,
    VersionDeleted,
    VersionPromoted,
    VersionRegistered,
    VersionTagged,
    VersionUpdated,
)
from modelog_registry.model.signature import Signature, Tensor
from modelog_registry.model.stage import ModelType, Stage

NAME = "flight-delay"
ID = derived_id("acme", NAME)
V1, V2 = SemanticVersion(1, 0, 0), SemanticVersion(1, 1, 0)
FILE, MLMODEL = Artifact("model.ubj", "a" * 64, 10), Artifact("MLmodel", "b" * 64, 7)
SIGNATURE = Signature((Tensor("x", "FP32", (-1,)),), (Tensor("y", "FP32", (-1,)),))
WHEN = "2026-01-01 00:00:00 UTC"


def registered(version: str) -> VersionRegistered:
    return VersionRegistered(
        ID, NAME, version, "alice", "", "", (), "xgboost", FILE, SIGNATURE, {}, {"k": "v"}, f"r-{version}", NOW, (FILE,)
    )


def moved(version: str, from_stage: Stage, to_stage: Stage, by: str = "bob", reason: str = "") -> VersionPromoted:
    approval = "approval" if to_stage is Stage.PRODUCTION else ""
    return VersionPromoted(ID, NAME, version, from_stage, to_stage, approval, reason, by, NOW)


BEGUN = ModelRegistered(ID, NAME, "late?", "alice", {"team": "air"}, NOW)
GIVEN: list[ModelEvent] = [BEGUN, registered("1.0.0"), registered("1.1.0")]
LIVE: list[ModelEvent] = [
    *GIVEN,
    moved("1.0.0", Stage.DEVELOPMENT, Stage.STAGING),
    moved("1.0.0", Stage.STAGING, Stage.PRODUCTION),
]
CHAMPION = AliasSet(ID, NAME, "champion", "1.0.0", "", "bob", NOW)


def test_an_alias_points_to_one_version_of_its_model() -> None:
    scenario(MODEL, given=GIVEN, when=SetAlias(NAME, "champion", V1), by="bob", then=[CHAMPION])
    scenario(
        MODEL,
        given=[*GIVEN, CHAMPION],
        when=SetAlias(NAME, "champion", V2),
        then=[AliasSet(ID, NAME, "champion", "1.1.0", "1.0.0", "alice", NOW)],
    )
    scenario(MODEL, given=[*GIVEN, CHAMPION], when=SetAlias(NAME, "champion", V1), then=[])


def test_an_alias_of_nothing_is_refused() -> None:
    scenario(
        MODEL,
        given=GIVEN,
        when=SetAlias(NAME, "champion", SemanticVersion(9, 0, 0)),
        refused="flight-delay has no version 9.0.0; the newest is 1.1.0",
        error=NotFound,
    )


@pytest.mark.parametrize("alias", ["latest", "v1", "V12"])
def test_an_alias_does_not_look_like_a_version(alias: str) -> None:
    scenario(MODEL, given=GIVEN, when=SetAlias(NAME, alias, V1), refused="a meaning of its own", field="alias")


def test_who_moves_an_alias_second_is_told_by_whom_and_when() -> None:
    scenario(
        MODEL,
        given=[*GIVEN, CHAMPION],
        when=SetAlias(NAME, "champion", V2, expected=""),
        refused=f"does not point to nothing but to 1.0.0; bob moved it there at {WHEN}",
        error=Conflict,
    )
    scenario(
        MODEL,
        given=GIVEN,
        when=SetAlias(NAME, "champion", V2, expected="1.0.0"),
        refused="there is no such alias",
        error=Conflict,
    )


def test_an_alias_is_taken_away_once() -> None:
    gone = AliasDeleted(ID, NAME, "champion", "1.0.0", "alice", NOW)
    scenario(MODEL, given=[*GIVEN, CHAMPION], when=DeleteAlias(NAME, "champion"), then=[gone])
    scenario(MODEL, given=[*GIVEN, CHAMPION, gone], when=DeleteAlias(NAME, "champion"), then=[])


def test_only_changes_of_tags_are_told() -> None:
    scenario(
        MODEL,
        given=GIVEN,
        when=TagModel(NAME, {"team": "air", "risk": "low"}, ("old", "old")),
        then=[ModelTagged(ID, NAME, {"risk": "low"}, (), "alice", NOW)],
    )
    after = scenario(
        MODEL,
        given=GIVEN,
        when=TagVersion(NAME, V1, {"checked": "yes"}, ("k",)),
        then=[VersionTagged(ID, NAME, "1.0.0", {"checked": "yes"}, ("k",), "alice", NOW)],
    )
    assert after.version(NAME, V1).tags == {"checked": "yes"}
    scenario(MODEL, given=GIVEN, when=TagModel(NAME, {"team": "air"}), then=[])
    scenario(MODEL, given=GIVEN, when=TagVersion(NAME, V1, {"k": "v"}, ("x",)), then=[])


def test_a_tag_is_either_set_or_taken_away() -> None:
    scenario(MODEL, given=GIVEN, when=TagModel(NAME, {"a": "1"}, ("a",)), refused="stands in tags too", field="removed")


def test_what_is_described_as_it_was_changes_nothing() -> None:
    scenario(
        MODEL,
        given=GIVEN,
        when=UpdateModel(NAME, "later?", ModelType.ENSEMBLE),
        then=[ModelUpdated(ID, NAME, "later?", ModelType.ENSEMBLE, "alice", NOW)],
    )
    scenario(MODEL, given=GIVEN, when=UpdateModel(NAME, "late?"), then=[])
    scenario(
        MODEL,
        given=GIVEN,
        when=UpdateVersion(NAME, V1, "the first"),
        then=[VersionUpdated(ID, NAME, "1.0.0", "the first", "alice", NOW)],
    )
    scenario(MODEL, given=GIVEN, when=UpdateVersion(NAME, V1, ""), then=[])


def test_a_deleted_version_takes_its_aliases_along_and_its_number_is_never_used_again() -> None:
    deleted = VersionDeleted(ID, NAME, "1.0.0", "broken", "alice", NOW)
    after = scenario(
        MODEL,
        given=[*GIVEN, CHAMPION],
        when=DeleteVersion(NAME, V1, "broken"),
        then=[AliasDeleted(ID, NAME, "champion", "1.0.0", "alice", NOW), deleted],
    )
    assert str(after.next_version()) == "1.2.0"
    assert [v.number for v in after.versions.values()] == [1, 2]
    scenario(
        MODEL,
        given=[*GIVEN, deleted],
        when=RegisterVersion(NAME, V1, "xgboost", FILE, SIGNATURE, tags={"k": "v"}),
        refused=f"flight-delay 1.0.0 was there once; alice deleted it at {WHEN}, and a version is never used again; "
        "the next unused version is 1.2.0",
        error=AlreadyExists,
    )
    scenario(
        MODEL,
        given=[*GIVEN, deleted],
        when=TagVersion(NAME, V1, {"a": "b"}),
        refused=f"flight-delay has no version 1.0.0 any more: alice deleted it at {WHEN}",
        error=NotFound,
    )


@pytest.mark.parametrize("command", [DeleteVersion(NAME, V1), DeleteModel(NAME)])
def test_what_is_in_production_is_not_deleted(command: DeleteVersion | DeleteModel) -> None:
    scenario(
        MODEL,
        given=LIVE,
        when=command,
        refused=f"flight-delay 1.0.0 is in production; archive it before it is deleted; bob moved it there at {WHEN}",
        error=NotAllowed,
    )


def test_a_deleted_model_may_be_taken_up_again_and_counts_on() -> None:
    deleted = ModelDeleted(ID, NAME, "", "alice", NOW)
    scenario(
        MODEL,
        given=[*GIVEN, CHAMPION],
        when=DeleteModel(NAME),
        then=[AliasDeleted(ID, NAME, "champion", "1.0.0", "alice", NOW), deleted],
    )
    scenario(
        MODEL,
        given=[*GIVEN, deleted],
        when=UpdateModel(NAME, "x"),
        refused=f"there is no model 'flight-delay' any more: alice deleted it at {WHEN}",
        error=NotFound,
    )
    again = ModelRegistered(ID, NAME, "", "bob", {}, NOW, request_id="request-1")
    after = scenario(MODEL, given=[*GIVEN, deleted], when=RegisterModel(NAME, model_id=ID), by="bob", then=[again])
    assert (list(after.live), after.tags, str(after.next_version())) == ([], {}, "1.2.0")


def test_a_name_that_must_be_new_is_taken() -> None:
    scenario(
        MODEL,
        given=[BEGUN],
        when=RegisterModel(NAME, "late?", {"team": "air"}, must_be_new=True),
        refused="model 'flight-delay' exists already; alice registered it",
        error=AlreadyExists,
    )


@pytest.mark.parametrize("name", ["..", ".", " a", "a\x07"])
def test_a_name_that_misleads_is_refused(name: str) -> None:
    scenario(MODEL, when=RegisterModel(name), refused="name: ", error=Invalid, field="name")


def test_a_version_is_a_folder_of_files() -> None:
    after = scenario(
        MODEL,
        given=[BEGUN],
        when=RegisterVersion(NAME, V1, "xgboost", None, SIGNATURE, artifacts=(FILE, MLMODEL)),
        then=[
            VersionRegistered(
                ID, NAME, "1.0.0", "alice", "", "", (), "xgboost", FILE, SIGNATURE, {}, {}, "request-1", NOW,
                (FILE, MLMODEL),
            )
        ],
    )  # fmt: skip
    assert after.version(NAME, V1).content.artifact == FILE
    twice = RegisterVersion(NAME, V1, "xgboost", None, SIGNATURE, artifacts=(FILE, FILE))
    scenario(MODEL, given=[BEGUN], when=twice, refused="stands there twice", field="artifacts[1].path")
    other = RegisterVersion(NAME, V1, "xgboost", MLMODEL, SIGNATURE, artifacts=(FILE,))
    scenario(MODEL, given=[BEGUN], when=other, refused="is not one of artifacts", field="artifact")


def test_a_version_without_files_names_its_source() -> None:
    nothing = RegisterVersion(NAME, V1, "sklearn", None, None)
    scenario(MODEL, given=[BEGUN], when=nothing, refused="is missing", field="artifact")
    elsewhere = RegisterVersion(NAME, V1, "sklearn", None, None, source="s3://bucket/model")
    no_signature = Signature((), ())
    scenario(
        MODEL,
        given=[BEGUN],
        when=elsewhere,
        then=[
            VersionRegistered(
                ID, NAME, "1.0.0", "alice", "", "", (), "sklearn", None, no_signature, {}, {}, "request-1", NOW,
                source="s3://bucket/model",
            )
        ],
    )  # fmt: skip


def test_who_promotes_second_is_told_by_whom_and_when() -> None:
    scenario(
        MODEL,
        given=LIVE,
        when=PromoteVersion(NAME, V1, Stage.ARCHIVED, expected=Stage.STAGING),
        refused=f"flight-delay 1.0.0 is not in staging any more but in production; bob moved it there at {WHEN}",
        error=Conflict,
    )


def test_the_others_of_a_stage_are_archived_with_the_promotion() -> None:
    given: list[ModelEvent] = [*GIVEN, moved("1.0.0", Stage.DEVELOPMENT, Stage.STAGING)]
    why = "flight-delay 1.1.0 took its place"
    scenario(
        MODEL,
        given=given,
        when=PromoteVersion(NAME, V2, Stage.STAGING, archive_others=True),
        then=[
            moved("1.1.0", Stage.DEVELOPMENT, Stage.STAGING, by="alice"),
            moved("1.0.0", Stage.STAGING, Stage.ARCHIVED, by="alice", reason=why),
        ],
    )
