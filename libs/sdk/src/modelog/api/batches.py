"""Batches as jobs: a stored model version answers the rows of an input, in a worker of the training service."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple, TypeVar

from modelog.api.deployments import Deployments
from modelog.api.experiments import Runs
from modelog.api.jobs import Jobs
from modelog.api.models import Models
from modelog.batch.bucket import S3
from modelog.batch.places import check_place
from modelog.batch.rows import FAIL, NULL
from modelog.batch.sources import NONE, check_named, dataset_of
from modelog.errors import Invalid, NotFound
from modelog.types import Job, Record

T = TypeVar("T")
ENTRY_POINT = "modelog_training.batch.main:main"
EXPERIMENT = "batches"
MODEL, VERSION, OUTPUT = (f"batch.{name}" for name in ("model", "version", "output"))
ROWS_AT_ONCE = 50_000
MOST_ROWS_AT_ONCE = 10_000_000
# Metrics of a batch's run.
DONE, TOTAL, RATE = "batch/rows", "batch/rows_total", "batch/rows_per_s"


class BatchProgress(Record):
    """How far a batch is: rows that are done, of how many, and how many a second."""

    rows: int = 0
    total: int = 0
    rows_per_s: float = 0.0


class Batches:
    """What was asked to be predicted by a job, and how far it is."""

    def __init__(self, jobs: Jobs, runs: Runs, models: Models, deployments: Deployments) -> None:
        self._jobs, self._runs, self._models, self._deployments = jobs, runs, models, deployments

    def submit(
        self,
        model: str,
        version: str,
        source: str,
        output: str,
        *,
        query: str = "",
        rows_at_once: int = ROWS_AT_ONCE,
        on_error: str = FAIL,
        cpus: float = 1.0,
    ) -> Job:
        """Queue a batch: the rows of `source`, each with what the version answers, as Parquet files in `output`.

        source: a file or folder of CSV or Parquet, "NAME@VERSION" of a stored dataset, "s3://bucket/key", or "-" for
        none. query: a SELECT of DuckDB over them, as the table `input`. output: a folder or "s3://bucket/prefix".
        Files and folders are those of the machine that runs the job. on_error: "fail", or "null" for rows without a
        prediction. cpus: with two or more, parts are made side by side on Ray Data, where jobs run on Ray.

        A job that is killed is run again, and goes on where it was. So does the same batch, submitted again.
        """
        check_named(source, query)
        check_place(output)
        if on_error not in (FAIL, NULL):
            raise Invalid(f"on_error: is {on_error!r}; allowed: {FAIL}, {NULL}")
        if not 1 <= rows_at_once <= MOST_ROWS_AT_ONCE:
            raise Invalid(f"rows_at_once: is {rows_at_once}; allowed: 1 to {MOST_ROWS_AT_ONCE}")
        dataset = dataset_of(source)
        parameters: Dict[str, Any] = {
            "source": source if dataset or source == NONE else _absolute(source),
            "output": _absolute(output),
            "rows_at_once": rows_at_once,
            "on_error": on_error,
        }
        spec = self._jobs.spec(
            f"batch {model} {version}",
            ENTRY_POINT,
            experiment=EXPERIMENT,
            parameters={**parameters, **({"query": query} if query else {})},
            cpus=cpus,
        )
        spec["datasets"] = [{"dataset": dataset[0], "version": dataset[1]}] if dataset else []
        spec["models"] = [{"model": model, "version": version}]
        spec["tags"] = {MODEL: model, VERSION: version, OUTPUT: parameters["output"]}
        return self._jobs.submit(spec)

    def version_of(self, target: str, *, model: bool = False) -> Tuple[str, str]:
        """Model and version of "DEPLOYMENT", "DEPLOYMENT:VERSION" or "MODEL:VERSION"; with `model` only of the last.

        A deployment without a version must have one only. Raises Invalid for a name that both have, of which they
        mean different models.
        """
        name, _, version = target.partition(":")
        deployed = None if model else _found(self._deployments.get, name)
        if deployed is None:
            if not version:
                raise Invalid(
                    f"target: there is no deployment {name!r}; a model is named with its version, {name}:VERSION"
                )
            return name, version
        if version and deployed.model != name and _found(self._models.get, name) is not None:
            raise Invalid(
                f"target: {name!r} is a deployment of {deployed.model}, and a model too; say which: with --model (in "
                "Python, model=True) it is the model"
            )
        serving = [variant.version for variant in deployed.variants if variant.percent]
        if not version and len(serving) != 1:
            raise Invalid(f"target: {name} has the versions {', '.join(serving) or 'none'}; say which: {name}:VERSION")
        return deployed.model, version or serving[0]

    def progress(self, job: Job) -> BatchProgress:
        """How far it is, as its run tells."""
        figures = job.metrics if job.ended and job.metrics else self._runs.get(job.run_id).metrics if job.run_id else {}
        return BatchProgress(int(figures.get(DONE, 0)), int(figures.get(TOTAL, 0)), figures.get(RATE, 0.0))

    def wait(
        self, job_id: str, *, timeout_s: float = 86_400.0, progress: Optional[Callable[[BatchProgress], object]] = None
    ) -> Job:
        """Wait for the end. Raises JobFailed with the job's own words, or TimeoutError."""

        def tell(job: Job) -> None:
            if progress is not None and job.run_id:
                progress(self.progress(job))

        return self._jobs.wait(job_id, timeout_s=timeout_s, progress=tell)

    def list(self, *, limit: int = 100, as_of: Optional[str] = None) -> List[Job]:
        """Batches among the newest `limit` jobs, newest first."""
        found = self._jobs.list(limit=limit, as_of=as_of)
        return [job for job in found if job.spec.get("entry_point") == ENTRY_POINT]


def _found(get: Callable[[str], T], name: str) -> Optional[T]:
    try:
        return get(name)
    except NotFound:
        return None


def _absolute(place: str) -> str:
    return place if place.startswith(S3) else str(Path(place).absolute())
