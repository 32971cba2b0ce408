"""kill -9 of each process of one running platform, in the middle of its work: nothing acknowledged is lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import modelog
import pytest
from modelog.types import Event
from running_platform import SERVICES, RunningPlatform, until
from toy_model import PROJECT, deployed
from work_under_way import BATCH_ROWS, BATCHES_A_DAY, Work

NAME = "survivor"
PARTS = ("broker", "graph")
PAGE = 1000
# The job waits until its service was killed, so that it is killed in the middle of it.
WAITING_PROJECT = f"""
import pathlib
import time
{PROJECT}
    while not pathlib.Path(context.params["go"]).exists():
        time.sleep(0.05)
"""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


class Survived:
    """A platform whose every process was killed once while work and a job went on."""

    def __init__(self, own: RunningPlatform, folder: Path) -> None:
        self.own = own
        self.admin = own.client()
        self.work = Work(self.admin, NAME)
        self._folder = folder
        self.restarts: dict[str, int] = {}

    def prepare(self) -> None:
        with self.own.person("survivor-alice", "developer") as alice, self.own.person("bob", "reviewer") as bob:
            data, _ = deployed(alice, bob, NAME, self._folder)
        self.admin.runs.experiment(NAME)
        self.admin.monitors.create(NAME, NAME, [data.ref], label_column="label", window="day")
        source = self._folder / "project"
        source.mkdir()
        (source / "toytrain.py").write_text(WAITING_PROJECT)
        self._go = self._folder / "go"
        parameters = {"rounds": 8, "go": str(self._go)}
        self._spec = self.admin.jobs.spec(
            NAME, "toytrain:main", source=source, datasets=[data.ref], parameters=parameters, register=NAME
        )

    def kill_each(self) -> None:
        self.job = self.admin.jobs.submit(self._spec)
        with self.work.going_on():
            until("the job runs", self._job_runs, 240)
            for name in ("training", *PARTS, *(s for s in SERVICES if s != "training")):
                before = self.work.amounts()
                until(f"work goes on before {name} is killed", lambda b=before: self.work.moved_on(b), 180)  # type: ignore[misc]
                restarts = self.own.kill(name)
                self._go.touch()
                self.own.until_back(name, restarts)
                self.restarts[name] = self.own.process(name)["restarts"]
            before = self.work.amounts()
            until("work goes on after all of them", lambda: self.work.moved_on(before), 180)
        self.admin.jobs.wait(self.job.id, timeout_s=180)
        self.own.until_projected()

    def _job_runs(self) -> bool:
        job = self.admin.jobs.get(self.job.id)
        assert not job.ended, job
        return job.status == "JOB_STATUS_RUNNING"

    def events(self, kind: str) -> list[Event]:
        """Every event of a type, oldest first."""
        found: list[Event] = []
        while page := self.admin.audit.events(type=kind, after=found[-1].position if found else 0, limit=PAGE):
            found += page
        return found


@pytest.fixture(scope="module")
def survived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Survived]:
    own = RunningPlatform(tmp_path_factory.mktemp("killed"))
    own.up()
    try:
        one = Survived(own, tmp_path_factory.mktemp("work"))
        one.prepare()
        one.kill_each()
        yield one
    finally:
        own.down()


def test_every_process_was_killed_and_came_back(survived: Survived) -> None:
    assert set(survived.restarts) == {*SERVICES, *PARTS}
    assert all(n >= 1 for n in survived.restarts.values()), survived.restarts


def test_every_acknowledged_command_happened_once(survived: Survived) -> None:
    started, work = survived.events("registry.RunStarted"), survived.work
    by_name = {e.payload["name"]: e.stream for e in started if e.payload and e.payload["experiment"] == NAME}
    assert max(Counter(e.payload["name"] for e in started if e.payload).values()) == 1
    assert set(work.started) <= set(by_name)
    of_stream = {
        kind: Counter(e.stream for e in survived.events(kind)) for kind in ("registry.RunLogged", "registry.RunEnded")
    }
    for name in work.ended:
        assert {kind: count[by_name[name]] for kind, count in of_stream.items()} == dict.fromkeys(of_stream, 1), name
    users = Counter(e.payload["name"] for e in survived.events("gateway.UserCreated") if e.payload)
    assert max(users.values()) == 1
    assert work.users <= set(users)
    listed = survived.admin.runs.get(work.started[max(work.ended)])
    assert listed.status == "RUN_STATUS_COMPLETED"


def test_every_streamed_row_is_in_a_window_once(survived: Survived) -> None:
    days = survived.work.batches // BATCHES_A_DAY

    def windows() -> list[modelog.types.Window]:
        found = survived.admin.monitors.windows(NAME)
        return found if len(found) >= days else []

    found = until("every day's window is closed", windows, 180)
    full = BATCHES_A_DAY * BATCH_ROWS
    assert [(w.predictions, w.labelled) for w in found] == [(full, full)] * days
    closed = survived.events("monitoring.WindowEvaluated")
    assert max(Counter(e.payload["start"] for e in closed if e.payload).values()) == 1


def test_every_acknowledged_prediction_is_in_the_log(survived: Survived) -> None:
    for prediction_id, score in survived.work.predicted.items():
        assert survived.admin.deployments.prediction(NAME, prediction_id).outputs == pytest.approx([score])


def test_the_job_registered_one_version(survived: Survived) -> None:
    job = survived.admin.jobs.get(survived.job.id)
    assert job.attempt >= 2, "the job was running when its service was killed"
    versions = [v for v in survived.admin.models.get(NAME).versions if v.run_id == job.run_id]
    assert [v.version for v in versions] == [job.registered_version]


def test_the_graph_knows_what_happened(survived: Survived) -> None:
    version = survived.admin.jobs.get(survived.job.id).registered_version
    graph = survived.admin.lineage.trace(f"ModelVersion:{NAME}/{version}")
    assert {"ModelVersion", "Run", "DatasetVersion"} <= {node.kind for node in graph.nodes}


def test_the_log_is_intact(survived: Survived) -> None:
    report = survived.admin.audit.verify()
    assert report.intact, report.findings
