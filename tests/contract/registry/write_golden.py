"""Writes the golden file of every event type that has none yet; what is there stays, for it was once stored so.

Run it after adding an event type, or a version of one, with an example below.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict
from modelog_common.domain.decider import Decider
from modelog_common.domain.sealed import Sealed
from modelog_registry.artifact import Artifact
from modelog_registry.dataset.decide import DATASET
from modelog_registry.dataset.events import DatasetVersionRegistered
from modelog_registry.dataset.expectation import Column, Expectation
from modelog_registry.events import EVENTS
from modelog_registry.experiment.decide import EXPERIMENT
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
)
from modelog_registry.link.decide import LINK
from modelog_registry.link.events import LinkMade, LinkRevoked, Shared
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
from modelog_registry.model.card import CardEdited, CardParts, CardRisk, Citation, License, Owner
from modelog_registry.model.change_events import (
    ChangeApplied,
    ChangeCommented,
    ChangeDecision,
    ChangeEvidenceAttached,
    ChangeRequested,
    ChangeReviewed,
    ChangeReviewersAsked,
    ChangeWithdrawn,
    Evidence,
    EvidenceKind,
    Risk,
)
from modelog_registry.model.decide import MODEL
from modelog_registry.model.events import (
    AliasDeleted,
    AliasSet,
    DatasetRef,
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
from modelog_registry.model.events import Environment as MadeIn
from modelog_registry.model.retired import (
    RetirementAnnounced,
    RetirementCalledOff,
    RetirementObjected,
    SlaSet,
    SlaTargets,
)
from modelog_registry.model.signature import Signature, Tensor
from modelog_registry.model.signed import VersionSigned
from modelog_registry.model.stage import Decision, ModelType, Stage
from modelog_registry.name.decide import NAME
from modelog_registry.name.events import NameReleased, NameTaken
from modelog_registry.place import Place
from modelog_registry.policy.decide import POLICY
from modelog_registry.policy.events import PromotionPolicySet
from modelog_registry.read import messages
from modelog_registry.read.links import link_message
from modelog_registry.read.models import card_messages, model_messages, policy_messages, retirements
from modelog_registry.read.models.change_messages import change_message
from modelog_registry.read.models.signatures import signature_message
from modelog_registry.read.runs.logged_models import logged_model_message
from modelog_registry.read.webhooks import webhook_message
from modelog_registry.read.workspaces import workspace_message
from modelog_registry.retirement.policy import RETIREMENT, RetirementPolicySet
from modelog_registry.retiring import Condition, RetirementRule
from modelog_registry.rules import Freeze, Rules, StageRules, Threshold
from modelog_registry.run.decide import RUN
from modelog_registry.run.events import (
    DatasetInput,
    Environment,
    MetricsSealed,
    Point,
    RunArtifactsRemoved,
    RunDataset,
    RunDeleted,
    RunEnded,
    RunInputsLogged,
    RunLogged,
    RunModel,
    RunOutputsLogged,
    RunRenamed,
    RunRestored,
    RunResumed,
    RunStarted,
    RunStatus,
    RunTagged,
)
from modelog_registry.webhook.decide import WEBHOOK
from modelog_registry.webhook.events import (
    Target,
    WebhookCreated,
    WebhookDeleted,
    WebhookReplayed,
    WebhookSecretSet,
    WebhookSwitched,
    WebhookUpdated,
)
from modelog_registry.workspace.decide import WORKSPACES
from modelog_registry.workspace.events import (
    Access,
    ProjectCreated,
    ProjectDeleted,
    ProjectDescribed,
    Role,
    WorkspaceAccessSet,
    WorkspaceCreated,
    WorkspaceDeleted,
    WorkspaceDescribed,
    WorkspaceMemberRemoved,
    WorkspaceMemberSet,
    WorkspaceRestored,
)

FOLDER = Path(__file__).parent / "golden"
AT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
MODEL_ID, DATASET_ID, RUN_ID, EXPERIMENT_ID = "7f3c-model", "7f3c-dataset", "7f3c-run", "7f3c-experiment"
ARTIFACT = Artifact("model.ubj", "a" * 64, 12345)
ENVIRONMENT = Environment(
    "3.11.9",
    "Linux-x86_64",
    {"numpy": "2.4.0"},
    "c0ffee",
    True,
    "train:main",
    "d" * 64,
    "registry/image:1",
    ("--depth", "6"),
    {"numpy": 7},
    {"cpu": "x86_64", "cores": "2"},
    "https://git.example/flights",
    "f" * 64,
    "models/späte",
)
LONG_AGO = AT - timedelta(days=900)

CHANGE = (MODEL_ID, "flight-delay", "1.0.0", 1)
WEBHOOK_ID = "7f3c-webhook"
HOOK = Target(Sealed("k-1", "AAECAwQFBgcICQoL", "c2VhbGVkIGJ5IGEga2V5"), "https://ci.example.org/...")

# Each list is the story of one entity, in order.
LINK_ID = "7f3c-link"
STORIES: dict[str, list[Any]] = {
    "registry.model": [
        ModelRegistered(
            MODEL_ID,
            "flight-delay",
            "Will it be late?",
            "alice",
            {"team": "air"},
            AT,
            ModelType.SUPERVISED,
            "request-0",
            LONG_AGO,
            Place("fraud", "cards"),
        ),
        VersionRegistered(
            MODEL_ID,
            "flight-delay",
            "1.0.0",
            "alice",
            "first",
            RUN_ID,
            (DatasetRef("flights", 1),),
            "xgboost",
            ARTIFACT,
            Signature(
                (Tensor("features", "FP32", (-1, 2), ("hour", "перевозчик"), ("numeric", "categorical")),),
                (Tensor("delayed", "FP32", (-1,)),),
            ),
            {"auc": 0.693},
            {"k": "v"},
            "request-1",
            AT,
            (ARTIFACT, Artifact("MLmodel", "b" * 64, 7)),
            {"python_function": {"loader_module": "mlflow.xgboost", "env": {"conda": "conda.yaml"}}, "xgboost": {}},
            {"depth": 6, "eta": 0.1, "nested": {"on": True, "list": [1, None, "x"]}},
            MadeIn("3.11.9", "Linux-x86_64", {"numpy": "2.4.0"}, "registry/image:1", "c0ffee"),
            "runs:/7f3c-run/model",
            LONG_AGO,
        ),
        VersionReviewed(
            MODEL_ID,
            "flight-delay",
            "1.0.0",
            "bob",
            Decision.APPROVED,
            "better",
            {"auc": [0.69, 0.71], "n": 3},
            "approval-1",
            AT,
        ),
        ChangeRequested(
            *CHANGE,
            "Try it",
            "It is *better*.",
            Stage.STAGING,
            "flights",
            Risk.MEDIUM,
            ("few flights at night",),
            ("bob",),
            ("carol",),
            (Evidence("the run", EvidenceKind.RUN, RUN_ID, "e" * 64, 7),),
            "alice",
            "request-2",
            AT,
        ),
        ChangeReviewersAsked(*CHANGE, ("dave",), "alice", AT),
        ChangeCommented(*CHANGE, "What about snow?", "carol", AT),
        ChangeEvidenceAttached(
            *CHANGE, Evidence("report", EvidenceKind.VALIDATION_REPORT, "https://x/y", "f" * 64), "alice", AT
        ),
        ChangeReviewed(*CHANGE, ChangeDecision.APPROVED, "good", 2, "approval-2", "bob", AT),
        ChangeApplied(*CHANGE, ("approval-2",), "alice", AT),
        VersionPromoted(
            MODEL_ID,
            "flight-delay",
            "1.0.0",
            Stage.DEVELOPMENT,
            Stage.STAGING,
            "",
            "Try it",
            "alice",
            AT,
            3,
            1,
            "fraud",
        ),
        ChangeWithdrawn(*CHANGE, "not now", "alice", AT),
        CardEdited(
            *CHANGE[:3],
            CardParts(
                "Will it be late?",
                "**How** it works.",
                (Owner("the air team", "air@example.com"),),
                "More data",
                (License("Apache-2.0"), License("", "ask us")),
                ("https://example.com/x",),
                (Citation("plain", "The authors, 2026"),),
                "200 trees",
                ("dispatchers",),
                ("planning",),
                ("snow", "задержки зимой"),
                ("speed for accuracy",),
                (CardRisk("blame", "a person decides"),),
            ),
            (),
            "alice",
            AT,
        ),
        VersionSigned(
            *CHANGE[:3],
            "c" * 64,
            Artifact("signature.json", "d" * 64, 100),
            (Artifact("card.json", "e" * 64, 10), Artifact("approvals/7.json", "f" * 64, 20)),
            "alice",
            AT,
        ),
        SlaSet(MODEL_ID, "flight-delay", 1, SlaTargets(5.0, 20.0, 99.9, None), "as agreed", "alice", AT),
        RetirementAnnounced(
            *CHANGE[:3], "unused in staging since 2025", AT + timedelta(days=7), 2, "service:registry", AT
        ),
        RetirementObjected(*CHANGE[:3], "still needed", "bob", AT),
        RetirementCalledOff(*CHANGE[:3], "no rule holds any more", "service:registry", AT),
        ModelUpdated(MODEL_ID, "flight-delay", "Will it arrive late?", ModelType.ENSEMBLE, "bob", AT),
        ModelTagged(MODEL_ID, "flight-delay", {"команда": "air"}, ("team",), "bob", AT),
        VersionUpdated(MODEL_ID, "flight-delay", "1.0.0", "the first one", "bob", AT),
        VersionTagged(MODEL_ID, "flight-delay", "1.0.0", {"checked": "yes"}, ("k",), "bob", AT),
        AliasSet(MODEL_ID, "flight-delay", "champion", "1.0.0", "", "alice", AT),
        AliasDeleted(MODEL_ID, "flight-delay", "champion", "1.0.0", "alice", AT),
        VersionDeleted(MODEL_ID, "flight-delay", "1.0.0", "not needed", "alice", AT),
        ModelMoved(MODEL_ID, "flight-delay", Place("fraud", "cards"), Place("ops", "default"), "bob", AT),
        ModelRenamed(MODEL_ID, "flight-delay", "задержки", (), 2, "bob", AT, "request-9"),
        ModelDeleted(MODEL_ID, "задержки", "the end", "alice", AT),
    ],
    "registry.webhook": [
        WebhookCreated(
            WEBHOOK_ID, "acme", "ci", "builds", HOOK, ("model_version.created",), HOOK.url, True, "alice", AT, "delay"
        ),
        WebhookUpdated(WEBHOOK_ID, "ci-2", "", HOOK, ("model_version_alias.created",), "bob", AT, "flight-delay"),
        WebhookSecretSet(WEBHOOK_ID, None, "bob", AT),
        WebhookSwitched(WEBHOOK_ID, False, "bob", AT),
        WebhookReplayed(WEBHOOK_ID, 3, 7, "bob", AT),
        WebhookDeleted(WEBHOOK_ID, "bob", AT),
    ],
    "registry.promotion_policy": [
        PromotionPolicySet(
            1,
            Rules(
                (StageRules(Stage.PRODUCTION, 2, (Threshold("auc", 0.7), Threshold("loss", None, 0.5)), True),),
                (Freeze(AT, AT.replace(year=2027), "the holidays", (Stage.PRODUCTION,)),),
            ),
            "after the incident",
            "admin",
            AT,
            "fraud",
        )
    ],
    "registry.retirement_policy": [
        RetirementPolicySet(
            1,
            (
                RetirementRule(Stage.STAGING, Condition.UNUSED, 90, 14),
                RetirementRule(Stage.PRODUCTION, Condition.SUPERSEDED, 30, 7),
            ),
            "tidy",
            "admin",
            AT,
        )
    ],
    "registry.workspace": [
        WorkspaceCreated("fraud", "card fraud", "alice", AT),
        WorkspaceDescribed("fraud", "мошенничество", "alice", AT),
        WorkspaceMemberSet("fraud", "bob", Role.REVIEWER, "alice", AT),
        WorkspaceAccessSet("fraud", Access.RESTRICTED, "alice", AT),
        ProjectCreated("fraud", "cards", "all cards", "bob", AT),
        ProjectDescribed("fraud", "cards", "some cards", "bob", AT),
        WorkspaceMemberRemoved("fraud", "bob", "alice", AT),
        ProjectDeleted("fraud", "cards", "alice", AT),
        WorkspaceDeleted("fraud", "alice", AT),
        WorkspaceRestored("fraud", "alice", AT),
    ],
    "registry.link": [
        LinkMade(LINK_ID, "acme", Shared(EXPERIMENT_ID, RUN_ID), "a" * 64, AT + timedelta(days=7), "alice", AT),
        LinkRevoked(LINK_ID, "bob", AT),
    ],
    "registry.name": [
        NameTaken("experiment", "задержки", EXPERIMENT_ID, AT),
        NameReleased("experiment", "задержки", EXPERIMENT_ID, AT),
    ],
    "registry.experiment": [
        ExperimentCreated(
            EXPERIMENT_ID,
            "задержки",
            "why",
            "alice",
            AT,
            "acme",
            {"k": "v"},
            "s3://bucket/x",
            LONG_AGO,
            Place("fraud", "cards"),
        ),
        ExperimentRenamed(EXPERIMENT_ID, "задержки", "delays", "bob", AT),
        ExperimentDescribed(EXPERIMENT_ID, "because", "bob", AT),
        ExperimentTagged(EXPERIMENT_ID, {"l": "w"}, ("k",), "bob", AT),
        ExperimentMoved(EXPERIMENT_ID, "delays", Place("fraud", "cards"), Place("ops", "default"), "bob", AT),
        ExperimentArtifactsAdded(EXPERIMENT_ID, (ARTIFACT,), "bob", AT),
        ExperimentArtifactsRemoved(EXPERIMENT_ID, (ARTIFACT.path,), "bob", AT),
        ExperimentDeleted(EXPERIMENT_ID, "delays", "bob", AT),
        ExperimentRestored(EXPERIMENT_ID, "delays", "bob", AT),
    ],
    "registry.run": [
        RunStarted(
            RUN_ID,
            "acme",
            "задержки",
            "first",
            "alice",
            {"depth": 6, "eta": 0.1, "nested": {"on": True, "list": [1, None, "x"]}},
            (RunDataset("flights", 1, "b" * 64),),
            ENVIRONMENT,
            {"k": "v"},
            AT,
            EXPERIMENT_ID,
            "7f3c-parent",
            AT - timedelta(days=1),
        ),
        RunLogged(
            RUN_ID,
            {"gamma": 0},
            (Point("auc", 0.69, 1, AT), Point("loss", "NaN", 1, AT), Point("loss", "-Infinity", 2, AT)),
            (ARTIFACT,),
            {"k": "w"},
            None,
            AT,
        ),
        MetricsSealed(RUN_ID, 1, 3, 250, "e" * 64, (Point("auc", 0.7, 100, AT), Point("loss", "NaN", 9, AT)), AT),
        RunInputsLogged(
            RUN_ID,
            (DatasetInput("flights", "abc", "http", "{}", "[]", "{}", {"mlflow.data.context": "training"}),),
            (RunModel("m-1"),),
            AT,
        ),
        RunOutputsLogged(RUN_ID, (RunModel("m-2", 7),), AT),
        RunEnded(RUN_ID, RunStatus.FAILED, "out of memory", AT, AT - timedelta(hours=1)),
        RunTagged(RUN_ID, {"late": "yes"}, ("k",), "bob", AT),
        RunRenamed(RUN_ID, "best", "bob", AT),
        RunResumed(RUN_ID, RunStatus.RUNNING, "bob", AT),
        RunArtifactsRemoved(RUN_ID, (ARTIFACT.path,), "bob", AT),
        RunDeleted(RUN_ID, "bob", AT),
        RunRestored(RUN_ID, "bob", AT),
    ],
    "registry.loggedmodel": [
        LoggedModelCreated(
            "m-1",
            "acme",
            EXPERIMENT_ID,
            "forest",
            "classifier",
            RUN_ID,
            {"depth": "6"},
            {"k": "v"},
            "alice",
            AT,
            LONG_AGO,
        ),
        LoggedModelAddedTo(
            "m-1",
            {"eta": "0.1"},
            {"l": "w"},
            ("k",),
            (ModelMetric("auc", "NaN", 3, AT, RUN_ID, "flights", "abc"), ModelMetric("auc", 0.7, 3, AT)),
            (ARTIFACT,),
            "alice",
            AT,
        ),
        LoggedModelFinalised("m-1", LoggedModelStatus.READY, "whole", "alice", AT),
        LoggedModelArtifactsRemoved("m-1", (ARTIFACT.path,), "bob", AT),
        LoggedModelDeleted("m-1", "bob", AT),
    ],
    "registry.dataset": [
        DatasetVersionRegistered(
            DATASET_ID,
            "flights",
            1,
            "2013-01",
            "b" * 64,
            1000,
            27004,
            (Column("hour", "int32"), Column("carrier", "string")),
            (Expectation("hour", "between", 0, 23), Expectation("carrier", "in_set", values=("UA", "AA"))),
            "January",
            "alice",
            "request-1",
            AT,
        )
    ],
}
DECIDERS: dict[str, Decider[Any, Any, Any]] = {
    d.category: d
    for d in (MODEL, POLICY, RETIREMENT, NAME, EXPERIMENT, RUN, LOGGED_MODEL, DATASET, WEBHOOK, WORKSPACES, LINK)
}


def seen_after(category: str, events: list[Any]) -> dict[str, Any]:
    """What a caller sees of an entity after its events: the message of the contract as JSON."""
    state = DECIDERS[category].initial()
    for event in events:
        state = DECIDERS[category].evolve(state, event)
    match category:
        case "registry.model":
            message = model_messages.model_message(state, state.registered, 7)
            message.versions.extend(model_messages.version_message(state, v, 7) for v in state.versions.values())
            if state.changes:
                told = [
                    MessageToDict(change_message(c, 7), preserving_proto_field_name=True)
                    for c in state.changes.values()
                ]
                cards = [card_messages.written_message(v, 7) for v in state.versions.values() if v.card_edited]
                written = [MessageToDict(card, preserving_proto_field_name=True) for card in cards]
                whole = MessageToDict(message, preserving_proto_field_name=True)
                signed = [signature_message(s, 7) for v in state.versions.values() for s in v.signatures]
                signatures = [MessageToDict(one, preserving_proto_field_name=True) for one in signed]
                seen = {**whole, "changes": told, "cards": written, "signatures": signatures}
                return {**seen, **promised_and_retired(state)}
        case "registry.promotion_policy":
            message = policy_messages.policy_message(state.last, 7)
        case "registry.retirement_policy":
            message = retirements.retirement_policy_message(state.last, 7)
        case "registry.link":
            message = link_message(state, state.made, 7)
        case "registry.workspace":
            found = [workspace_message(w, 7) for w in state.all.values()]
            return {"workspaces": [MessageToDict(w, preserving_proto_field_name=True) for w in found]}
        case "registry.webhook":
            message = webhook_message(state, state.created, 7)
        case "registry.experiment":
            message = messages.experiment_message(state, state.created, 7)
        case "registry.loggedmodel":
            message = logged_model_message(state, state.created, 7)
        case "registry.name":
            return {"owner": state.taken.owner if state.taken else ""}
        case "registry.run":
            message = messages.run_message(state, state.started, 7)
        case _:
            message = messages.dataset_version_message(state.versions[-1], 7)
    return MessageToDict(message, preserving_proto_field_name=True)


def promised_and_retired(model: Any) -> dict[str, Any]:
    """The targets of a model, and the retirements of its versions."""
    ended = [retirements.retirement_message(v, v.retirement, 7) for v in model.versions.values() if v.retirement]
    promised = [retirements.sla_message(model.sla, 7)] if model.sla else []
    return {
        "retirements": [MessageToDict(m, preserving_proto_field_name=True) for m in ended],
        "sla": [MessageToDict(m, preserving_proto_field_name=True) for m in promised],
    }


def golden_file(name: str, version: int) -> Path:
    return FOLDER / f"{name}.{version}.json"


def main() -> None:
    """Write what is missing."""
    FOLDER.mkdir(exist_ok=True)
    for category, story in STORIES.items():
        before: list[str] = []
        for n, event in enumerate(story, start=1):
            name, version, payload = EVENTS.encode(event)
            file = golden_file(name, version)
            if not file.exists():
                golden = {
                    "type": name,
                    "version": version,
                    "category": category,
                    "before": before,
                    "payload": json.loads(payload),
                    "seen": seen_after(category, story[:n]),
                }
                file.write_text(json.dumps(golden, indent=2, ensure_ascii=False) + "\n")
                print("wrote", file.name)
            before = [*before, file.name]


if __name__ == "__main__":
    main()
