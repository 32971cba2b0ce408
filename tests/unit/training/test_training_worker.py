"""A worker runs the code of one job after another, each as if it were alone."""

from __future__ import annotations

import hashlib
import io
import logging
import math
import os
import sys
import textwrap
import threading
import zipfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from modelog_common.stores.blobs.folder import FolderBlobStore
from modelog_training.work.assignment import AssignedDataset, Assignment, Expectation, Outcome
from modelog_training.work.journal import (
    JOURNAL,
    ArtifactLogged,
    JournalReader,
    MetricLogged,
    ModelSaved,
    ParamsLogged,
    Record,
)
from modelog_training.work.worker import THREAD_VARIABLES, Worker

PARQUET = io.BytesIO()
pl.DataFrame({"hour": [1, 2, 3]}).write_parquet(PARQUET)


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Worker:
    for name in THREAD_VARIABLES:
        monkeypatch.setenv(name, "")
    return Worker(2)


class Desk:
    """What a worker needs on disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log.txt"
        self._count = 0

    def store(self, content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()
        file = FolderBlobStore(self.folder / "files").path(digest)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        return digest

    def archive(self, **modules: str) -> str:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, text in modules.items():
                archive.writestr(f"{name.replace('__', '/')}.py", textwrap.dedent(text))
        return self.store(buffer.getvalue())

    def assignment(self, source_digest: str = "", entry_point: str = "job:main", **more: Any) -> Assignment:
        self._count += 1
        folder = self.folder / f"attempt-{self._count}"
        folder.mkdir()
        whole: dict[str, Any] = {
            "folder": str(folder),
            "log_file": str(self.log),
            "files": str(self.folder / "files"),
            "entry_point": entry_point,
            "source_digest": source_digest,
            "parameters": {},
            "datasets": (),
            "cpus": 2.0,
        }
        return Assignment(**{**whole, **more})

    def runs(self, worker: Worker, code: str, **more: Any) -> tuple[Outcome, list[Record], str]:
        """The outcome, the journal, and what was printed."""
        before = self.log.stat().st_size if self.log.exists() else 0
        assignment = self.assignment(self.archive(job=code), **more)
        outcome = worker.run(assignment)
        return outcome, JournalReader(Path(assignment.folder, JOURNAL)).read(), self.log.read_text()[before:]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_code_gets_what_the_job_was_given(desk: Desk, worker: Worker) -> None:
    digest = desk.store(PARQUET.getvalue())
    datasets = tuple(AssignedDataset("flights", version, digest) for version in (2, 1))
    code = """
        import os, polars
        def main(context):
            print(context.params, context.cpus, [f.name for f in context.datasets["flights"]])
            print(polars.read_parquet(context.dataset_paths).height, os.environ["OMP_NUM_THREADS"])
    """
    source = desk.archive(job=code)
    assignment = desk.assignment(source, datasets=datasets, parameters={"depth": 6})
    assert worker.check(assignment).error == ""
    assert worker.run(assignment) == Outcome("")
    assert desk.log.read_text() == "{'depth': 6} 2.0 ['1.parquet', '2.parquet']\n6 2\n"


def test_everything_that_is_logged_stands_in_the_journal(desk: Desk, worker: Worker) -> None:
    outcome, journal, printed = desk.runs(
        worker,
        """
        import asyncio, pathlib
        async def inside_a_loop(context):
            context.log_artifact("plot.txt", "plots/plot.txt")
        def main(context):
            context.log_metrics({"auc": 0.7, "loss": float("nan")}, step=3)
            context.log_params({"derived": [1, 2]})
            pathlib.Path("plot.txt").write_text("plot")
            asyncio.run(inside_a_loop(context))
            context.progress(0.5, "half")
            pathlib.Path("m.ubj").write_bytes(b"model")
            signature = {"inputs": [{"name": "x", "datatype": "FP32"}], "outputs": [{"name": "y", "datatype": "FP32"}]}
            context.save_model("m.ubj", flavor="xgboost", signature=signature, metrics={"auc": 0.7})
        """,
    )
    assert outcome == Outcome("")
    auc, loss, params, artifact, model = journal
    assert isinstance(auc, MetricLogged)
    assert (auc.name, auc.number, auc.step) == ("auc", 0.7, 3)
    assert isinstance(loss, MetricLogged)
    assert math.isnan(loss.number)
    assert params == ParamsLogged({"derived": [1, 2]})
    assert artifact == ArtifactLogged("plots/plot.txt", hashlib.sha256(b"plot").hexdigest(), 4)
    assert isinstance(model, ModelSaved)
    assert (model.digest, model.flavor, model.metrics) == (
        hashlib.sha256(b"model").hexdigest(),
        "xgboost",
        {"auc": 0.7},
    )
    assert FolderBlobStore(desk.folder / "files").path(model.digest).read_bytes() == b"model"
    assert printed == "[ 50%] half\n"


def test_an_exception_is_told_with_its_place_and_its_traceback(desk: Desk, worker: Worker) -> None:
    outcome, _, printed = desk.runs(
        worker,
        """
        def fit(rows):
            raise ValueError("no rows")
        def main(context):
            fit([])
        """,
    )
    assert outcome.error == "ValueError: no rows (job.py:3 in fit)"
    assert printed.startswith("Traceback (most recent call last):")
    assert "worker.py" not in printed
    assert printed.endswith("ValueError: no rows\n")


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("def main(context): raise SystemExit", ""),
        ("import sys\ndef main(context): sys.exit(3)", "the code ended itself with sys.exit(3)"),
        ("def main(context):\n    x = = 1", "SyntaxError: invalid syntax (job.py:2)"),
        (
            "import nothing_there",
            "ModuleNotFoundError: No module named 'nothing_there' (job.py:1 in <module>)",
        ),
        ("def other(context): ...", "entry_point: job has no function 'main'"),
        ("main = 3", "entry_point: job has no function 'main'"),
    ],
)
def test_ends_without_a_result(desk: Desk, worker: Worker, code: str, error: str) -> None:
    assert desk.runs(worker, code)[0].error.startswith(error)
    assert bool(error) == bool(desk.runs(worker, code)[0].error)


def test_a_missing_module_is_named(desk: Desk, worker: Worker) -> None:
    outcome = worker.run(desk.assignment(desk.archive(job=""), "absent.train:main"))
    assert (
        outcome.error
        == "entry_point: there is no module 'absent' in the source archive or among the installed packages"
    )


def test_code_that_is_installed_needs_no_archive(desk: Desk, worker: Worker) -> None:
    assert worker.run(desk.assignment("", "builtins:repr")) == Outcome("")


def test_the_same_module_of_two_archives_is_two_modules(desk: Desk, worker: Worker) -> None:
    code = "import helper.words\ndef main(context): print(helper.words.WORD)"
    for word in ("first", "second"):
        source = desk.archive(job=code, helper__words=f"WORD = {word!r}")
        assert worker.run(desk.assignment(source)) == Outcome("")
    assert desk.log.read_text() == "first\nsecond\n"
    assert "helper" not in sys.modules


def test_what_a_job_changes_is_undone(desk: Desk, worker: Worker) -> None:
    root = logging.getLogger()
    before = Path.cwd(), list(sys.path), dict(os.environ), list(root.handlers), root.level, sys.stdout, sys.stderr
    outcome, _, printed = desk.runs(
        worker,
        """
        import logging, os, sys
        def main(context):
            logging.basicConfig(level=logging.DEBUG, force=True, format="%(message)s")
            logging.info("logged")
            sys.path.append("/nowhere")
            os.environ["LEFT_BEHIND"] = "yes"
            os.system("echo from a child")
            os.write(2, b"from native code\\n")
        """,
    )
    assert outcome == Outcome("")
    assert printed == "logged\nfrom a child\nfrom native code\n"
    assert before == (
        Path.cwd(),
        list(sys.path),
        dict(os.environ),
        list(root.handlers),
        root.level,
        sys.stdout,
        sys.stderr,
    )


def test_threads_that_go_on_are_told(desk: Desk, worker: Worker) -> None:
    outcome, _, _ = desk.runs(
        worker,
        """
        import threading, builtins
        def main(context):
            builtins.gate_of_the_test = threading.Event()
            threading.Thread(target=builtins.gate_of_the_test.wait, name="lingering").start()
        """,
    )
    import builtins

    builtins.gate_of_the_test.set()  # type: ignore[attr-defined]
    for thread in threading.enumerate():
        if thread.name == "lingering":
            thread.join(150)
    assert (outcome.error, outcome.dirty) == ("", "threads lingering")


def test_an_altered_archive_is_not_run(desk: Desk, worker: Worker) -> None:
    digest = desk.archive(job="def main(context): print('ran')")
    FolderBlobStore(desk.folder / "files").path(digest).write_bytes(b"other")
    outcome = worker.run(desk.assignment(digest))
    assert outcome.error.startswith(f"the stored file {digest} was altered")
    assert "ran\n" not in desk.log.read_text()


def test_what_is_no_archive_is_said_to_be_none(desk: Desk, worker: Worker) -> None:
    assert "no zip file" in worker.run(desk.assignment(desk.store(b"text"))).error


def test_an_archive_cannot_write_outside_its_folder(desk: Desk, worker: Worker) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("../../escaped.py", "")
    outcome = worker.run(desk.assignment(desk.store(buffer.getvalue())))
    assert outcome.error == "the source archive holds '../../escaped.py', which lies outside of it"
    assert not list(desk.folder.rglob("escaped.py"))


def test_a_bomb_is_not_unpacked(desk: Desk, worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelog_training.work.source.ARCHIVE_BYTES", 1000)
    outcome = worker.run(desk.assignment(desk.archive(job="#" * 1001)))
    assert "holds 1 files of together 1001 bytes; allowed:" in outcome.error


def test_data_that_is_missing_or_altered_is_named(desk: Desk, worker: Worker) -> None:
    gone = AssignedDataset("flights", 1, "a" * 64)
    assert (
        "the data of flights 1 cannot be read: there is no stored file"
        in worker.check(desk.assignment(datasets=(gone,))).error
    )
    bad = AssignedDataset("flights", 2, desk.store(b"no parquet"), (Expectation("row_count", minimum=1),))
    assert "the data of flights 2 cannot be read" in worker.check(desk.assignment(datasets=(bad,))).error


def test_expectations_are_looked_at(desk: Desk, worker: Worker) -> None:
    dataset = AssignedDataset("flights", 1, desk.store(PARQUET.getvalue()), (Expectation("unique", "hour"),))
    (result,) = worker.check(desk.assignment(datasets=(dataset,))).results
    assert result.passed


def test_a_worker_knows_its_machine(worker: Worker) -> None:
    machine = worker.machine()
    assert machine.python == sys.version.split()[0]
    assert machine.packages["polars"] == pl.__version__
    assert worker.pid() == os.getpid()
