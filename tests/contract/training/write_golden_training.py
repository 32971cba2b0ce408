"""Writes the golden file of every event type that has none yet; what is there stays, for it was once stored so.

Run it after adding an event type, or a version of one, with an example below.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict
from modelog_training.job.decide import JOB
from modelog_training.job.events import (
    EVENTS,
    AttemptLost,
    BatchFinished,
    BatchStarted,
    CheckResult,
    DataChecked,
    DatasetRef,
    JobCancelled,
    JobCancelRequested,
    JobFailed,
    JobStarted,
    JobSubmitted,
    JobSucceeded,
    ModelRef,
    Registration,
    Resources,
    RunLinked,
)
from modelog_training.read.messages import job_message

FOLDER = Path(__file__).parent / "golden"
AT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
JOB_ID, RUN_ID = "7f3c-job", "7f3c-run"
SUBMITTED = JobSubmitted(
    JOB_ID,
    "acme",
    "задержки",
    "flight-delay",
    "flights.train:main",
    "d" * 64,
    {"depth": 6, "eta": 0.1, "nested": {"on": True, "list": [1, None, "x"]}},
    (DatasetRef("flights", 1), DatasetRef("flights", 2)),
    Resources(1.5, 1 << 30),
    3,
    600.0,
    Registration("flight-delay", "1.2.0", "as the policy asked"),
    "c0ffee",
    True,
    {"team": "air"},
    "alice",
    AT,
    (ModelRef("flight-delay", "1.0.0"),),
)
STARTED = JobStarted(JOB_ID, 1, 1, AT)
CHECKS = (
    CheckResult("flights", 1, "hour", "between", True, "0 of 3 values are outside"),
    CheckResult("flights", 2, "", "row_count", False, "3 rows; expected at least 10"),
)

# Each list is the story of one job, in order.
STORIES: list[list[Any]] = [
    [
        SUBMITTED,
        STARTED,
        DataChecked(JOB_ID, 1, CHECKS, False, AT),
        RunLinked(JOB_ID, 1, RUN_ID, AT),
        JobSucceeded(JOB_ID, 1, RUN_ID, {"auc": 0.7, "loss": "NaN"}, "e" * 64, "flight-delay", "1.2.0", AT),
    ],
    [
        SUBMITTED,
        STARTED,
        BatchStarted(
            JOB_ID,
            1,
            "flights@2",
            "select * from input where month = 6",
            "a" * 64,
            DatasetRef("flights", 2),
            "flight-delay",
            "1.0.0",
            "e" * 64,
            27_000,
            "s3://scores/june",
            AT,
        ),
        BatchFinished(JOB_ID, 1, 27_000, 3, "s3://scores/june", "b" * 64, AT),
    ],
    [SUBMITTED, STARTED, AttemptLost(JOB_ID, 1, "the worker process 42 is gone", AT)],
    [SUBMITTED, STARTED, JobFailed(JOB_ID, 1, "ValueError: no rows (train.py:3 in main)", AT)],
    [
        SUBMITTED,
        STARTED,
        JobCancelRequested(JOB_ID, "bob", "too slow", AT),
        JobCancelled(JOB_ID, "bob", "too slow", AT),
    ],
]


def seen_after(events: list[Any]) -> dict[str, Any]:
    """What a caller sees of a job after its events: the message of the contract as JSON."""
    state = JOB.initial()
    for event in events:
        state = JOB.evolve(state, event)
    assert state.submitted is not None
    return MessageToDict(job_message(state, state.submitted, 7), preserving_proto_field_name=True)


def golden_file(name: str, version: int) -> Path:
    return FOLDER / f"{name}.{version}.json"


def main() -> None:
    """Write what is missing."""
    FOLDER.mkdir(exist_ok=True)
    for story in STORIES:
        before: list[str] = []
        for n, event in enumerate(story, start=1):
            name, version, payload = EVENTS.encode(event)
            file = golden_file(name, version)
            if not file.exists():
                golden = {
                    "type": name,
                    "version": version,
                    "before": before,
                    "payload": json.loads(payload),
                    "seen": seen_after(story[:n]),
                }
                file.write_text(json.dumps(golden, indent=2, ensure_ascii=False) + "\n")
                print("wrote", file.name)
            before = [*before, file.name]


if __name__ == "__main__":
    main()
