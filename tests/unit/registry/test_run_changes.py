"""What may change of a run, and what the log vouches for, by given, when, then."""

from __future__ import annotations

from datetime import timedelta

import pytest
from modelog_common.domain.errors import Invalid, NotAllowed, NotFound
from modelog_common.domain.ids import derived_id
from modelog_common.testing.scenario import NOW, context, scenario
from modelog_registry.artifact import Artifact
from modelog_registry.events import EVENTS
from modelog_registry.run.commands import (
    DeleteRun,
    LogInputs,
    LogOutputs,
    LogRun,
    Measured,
    RemoveRunArtifacts,
    RestoreRun,
    RunCommand,
    SealMetrics,
    TagRun,
    UpdateRun,
)
from modelog_registry.run.decide import RUN
from modelog_registry.run.events import (
    DatasetInput,
    MetricsSealed,
    Point,
    RunArtifactsRemoved,
    RunDeleted,
    RunEnded,
    RunInputsLogged,
    RunLogged,
    RunModel,
    RunOutputsLogged,
    RunRenamed,
    RunRestored,
    RunResumed,
    RunStarted,
    RunStatus,
    RunTagged,
)

ID = "0123456789abcdef"
STARTED = RunStarted(ID, "acme", "delays", "first", "alice", {}, (), None, {"k": "v"}, NOW, "e-1")
ENDED = RunEnded(ID, RunStatus.COMPLETED, "", NOW)
DELETED = RunDeleted(ID, "alice", NOW)


def test_a_run_is_renamed() -> None:
    after = scenario(
        RUN, given=[STARTED], when=UpdateRun(ID, "best"), by="bob", then=[RunRenamed(ID, "best", "bob", NOW)]
    )
    assert after.name == "best"
    scenario(RUN, given=[STARTED], when=UpdateRun(ID, "first"), then=[])
    scenario(RUN, given=[STARTED], when=UpdateRun(ID, ""), refused="is empty", field="name")


def test_an_ended_run_that_is_set_running_takes_more() -> None:
    resumed = RunResumed(ID, RunStatus.RUNNING, "alice", NOW)
    after = scenario(RUN, given=[STARTED, ENDED], when=UpdateRun(ID, status=RunStatus.RUNNING), then=[resumed])
    assert (after.status, after.ended) == (RunStatus.RUNNING, None)
    more = LogRun(ID, metrics=(Measured("loss", 0.1),))
    assert scenario(RUN, given=[STARTED, ENDED, resumed], when=more, then=list(RUN.decide(after, more, context())))
    scenario(RUN, given=[STARTED], when=UpdateRun(ID, status=RunStatus.RUNNING), then=[])


def test_a_run_ends_by_the_clients_clock() -> None:
    at = NOW - timedelta(hours=1)
    end = RunEnded(ID, RunStatus.FAILED, "", NOW, at)
    after = scenario(RUN, given=[STARTED], when=UpdateRun(ID, "x", RunStatus.FAILED, at), then=[
        RunRenamed(ID, "x", "alice", NOW), end,
    ])  # fmt: skip
    assert after.status is RunStatus.FAILED
    scenario(RUN, given=[STARTED, end], when=UpdateRun(ID, status=RunStatus.FAILED), then=[])
    other = RunEnded(ID, RunStatus.COMPLETED, "", NOW, None)
    scenario(RUN, given=[STARTED, end], when=UpdateRun(ID, status=RunStatus.COMPLETED), then=[other])


@pytest.mark.parametrize("status", [None, RunStatus.RUNNING, RunStatus.SCHEDULED])
def test_a_time_of_the_end_needs_an_end(status: RunStatus | None) -> None:
    command = UpdateRun(ID, status=status, ended_at=NOW)
    scenario(RUN, given=[STARTED], when=command, refused="without an end", error=Invalid, field="ended_at")


def test_tags_change_after_the_end() -> None:
    after = scenario(
        RUN,
        given=[STARTED, ENDED],
        when=TagRun(ID, {"note": "good"}, ("k",)),
        then=[RunTagged(ID, {"note": "good"}, ("k",), "alice", NOW)],
    )
    assert after.tags == {"note": "good"}
    scenario(RUN, given=[STARTED], when=TagRun(ID, {"k": "v"}), then=[])
    scenario(RUN, given=[STARTED], when=TagRun(ID, removed=("x",)), refused="has no tag 'x'", error=NotFound)


def test_a_deleted_run_takes_nothing_until_it_is_restored() -> None:
    after = scenario(RUN, given=[STARTED], when=DeleteRun(ID), then=[DELETED])
    assert after.deleted_at == NOW
    scenario(RUN, given=[STARTED, DELETED], when=DeleteRun(ID), then=[])
    refused: tuple[RunCommand, ...] = (
        LogRun(ID, {"a": 1}), TagRun(ID, {"a": "b"}), UpdateRun(ID, "x"), LogInputs(ID), LogOutputs(ID),
    )  # fmt: skip
    for command in refused:
        scenario(RUN, given=[STARTED, DELETED], when=command, refused="is deleted; restore it first", error=NotAllowed)
    scenario(RUN, given=[STARTED, DELETED], when=RestoreRun(ID), then=[RunRestored(ID, "alice", NOW)])
    scenario(RUN, given=[STARTED], when=RestoreRun(ID), then=[])


def test_what_a_run_read_and_made_is_told() -> None:
    dataset = DatasetInput("flights", "abc")
    after = scenario(
        RUN,
        given=[STARTED, RunInputsLogged(ID, (dataset,), (RunModel("m-1"),), NOW)],
        when=LogInputs(ID, (dataset, DatasetInput("flights", "def"))),
        then=[RunInputsLogged(ID, (dataset, DatasetInput("flights", "def")), (), NOW)],
    )
    assert [d.digest for d in after.inputs.values()] == ["abc", "def"]
    assert list(after.model_inputs) == ["m-1"]
    made = (RunModel("m-2", 3),)
    after = scenario(RUN, given=[STARTED], when=LogOutputs(ID, made), then=[RunOutputsLogged(ID, made, NOW)])
    assert after.model_outputs["m-2"].step == 3
    scenario(RUN, given=[STARTED], when=LogOutputs(ID), then=[])


def sealed(first: int, last: int, *points: Point) -> MetricsSealed:
    return MetricsSealed(ID, first, last, 10, "d" * 64, points, NOW)


def test_a_batch_is_vouched_for_once_also_after_the_end() -> None:
    point = Point("loss", 0.5, 3, NOW)
    after = scenario(
        RUN,
        given=[STARTED, sealed(1, 2), ENDED],
        when=SealMetrics(ID, 3, 4, 10, "d" * 64, (point,)),
        then=[sealed(3, 4, point)],
    )
    assert (after.sealed, after.metrics) == (4, {"loss": point})
    scenario(RUN, given=[STARTED, sealed(1, 4)], when=SealMetrics(ID, 3, 4, 10, "d" * 64, ()), then=[])
    scenario(RUN, when=SealMetrics(ID, 1, 1, 1, "d" * 64, ()), refused="there is no run", error=NotFound)


def test_the_latest_point_is_that_of_the_highest_step_then_of_the_latest_time() -> None:
    later = Point("loss", 0.1, 3, NOW + timedelta(seconds=1))
    after = scenario(
        RUN,
        given=[STARTED, sealed(1, 1, later)],
        when=SealMetrics(ID, 2, 2, 10, "d" * 64, (Point("loss", 0.9, 3, NOW),)),
        then=[sealed(2, 2, Point("loss", 0.9, 3, NOW))],
    )
    assert after.metrics["loss"] == later


def test_a_start_of_the_first_version_gets_the_id_that_its_experiment_had() -> None:
    payload = (
        f'{{"run_id":"{ID}","tenant":"acme","experiment":"delays","name":"n","author":"a","parameters":{{}},'
        f'"datasets":[],"environment":null,"tags":{{}},"at":"{NOW.isoformat()}"}}'
    )
    started = EVENTS.decode("registry.RunStarted", 1, payload.encode())
    assert started.experiment_id == derived_id("acme", "delays")


def test_files_and_folders_are_taken_off_a_run_also_when_it_has_ended() -> None:
    files = tuple(Artifact(path, "a" * 64, 1) for path in ("m/a", "m/deep/b", "m2", "c"))
    told = RunLogged(ID, {}, (), files, {}, None, NOW)
    after = scenario(
        RUN,
        given=[STARTED, told, ENDED],
        when=RemoveRunArtifacts(ID, ("m/", "c")),
        by="bob",
        then=[RunArtifactsRemoved(ID, ("m/a", "m/deep/b", "c"), "bob", NOW)],
    )
    assert list(after.artifacts) == ["m2"]
    nothing = RemoveRunArtifacts(ID, ("c", "m/d"))
    scenario(RUN, given=[STARTED, told], when=nothing, refused="has no file and no folder 'm/d'", error=NotFound)
    scenario(RUN, given=[STARTED, told, DELETED], when=nothing, refused="restore it first", error=NotAllowed)
    scenario(RUN, when=nothing, refused="there is no run", error=NotFound)
