"""MLflow's methods that read curves: every point of a metric, and an even choice of the points of several runs."""

from __future__ import annotations

from typing import Any

import msgspec
from modelog_common.domain.errors import Invalid
from modelog_proto.registry.v1 import experiment_pb2 as pb

from modelog_gateway.mlflow.endpoints import Answer, Endpoint, Registry
from modelog_gateway.mlflow.runs import OfRun
from modelog_gateway.mlflow.values import number

OUR_PAGE = 100_000
MOST_RUNS = 100
USUAL_POINTS, MOST_POINTS = 320, 2500


class GetHistory(OfRun, kw_only=True):
    metric_key: str
    page_token: str = ""
    max_results: int | None = None


class Interval(msgspec.Struct):
    run_ids: list[str]
    metric_key: str
    start_step: int | None = None
    end_step: int | None = None
    max_results: int = USUAL_POINTS


async def get_history(registry: Registry, asked: GetHistory) -> Answer:
    """Without `max_results` all points: clients that do not send it do not ask for a next page."""
    if asked.max_results is not None and asked.max_results <= 0:
        raise Invalid.field("max_results", f"is {asked.max_results}; it must be at least 1")
    metrics: list[dict[str, Any]] = []
    token = asked.page_token
    while True:
        left = OUR_PAGE if asked.max_results is None else min(asked.max_results - len(metrics), OUR_PAGE)
        request = pb.GetMetricHistoryRequest(run_id=asked.id, metric=asked.metric_key, size=left, page_token=token)
        found = await registry.experiments.GetMetricHistory(request)
        metrics.extend(points_json(asked.metric_key, found.points))
        token = found.next_page_token
        if not token or (asked.max_results is not None and len(metrics) >= asked.max_results):
            return {"metrics": metrics} | ({"next_page_token": token} if token else {})


async def get_interval(registry: Registry, asked: Interval) -> Answer:
    """At most `max_results` points of each run, evenly over the steps, the last one among them."""
    if len(asked.run_ids) > MOST_RUNS:
        raise Invalid.field("run_ids", f"are {len(asked.run_ids)}; they must be at most {MOST_RUNS}")
    if not 0 < asked.max_results <= MOST_POINTS:
        raise Invalid.field("max_results", f"is {asked.max_results}; it must be from 1 to {MOST_POINTS}")
    metrics: list[dict[str, Any]] = []
    for run_id in asked.run_ids:
        whole = await get_history(registry, GetHistory(run_id=run_id, metric_key=asked.metric_key))
        points = [point for point in whole["metrics"] if _between(point["step"], asked.start_step, asked.end_step)]
        metrics.extend(point | {"run_id": run_id} for point in evenly(points, asked.max_results))
    return {"metrics": metrics}


def evenly(points: list[dict[str, Any]], most: int) -> list[dict[str, Any]]:
    """At most `most` of the points; the first and the last are among them when there is room for two."""
    if len(points) <= most:
        return points
    if most == 1:
        return points[-1:]
    return [points[round(n * (len(points) - 1) / (most - 1))] for n in range(most)]


def points_json(key: str, column: pb.MetricColumn) -> list[dict[str, Any]]:
    """The points, each once: clients send again what they logged, to tie it to a model, and expect it to be one."""
    points: list[dict[str, Any]] = []
    for step, time_ms, value in zip(column.steps, column.times_ms, column.values, strict=True):
        point = {"key": key, "value": number(value), "timestamp": time_ms, "step": step}
        # By step and time, so what is the same stands together.
        if not points or point != points[-1]:
            points.append(point)
    return points


def _between(step: int, first: int | None, last: int | None) -> bool:
    return (first is None or step >= first) and (last is None or step <= last)


ENDPOINTS = (
    Endpoint("GET", "/metrics/get-history", GetHistory, get_history),
    Endpoint("GET", "/metrics/get-history-bulk-interval", Interval, get_interval),
)
