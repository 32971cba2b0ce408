"""From states and events to the messages that queries answer with."""

from __future__ import annotations

from google.protobuf.json_format import ParseDict
from modelog_proto.common.v1.common_pb2 import DatasetRef
from modelog_proto.monitoring.v1 import monitoring_pb2 as pb
from modelog_proto.training.v1.training_pb2 import JobSpec

from modelog_monitoring.handle.channels import shown
from modelog_monitoring.monitor.events import AlertKind, ChannelKind, QualityFigures, WindowEvaluated
from modelog_monitoring.monitor.state import Alert, Monitor
from modelog_monitoring.monitor.window import WindowUnit
from modelog_monitoring.policy.events import PolicyCreated
from modelog_monitoring.read.canary_messages import canary_look_message, canary_plan_message
from modelog_monitoring.read.moments import timestamp
from modelog_monitoring.retraining.events import CanaryEvaluated, ChallengerEvaluated
from modelog_monitoring.retraining.state import Phase, Retraining

UNITS = {
    WindowUnit.HOUR: pb.WINDOW_UNIT_HOUR,
    WindowUnit.DAY: pb.WINDOW_UNIT_DAY,
    WindowUnit.WEEK: pb.WINDOW_UNIT_WEEK,
    WindowUnit.MONTH: pb.WINDOW_UNIT_MONTH,
}
CHANNELS = {ChannelKind.WEBHOOK: pb.CHANNEL_KIND_WEBHOOK, ChannelKind.SLACK: pb.CHANNEL_KIND_SLACK}
KINDS = {
    AlertKind.DRIFT: pb.ALERT_KIND_DRIFT,
    AlertKind.QUALITY: pb.ALERT_KIND_QUALITY,
    AlertKind.SERVICE_LEVEL: pb.ALERT_KIND_SERVICE_LEVEL,
    AlertKind.SERVICE_LEVEL_MET: pb.ALERT_KIND_SERVICE_LEVEL_MET,
    AlertKind.LEARNING_STOPPED: pb.ALERT_KIND_LEARNING_STOPPED,
    AlertKind.LEARNING_RESUMED: pb.ALERT_KIND_LEARNING_RESUMED,
}
STATES = {
    Phase.TRAINING: pb.RETRAINING_STATE_TRAINING,
    Phase.EVALUATING: pb.RETRAINING_STATE_EVALUATING,
    Phase.AWAITING_APPROVAL: pb.RETRAINING_STATE_AWAITING_APPROVAL,
    Phase.CANARY: pb.RETRAINING_STATE_CANARY,
    Phase.CONCLUDING: pb.RETRAINING_STATE_CANARY,
    Phase.PROMOTED: pb.RETRAINING_STATE_PROMOTED,
    Phase.REFUSED: pb.RETRAINING_STATE_REFUSED,
    Phase.FAILED: pb.RETRAINING_STATE_FAILED,
}
WAITING, DELIVERED = "waiting", "delivered"


def monitor_message(monitor: Monitor, position: int) -> pb.Monitor:
    """A monitor without what changes with the data: watermarks and counts."""
    about = monitor.definition
    return pb.Monitor(
        id=about.monitor_id,
        name=about.name,
        deployment=about.deployment,
        reference=[DatasetRef(dataset=r.dataset, version=r.version) for r in about.reference],
        label_column=about.label_column,
        window=UNITS[about.window],
        allowed_lateness_s=about.allowed_lateness_s,
        drift=pb.DriftThresholds(
            false_discovery_rate=about.drift.false_discovery_rate,
            ks_distance=about.drift.ks_distance,
            cramers_v=about.drift.cramers_v,
            feature_share=about.drift.feature_share,
        ),
        quality=pb.QualityThresholds(auc_loss=about.auc_loss),
        channels=[pb.AlertChannel(kind=CHANNELS[c.kind], url=shown(c)) for c in about.channels],
        author=about.author,
        created_at=timestamp(about.at),
        position=position,
        reference_auc=monitor.reference_auc,
        reference_log_loss=monitor.reference_log_loss,
    )


def window_message(window: WindowEvaluated, position: int) -> pb.Window:
    message = pb.Window(
        id=window.window_id,
        monitor=window.monitor,
        start=timestamp(window.start),
        end=timestamp(window.end),
        predictions=window.predictions,
        labelled=window.labelled,
        features=[
            pb.FeatureDrift(
                feature=f.feature,
                test=f.test,
                statistic=f.statistic,
                p_value=f.p_value,
                q_value=f.q_value,
                effect=f.effect,
                psi=f.psi,
                drifted=f.drifted,
            )
            for f in window.features
        ],
        drifted_features=window.drifted_features,
        drift_alert=window.drift_alert,
        quality_alert=window.quality_alert,
        position=position,
    )
    if window.quality is not None:
        message.quality.CopyFrom(_quality(window.quality))
    for version, figures in window.by_version.items():
        message.by_version[version].CopyFrom(_quality(figures))
    return message


def _quality(figures: QualityFigures) -> pb.Quality:
    """An AUC of 0 stands for none: a class had fewer than two rows."""
    return pb.Quality(
        rows=figures.rows,
        auc=figures.auc or 0.0,
        auc_low=figures.auc_low or 0.0,
        auc_high=figures.auc_high or 0.0,
        log_loss=figures.log_loss,
        brier=figures.brier,
        base_rate=figures.base_rate,
    )


def alert_message(alert: Alert, monitor: Monitor, position: int) -> pb.Alert:
    raised = alert.raised
    return pb.Alert(
        id=raised.alert_id,
        monitor=raised.monitor,
        window_id=raised.window_id,
        kind=KINDS[raised.kind],
        text=raised.text,
        at=timestamp(raised.at),
        deliveries={c.name: DELIVERED if c.name in alert.delivered else WAITING for c in monitor.definition.channels},
        position=position,
    )


def policy_message(policy: PolicyCreated, position: int) -> pb.RetrainingPolicy:
    return pb.RetrainingPolicy(
        id=policy.policy_id,
        name=policy.name,
        monitor=policy.monitor,
        on_drift=policy.on_drift,
        on_quality=policy.on_quality,
        job=ParseDict(policy.job, JobSpec()),
        dataset=policy.dataset,
        evaluation_rows=policy.evaluation_rows,
        canary_percent=policy.canary_percent,
        canary_rows=policy.canary_rows,
        author=policy.author,
        position=position,
        canary_alpha=None if policy.canary is None else policy.canary.alpha,
        canary_margin=None if policy.canary is None else policy.canary.margin,
    )


def retraining_message(retraining: Retraining, position: int) -> pb.Retraining:
    terms = retraining.terms
    message = pb.Retraining(
        id=terms.retraining_id,
        policy=terms.policy,
        monitor=terms.monitor,
        window_id=terms.window_id,
        state=STATES[retraining.phase],
        job_id=terms.job_id,
        champion=terms.champion,
        challenger=retraining.challenger,
        reason=retraining.reason,
        started_at=timestamp(terms.at),
        position=position,
        model=terms.model,
    )
    if retraining.evaluation is not None:
        message.evaluation.CopyFrom(_comparison(retraining.evaluation))
    if terms.canary is not None or retraining.looked is not None:
        message.canary_plan.CopyFrom(canary_plan_message(retraining))
    if retraining.looked is not None:
        message.latest_look.CopyFrom(canary_look_message(retraining.looked))
    if retraining.canary is not None:
        message.canary.CopyFrom(_comparison(retraining.canary))
    if retraining.ended_at is not None:
        message.ended_at.CopyFrom(timestamp(retraining.ended_at))
    return message


def _comparison(judged: ChallengerEvaluated | CanaryEvaluated) -> pb.Comparison:
    compared = judged.comparison
    message = pb.Comparison(
        rows=compared.rows, challenger_wins=judged.challenger_wins, reason=judged.reason, to=timestamp(compared.until)
    )
    getattr(message, "from").CopyFrom(timestamp(compared.since))  # the field's name is a keyword
    if compared.auc is not None:
        message.champion_auc, message.challenger_auc = compared.auc.champion, compared.auc.challenger
        message.auc_difference, message.p_value = compared.auc.value, compared.auc.p_value
        message.auc_low, message.auc_high = compared.auc.low, compared.auc.high
    if compared.log_loss is not None:
        message.champion_log_loss, message.challenger_log_loss = (
            compared.log_loss.champion,
            compared.log_loss.challenger,
        )
        message.log_loss_difference = compared.log_loss.value
        message.log_loss_low, message.log_loss_high = compared.log_loss.low, compared.log_loss.high
    return message
