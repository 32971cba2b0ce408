"""Which jobs wait and which run follows from the events alone."""

from __future__ import annotations

from typing import Any

from modelog_common.events.store import StoredEvent
from modelog_common.testing.scenario import NOW
from modelog_training.job.events import (
    EVENTS,
    AttemptLost,
    DataChecked,
    JobCancelled,
    JobCancelRequested,
    JobFailed,
    JobStarted,
    JobSubmitted,
    JobSucceeded,
    Resources,
)
from modelog_training.react.open_jobs import OpenJob, OpenJobs


def submitted(job_id: str, cpus: float = 1.0) -> JobSubmitted:
    return JobSubmitted(
        job_id, "acme", "n", "e", "a:b", "", {}, (), Resources(cpus), 3, 60.0, None, "", False, {}, "alice", NOW
    )


def after(*events: Any) -> list[OpenJob]:
    jobs = OpenJobs()
    for position, event in enumerate(events, 1):
        name, schema, payload = EVENTS.encode(event)
        stream = f"training.job-{event.job_id}"
        jobs.apply(
            StoredEvent(position, str(position), stream, 1, name, schema, NOW, "acme", "alice", "c", "", "", payload)
        )
    return list(jobs)


def test_jobs_keep_the_order_in_which_they_came() -> None:
    found = after(submitted("a", 2.0), submitted("b"), JobStarted("a", 1, 1, NOW), AttemptLost("a", 1, "gone", NOW))
    assert found == [OpenJob("a", "acme", 2.0, "c"), OpenJob("b", "acme", 1.0, "c")]


def test_a_running_job_has_a_fence() -> None:
    started = [submitted("a"), JobStarted("a", 2, 5, NOW), DataChecked("a", 2, (), True, NOW)]
    assert after(*started) == [OpenJob("a", "acme", 1.0, "c", 5)]


def test_a_job_to_be_cancelled_is_known_as_such() -> None:
    found = after(submitted("a"), JobStarted("a", 1, 1, NOW), JobCancelRequested("a", "bob", "", NOW))
    assert found == [OpenJob("a", "acme", 1.0, "c", 1, True)]


def test_what_has_ended_is_not_open() -> None:
    ends = [
        JobSucceeded("a", 1, "run", {}, "", "", "", NOW),
        JobFailed("b", 1, "no", NOW),
        JobCancelled("c", "bob", "", NOW),
    ]
    assert after(*(submitted(end.job_id) for end in ends), *ends) == []
