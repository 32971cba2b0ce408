"""What an event of the registry is to webhooks: names and data as MLflow's server sends them, and those of our own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelog_registry.model.change_events import ChangeDecision, ChangeRequested, ChangeReviewed
from modelog_registry.model.events import (
    AliasDeleted,
    AliasSet,
    ModelRegistered,
    ModelTagged,
    VersionPromoted,
    VersionRegistered,
    VersionReviewed,
    VersionTagged,
)
from modelog_registry.model.retired import (
    RetirementAnnounced,
    RetirementCalledOff,
    RetirementObjected,
    RetirementState,
)
from modelog_registry.model.signed import VersionSigned
from modelog_registry.model.stage import Decision, Stage
from modelog_registry.model.state import Model
from modelog_registry.run.events import RunEnded, RunStatus
from modelog_registry.run.state import Run

Data = dict[str, Any]
OfVersion = (
    VersionPromoted
    | VersionReviewed
    | VersionSigned
    | ChangeRequested
    | ChangeReviewed
    | RetirementAnnounced
    | RetirementObjected
    | RetirementCalledOff
)
# MLflow keeps prompts as models, which these tags tell.
IS_PROMPT, PROMPT_TYPE, PROMPT_TEXT = "mlflow.prompt.is_prompt", "_mlflow_prompt_type", "mlflow.prompt.text"
# What MLflow keeps beside a version's tags, and the gateway among them.
BESIDE = ("mlflow.modelId", "mlflow.runLink")
ENDED = {
    RunStatus.COMPLETED: "run.finished",
    RunStatus.FAILED: "run.failed",
    RunStatus.CANCELLED: "run.cancelled",
}
# A review that asks for changes is neither.
REVIEWED = {
    ChangeDecision.APPROVED: "model_version_promotion.approved",
    ChangeDecision.REJECTED: "model_version_promotion.refused",
}
# What an event may become, by its stored name: whatever nobody wants need not be looked at.
POSSIBLE: Mapping[str, tuple[str, ...]] = {
    "registry.ModelRegistered": ("registered_model.created", "prompt.created"),
    "registry.ModelTagged": ("prompt_tag.set", "prompt_tag.deleted"),
    "registry.VersionRegistered": ("model_version.created", "prompt_version.created"),
    "registry.VersionTagged": (
        "model_version_tag.set",
        "model_version_tag.deleted",
        "prompt_version_tag.set",
        "prompt_version_tag.deleted",
    ),
    "registry.AliasSet": ("model_version_alias.created", "prompt_alias.created"),
    "registry.AliasDeleted": ("model_version_alias.deleted", "prompt_alias.deleted"),
    "registry.VersionPromoted": (
        "model_version_stage.changed",
        "model_version_retirement.called_off",
        "model_version_retirement.carried_out",
    ),
    "registry.RetirementAnnounced": ("model_version_retirement.announced",),
    "registry.RetirementObjected": ("model_version_retirement.objected",),
    "registry.RetirementCalledOff": ("model_version_retirement.called_off",),
    "registry.VersionSigned": ("model_version_signature.added",),
    "registry.VersionReviewed": ("model_version_review.approved", "model_version_review.rejected"),
    "registry.ChangeRequested": ("model_version_promotion.requested",),
    "registry.ChangeReviewed": ("model_version_promotion.approved", "model_version_promotion.refused"),
    "registry.RunEnded": tuple(ENDED.values()),
}


@dataclass(frozen=True)
class Happening:
    """One thing to tell: its name, such as "model_version.created", and MLflow's data of it."""

    kind: str
    data: Data

    @property
    def model(self) -> str:
        """The model that it happened to; empty for what happened to a run."""
        return str(self.data.get("name", ""))


def of_model(model: Model, event: object) -> Sequence[Happening]:
    """What an event of a model is, of none to several; `model` is after it."""
    prompt = _is_prompt(model.tags)
    match event:
        case ModelRegistered(name=name, tags=tags, description=description):
            shown = _without(tags, IS_PROMPT, PROMPT_TYPE) if prompt else tags
            kind = "prompt.created" if prompt else "registered_model.created"
            return [Happening(kind, {"name": name, "tags": shown, "description": description})]
        case ModelTagged(model=name):
            return _tags("prompt_tag", {"name": name}, event) if prompt else ()
        case VersionRegistered():
            return [_version_created(model, event)]
        case VersionTagged(model=name, version=version):
            where = {"name": name, "version": _number(model, version)}
            return _tags("prompt_version_tag" if prompt else "model_version_tag", where, event)
        case AliasSet(model=name, alias=alias, version=version):
            kind = "prompt_alias.created" if prompt else "model_version_alias.created"
            return [Happening(kind, {"name": name, "alias": alias, "version": _number(model, version)})]
        case AliasDeleted(model=name, alias=alias):
            kind = "prompt_alias.deleted" if prompt else "model_version_alias.deleted"
            return [Happening(kind, {"name": name, "alias": alias})]
        case VersionPromoted():
            return [Happening("model_version_stage.changed", _moved(model, event))]
        case VersionReviewed():
            approved = event.decision is Decision.APPROVED
            kind = "model_version_review.approved" if approved else "model_version_review.rejected"
            data = {**_named(model, event), "reviewer": event.reviewer, "comment": event.comment}
            return [Happening(kind, data)]
        case ChangeRequested():
            data = {**_asked(model, event), "risk": event.risk.value, "comment": event.description}
            return [Happening("model_version_promotion.requested", data)]
        case RetirementAnnounced():
            data = {**_named(model, event), "due": event.due.isoformat(), "reason": event.reason, "by": event.by}
            return [Happening("model_version_retirement.announced", data)]
        case RetirementObjected():
            return [Happening("model_version_retirement.objected", _ended(model, event))]
        case RetirementCalledOff():
            return [Happening("model_version_retirement.called_off", _ended(model, event))]
        case VersionSigned():
            files = [file.path for file in event.files]
            data = {**_named(model, event), "key": event.key, "files": files, "by": event.by}
            return [Happening("model_version_signature.added", data)]
        case ChangeReviewed() if event.decision in REVIEWED:
            return [Happening(REVIEWED[event.decision], {**_asked(model, event), "comment": event.comment})]
        case _:
            return ()


def of_retirement(before: Model, event: VersionPromoted) -> Sequence[Happening]:
    """What a move does to a retirement that was announced; `before` is the model before it."""
    retirement = before.of(event.version).retirement
    if retirement is None or retirement.state is not RetirementState.ANNOUNCED:
        return ()
    word = "carried_out" if event.to_stage is Stage.ARCHIVED else "called_off"
    return [Happening(f"model_version_retirement.{word}", _ended(before, event))]


def of_run(run: Run, event: RunEnded) -> Sequence[Happening]:
    """How a run came to its end; `run` is after it."""
    started = run.started
    data = {
        "run_id": event.run_id,
        "experiment_id": "" if started is None else started.experiment_id,
        "run_name": run.name,
        "error": event.error,
    }
    kind = ENDED.get(event.status)
    return [] if kind is None else [Happening(kind, data)]


def _version_created(model: Model, event: VersionRegistered) -> Happening:
    name, number = event.model, _number(model, event.version)
    description = event.description or None
    if _is_prompt(event.tags):
        data = {
            "name": name,
            "version": number,
            "template": event.tags.get(PROMPT_TEXT),
            "tags": _without(event.tags, IS_PROMPT, PROMPT_TYPE, PROMPT_TEXT),
            "description": description,
        }
        return Happening("prompt_version.created", data)
    data = {
        "name": name,
        "version": number,
        "source": event.source,
        "run_id": event.run_id or None,
        "tags": _without(event.tags, *BESIDE),
        "description": description,
    }
    return Happening("model_version.created", data)


def _moved(model: Model, event: VersionPromoted) -> Data:
    stages = {"from_stage": event.from_stage.value, "to_stage": event.to_stage.value}
    return {**_named(model, event), **stages, "by": event.by, "reason": event.reason}


def _asked(model: Model, event: ChangeRequested | ChangeReviewed) -> Data:
    stage = model.changes[event.change].requested.to_stage
    return {**_named(model, event), "change": event.change, "to_stage": stage.value, "by": event.by}


def _ended(model: Model, event: RetirementObjected | RetirementCalledOff | VersionPromoted) -> Data:
    return {**_named(model, event), "reason": event.reason, "by": event.by}


def _named(model: Model, event: OfVersion) -> Data:
    return {"name": event.model, "version": _number(model, event.version), "semantic_version": event.version}


def _tags(entity: str, where: Data, event: ModelTagged | VersionTagged) -> Sequence[Happening]:
    tags = {key: value for key, value in event.tags.items() if key not in event.removed}
    put = [Happening(f"{entity}.set", {**where, "key": key, "value": value}) for key, value in tags.items()]
    return [*put, *(Happening(f"{entity}.deleted", {**where, "key": key}) for key in event.removed)]


def _number(model: Model, version: str) -> str:
    """MLflow numbers versions by their order."""
    return str(model.of(version).number)


def _is_prompt(tags: Mapping[str, str]) -> bool:
    return tags.get(IS_PROMPT, "").lower() == "true"


def _without(tags: Mapping[str, str], *hidden: str) -> dict[str, str]:
    return {key: value for key, value in tags.items() if key not in hidden}
