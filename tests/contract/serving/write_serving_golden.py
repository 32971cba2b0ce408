"""Writes the golden file of every event type that has none yet; what is there stays, for it was once stored so.

Run it after adding an event type, or a version of one, with an example below.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import reduce
from pathlib import Path
from typing import Any

import msgspec
from google.protobuf.json_format import MessageToDict
from modelog_serving.deployment.events import (
    CachingSet,
    DeploymentCreated,
    DeploymentEvent,
    DeploymentStopped,
    ReplicasChanged,
    ResilienceSet,
    ScalingSet,
    ShareSet,
    TrafficSet,
)
from modelog_serving.deployment.resilience import Breaker, DefaultOutput, Fallback, Resilience, Retries, digest_of
from modelog_serving.deployment.scaling import Scaling
from modelog_serving.deployment.signature import Signature, TensorSpec
from modelog_serving.deployment.state import Deployment, evolve
from modelog_serving.events import EVENTS
from modelog_serving.failure.decide import FAILURES
from modelog_serving.failure.events import BreakerClosed, BreakerOpened, FailureEvent, ModelFailed
from modelog_serving.learning.decide import LEARNINGS
from modelog_serving.learning.events import Labels, LearningEvent, LearningSet, LearningStopped, ModelLearned
from modelog_serving.learning.terms import Seen, Terms
from modelog_serving.read.tables import to_message
from modelog_serving.read.trials import trial_message
from modelog_serving.release.decide import RELEASES
from modelog_serving.release.events import (
    Compared,
    Counts,
    Evidence,
    Mirrored,
    Outcome,
    ReleaseAdvanced,
    ReleaseEvent,
    ReleaseLooked,
    ReleasePromoted,
    ReleaseRolledBack,
    ReleaseStarted,
    ReleaseStopped,
    Served,
)
from modelog_serving.release.plan import Criterion, OutcomePlan, Pattern, Plan
from modelog_serving.segment.decide import SEGMENTS
from modelog_serving.segment.events import PredictionsSealed
from modelog_serving.traffic.decide import TRAFFIC
from modelog_serving.traffic.events import TrafficMeasured, VersionTraffic
from modelog_serving.traffic.latency import Latencies
from modelog_serving.trial.decide import TRIALS
from modelog_serving.trial.events import Found, TrialAsked, TrialEvent, TrialLimits, VersionTried

GOLDEN = Path(__file__).parent / "golden"
AT = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
ID = "f3a7b4c6-0000-5000-8000-000000000001"
EXAMPLES: Sequence[DeploymentEvent] = (
    DeploymentCreated(
        ID,
        "flights",
        "flight-delay",
        "production",
        "alice",
        "1.0.0",
        "a" * 64,
        "xgboost",
        Signature(
            (TensorSpec("features", "FP32", (-1, 2), ("hour", "carrier"), ("numeric", "categorical")),),
            (TensorSpec("late", "FP32", (-1,)),),
        ),
        AT,
    ),
    TrafficSet(
        ID,
        "flights",
        "flight-delay",
        [ShareSet("1.0.0", 90.0, "a" * 64, "xgboost"), ShareSet("1.1.0", 10.0, "b" * 64, "xgboost")],
        "canary",
        "bob",
        AT,
    ),
    ScalingSet(ID, "flights", "flight-delay", Scaling(2, 8, 4.5, 0.0, 0, 120, True, 600, 1), "rush", "bob", AT),
    ReplicasChanged(ID, "flights", "kubernetes", 3, 0, ("1 pod: Unschedulable: no room",), AT),
    DeploymentStopped(ID, "flights", "bob", "over", AT),
)
CACHED = CachingSet(ID, "flights", "flight-delay", 60, 64 << 20, "the same flights", "bob", AT)
MEASURED = TrafficMeasured(
    ID,
    "flights",
    "flight-delay",
    AT,
    AT + timedelta(minutes=1),
    (VersionTraffic("1.0.0", 7, 2, Latencies(8, (3, 0, 2))), VersionTraffic("1.1.0", 1, 1, Latencies())),
    AT + timedelta(minutes=1),
)
PLAN = Plan(
    Pattern.CANARY,
    (10.0, 50.0, 100.0),
    0.05,
    0.01,
    0.02,
    25.0,
    OutcomePlan("amount", 0.1, Criterion.NON_INFERIOR, sd=1.0, higher_is_better=True, method="exact", lateness_s=60.0),
    60.0,
    500,
    86_400.0,
)
SEEN = Evidence(
    0,
    Counts(900, 1, 9),
    Counts(100, 1, 2),
    (Compared("errors", 0.01, 0.001, 0.01, 0.009, -0.01, 0.05, 0.4, 1.0),),
    Outcome("release.1.0.flights", 500, 60, 1.5, 1.6, 0.1, -0.05, 0.25, 0.2, ""),
    Mirrored(100, 99, 1, 0, 0.001, 0.2),
)
RELEASE = (ID, "flights", 1)
PATH: Sequence[ReleaseEvent] = (
    ReleaseStarted(
        *RELEASE,
        "flight-delay",
        Served("1.0.0", "a" * 64, "xgboost"),
        Served("1.1.0", "b" * 64, "xgboost"),
        PLAN,
        Counts(5_000, 5, 50),
        "newer",
        "alice",
        AT,
    ),
    ReleaseLooked(*RELEASE, SEEN, AT),
    ReleaseAdvanced(*RELEASE, "flight-delay", "1.1.0", 1, 50.0, SEEN, "as good", AT),
)
ENDS: Sequence[ReleaseEvent] = (
    ReleasePromoted(*RELEASE, "flight-delay", "1.0.0", "1.1.0", SEEN, "better", AT),
    ReleaseRolledBack(*RELEASE, "flight-delay", "1.0.0", "1.1.0", SEEN, "worse", "service:serving", AT),
    ReleaseStopped(*RELEASE, "flight-delay", "1.1.0", SEEN, "enough", "bob", AT),
)
FAILED = ModelFailed(
    ID, "flights", "flight-delay", "1.0.0", "a" * 64, "died", "the model's process died of SIGSEGV", AT
)
_LATE = (DefaultOutput("late", (0.25,)),)
RESILIENT = ResilienceSet(
    ID,
    "flights",
    "flight-delay",
    Resilience(
        Breaker(0.5, 30, 20, 10, 2),
        Retries(3, 0.1, 1),
        250,
        Fallback("1.1.0", "b" * 64, "xgboost", _LATE, digest_of(_LATE)),
    ),
    "it crashed twice",
    "bob",
    AT,
)
VARIANT = (ID, "flights", "flight-delay", "1.0.0", "a" * 64)
OPENED = BreakerOpened(*VARIANT, 12, 20, 30, "the model's process died of SIGSEGV", AT)
CLOSED = BreakerClosed(*VARIANT, 30.5, "it answers again", AT)
TRIED = VersionTried(
    "flight-delay",
    "flight-delay",
    "1.0.0",
    "a" * 64,
    "xgboost",
    False,
    {"python": "3.11.2", "xgboost-cpu": "3.2.0", "numba": "0.62.1"},
    TrialLimits(300.0, 30.0, 4 << 30),
    Found(
        "kept the original engine",
        engine="xgboost",
        why="compiled trees differ from the library by up to 0.25 on a sample of 1024 rows",
        sample="rows on, below and above its splits, and with missing values",
        rows=1024,
        largest_difference=0.25,
        tolerance=1e-6,
        unequal=True,
        row_us=20.5,
        row_of_32_us=4.25,
        memory_bytes=250 << 20,
        missing="answered",
    ),
    AT,
)
ASKED = TrialAsked(
    "flight-delay", "1.0.0", "a" * 64, "xgboost", "the machine was out of memory", "bob", AT + timedelta(minutes=3)
)
SEALED = PredictionsSealed(
    ID, 1, 1, 17, 230, 45_000, "c" * 64, "d" * 64, AT, AT + timedelta(minutes=1), AT + timedelta(minutes=2), 9
)
_OF = (ID, "flights", "flight-delay")
_SEEN = Seen(100, 31.0, 36.0, 21.0)
TAUGHT: Sequence[LearningEvent] = (
    LearningSet(*_OF, "on", Terms(50, 30, 2.0, 100), "the world changes", "bob", AT),
    ModelLearned(*_OF, "1.0.0", 1, "a" * 64, "a" * 64, "b" * 64, Labels("c" * 64, 100), _SEEN, AT),
    LearningStopped(*_OF, "1.0.0", 1, "b" * 64, "a" * 64, _SEEN, "far worse", AT),
)
Told = DeploymentEvent | TrafficMeasured | ReleaseEvent | FailureEvent | PredictionsSealed | LearningEvent | TrialEvent
STORIES: Sequence[Sequence[Told]] = (
    EXAMPLES,
    [EXAMPLES[0], CACHED],
    [EXAMPLES[0], RESILIENT],
    [OPENED, CLOSED],
    [MEASURED],
    [FAILED],
    [SEALED],
    TAUGHT,
    [TRIED],
    [TRIED, ASKED],
    *([*PATH, end] for end in ENDS),
)


def seen_after(events: Sequence[Any]) -> dict[str, Any]:
    """What is made of events: the row that callers see, and who answers which part of the keys; traffic; segments."""
    if isinstance(events[-1], TrafficMeasured):
        return {"until": TRAFFIC.evolve(TRAFFIC.initial(), events[-1]).until.isoformat()}
    if isinstance(events[-1], VersionTried | TrialAsked):
        trial = reduce(TRIALS.evolve, events, TRIALS.initial())
        message: dict[str, Any] = MessageToDict(trial_message(trial, len(events)))
        return message
    if isinstance(events[-1], ModelFailed):
        failures = FAILURES.evolve(FAILURES.initial(), events[-1])
        return {"count": failures.count, "last": failures.last.isoformat()}
    if isinstance(events[-1], BreakerOpened | BreakerClosed):
        failures = FAILURES.initial()
        for event in events:
            failures = FAILURES.evolve(failures, event)
        return {"opened": failures.opened}
    if isinstance(events[0], ReleaseStarted):
        release = RELEASES.initial()
        for event in events:
            release = RELEASES.evolve(release, event)
        told = json.loads(msgspec.json.encode(release.evidence))
        return {"phase": release.phase.value, "step": release.step, "split": release.split(), "evidence": told}
    if isinstance(events[0], LearningSet):
        learning = LEARNINGS.initial()
        for event in events:
            learning = LEARNINGS.evolve(learning, event)
        told = json.loads(msgspec.json.encode(learning))
        return {name: told[name] for name in ("mode", "terms", "steps", "taught")}
    if isinstance(events[-1], PredictionsSealed):
        segment = SEGMENTS.evolve(SEGMENTS.initial(), events[-1])
        return {"number": segment.number, "root": segment.root}
    deployment = Deployment()
    for event in events:
        deployment = evolve(deployment, event)
    row: dict[str, Any] = MessageToDict(to_message(deployment, len(events)))
    return row | {"segments": [[s.start, s.end, s.version] for s in deployment.segments]}


def main() -> None:
    GOLDEN.mkdir(exist_ok=True)
    for story in STORIES:
        before: list[str] = []
        for number, event in enumerate(story, 1):
            name, version, payload = EVENTS.encode(event)
            file = GOLDEN / f"{name}.{version}.json"
            golden = {
                "type": name,
                "version": version,
                "payload": json.loads(payload),
                "before": list(before),
                "seen": seen_after(story[:number]),
            }
            if not file.exists():
                file.write_text(json.dumps(golden, indent=2) + "\n")
            before.append(file.name)


if __name__ == "__main__":
    main()
