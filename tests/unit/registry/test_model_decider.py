"""The rules of models, by given, when, then."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from modelog_common.domain.errors import AlreadyExists, Invalid, NotAllowed, NotFound
from modelog_common.domain.ids import derived_id
from modelog_common.domain.semver import SemanticVersion
from modelog_common.testing.scenario import NOW, context, scenario
from modelog_registry.artifact import Artifact
from modelog_registry.model.commands import PromoteVersion, RegisterModel, RegisterVersion, ReviewVersion
from modelog_registry.model.decide import MODEL
from modelog_registry.model.events import (
    DatasetRef,
    ModelEvent,
    ModelRegistered,
    VersionPromoted,
    VersionRegistered,
    VersionReviewed,
)
from modelog_registry.model.signature import Signature, Tensor
from modelog_registry.model.stage import Decision, Stage

NAME = "flight-delay"
ID = derived_id("acme", NAME)
V1 = SemanticVersion(1, 0, 0)
ARTIFACT = Artifact("model.ubj", "a" * 64, 10)
SIGNATURE = Signature(
    inputs=(Tensor("features", "FP32", (-1, 2), ("hour", "carrier"), ("numeric", "categorical")),),
    outputs=(Tensor("delayed", "FP32", (-1,)),),
)
MODEL_REGISTERED = ModelRegistered(ID, NAME, "", "alice", {}, NOW)
NEXT = RegisterVersion(NAME, None, "xgboost", ARTIFACT, SIGNATURE)


def registered(version: str = "1.0.0", author: str = "alice", request_id: str = "request-0") -> VersionRegistered:
    return VersionRegistered(
        ID, NAME, version, author, "", "", (), "xgboost", ARTIFACT, SIGNATURE, {}, {}, request_id, NOW, (ARTIFACT,)
    )


def reviewed(decision: Decision, reviewer: str = "bob", approval_id: str = "approval-1") -> VersionReviewed:
    return VersionReviewed(
        ID,
        NAME,
        "1.0.0",
        reviewer,
        decision,
        "looked at it",
        {},
        approval_id if decision is Decision.APPROVED else "",
        NOW,
    )


def promoted(from_stage: Stage, to_stage: Stage, approval_id: str = "", reason: str = "") -> VersionPromoted:
    return VersionPromoted(ID, NAME, "1.0.0", from_stage, to_stage, approval_id, reason, "alice", NOW)


GIVEN: list[ModelEvent] = [MODEL_REGISTERED, registered()]
STAGED: list[ModelEvent] = [*GIVEN, promoted(Stage.DEVELOPMENT, Stage.STAGING)]
ARCHIVED: list[ModelEvent] = [*GIVEN, promoted(Stage.DEVELOPMENT, Stage.ARCHIVED)]
APPROVED = reviewed(Decision.APPROVED)
REJECTED = reviewed(Decision.REJECTED)


def test_a_model_gets_its_name() -> None:
    scenario(
        MODEL,
        when=RegisterModel(NAME, "delays", {"team": "air"}, model_id=ID),
        then=[ModelRegistered(ID, NAME, "delays", "alice", {"team": "air"}, NOW, request_id="request-1")],
    )


def test_registering_the_same_model_again_is_no_error() -> None:
    scenario(MODEL, given=[MODEL_REGISTERED], when=RegisterModel(NAME), by="bob", then=[])


def test_a_name_that_means_something_else_is_taken() -> None:
    scenario(
        MODEL,
        given=[MODEL_REGISTERED],
        when=RegisterModel(NAME, "another thing"),
        refused="model 'flight-delay' exists already with another description or other tags; alice registered it",
        error=AlreadyExists,
    )


def test_the_first_version_is_1_0_0() -> None:
    scenario(MODEL, given=[MODEL_REGISTERED], when=NEXT, then=[registered("1.0.0", request_id="request-1")])


def test_the_next_version_is_the_next_minor_of_the_greatest() -> None:
    scenario(
        MODEL,
        given=[MODEL_REGISTERED, registered("1.9.3"), registered("1.10.1"), registered("1.2.0")],
        when=NEXT,
        then=[registered("1.11.0", request_id="request-1")],
    )


def test_any_unused_version_may_be_taken() -> None:
    scenario(
        MODEL,
        given=[MODEL_REGISTERED, registered("2.0.0")],
        when=replace(NEXT, version=V1),
        then=[registered("1.0.0", request_id="request-1")],
    )


def test_the_same_content_under_the_same_version_is_no_error() -> None:
    scenario(MODEL, given=GIVEN, when=replace(NEXT, version=V1), then=[])


@pytest.mark.parametrize(
    "other",
    [
        {"artifact": Artifact("model.ubj", "b" * 64, 10)},
        {"flavor": "sklearn"},
        {"metrics": {"auc": 0.7}},
        {"datasets": (DatasetRef("flights", 1),)},
        {"run_id": "run-1"},
    ],
)
def test_other_content_under_a_version_in_use_is_refused(other: dict[str, Any]) -> None:
    scenario(
        MODEL,
        given=GIVEN,
        when=replace(NEXT, version=V1, **other),
        refused="flight-delay 1.0.0 exists already with other content, registered by alice; "
        "the next unused version is 1.1.0",
        error=AlreadyExists,
    )


def test_somebody_elses_registration_is_other_content() -> None:
    scenario(MODEL, given=GIVEN, when=replace(NEXT, version=V1), by="bob", refused="by alice", error=AlreadyExists)


@pytest.mark.parametrize(
    "command",
    [NEXT, ReviewVersion(NAME, V1, Decision.APPROVED, "ok"), PromoteVersion(NAME, V1, Stage.STAGING)],
)
def test_a_model_that_nobody_registered_is_not_found(command: Any) -> None:
    scenario(MODEL, when=command, refused="there is no model 'flight-delay'; register it first", error=NotFound)


def test_an_unknown_version_is_not_found() -> None:
    command = PromoteVersion(NAME, SemanticVersion(2, 0, 0), Stage.STAGING)
    scenario(MODEL, given=GIVEN, when=command, refused="flight-delay has no version 2.0.0; the newest is 1.0.0")
    scenario(MODEL, given=[MODEL_REGISTERED], when=command, refused="it has none yet", error=NotFound)


def test_a_path_cannot_lead_out_of_its_folder() -> None:
    scenario(
        MODEL,
        given=[MODEL_REGISTERED],
        when=replace(NEXT, artifact=Artifact("../model.ubj", "a" * 64, 10)),
        refused="holds '.' or '..'",
        field="artifact.path",
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_figures_of_a_version_are_finite(value: float) -> None:
    scenario(
        MODEL,
        given=[MODEL_REGISTERED],
        when=replace(NEXT, metrics={"auc": 0.7, "loss": value}),
        refused="must be finite numbers",
        field="metrics['loss']",
    )


@pytest.mark.parametrize(
    ("tensor", "field", "refused"),
    [
        (Tensor("x", "FP32", (-2,)), "shape", "-2 is not a length"),
        (Tensor("x", "FP32", (-1, 3), ("a", "b")), "columns", "names 2 columns, but the last dimension of shape is 3"),
        (Tensor("x", "FP32", (-1, 2), ("a", "a")), "columns[1]", "'a' stands there twice"),
        (Tensor("x", "FP32", (-1, 2), ("a", "b"), ("numeric",)), "kinds", "has 1 entries for 2 columns"),
        (
            Tensor("x", "FP32", (-1, 1), ("a",), ("ordinal",)),
            "kinds[0]",
            "'ordinal' is not one of numeric, categorical",
        ),
    ],
)
def test_a_signature_must_not_contradict_itself(tensor: Tensor, field: str, refused: str) -> None:
    scenario(
        MODEL,
        given=[MODEL_REGISTERED],
        when=replace(NEXT, signature=Signature(inputs=(tensor,), outputs=SIGNATURE.outputs)),
        refused=refused,
        error=Invalid,
        field=f"signature.inputs[0].{field}",
    )


def test_a_model_has_inputs_and_outputs_of_different_names() -> None:
    output = SIGNATURE.outputs[0]
    for signature, field in (
        (Signature((), SIGNATURE.outputs), "signature.inputs"),
        (Signature(SIGNATURE.inputs, ()), "signature.outputs"),
        (Signature(SIGNATURE.inputs, (output, output)), "signature.outputs[1]"),
    ):
        refused = "twice" if field.endswith("]") else "is empty; a model has at least one"
        scenario(MODEL, given=[MODEL_REGISTERED], when=replace(NEXT, signature=signature), refused=refused, field=field)


def test_a_dimension_of_any_length_takes_any_number_of_columns() -> None:
    signature = Signature((Tensor("x", "FP32", (-1, -1), ("a", "b")),), SIGNATURE.outputs)
    after = scenario(
        MODEL,
        given=[MODEL_REGISTERED],
        when=replace(NEXT, signature=signature, version=V1),
        then=[
            VersionRegistered(
                ID,
                NAME,
                "1.0.0",
                "alice",
                "",
                "",
                (),
                "xgboost",
                ARTIFACT,
                signature,
                {},
                {},
                "request-1",
                NOW,
                (ARTIFACT,),
            )
        ],
    )
    assert after.version(NAME, V1).content.signature == signature
    assert after.version_of_request("request-1") == after.version(NAME, V1)
    assert after.version_of_request("request-9") is None


@pytest.mark.parametrize(("decision", "verb"), [(Decision.APPROVED, "approve"), (Decision.REJECTED, "reject")])
def test_nobody_reviews_their_own_version(decision: Decision, verb: str) -> None:
    scenario(
        MODEL,
        given=GIVEN,
        when=ReviewVersion(NAME, V1, decision, "mine"),
        by="alice",
        refused=f"alice registered flight-delay 1.0.0 and may not {verb} it; ask someone else",
        error=NotAllowed,
    )


def test_an_approval_has_an_id_of_its_own() -> None:
    approval_id = derived_id("approval", "request-1", ID, "1.0.0")
    after = scenario(
        MODEL,
        given=GIVEN,
        when=ReviewVersion(NAME, V1, Decision.APPROVED, "better", {"auc": [0.7, 0.72]}),
        by="bob",
        then=[
            VersionReviewed(
                ID, NAME, "1.0.0", "bob", Decision.APPROVED, "better", {"auc": [0.7, 0.72]}, approval_id, NOW
            )
        ],
    )
    assert after.version(NAME, V1).approval_id == approval_id


def test_a_rejection_has_none() -> None:
    scenario(
        MODEL, given=GIVEN, when=ReviewVersion(NAME, V1, Decision.REJECTED, "looked at it"), by="bob", then=[REJECTED]
    )


def test_the_same_review_again_is_no_error() -> None:
    scenario(
        MODEL,
        given=[*GIVEN, APPROVED],
        when=ReviewVersion(NAME, V1, Decision.APPROVED, "looked at it"),
        by="bob",
        then=[],
    )


def test_a_review_that_answers_another_one_counts() -> None:
    approval_id = derived_id("approval", "request-1", ID, "1.0.0")
    after = scenario(
        MODEL,
        given=[*GIVEN, APPROVED, reviewed(Decision.REJECTED, "carol")],
        when=ReviewVersion(NAME, V1, Decision.APPROVED, "looked at it"),
        by="bob",
        then=[reviewed(Decision.APPROVED, "bob", approval_id)],
    )
    assert after.version(NAME, V1).approval_id == approval_id


def test_an_archived_version_takes_no_review() -> None:
    scenario(
        MODEL,
        given=ARCHIVED,
        when=ReviewVersion(NAME, V1, Decision.APPROVED, "late"),
        by="bob",
        refused="flight-delay 1.0.0 is archived, which is final; it takes no more reviews",
        error=NotAllowed,
    )


def test_production_needs_someone_elses_approval() -> None:
    for given in (GIVEN, STAGED):
        scenario(
            MODEL,
            given=given,
            when=PromoteVersion(NAME, V1, Stage.PRODUCTION),
            by="alice",
            refused="flight-delay 1.0.0 needs an approval by someone other than alice",
            error=NotAllowed,
        )


def test_a_promotion_to_production_names_its_approval() -> None:
    scenario(
        MODEL,
        given=[*STAGED, APPROVED],
        when=PromoteVersion(NAME, V1, Stage.PRODUCTION, "better"),
        then=[promoted(Stage.STAGING, Stage.PRODUCTION, "approval-1", "better")],
    )


def test_a_promotion_that_needs_no_approval_names_none() -> None:
    scenario(
        MODEL,
        given=[*GIVEN, APPROVED],
        when=PromoteVersion(NAME, V1, Stage.STAGING),
        then=[promoted(Stage.DEVELOPMENT, Stage.STAGING)],
    )


def test_production_is_reached_from_staging_only() -> None:
    scenario(
        MODEL,
        given=[*GIVEN, APPROVED],
        when=PromoteVersion(NAME, V1, Stage.PRODUCTION),
        refused="flight-delay 1.0.0 is in development; it can go to staging or archived",
        error=NotAllowed,
    )


def test_there_is_no_way_back() -> None:
    scenario(
        MODEL,
        given=STAGED,
        when=PromoteVersion(NAME, V1, Stage.DEVELOPMENT),
        refused="flight-delay 1.0.0 is in staging; it can go to production or archived",
        error=NotAllowed,
    )


@pytest.mark.parametrize("stage", [Stage.DEVELOPMENT, Stage.STAGING, Stage.PRODUCTION])
def test_archived_is_final(stage: Stage) -> None:
    scenario(
        MODEL,
        given=ARCHIVED,
        when=PromoteVersion(NAME, V1, stage),
        refused="flight-delay 1.0.0 is archived, which is final",
        error=NotAllowed,
    )


@pytest.mark.parametrize(
    ("given", "stage"), [(GIVEN, Stage.DEVELOPMENT), (STAGED, Stage.STAGING), (ARCHIVED, Stage.ARCHIVED)]
)
def test_asking_for_the_stage_it_is_in_is_no_error(given: list[ModelEvent], stage: Stage) -> None:
    scenario(MODEL, given=given, when=PromoteVersion(NAME, V1, stage), then=[])


def test_every_stage_can_be_left_for_the_archive() -> None:
    in_production = [*STAGED, APPROVED, promoted(Stage.STAGING, Stage.PRODUCTION, "approval-1")]
    for given, stage in ((GIVEN, Stage.DEVELOPMENT), (STAGED, Stage.STAGING), (in_production, Stage.PRODUCTION)):
        scenario(
            MODEL,
            given=given,
            when=PromoteVersion(NAME, V1, Stage.ARCHIVED),
            then=[promoted(stage, Stage.ARCHIVED)],
        )


@pytest.mark.parametrize(("given", "stage"), [(GIVEN, Stage.STAGING), (STAGED, Stage.PRODUCTION)])
def test_a_rejected_version_is_not_promoted_until_it_is_approved(given: list[ModelEvent], stage: Stage) -> None:
    scenario(
        MODEL,
        given=[*given, APPROVED, reviewed(Decision.REJECTED, "carol")],
        when=PromoteVersion(NAME, V1, stage),
        refused="carol rejected flight-delay 1.0.0 (looked at it); it needs an approval before it goes to",
        error=NotAllowed,
    )
    scenario(
        MODEL,
        given=[*given, REJECTED, APPROVED],
        when=PromoteVersion(NAME, V1, stage),
        then=[
            promoted(
                Stage.DEVELOPMENT if stage is Stage.STAGING else Stage.STAGING,
                stage,
                "approval-1" if stage is Stage.PRODUCTION else "",
            )
        ],
    )


def test_a_rejected_version_can_be_archived() -> None:
    scenario(
        MODEL,
        given=[*STAGED, REJECTED],
        when=PromoteVersion(NAME, V1, Stage.ARCHIVED),
        then=[promoted(Stage.STAGING, Stage.ARCHIVED)],
    )


def test_a_second_version_may_go_to_production_beside_the_first() -> None:
    first = [*STAGED, APPROVED, promoted(Stage.STAGING, Stage.PRODUCTION, "approval-1")]
    second: list[ModelEvent] = [
        registered("1.1.0", request_id="request-8"),
        VersionPromoted(ID, NAME, "1.1.0", Stage.DEVELOPMENT, Stage.STAGING, "", "", "alice", NOW),
        VersionReviewed(ID, NAME, "1.1.0", "bob", Decision.APPROVED, "ok", {}, "approval-2", NOW),
    ]
    after = scenario(
        MODEL,
        given=[*first, *second],
        when=PromoteVersion(NAME, SemanticVersion(1, 1, 0), Stage.PRODUCTION),
        by=context("bob"),
        then=[VersionPromoted(ID, NAME, "1.1.0", Stage.STAGING, Stage.PRODUCTION, "approval-2", "", "bob", NOW)],
    )
    assert [v.stage for v in after.versions.values()] == [Stage.PRODUCTION, Stage.PRODUCTION]
