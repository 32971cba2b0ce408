"""Every event type that monitoring writes, and how older versions of them are read."""

from __future__ import annotations

from modelog_common.events.types import EventTypes, spec_of

from modelog_monitoring.abtest.events import (
    AbTestCreated,
    AbTestDecided,
    AbTestLooked,
    AbTestStarted,
    AbTestStopped,
)
from modelog_monitoring.level.events import LevelBurning, LevelMeasured, LevelMet
from modelog_monitoring.monitor.events import (
    AlertDelivered,
    AlertRaised,
    MonitorCreated,
    ReferenceMoved,
    WindowEvaluated,
)
from modelog_monitoring.policy.events import PolicyCreated
from modelog_monitoring.retraining.events import (
    CanaryDecided,
    CanaryEvaluated,
    CanaryLooked,
    CanaryStarted,
    ChallengerEvaluated,
    ChallengerPromoted,
    ChallengerTrained,
    RetrainingFailed,
    RetrainingRefused,
    RetrainingStarted,
)

TYPES = (
    MonitorCreated,
    WindowEvaluated,
    ReferenceMoved,
    AlertRaised,
    AlertDelivered,
    PolicyCreated,
    RetrainingStarted,
    ChallengerTrained,
    ChallengerEvaluated,
    CanaryStarted,
    CanaryLooked,
    CanaryDecided,
    CanaryEvaluated,
    ChallengerPromoted,
    RetrainingRefused,
    RetrainingFailed,
    AbTestCreated,
    AbTestStarted,
    AbTestLooked,
    AbTestDecided,
    AbTestStopped,
    LevelMeasured,
    LevelBurning,
    LevelMet,
)
EVENTS = EventTypes(
    TYPES,
    # Version 1 held the addresses of channels as plain text, which is still read.
    {(spec_of(MonitorCreated).name, 1): lambda fields: fields},
)
