"""From request messages to commands; a value of 0 takes the default that the contract names."""

from __future__ import annotations

from google.protobuf.json_format import MessageToDict
from modelog_common.domain.errors import Invalid
from modelog_proto.monitoring.v1 import monitoring_pb2 as pb

from modelog_monitoring.handle.monitors import NewMonitor
from modelog_monitoring.monitor.events import Channel, DatasetRef, DriftLimits
from modelog_monitoring.policy.commands import CANARY_PERCENT, CANARY_ROWS, EVALUATION_ROWS, CreatePolicy
from modelog_monitoring.policy.events import CanaryTest
from modelog_monitoring.read.messages import CHANNELS, UNITS

_UNITS = {number: unit for unit, number in UNITS.items()}
_CHANNELS = {number: kind for kind, number in CHANNELS.items()}
FALSE_DISCOVERY_RATE = 0.05
KS_DISTANCE = 0.1
CRAMERS_V = 0.1
AUC_LOSS = 0.02


def new_monitor(request: pb.CreateMonitorRequest) -> NewMonitor:
    """Raises Invalid for a window or channel kind that this release does not know."""
    if request.window not in _UNITS:
        raise Invalid.field("window", f"{request.window} is not a window; there are {', '.join(UNITS)}")
    if not request.drift.false_discovery_rate < 1:
        raise Invalid.field(
            "drift.false_discovery_rate", "is 1, which would call every difference drift; less is needed"
        )
    return NewMonitor(
        name=request.name,
        deployment=request.deployment,
        reference=tuple(DatasetRef(r.dataset, r.version) for r in request.reference),
        window=_UNITS[request.window],
        label_column=request.label_column,
        allowed_lateness_s=request.allowed_lateness_s,
        drift=DriftLimits(
            false_discovery_rate=request.drift.false_discovery_rate or FALSE_DISCOVERY_RATE,
            ks_distance=request.drift.ks_distance or KS_DISTANCE,
            cramers_v=request.drift.cramers_v or CRAMERS_V,
            feature_share=request.drift.feature_share,
        ),
        auc_loss=request.quality.auc_loss or AUC_LOSS,
        channels=tuple(_channel(n, c) for n, c in enumerate(request.channels)),
        reference_auc=request.reference_auc,
        reference_log_loss=request.reference_log_loss,
    )


def _channel(n: int, channel: pb.AlertChannel) -> Channel:
    if channel.kind not in _CHANNELS:
        raise Invalid.field(f"channels[{n}].kind", f"{channel.kind} is not a channel; there are {', '.join(CHANNELS)}")
    return Channel(_CHANNELS[channel.kind], channel.url)


def create_policy(request: pb.CreateRetrainingPolicyRequest) -> CreatePolicy:
    usual = CanaryTest()
    return CreatePolicy(
        name=request.name,
        monitor=request.monitor,
        on_drift=request.on_drift,
        on_quality=request.on_quality,
        job=MessageToDict(request.job, preserving_proto_field_name=True),
        dataset=request.dataset,
        evaluation_rows=request.evaluation_rows or EVALUATION_ROWS,
        canary_percent=request.canary_percent or CANARY_PERCENT,
        canary_rows=request.canary_rows or CANARY_ROWS,
        canary=CanaryTest(
            alpha=request.canary_alpha or usual.alpha,
            margin=request.canary_margin if request.HasField("canary_margin") else usual.margin,
        ),
    )
