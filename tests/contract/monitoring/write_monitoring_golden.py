"""Writes the golden file of every event type that has none yet; what is there stays, for it was once stored so.

Run it after adding an event type, or a version of one, with an example below.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from google.protobuf.json_format import MessageToDict
from modelog_common.domain.decider import Decider
from modelog_common.domain.sealed import Sealed
from modelog_common.events.store import StoredEvent
from modelog_common.read.tables import Put
from modelog_monitoring.abtest.decide import AB_TEST
from modelog_monitoring.abtest.events import (
    AbMethod,
    AbMetric,
    AbPlan,
    AbTestCreated,
    AbTestDecided,
    AbTestLooked,
    AbTestStarted,
    AbTestStopped,
    ArmSum,
    Figures,
    SampleSize,
    SprtState,
    Verdict,
)
from modelog_monitoring.events import EVENTS
from modelog_monitoring.level.decide import LEVEL
from modelog_monitoring.level.events import (
    LevelBurning,
    LevelMeasured,
    LevelMet,
    Objective,
    Severity,
    Tally,
    Targets,
    VersionLevel,
)
from modelog_monitoring.level.latency import Latencies
from modelog_monitoring.monitor.decide import MONITOR
from modelog_monitoring.monitor.events import (
    AlertDelivered,
    AlertKind,
    AlertRaised,
    Channel,
    ChannelKind,
    DatasetRef,
    DriftLimits,
    FeatureFigures,
    MonitorCreated,
    QualityFigures,
    ReferenceMoved,
    WindowEvaluated,
)
from modelog_monitoring.monitor.window import WindowUnit
from modelog_monitoring.policy.decide import POLICY
from modelog_monitoring.policy.events import CanaryTest, PolicyCreated
from modelog_monitoring.read.project import ab_test_rows, level_rows, monitor_rows, policy_rows, retraining_rows
from modelog_monitoring.read.tables import (
    AB_LOOKS,
    AB_TESTS,
    ALERTS,
    CANARY_LOOKS,
    LEVEL_HOURS,
    LEVELS,
    MONITORS,
    POLICIES,
    RETRAININGS,
    WINDOWS,
)
from modelog_monitoring.retraining.decide import RETRAINING
from modelog_monitoring.retraining.events import (
    CanaryDecided,
    CanaryEvaluated,
    CanaryFigures,
    CanaryLooked,
    CanaryStarted,
    CanaryVerdict,
    ChallengerEvaluated,
    ChallengerPromoted,
    ChallengerTrained,
    Comparison,
    Difference,
    RetrainingFailed,
    RetrainingRefused,
    RetrainingStarted,
    TrainingSet,
)
from modelog_proto.monitoring.v1 import abtest_pb2, level_pb2
from modelog_proto.monitoring.v1 import monitoring_pb2 as pb

FOLDER = Path(__file__).parent / "golden"
AT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
START, END = datetime(2013, 4, 1, tzinfo=UTC), datetime(2013, 5, 1, tzinfo=UTC)
QUALITY = QualityFigures(27004, 0.696, 0.688, 0.704, 0.51, 0.16, 0.21)
BY_CANARY = QualityFigures(3, None, None, None, 0.7, 0.25, 0.0)
FIGURES = (
    FeatureFigures("temp", "ks", 0.63, 1e-300, 2e-300, 0.63, 5.1, True, 0.0, 0.25),
    FeatureFigures("перевозчик", "chi2", 12.5, 0.4, 0.5, 0.01, 0.001, False, 0.0, 0.0),
)
COMPARED = Comparison(
    10000,
    Difference(0.71, 0.76, 0.05, 0.041, 0.059, 1e-27),
    Difference(0.5, 0.47, -0.03, -0.035, -0.025, 1e-30),
    END,
    AT,
)
STARTED = RetrainingStarted(
    "r-1",
    "retrain",
    "flights",
    "w-1",
    "2013-04",
    END,
    "flight-delay",
    "flights",
    "1.0.0",
    "job-1",
    TrainingSet("flights", (1, 2, 3, 4)),
    10000,
    10.0,
    1000,
    172800.0,
    AT,
)
WATCHED = msgspec.structs.replace(STARTED, canary=CanaryTest(0.05, 0.005))
AT_FIRST = CanaryFigures(50, 0.16, 0.15, -0.08, 0.11, (0.5, 0.1, 0.02, 0.01))
TRAINED = ChallengerTrained("r-1", "job-1", "1.1.0", AT)
EVALUATED = ChallengerEvaluated("r-1", COMPARED, True, "better on 10000 fresh rows", AT)
HOOK = Sealed("k-1", "AAECAwQFBgcICQoL", "c2VhbGVkIGJ5IGEga2V5IHRoYXQgbm9ib2R5IGhhcw==")
PLAN = AbPlan(
    "flights", "1.0.0", "1.1.0", AbMetric.ERROR, 0.5, False, 0.02, 0.05, 0.8, 0.2, 0.4, AbMethod.MIXTURE_SPRT, 1800.0
)
NEEDED = SampleSize(6510, 6510, 26040)
SEEN = Figures(5000, 5100, 0.2, 0.17, -0.03, -0.049, -0.011, 0.0004)
REMEMBERED = SprtState(ArmSum(5000, 0.2, 800.0), ArmSum(5100, 0.17, 719.6), 0.0004, -0.049, -0.011)
PLANNED = AbTestCreated("t-1", "1.1 for flights", "flight-delay", PLAN, 0.5, NEEDED, "alice", AT)
BEGUN = AbTestStarted("t-1", "1.1 for flights", 0.5, NEEDED, AT, 17, START, "alice", AT)
LOOKED = AbTestLooked("t-1", "1.1 for flights", 1, END, SEEN, REMEMBERED, AT)
CANARY = CanaryStarted("r-1", "flights", "1.1.0", 10.0, "bob", AT)

# Each list is the story of one entity, in order.
MEASURED = LevelMeasured(
    "l-1",
    "flights",
    "flight-delay",
    datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
    datetime(2026, 1, 2, 3, 5, tzinfo=UTC),
    Targets(2, latency_p99_ms=50.0, availability_percent=99.5),
    (
        VersionLevel(
            "1.1.0",
            200,
            20,
            Latencies(8, (150, 20, 10)),
            {Objective.AVAILABILITY: Tally(200, 20, 1.0), Objective.LATENCY_P99: Tally(180, 0, 1.8)},
        ),
    ),
    41,
    AT,
)
BURNING = LevelBurning(
    "a-9",
    "l-1",
    "flights",
    "flight-delay",
    "1.1.0",
    Objective.AVAILABILITY,
    Severity.PAGE,
    "2026-01-02T03:04",
    "flights: flight-delay 1.1.0 misses its availability target 20.0 times as fast as its error budget allows",
    41,
    AT,
)
MET = LevelMet(
    "a-10",
    "a-9",
    "l-1",
    "flights",
    "flight-delay",
    "1.1.0",
    Objective.AVAILABILITY,
    "2026-01-02T09:40",
    "flights: flight-delay 1.1.0 is within the error budget of its availability target again",
    97,
    AT,
)
STORIES: list[tuple[str, list[Any]]] = [
    (
        "monitoring.monitor",
        [
            MonitorCreated(
                "m-1",
                "flights",
                "flights",
                "flight-delay",
                "1.0.0",
                (DatasetRef("flights", 1), DatasetRef("flights", 2)),
                "e" * 64,
                "late",
                WindowUnit.MONTH,
                172800.0,
                DriftLimits(0.05, 0.1, 0.1, 0.5),
                0.02,
                (
                    Channel(ChannelKind.WEBHOOK, HOOK, "http://127.0.0.1:9/..."),
                    Channel(ChannelKind.SLACK, HOOK, "https://hooks.example/..."),
                ),
                0.753,
                0.47,
                "alice",
                AT,
            ),
            WindowEvaluated(
                "m-1",
                "flights",
                "w-1",
                "2013-04",
                START,
                END,
                27007,
                27004,
                {"1.0.0": 27004, "1.1.0": 3},
                FIGURES,
                1,
                QUALITY,
                {"1.0.0": QUALITY, "1.1.0": BY_CANARY},
                "1.0.0",
                0.753,
                True,
                True,
                "",
                AT,
            ),
            AlertRaised("a-1", "m-1", "flights", "w-1", "2013-04", AlertKind.QUALITY, "the AUC is 0.696", AT),
            AlertDelivered("a-1", "m-1", "flights", "slack https://hooks.example/x", 2, AT),
            ReferenceMoved("m-1", "flights", "1.1.0", 0.76, 0.47, 10000, "1.1.0 replaced 1.0.0", AT),
        ],
    ),
    (
        "monitoring.policy",
        [
            PolicyCreated(
                "p-1",
                "retrain",
                "flights",
                False,
                True,
                {
                    "name": "fit",
                    "experiment": "delays",
                    "entry_point": "flights.train:main",
                    "parameters": {"depth": 6.0},
                },
                "flights",
                10000,
                10.0,
                1000,
                "alice",
                AT,
            )
        ],
    ),
    (
        "monitoring.retraining",
        [
            STARTED,
            TRAINED,
            EVALUATED,
            CANARY,
            CanaryEvaluated("r-1", COMPARED, True, "better beyond chance", AT),
            ChallengerPromoted("r-1", "flight-delay", "1.1.0", "1.0.0", AT),
        ],
    ),
    (
        "monitoring.retraining",
        [
            WATCHED,
            TRAINED,
            EVALUATED,
            CANARY,
            CanaryLooked("r-1", 1, AT, AT_FIRST, CanaryVerdict.UNDECIDED, AT),
            CanaryDecided("r-1", True, "not worse by 0.005 or more", AT),
        ],
    ),
    ("monitoring.retraining", [STARTED, TRAINED, EVALUATED, RetrainingRefused("r-1", "bob rejected it", AT)]),
    ("monitoring.retraining", [STARTED, RetrainingFailed("r-1", "training failed: out of memory", AT)]),
    (
        "monitoring.abtest",
        [
            PLANNED,
            BEGUN,
            LOOKED,
            AbTestDecided("t-1", "1.1 for flights", Verdict.B_BETTER, SEEN, "1.1.0 is better than 1.0.0", AT),
        ],
    ),
    (
        "monitoring.abtest",
        [PLANNED, BEGUN, LOOKED, AbTestStopped("t-1", "1.1 for flights", SEEN, "a new champion", "bob", AT)],
    ),
    ("monitoring.level", [MEASURED, BURNING, MET]),
]
DECIDERS: dict[str, Decider[Any, Any, Any]] = {d.category: d for d in (AB_TEST, LEVEL, MONITOR, POLICY, RETRAINING)}
ROWS: dict[str, Any] = {
    MONITOR.category: monitor_rows,
    POLICY.category: policy_rows,
    RETRAINING.category: retraining_rows,
    AB_TEST.category: ab_test_rows,
    LEVEL.category: level_rows,
}
MESSAGES: dict[str, Any] = {
    MONITORS.name: pb.Monitor,
    WINDOWS.name: pb.Window,
    ALERTS.name: pb.Alert,
    POLICIES.name: pb.RetrainingPolicy,
    RETRAININGS.name: pb.Retraining,
    CANARY_LOOKS.name: pb.CanaryLook,
    AB_TESTS.name: abtest_pb2.AbTest,
    AB_LOOKS.name: abtest_pb2.AbLook,
    LEVELS.name: level_pb2.ServiceLevel,
    LEVEL_HOURS.name: level_pb2.LevelHour,
}


def seen_after(category: str, events: list[Any]) -> dict[str, Any]:
    """What a caller sees after an entity's events: the rows that the last one changes, as the contract's messages."""
    state = DECIDERS[category].initial()
    for event in events:
        state = DECIDERS[category].evolve(state, event)
    name, version, payload = EVENTS.encode(events[-1])
    stored = StoredEvent(7, "e-7", f"{category}-1", 1, name, version, AT, "acme", "alice", "", "", "", payload)
    seen = {}
    for change in ROWS[category](state, stored):
        assert isinstance(change, Put)
        message = MESSAGES[change.table.name].FromString(change.body)
        seen[change.table.name] = MessageToDict(message, preserving_proto_field_name=True)
    return seen


def main() -> None:
    """Write what is missing."""
    FOLDER.mkdir(exist_ok=True)
    for category, story in STORIES:
        before: list[str] = []
        for n, event in enumerate(story, start=1):
            name, version, payload = EVENTS.encode(event)
            file = FOLDER / f"{name}.{version}.json"
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
