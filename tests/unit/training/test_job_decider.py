"""The rules of jobs, by given, when, then."""

from __future__ import annotations

from typing import Any

import pytest
from modelog_common.domain.errors import AlreadyExists, Invalid, NotAllowed, NotFound
from modelog_common.testing.scenario import NOW, context, scenario
from modelog_training.job.commands import (
    BeginBatch,
    CancelJob,
    ConfirmCancelled,
    Fail,
    FinishBatch,
    LinkRun,
    LoseAttempt,
    RecordChecks,
    StartAttempt,
    SubmitJob,
    Succeed,
)
from modelog_training.job.decide import JOB
from modelog_training.job.events import (
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
    Registration,
    Resources,
    RunLinked,
)
from modelog_training.job.state import JobStatus

ID = "job-1"
SUBMIT = SubmitJob(
    ID,
    "delays",
    "flight-delay",
    "train:main",
    parameters={"depth": 6},
    datasets=(DatasetRef("flights", 1),),
    register=Registration("flight-delay"),
    tags={"team": "air"},
)
STARTED = JobStarted(ID, 1, 1, NOW)
WANTED = JobCancelRequested(ID, "bob", "too slow", NOW)
GOOD = CheckResult("flights", 1, "hour", "not_null", True, "0 of 3")
BAD = CheckResult("flights", 1, "hour", "unique", False, "1 of 3")


def submitted(**changes: Any) -> JobSubmitted:
    fields = {
        "job_id": ID,
        "tenant": "acme",
        "name": "delays",
        "experiment": "flight-delay",
        "entry_point": "train:main",
        "source_digest": "",
        "parameters": {"depth": 6},
        "datasets": (DatasetRef("flights", 1),),
        "resources": Resources(),
        "max_attempts": 3,
        "timeout_s": 86400.0,
        "register": Registration("flight-delay"),
        "git_commit": "",
        "git_dirty": False,
        "tags": {"team": "air"},
        "author": "alice",
        "at": NOW,
    }
    return JobSubmitted(**{**fields, **changes})


RUNNING = [submitted(), STARTED]


def test_a_submitted_job_waits_for_its_turn() -> None:
    state = scenario(JOB, when=SUBMIT, then=[submitted()])
    assert (state.status, state.attempt) == (JobStatus.QUEUED, 0)


def test_a_job_is_submitted_once() -> None:
    scenario(JOB, given=[submitted()], when=SUBMIT, refused="exists already", error=AlreadyExists)


def test_the_version_to_register_must_be_a_semantic_one() -> None:
    command = SubmitJob(ID, "delays", "e", "a:b", register=Registration("m", "1.0"))
    scenario(JOB, when=command, refused="must look like 1.2.3", error=Invalid, field="spec.register.version")


def test_a_version_to_register_may_be_named() -> None:
    register = Registration("m", "1.0.0")
    state = scenario(
        JOB,
        when=SubmitJob(ID, "delays", "e", "a:b", register=register),
        then=[submitted(experiment="e", entry_point="a:b", parameters={}, datasets=(), tags={}, register=register)],
    )
    assert state.submitted is not None


def test_each_start_has_a_greater_fence() -> None:
    scenario(JOB, given=[submitted()], when=StartAttempt(ID), then=[STARTED])
    scenario(
        JOB,
        given=[*RUNNING, AttemptLost(ID, 1, "gone", NOW)],
        when=StartAttempt(ID),
        then=[JobStarted(ID, 2, 2, NOW)],
    )


def test_a_running_job_is_not_started_again() -> None:
    scenario(JOB, given=RUNNING, when=StartAttempt(ID), refused="only a queued job", error=NotAllowed)


@pytest.mark.parametrize("command", [StartAttempt(ID), CancelJob(ID), LinkRun(ID, 1, "run"), Fail(ID, 1, "x")])
def test_what_was_not_submitted_does_not_exist(command: Any) -> None:
    scenario(JOB, when=command, refused="there is no job 'job-1'", error=NotFound)


def test_another_tenants_job_does_not_exist() -> None:
    by = context("eve", tenant="other")
    scenario(JOB, given=[submitted()], when=CancelJob(ID), by=by, refused="there is no job", error=NotFound)


@pytest.mark.parametrize(
    "answer",
    [
        RecordChecks(ID, 1, ()),
        LinkRun(ID, 1, "run"),
        LoseAttempt(ID, 1, "gone"),
        Succeed(ID, 1, "run", {}),
        Fail(ID, 1, "broken"),
        ConfirmCancelled(ID, 1),
    ],
    ids=lambda a: type(a).__name__,
)
def test_a_late_answer_of_an_old_attempt_is_refused(answer: Any) -> None:
    lost = [*RUNNING, AttemptLost(ID, 1, "gone", NOW)]
    scenario(JOB, given=lost, when=answer, refused="is queued; the answer of an attempt with fence 1 comes too late")
    again = [*lost, JobStarted(ID, 2, 2, NOW)]
    scenario(JOB, given=again, when=answer, refused="with fence 2; the answer of an attempt with fence 1 comes too")
    over = [*again, JobFailed(ID, 2, "no", NOW)]
    scenario(JOB, given=over, when=answer, refused="is failed; the answer")


def test_checks_are_told_with_their_sum() -> None:
    scenario(JOB, given=RUNNING, when=RecordChecks(ID, 1, (GOOD,)), then=[DataChecked(ID, 1, (GOOD,), True, NOW)])
    state = scenario(
        JOB, given=RUNNING, when=RecordChecks(ID, 1, (GOOD, BAD)), then=[DataChecked(ID, 1, (GOOD, BAD), False, NOW)]
    )
    assert state.checks == (GOOD, BAD)


def test_a_run_is_linked_once() -> None:
    linked = RunLinked(ID, 1, "run", NOW)
    scenario(JOB, given=RUNNING, when=LinkRun(ID, 1, "run"), then=[linked])
    scenario(JOB, given=[*RUNNING, linked], when=LinkRun(ID, 1, "run"), then=[])


def test_a_new_attempt_forgets_the_old_ones_run_and_checks() -> None:
    state = scenario(
        JOB,
        given=[
            *RUNNING,
            DataChecked(ID, 1, (GOOD,), True, NOW),
            RunLinked(ID, 1, "run", NOW),
            AttemptLost(ID, 1, "gone", NOW),
        ],
        when=StartAttempt(ID),
        then=[JobStarted(ID, 2, 2, NOW)],
    )
    assert (state.run_id, state.checks, state.error) == ("", (), "")


def test_a_lost_attempt_puts_the_job_back_into_the_queue() -> None:
    state = scenario(JOB, given=RUNNING, when=LoseAttempt(ID, 1, "gone"), then=[AttemptLost(ID, 1, "gone", NOW)])
    assert (state.status, state.error) == (JobStatus.QUEUED, "gone")


def test_a_job_whose_attempts_are_used_up_fails() -> None:
    scenario(
        JOB,
        given=[submitted(max_attempts=1), STARTED],
        when=LoseAttempt(ID, 1, "gone"),
        then=[
            AttemptLost(ID, 1, "gone", NOW),
            JobFailed(ID, 1, "the job was started once and lost each time, most recently because gone", NOW),
        ],
    )


def test_success_holds_what_json_has_no_number_for() -> None:
    state = scenario(
        JOB,
        given=RUNNING,
        when=Succeed(
            ID, 1, "run", {"auc": 0.7, "a": float("nan"), "b": float("inf"), "c": float("-inf")}, "d", "1.0.0"
        ),
        then=[
            JobSucceeded(
                ID,
                1,
                "run",
                {"auc": 0.7, "a": "NaN", "b": "Infinity", "c": "-Infinity"},
                "d",
                "flight-delay",
                "1.0.0",
                NOW,
            )
        ],
    )
    assert state.status is JobStatus.SUCCEEDED


def test_a_job_that_registers_nothing_names_no_model() -> None:
    scenario(
        JOB,
        given=[submitted(register=None), STARTED],
        when=Succeed(ID, 1, "run", {}),
        then=[JobSucceeded(ID, 1, "run", {}, "", "", "", NOW)],
    )


def test_a_job_fails_with_its_error() -> None:
    state = scenario(JOB, given=RUNNING, when=Fail(ID, 1, "broken"), then=[JobFailed(ID, 1, "broken", NOW)])
    assert (state.status, state.error, state.ended_at) == (JobStatus.FAILED, "broken", NOW)


def test_a_job_that_waits_is_cancelled_at_once() -> None:
    scenario(
        JOB,
        given=[submitted()],
        when=CancelJob(ID, "too slow"),
        by="bob",
        then=[WANTED, JobCancelled(ID, "bob", "too slow", NOW)],
    )


def test_a_job_that_runs_is_cancelled_when_it_has_been_stopped() -> None:
    scenario(JOB, given=RUNNING, when=CancelJob(ID, "too slow"), by="bob", then=[WANTED])
    state = scenario(
        JOB,
        given=[*RUNNING, WANTED],
        when=ConfirmCancelled(ID, 1),
        by="service:training",
        then=[JobCancelled(ID, "bob", "too slow", NOW)],
    )
    assert state.status is JobStatus.CANCELLED


def test_a_job_to_be_cancelled_is_not_started_again_when_its_worker_is_lost() -> None:
    scenario(
        JOB,
        given=[*RUNNING, WANTED],
        when=LoseAttempt(ID, 1, "gone"),
        then=[AttemptLost(ID, 1, "gone", NOW), JobCancelled(ID, "bob", "too slow", NOW)],
    )


def test_asking_twice_to_cancel_changes_nothing() -> None:
    scenario(JOB, given=[*RUNNING, WANTED], when=CancelJob(ID), then=[])


def test_cancelling_a_job_that_has_ended_changes_nothing() -> None:
    scenario(JOB, given=[*RUNNING, JobFailed(ID, 1, "broken", NOW)], when=CancelJob(ID), then=[])


def test_a_job_that_nobody_wants_cancelled_is_not() -> None:
    scenario(JOB, given=RUNNING, when=ConfirmCancelled(ID, 1), refused="nobody asked", error=NotAllowed)


def test_a_job_that_ended_before_it_could_be_stopped_has_succeeded() -> None:
    state = scenario(
        JOB,
        given=[*RUNNING, WANTED],
        when=Succeed(ID, 1, "run", {}),
        then=[JobSucceeded(ID, 1, "run", {}, "", "flight-delay", "", NOW)],
    )
    assert state.status is JobStatus.SUCCEEDED


BATCH = ("flights@1", "", "a" * 64, DatasetRef("flights", 1), "flight-delay", "1.0.0", "b" * 64, 20, "/data/scored")
BEGUN = BatchStarted(ID, 1, *BATCH, NOW)


def test_a_batch_begins_once_an_attempt() -> None:
    scenario(JOB, given=[submitted(), STARTED], when=BeginBatch(ID, 1, *BATCH), then=[BEGUN])
    scenario(JOB, given=[submitted(), STARTED, BEGUN], when=BeginBatch(ID, 1, *BATCH), then=[])
    again = [submitted(), STARTED, BEGUN, AttemptLost(ID, 1, "gone", NOW), JobStarted(ID, 2, 2, NOW)]
    scenario(JOB, given=again, when=BeginBatch(ID, 2, *BATCH), then=[BatchStarted(ID, 2, *BATCH, NOW)])
    scenario(JOB, given=again, when=BeginBatch(ID, 1, *BATCH), refused="comes too late")


def test_a_batch_has_as_many_rows_in_the_end_as_it_read() -> None:
    given = [submitted(), STARTED, BEGUN]
    end = BatchFinished(ID, 1, 20, 3, "/data/scored", "c" * 64, NOW)
    scenario(JOB, given=given, when=FinishBatch(ID, 1, 20, 3, "c" * 64), then=[end])
    scenario(JOB, given=[*given, end], when=FinishBatch(ID, 1, 20, 3, "c" * 64), then=[])
    scenario(
        JOB, given=given, when=FinishBatch(ID, 1, 19, 0, "c" * 64), refused="of job job-1 read 20 rows, and wrote 19"
    )
    scenario(
        JOB, given=[submitted(), STARTED], when=FinishBatch(ID, 1, 20, 0, "c" * 64), refused="has not begun a batch"
    )
