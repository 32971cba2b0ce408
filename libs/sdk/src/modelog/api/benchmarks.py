"""Benchmarks: stored model versions that predict a stored dataset version, as a job whose run keeps the figures."""

from __future__ import annotations

from typing import Dict, List, Optional, Sequence

from modelog.api.experiments import Runs
from modelog.api.jobs import Jobs
from modelog.types import Condition, DatasetRef, Job, Order, Run

ENTRY_POINT = "modelog_training.benchmark.main:main"
EXPERIMENT = "benchmarks"
MODEL, VERSION, AGAINST, DATASET = (f"benchmark.{name}" for name in ("model", "version", "against", "dataset"))


class Benchmarks:
    """What was measured of model versions, and when."""

    def __init__(self, jobs: Jobs, runs: Runs) -> None:
        self._jobs, self._runs = jobs, runs

    def submit(
        self,
        model: str,
        version: str,
        dataset: DatasetRef,
        *,
        label: str = "label",
        against: str = "",
        batch_sizes: Sequence[int] = (1, 32, 256),
        seconds: float = 2.0,
    ) -> Job:
        """Queue a benchmark: quality with intervals, latency and throughput for each size of batch, size, memory.

        label: the column that holds 0 or 1. against: another version of the model, measured in turns with it on the
        same rows. seconds: how long each size of batch is measured, all versions together.
        """
        spec = self._jobs.spec(
            f"benchmark {model} {version}",
            ENTRY_POINT,
            experiment=EXPERIMENT,
            parameters={"label": label, "batch_sizes": list(batch_sizes), "seconds": seconds},
            datasets=[dataset],
        )
        versions = [version, against] if against else [version]
        spec["models"] = [{"model": model, "version": v} for v in versions]
        told = {MODEL: model, VERSION: version, AGAINST: against, DATASET: f"{dataset.dataset}:{dataset.version}"}
        spec["tags"] = {name: text for name, text in told.items() if text}
        return self._jobs.submit(spec)

    def list(
        self, model: str, version: Optional[str] = None, *, limit: int = 100, as_of: Optional[str] = None
    ) -> List[Run]:
        """Completed benchmarks of a model, or of one version, newest first; the figures are the runs' metrics."""
        conditions = [_equal("TAG", MODEL, model), _equal("ATTRIBUTE", "status", "COMPLETED")]
        if version is not None:
            conditions.append(_equal("TAG", VERSION, version))
        newest = Order(field="FIELD_ATTRIBUTE", key="start_time", descending=True)
        return self._runs.search(conditions, order_by=[newest], limit=limit, as_of=as_of)

    def last(self, model: str, versions: Sequence[str], *, as_of: Optional[str] = None) -> Dict[str, Run]:
        """The last benchmark of each version that has one."""
        found = {version: self.list(model, version, limit=1, as_of=as_of) for version in versions}
        return {version: runs[0] for version, runs in found.items() if runs}


def _equal(field: str, key: str, text: str) -> Condition:
    return Condition(field=f"FIELD_{field}", key=key, comparison="COMPARISON_EQUAL", text=text)
