"""A worker: the process in which the data of one job after another is checked and its code runs."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import distributions
from pathlib import Path

import msgspec
from modelog.training import Context, StoredModel
from modelog.types import Signature, TensorSpec
from modelog_common.stores.blobs.folder import FolderBlobStore

from modelog_training.job.events import CheckResult
from modelog_training.work import source
from modelog_training.work.assignment import AssignedModel, Assignment, Checked, Machine, Outcome
from modelog_training.work.isolation import captured, isolated, left_behind
from modelog_training.work.journal import JOURNAL, JournalWriter
from modelog_training.work.sink import JournalSink

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "POLARS_MAX_THREADS",
    "RAYON_NUM_THREADS",
)
READ_BYTES = 1 << 20


class Worker:
    """Made once in a process of its own, before the libraries that read the thread variables are loaded."""

    def __init__(self, threads: int) -> None:
        for name in THREAD_VARIABLES:
            os.environ[name] = str(threads)

    def pid(self) -> int:
        return os.getpid()

    def machine(self) -> Machine:
        """The Python, platform and packages that jobs run in."""
        packages = {d.metadata["Name"]: d.version for d in distributions() if d.metadata["Name"]}
        return Machine(sys.version.split()[0], platform.platform(), dict(sorted(packages.items())))

    def check(self, assignment: Assignment) -> Checked:
        """Lay the data out for the job and look at what is expected of it."""
        # Here and not above: a job without expectations should not wait for polars.
        from modelog_training.work.checks import check_dataset

        results: list[CheckResult] = []
        for dataset in assignment.datasets:
            name = f"{dataset.dataset} {dataset.version}"
            try:
                blob = self._verified(assignment, dataset.digest)
                file = data_file(assignment, dataset.dataset, dataset.version)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.symlink_to(blob)
                results += check_dataset(dataset, file) if dataset.expectations else ()
            except Exception as error:
                return Checked(tuple(results), f"the data of {name} cannot be read: {error}")
        return Checked(tuple(results))

    def run(self, assignment: Assignment) -> Outcome:
        """Run the user's code to its end; whatever it raises is in its log and in the outcome."""
        threads = set(threading.enumerate())
        code, scratch = Path(assignment.folder, "source"), Path(assignment.folder, "scratch")
        for folder in (code, scratch):
            folder.mkdir(parents=True, exist_ok=True)
        with captured(Path(assignment.log_file)):
            error = self._unpack(assignment, code)
            if not error:
                with isolated(code, scratch):
                    error = self._run(assignment, code)
        return Outcome(error, left_behind(threads))

    def _unpack(self, assignment: Assignment, code: Path) -> str:
        try:
            if assignment.source_digest:
                source.unpack(self._verified(assignment, assignment.source_digest), code)
        except (source.BadSource, BadFile) as error:
            print(error)
            return str(error)
        return ""

    def _run(self, assignment: Assignment, code: Path) -> str:
        try:
            with _journal(assignment) as context:
                source.find(assignment.entry_point)(context)
        except SystemExit as end:
            return "" if not end.code else f"the code ended itself with sys.exit({end.code!r})"
        except source.BadSource as error:
            print(error)
            return str(error)
        except BaseException as error:
            own = source.users_part(error.__traceback__, Path(__file__))
            traceback.print_exception(type(error), error, own)
            return source.in_short(error, own, code)
        return ""

    def _verified(self, assignment: Assignment, digest: str) -> Path:
        """The stored file, after a look whether it still is what its name says."""
        file = FolderBlobStore(Path(assignment.files)).path(digest)
        hashed = hashlib.sha256()
        try:
            with file.open("rb") as content:
                while chunk := content.read(READ_BYTES):
                    hashed.update(chunk)
        except FileNotFoundError:
            raise BadFile(f"there is no stored file {digest}; upload it first") from None
        if hashed.hexdigest() != digest:
            raise BadFile(f"the stored file {digest} was altered: its SHA-256 is {hashed.hexdigest()}")
        return file


class BadFile(Exception):
    """A stored file is missing or not what it was."""


def data_file(assignment: Assignment, dataset: str, version: int) -> Path:
    """Where a job finds a dataset version."""
    return Path(assignment.folder, "data", dataset, f"{version}.parquet")


@contextmanager
def _journal(assignment: Assignment) -> Iterator[Context]:
    """What the user's code is called with."""
    journal = JournalWriter(Path(assignment.folder, JOURNAL))
    files: dict[str, list[Path]] = {}
    for dataset in sorted(assignment.datasets, key=lambda d: d.version):
        files.setdefault(dataset.dataset, []).append(data_file(assignment, dataset.dataset, dataset.version))
    # As the job names them, whatever their versions.
    named = {d.dataset: files[d.dataset] for d in assignment.datasets}
    try:
        sink = JournalSink(journal, FolderBlobStore(Path(assignment.files)))
        models = [_stored(assignment, model) for model in assignment.models]
        yield Context(assignment.parameters, named, sink, cpus=assignment.cpus, models=models)
    finally:
        journal.close()


def _stored(assignment: Assignment, model: AssignedModel) -> StoredModel:
    file = FolderBlobStore(Path(assignment.files)).path(model.digest)
    inputs, outputs = (
        [TensorSpec(**msgspec.structs.asdict(t)) for t in side] for side in (model.inputs, model.outputs)
    )
    return StoredModel(
        model.model, model.version, model.flavor, str(file), list(model.features), model.digest,
        Signature(inputs=inputs, outputs=outputs), model.approved,
    )  # fmt: skip
