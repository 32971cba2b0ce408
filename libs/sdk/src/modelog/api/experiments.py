"""Experiments and runs."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from typing import Any, List, Mapping, Optional, Sequence, Tuple

import msgspec

from modelog.api.datasets import Artifacts
from modelog.comparison import Comparison, joined
from modelog.comparison import Runs as RunIds
from modelog.transport import Transport, gather, pages
from modelog.types import (
    Artifact,
    Condition,
    DatasetInput,
    Environment,
    Experiment,
    MetricColumn,
    Order,
    Record,
    Run,
    RunDataset,
    RunModel,
    ThinnedMetric,
)


class _Runs(Record):
    runs: List[Run] = []
    next_page_token: str = ""


class _Experiments(Record):
    experiments: List[Experiment] = []
    next_page_token: str = ""


class _Files(Record):
    artifacts: List[Artifact] = []
    next_page_token: str = ""


class _History(Record):
    points: Optional[MetricColumn] = None
    next_page_token: str = ""


class Runs:
    """Experiments and their runs."""

    def __init__(self, transport: Transport, artifacts: Artifacts) -> None:
        self._transport, self._artifacts = transport, artifacts

    def experiment(
        self,
        name: str,
        description: str = "",
        *,
        tags: Optional[Mapping[str, str]] = None,
        created_at: Optional[datetime] = None,
        workspace: str = "",
        project: str = "",
    ) -> Experiment:
        """The experiment of this name, made when there is none, in a project of a workspace or in default/default.

        `created_at` says when it was made, where it comes from.
        """
        body = {
            "name": name,
            "description": description,
            "tags": dict(tags or {}),
            "created_at": created_at,
            "workspace": workspace,
            "project": project,
        }
        return self._transport.post("/api/v1/experiments", Experiment, body)

    def experiment_named(self, name: str, *, as_of: Optional[str] = None) -> Optional[Experiment]:
        """The experiment of this name, deleted or not; None when there is none."""
        named = Condition(field="FIELD_ATTRIBUTE", key="name", comparison="COMPARISON_EQUAL", text=name)
        body = {"conditions": [named], "view": "VIEW_ALL"}
        found = self._transport.ask("/api/v1/experiments/search", _Experiments, body, as_of=as_of).experiments
        return found[0] if found else None

    def tag_experiment(self, experiment_id: str, tags: Mapping[str, str]) -> Experiment:
        """Set tags of an experiment."""
        path = f"/api/v1/experiments/by-id/{experiment_id}/tags"
        return self._transport.post(path, Experiment, {"tags": dict(tags)})

    def update_experiment(
        self, experiment_id: str, *, name: Optional[str] = None, description: Optional[str] = None
    ) -> Experiment:
        """Rename an experiment, or describe it anew; its id and runs stay."""
        body = {"name": name, "description": description}
        return self._transport.post(f"/api/v1/experiments/by-id/{experiment_id}", Experiment, body)

    def move_experiment(self, experiment_id: str, workspace: str, project: str = "") -> Experiment:
        """Put an experiment, and its runs, in another project; its id stays."""
        body = {"workspace": workspace, "project": project}
        return self._transport.post(f"/api/v1/experiments/by-id/{experiment_id}/move", Experiment, body)

    def experiment_artifacts(
        self, experiment_id: str, path: str = "", *, as_of: Optional[str] = None
    ) -> List[Artifact]:
        """The files of an experiment that belong to none of its runs: all, or those at a path or below it."""
        url = f"/api/v1/experiments/by-id/{experiment_id}/artifacts"
        return self._transport.every(url, _Files, lambda page: page.artifacts, under=path or None, as_of=as_of)

    def add_experiment_artifacts(self, experiment_id: str, artifacts: Sequence[Artifact]) -> None:
        """Add files to an experiment that belong to none of its runs."""
        path = f"/api/v1/experiments/by-id/{experiment_id}/artifacts"
        self._transport.post(path, dict, {"artifacts": list(artifacts)})

    def remove_experiment_artifacts(self, experiment_id: str, paths: Sequence[str]) -> None:
        """Take files or whole folders off an experiment; as of before they are there still."""
        path = f"/api/v1/experiments/by-id/{experiment_id}/artifacts/remove"
        self._transport.post(path, dict, {"paths": list(paths)})

    def delete_experiment(self, experiment_id: str) -> Experiment:
        """Hide an experiment; it keeps its name."""
        return self._transport.post(f"/api/v1/experiments/by-id/{experiment_id}/delete", Experiment, {})

    def restore_experiment(self, experiment_id: str) -> Experiment:
        """Take a deletion back."""
        return self._transport.post(f"/api/v1/experiments/by-id/{experiment_id}/restore", Experiment, {})

    def experiments(self, *, workspace: str = "", project: str = "", as_of: Optional[str] = None) -> List[Experiment]:
        """All experiments, or those of a workspace or of one of its projects, by name."""
        return self._transport.every(
            "/api/v1/experiments",
            _Experiments,
            lambda page: page.experiments,
            workspace=workspace or None,
            project=project or None,
            as_of=as_of,
        )

    def start(
        self,
        experiment: str,
        name: str = "",
        *,
        parameters: Optional[Mapping[str, Any]] = None,
        datasets: Sequence[RunDataset] = (),
        environment: Optional[Environment] = None,
        tags: Optional[Mapping[str, str]] = None,
        parent_run_id: str = "",
        started_at: Optional[datetime] = None,
        request_id: Optional[str] = None,
    ) -> Run:
        """Start a run in an experiment that exists.

        `started_at` says when it began, if that is not now. The same `request_id` again gives the run that it started.
        """
        body = {
            "experiment": experiment,
            "name": name,
            "parameters": dict(parameters or {}),
            "datasets": list(datasets),
            "environment": environment,
            "tags": dict(tags or {}),
            "parent_run_id": parent_run_id,
            "started_at": started_at,
            "request_id": request_id,
        }
        return self._transport.post("/api/v1/runs", Run, body)

    def log(
        self,
        run_id: str,
        *,
        parameters: Optional[Mapping[str, Any]] = None,
        metrics: Optional[Mapping[str, float]] = None,
        step: int = 0,
        files: Sequence[Path] = (),
        artifacts: Sequence[Artifact] = (),
        tags: Optional[Mapping[str, str]] = None,
    ) -> Run:
        """Add parameters, metrics at a step, files or tags to a running run."""
        stored = [*artifacts, *(self._artifacts.upload(Path(f)) for f in files)]
        body = {
            "parameters": dict(parameters) if parameters else None,
            "metrics": [{"name": k, "value": as_json(v), "step": step} for k, v in (metrics or {}).items()],
            "artifacts": stored,
            "tags": dict(tags or {}),
        }
        return self._transport.post(f"/api/v1/runs/{run_id}/log", Run, body)

    def log_metrics(
        self,
        run_id: str,
        metrics: Mapping[str, Sequence[float]],
        *,
        first_step: int = 0,
        times_ms: Optional[Sequence[int]] = None,
    ) -> None:
        """Add many points: for each metric its values at steps that follow each other, of now or of `times_ms`."""
        now = time.time_ns() // 1_000_000
        columns = [
            {
                "name": name,
                "steps": list(range(first_step, first_step + len(values))),
                "times_ms": list(times_ms or [now] * len(values)),
                "values": [as_json(v) for v in values],
            }
            for name, values in metrics.items()
        ]
        self._transport.post(f"/api/v1/runs/{run_id}/metrics", dict, {"columns": columns})

    def log_points(self, run_id: str, columns: Sequence[MetricColumn]) -> None:
        """Add points of any steps and times, 10,000 at most together."""
        plain = [{**msgspec.to_builtins(c), "values": [as_json(v) for v in c.values]} for c in columns]
        self._transport.post(f"/api/v1/runs/{run_id}/metrics", dict, {"columns": plain})

    def log_inputs(self, run_id: str, datasets: Sequence[DatasetInput] = (), models: Sequence[RunModel] = ()) -> Run:
        """Add what a run read."""
        body = {"datasets": list(datasets), "models": list(models)}
        return self._transport.post(f"/api/v1/runs/{run_id}/inputs", Run, body)

    def log_outputs(self, run_id: str, models: Sequence[RunModel]) -> Run:
        """Add the logged models that a run made."""
        return self._transport.post(f"/api/v1/runs/{run_id}/outputs", Run, {"models": list(models)})

    def history(self, run_id: str, metric: str, *, as_of: Optional[str] = None) -> MetricColumn:
        """All points of a metric, by step and time."""

        def after(token: str) -> _History:
            path = f"/api/v1/runs/{run_id}/metrics"
            return self._transport.get(path, _History, metric=metric, page_token=token or None, as_of=as_of)

        whole = MetricColumn(name=metric)
        for page in pages(after):
            points = page.points or MetricColumn()
            whole.steps.extend(points.steps)
            whole.times_ms.extend(points.times_ms)
            whole.values.extend(points.values)
        return whole

    def remove_artifacts(self, run_id: str, paths: Sequence[str]) -> Run:
        """Take files or whole folders off a run; as of before they are there still."""
        return self._transport.post(f"/api/v1/runs/{run_id}/artifacts/remove", Run, {"paths": list(paths)})

    def thinned(
        self,
        run_id: str,
        metric: str,
        size: int = 1000,
        *,
        steps: Optional[Tuple[int, int]] = None,
        times_ms: Optional[Tuple[int, int]] = None,
        as_of: Optional[str] = None,
    ) -> ThinnedMetric:
        """About `size` points that look like the whole curve, or like its part between two steps or times."""
        along = "STEP" if steps else "TIME" if times_ms else "UNSPECIFIED"
        first, last = steps or times_ms or (0, 0)
        asked = {"metric": metric, "size": size, "along": f"CURVE_AXIS_{along}", "first": first, "last": last}
        return self._transport.get(f"/api/v1/runs/{run_id}/metrics/thinned", ThinnedMetric, as_of=as_of, **asked)

    def tag(self, run_id: str, tags: Mapping[str, str]) -> Run:
        """Set tags of a run, ended or not."""
        return self._transport.post(f"/api/v1/runs/{run_id}/tags", Run, {"tags": dict(tags)})

    def resume(self, run_id: str) -> Run:
        """Let an ended run take more."""
        return self._transport.post(f"/api/v1/runs/{run_id}/update", Run, {"status": "RUN_STATUS_RUNNING"})

    def update(
        self, run_id: str, *, name: Optional[str] = None, status: str = "", ended_at: Optional[datetime] = None
    ) -> Run:
        """Rename a run, or give it a status: running, scheduled, completed, failed or cancelled, and when it ended."""
        body = {"name": name, "status": f"RUN_STATUS_{status.upper()}" if status else None, "ended_at": ended_at}
        return self._transport.post(f"/api/v1/runs/{run_id}/update", Run, body)

    def rename(self, run_id: str, name: str) -> Run:
        """Call a run otherwise."""
        return self._transport.post(f"/api/v1/runs/{run_id}/update", Run, {"name": name})

    def delete(self, run_id: str) -> Run:
        """Hide a run, which then takes nothing."""
        return self._transport.post(f"/api/v1/runs/{run_id}/delete", Run, {})

    def restore(self, run_id: str) -> Run:
        """Take a deletion back."""
        return self._transport.post(f"/api/v1/runs/{run_id}/restore", Run, {})

    def search(
        self,
        conditions: Sequence[Condition] = (),
        *,
        experiment_ids: Sequence[str] = (),
        order_by: Sequence[Order] = (),
        view: str = "active",
        text: str = "",
        limit: int = 100,
        as_of: Optional[str] = None,
    ) -> List[Run]:
        """Runs that all conditions hold for, and that have all words of a text; `view` is active, deleted or all."""
        body = {
            "experiment_ids": list(experiment_ids),
            "conditions": [{**msgspec.to_builtins(c), "number": as_json(c.number)} for c in conditions],
            "order_by": list(order_by),
            "view": f"VIEW_{view.upper()}",
            "text": text,
        }
        path = "/api/v1/runs/search"

        def after(token: str, size: int) -> _Runs:
            return self._transport.ask(path, _Runs, body, as_of=as_of, page_token=token, page_size=size)

        return gather(after, lambda page: page.runs, limit)

    def end(self, run_id: str, status: str = "completed", error: str = "") -> Run:
        """End a run: completed, failed or cancelled."""
        body = {"status": f"RUN_STATUS_{status.upper()}", "error": error}
        return self._transport.post(f"/api/v1/runs/{run_id}/end", Run, body)

    def get(self, run_id: str, *, as_of: Optional[str] = None) -> Run:
        """One run."""
        return self._transport.get(f"/api/v1/runs/{run_id}", Run, as_of=as_of)

    def list(self, experiment: Optional[str] = None, *, limit: int = 100, as_of: Optional[str] = None) -> List[Run]:
        """Runs, newest first."""
        return self._transport.every(
            "/api/v1/runs", _Runs, lambda page: page.runs, limit=limit, experiment=experiment, as_of=as_of
        )

    def compare(
        self,
        *runs: RunIds,
        design: str = "independent",
        ranks: bool = False,
        test_share: float = 0.0,
        as_of: Optional[str] = None,
    ) -> Comparison:
        """What differs between runs: each a run's id, or a list of those of repeated runs of one thing.

        Metrics are tested where both sides have three runs or more, by the test of the `design`: "independent",
        "paired" (the n-th runs of all sides share a seed, fold or data), or "resampled" (paired, with training sets
        that overlap, as in cross-validation: then `test_share` is the share of the rows held out).
        """
        query = {"design": f"RUN_DESIGN_{design.upper()}", "ranks": ranks or None, "test_share": test_share or None}
        ids = [joined(each) for each in runs]
        return self._transport.get("/api/v1/comparisons/runs", Comparison, runs=ids, as_of=as_of, **query)


def as_json(value: float) -> Any:
    """proto3 JSON writes what JSON cannot as text."""
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    return float(value)
