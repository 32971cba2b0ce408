"""Every event type that serving writes."""

from __future__ import annotations

from modelog_common.events.types import EventTypes

from modelog_serving.deployment.events import (
    CachingSet,
    DeploymentCreated,
    DeploymentStopped,
    ReplicasChanged,
    ResilienceSet,
    ScalingSet,
    TrafficSet,
)
from modelog_serving.failure.events import BreakerClosed, BreakerOpened, ModelFailed
from modelog_serving.learning.events import LearningSet, LearningStopped, ModelLearned
from modelog_serving.release.events import (
    ReleaseAdvanced,
    ReleaseLooked,
    ReleasePromoted,
    ReleaseRolledBack,
    ReleaseStarted,
    ReleaseStopped,
)
from modelog_serving.segment.events import PredictionsSealed
from modelog_serving.traffic.events import TrafficMeasured
from modelog_serving.trial.events import TrialAsked, VersionTried

EVENTS = EventTypes(
    (
        DeploymentCreated,
        TrafficSet,
        DeploymentStopped,
        ScalingSet,
        CachingSet,
        ResilienceSet,
        ReplicasChanged,
        TrafficMeasured,
        PredictionsSealed,
        ReleaseStarted,
        ReleaseLooked,
        ReleaseAdvanced,
        ReleasePromoted,
        ReleaseRolledBack,
        ReleaseStopped,
        ModelFailed,
        BreakerOpened,
        BreakerClosed,
        LearningSet,
        ModelLearned,
        LearningStopped,
        VersionTried,
        TrialAsked,
    ),
    {
        # Before, each answer was a leaf.
        ("serving.PredictionsSealed", 1): lambda fields: {**fields, "leaves": 0},
        # Before, no deployment asked for GPUs.
        ("serving.ScalingSet", 1): lambda fields: {**fields, "scaling": {**fields["scaling"], "gpus": 0}},
    },
)
