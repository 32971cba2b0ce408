"""A platform that is hurt while it works, and the checks of what must be there afterwards."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import modelog
import pytest
from modelog.types import Event, Window
from running_platform import RunningPlatform, until
from toy_model import PROJECT, deployed
from work_under_way import BATCH_ROWS, BATCHES_A_DAY, Work

NAME = "survivor"
PAGE = 1000
# The job waits until the file `go` is there, so that it can be hurt in the middle.
WAITING_PROJECT = f"""
import pathlib
import time
{PROJECT}
    while not pathlib.Path(context.params["go"]).exists():
        time.sleep(0.05)
"""


class Survivor:
    """A running platform with a deployed model, a monitor, and work that can go on."""

    def __init__(self, own: RunningPlatform, folder: Path) -> None:
        self.own = own
        self.admin = own.client()
        self.work = Work(self.admin, NAME)
        self._folder = folder
        self._go = folder / "go"
        with own.person("survivor-alice", "developer") as alice, own.person("bob", "reviewer") as bob:
            self._data, _ = deployed(alice, bob, NAME, folder)
        self.admin.runs.experiment(NAME)
        self.admin.monitors.create(NAME, NAME, [self._data.ref], label_column="label", window="day")

    def submit(self) -> str:
        """Submit a job that runs until `let_the_job_end`, and wait until it runs; returns its id."""
        source = self._folder / "project"
        source.mkdir()
        (source / "toytrain.py").write_text(WAITING_PROJECT)
        parameters = {"rounds": 8, "go": str(self._go)}
        spec = self.admin.jobs.spec(
            NAME, "toytrain:main", source=source, datasets=[self._data.ref], parameters=parameters, register=NAME
        )
        job_id = self.admin.jobs.submit(spec).id

        def runs() -> bool:
            job = self.admin.jobs.get(job_id)
            assert not job.ended, job
            return job.status == "JOB_STATUS_RUNNING"

        until("the job runs", runs, 240)
        return job_id

    def let_the_job_end(self) -> None:
        self._go.touch()

    def until_work_goes_on(self, when: str, timeout_s: float = 400) -> None:
        """Wait until every kind of work was acknowledged some more."""
        before = self.work.amounts()
        try:
            until(f"work goes on {when}", lambda: self.work.moved_on(before), timeout_s)
        except AssertionError as error:
            kinds = "commands, batches and predictions"
            raise AssertionError(f"{error}; {kinds} were {before}, are {self.work.amounts()}") from error

    def events(self, kind: str) -> list[Event]:
        """Every event of a type, oldest first."""
        found: list[Event] = []
        while page := self.admin.audit.events(type=kind, after=found[-1].position if found else 0, limit=PAGE):
            found += page
        return found

    def check_everything(self) -> None:
        """All that `check_...` says."""
        self.own.until_projected()
        self.check_commands()
        self.check_windows()
        self.check_predictions()
        self.check_log()

    def check_commands(self) -> None:
        """Every acknowledged command happened, once."""
        started = [e for e in self.events("registry.RunStarted") if e.payload and e.payload["experiment"] == NAME]
        names = Counter(e.payload["name"] for e in started if e.payload)
        assert set(names.values()) <= {1}, names.most_common(3)
        assert set(self.work.started) <= set(names)
        stream_of = {e.payload["name"]: e.stream for e in started if e.payload}
        kinds = ("registry.RunLogged", "registry.RunEnded")
        of_stream = {kind: Counter(e.stream for e in self.events(kind)) for kind in kinds}
        for name in self.work.ended:
            assert [count[stream_of[name]] for count in of_stream.values()] == [1, 1], name
        users = Counter(e.payload["name"] for e in self.events("gateway.UserCreated") if e.payload)
        assert set(users.values()) == {1}, users.most_common(3)
        assert self.work.users <= set(users)
        ended = self.admin.runs.get(self.work.started[max(self.work.ended)])
        assert ended.status == "RUN_STATUS_COMPLETED"

    def check_windows(self) -> None:
        """Every streamed row is in a window, once."""
        days = self.work.batches // BATCHES_A_DAY

        def windows() -> list[Window]:
            found = self.admin.monitors.windows(NAME)
            return found if len(found) >= days else []

        full = BATCHES_A_DAY * BATCH_ROWS
        found = until("every day's window is closed", windows, 180)
        assert [(w.predictions, w.labelled) for w in found] == [(full, full)] * days
        closed = Counter(e.payload["start"] for e in self.events("monitoring.WindowEvaluated") if e.payload)
        assert set(closed.values()) == {1}, closed.most_common(3)

    def check_predictions(self) -> None:
        """Every acknowledged prediction is in the log, as it was answered."""
        for prediction_id, score in self.work.predicted.items():
            logged = self.admin.deployments.prediction(NAME, prediction_id)
            assert logged.outputs == pytest.approx([score]), prediction_id

    def check_job(self, job_id: str) -> None:
        """The job was tried again, and registered one version."""
        job = self.admin.jobs.wait(job_id, timeout_s=600)
        assert job.attempt >= 2, "the job was running when its service was killed"
        versions = [v for v in self.admin.models.get(NAME).versions if v.run_id == job.run_id]
        assert [v.version for v in versions] == [job.registered_version]
        graph = self.admin.lineage.trace(f"ModelVersion:{NAME}/{job.registered_version}")
        assert {"ModelVersion", "Run", "DatasetVersion"} <= {node.kind for node in graph.nodes}

    def check_log(self) -> None:
        """The log hashes to what was signed."""
        report: modelog.types.AuditReport = self.admin.audit.verify()
        assert report.intact, report.findings
