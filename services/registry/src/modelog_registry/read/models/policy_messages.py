"""The messages of the contract of promotion policies, and their rules read back."""

from __future__ import annotations

from datetime import UTC

from modelog_common.domain.errors import Invalid
from modelog_proto.registry.v1 import policy_pb2 as pb
from modelog_proto.registry.v1.model_pb2 import Stage

from modelog_registry.model.events import VersionPromoted
from modelog_registry.model.stage import Stage as LifeStage
from modelog_registry.policy.events import PromotionPolicySet
from modelog_registry.read.messages import STAGE_OF, STAGES, timestamp
from modelog_registry.rules import RULED, Candidate, Freeze, Rules, StageRules, Threshold


def policy_message(event: PromotionPolicySet, position: int) -> pb.PromotionPolicy:
    return pb.PromotionPolicy(
        version=event.version,
        rules=rules_message(event.rules),
        by=event.by,
        reason=event.reason,
        at=timestamp(event.at),
        position=position,
        workspace=event.workspace,
    )


def first_policy() -> pb.PromotionPolicy:
    """Version 0, with the rules of all stages written out."""
    beginning = Rules()
    return pb.PromotionPolicy(rules=rules_message(Rules(tuple(beginning.of(stage) for stage in RULED))))


def rules_message(rules: Rules) -> pb.PromotionRules:
    return pb.PromotionRules(
        stages=[
            pb.StageRules(
                stage=STAGES[stage.stage],
                reviewers=stage.reviewers,
                thresholds=[
                    pb.MetricThreshold(metric=t.metric, minimum=t.minimum, maximum=t.maximum) for t in stage.thresholds
                ],
                needs_change_request=stage.needs_request,
            )
            for stage in rules.stages
        ],
        freezes=[
            pb.FreezeWindow(
                starts=timestamp(freeze.starts),
                ends=timestamp(freeze.ends),
                reason=freeze.reason,
                stages=[STAGES[stage] for stage in freeze.stages],
            )
            for freeze in rules.freezes
        ],
    )


def rules_of(message: pb.PromotionRules) -> Rules:
    """Raises Invalid, naming the field, for what is no stage."""
    return Rules(
        tuple(
            StageRules(
                _stage(stage.stage, f"rules.stages[{n}].stage"),
                stage.reviewers,
                tuple(_threshold(t) for t in stage.thresholds),
                stage.needs_change_request,
            )
            for n, stage in enumerate(message.stages)
        ),
        tuple(
            Freeze(
                freeze.starts.ToDatetime(tzinfo=UTC),
                freeze.ends.ToDatetime(tzinfo=UTC),
                freeze.reason,
                tuple(_stage(stage, f"rules.freezes[{n}].stages[{m}]") for m, stage in enumerate(freeze.stages)),
            )
            for n, freeze in enumerate(message.freezes)
        ),
    )


def _stage(number: Stage.ValueType, field: str) -> LifeStage:
    stage = STAGE_OF.get(number)
    if stage is None:
        raise Invalid.field(field, f"is no stage; use {', '.join(Stage.Name(known) for known in STAGE_OF)}")
    return stage


def _threshold(message: pb.MetricThreshold) -> Threshold:
    return Threshold(
        message.metric,
        message.minimum if message.HasField("minimum") else None,
        message.maximum if message.HasField("maximum") else None,
    )


def promotion_message(judged: Candidate, event: VersionPromoted, position: int) -> pb.RecordedPromotion:
    """A promotion with what the rules looked at."""
    return pb.RecordedPromotion(
        model=event.model,
        version=event.version,
        from_stage=STAGES[event.from_stage],
        to_stage=STAGES[event.to_stage],
        by=event.by,
        at=timestamp(event.at),
        reason=event.reason,
        position=position,
        policy_version=event.policy_version,
        author=judged.author,
        metrics=judged.metrics,
        approved_by=judged.approved_by,
        rejected_by=judged.rejected_by,
        rejection=judged.rejection,
        change=event.change,
        policy_workspace=event.policy_workspace,
    )


def candidate_of(message: pb.RecordedPromotion) -> Candidate:
    return Candidate(
        f"{message.model} {message.version}",
        message.author,
        dict(message.metrics),
        tuple(message.approved_by),
        message.rejected_by,
        message.rejection,
        message.change,
    )
