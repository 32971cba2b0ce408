"""Every event type that the registry writes, and how older versions of them are read."""

from __future__ import annotations

from modelog_common.events.types import EventTypes, Json

from modelog_registry.dataset.events import DatasetVersionRegistered
from modelog_registry.experiment.events import (
    ExperimentArtifactsAdded,
    ExperimentArtifactsRemoved,
    ExperimentCreated,
    ExperimentDeleted,
    ExperimentDescribed,
    ExperimentMoved,
    ExperimentRenamed,
    ExperimentRestored,
    ExperimentTagged,
    created_from_1,
)
from modelog_registry.link.events import LinkMade, LinkRevoked, made_from_1
from modelog_registry.logged_model.events import (
    LoggedModelAddedTo,
    LoggedModelArtifactsRemoved,
    LoggedModelCreated,
    LoggedModelDeleted,
    LoggedModelFinalised,
)
from modelog_registry.model.card import CardEdited
from modelog_registry.model.change_events import (
    ChangeApplied,
    ChangeCommented,
    ChangeEvidenceAttached,
    ChangeRequested,
    ChangeReviewed,
    ChangeReviewersAsked,
    ChangeWithdrawn,
)
from modelog_registry.model.events import (
    AliasDeleted,
    AliasSet,
    ModelDeleted,
    ModelMoved,
    ModelRegistered,
    ModelRenamed,
    ModelTagged,
    ModelUpdated,
    VersionDeleted,
    VersionPromoted,
    VersionRegistered,
    VersionReviewed,
    VersionTagged,
    VersionUpdated,
)
from modelog_registry.model.retired import RetirementAnnounced, RetirementCalledOff, RetirementObjected, SlaSet
from modelog_registry.model.signed import VersionSigned
from modelog_registry.name.events import NameReleased, NameTaken
from modelog_registry.policy.events import PromotionPolicySet
from modelog_registry.retirement.policy import RetirementPolicySet
from modelog_registry.run.events import (
    MetricsSealed,
    RunArtifactsRemoved,
    RunDeleted,
    RunEnded,
    RunInputsLogged,
    RunLogged,
    RunOutputsLogged,
    RunRenamed,
    RunRestored,
    RunResumed,
    RunStarted,
    RunTagged,
    started_from_1,
)
from modelog_registry.webhook.events import (
    WebhookCreated,
    WebhookDeleted,
    WebhookReplayed,
    WebhookSecretSet,
    WebhookSwitched,
    WebhookUpdated,
)
from modelog_registry.workspace.events import (
    ProjectCreated,
    ProjectDeleted,
    ProjectDescribed,
    WorkspaceAccessSet,
    WorkspaceCreated,
    WorkspaceDeleted,
    WorkspaceDescribed,
    WorkspaceMemberRemoved,
    WorkspaceMemberSet,
    WorkspaceRestored,
)

TYPES = (
    ModelRegistered,
    VersionRegistered,
    VersionReviewed,
    VersionPromoted,
    ModelUpdated,
    ModelTagged,
    ModelMoved,
    ModelRenamed,
    ModelDeleted,
    VersionUpdated,
    VersionTagged,
    VersionDeleted,
    AliasSet,
    AliasDeleted,
    CardEdited,
    VersionSigned,
    SlaSet,
    RetirementAnnounced,
    RetirementObjected,
    RetirementCalledOff,
    RetirementPolicySet,
    ChangeRequested,
    ChangeEvidenceAttached,
    ChangeReviewersAsked,
    ChangeCommented,
    ChangeReviewed,
    ChangeWithdrawn,
    ChangeApplied,
    PromotionPolicySet,
    NameTaken,
    NameReleased,
    ExperimentCreated,
    ExperimentRenamed,
    ExperimentDescribed,
    ExperimentTagged,
    ExperimentMoved,
    ExperimentArtifactsAdded,
    ExperimentArtifactsRemoved,
    ExperimentDeleted,
    ExperimentRestored,
    RunStarted,
    RunLogged,
    MetricsSealed,
    RunEnded,
    RunResumed,
    RunRenamed,
    RunTagged,
    RunInputsLogged,
    RunOutputsLogged,
    RunArtifactsRemoved,
    RunDeleted,
    RunRestored,
    LoggedModelCreated,
    LoggedModelAddedTo,
    LoggedModelFinalised,
    LoggedModelArtifactsRemoved,
    LoggedModelDeleted,
    DatasetVersionRegistered,
    WebhookCreated,
    WebhookUpdated,
    WebhookSecretSet,
    WebhookSwitched,
    WebhookReplayed,
    WebhookDeleted,
    WorkspaceCreated,
    WorkspaceDescribed,
    WorkspaceAccessSet,
    WorkspaceMemberSet,
    WorkspaceMemberRemoved,
    WorkspaceDeleted,
    WorkspaceRestored,
    ProjectCreated,
    ProjectDescribed,
    ProjectDeleted,
    LinkMade,
    LinkRevoked,
)


def _version_of_one_file(fields: Json) -> Json:
    """Before version 2 a version was one file."""
    return {**fields, "artifacts": [fields["artifact"]]}


EVENTS = EventTypes(
    TYPES,
    {
        # What was added since has a value that says "not told".
        ("registry.ModelRegistered", 1): lambda fields: fields,
        ("registry.ModelRegistered", 2): lambda fields: fields,
        ("registry.ModelRegistered", 3): lambda fields: fields,
        ("registry.VersionRegistered", 1): _version_of_one_file,
        ("registry.VersionRegistered", 2): lambda fields: fields,
        ("registry.VersionPromoted", 1): lambda fields: fields,
        ("registry.VersionPromoted", 2): lambda fields: fields,
        ("registry.VersionPromoted", 3): lambda fields: fields,
        ("registry.PromotionPolicySet", 1): lambda fields: fields,
        ("registry.PromotionPolicySet", 2): lambda fields: fields,
        ("registry.ExperimentCreated", 1): created_from_1,
        ("registry.ExperimentCreated", 2): lambda fields: fields,
        ("registry.ExperimentCreated", 3): lambda fields: fields,
        ("registry.LinkMade", 1): made_from_1,
        ("registry.LoggedModelCreated", 1): lambda fields: fields,
        ("registry.RunStarted", 1): started_from_1,
        ("registry.RunStarted", 2): lambda fields: fields,
        ("registry.RunLogged", 1): lambda fields: fields,
        ("registry.RunEnded", 1): lambda fields: fields,
        ("registry.WebhookCreated", 1): lambda fields: fields,
        ("registry.WebhookUpdated", 1): lambda fields: fields,
    },
)
