"""Mounts MLflow's API: every method under `/api/2.0/mlflow`, and under `/ajax-api/2.0/mlflow` as its pages call it.

Those about workspaces came with 3.0, and are there.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import grpc.aio
from aiohttp import web

from modelog_gateway.mlflow import (
    adding,
    artifacts,
    experiments,
    history,
    logged_models,
    model_versions,
    registered_models,
    runs,
    webhooks,
    workspaces,
)
from modelog_gateway.mlflow.endpoints import Endpoint, Registry, answering_of, handler_of
from modelog_gateway.mlflow.server import PATHS as PUBLIC
from modelog_gateway.mlflow.server import add_server

__all__ = ["MOUNTED", "PUBLIC", "REGISTRY", "add_mlflow", "is_mlflow"]

PREFIXES = ("/api/2.0/mlflow", "/ajax-api/2.0/mlflow")
PREFIXES_3 = ("/api/3.0/mlflow", "/ajax-api/3.0/mlflow")
ROOTS = ("/api/2.0/", "/api/3.0/", "/ajax-api/")
ENDPOINTS: tuple[Endpoint[Any], ...] = (
    *experiments.ENDPOINTS,
    *runs.ENDPOINTS,
    *adding.ENDPOINTS,
    *history.ENDPOINTS,
    *logged_models.ENDPOINTS,
    *artifacts.ENDPOINTS,
    *registered_models.ENDPOINTS,
    *model_versions.ENDPOINTS,
    *webhooks.ENDPOINTS,
)
# Which are under which prefixes.
MOUNTED: tuple[tuple[tuple[Endpoint[Any], ...], tuple[str, ...]], ...] = (
    (ENDPOINTS, PREFIXES),
    (workspaces.ENDPOINTS, PREFIXES_3),
)
# The contracts behind them, made for the first one who asks.
REGISTRY: web.AppKey[Callable[[], Registry]] = web.AppKey("mlflow registry")


def is_mlflow(path: str) -> bool:
    """Whether a path belongs to MLflow's API, whose errors have a form of their own."""
    return path.startswith(ROOTS)


def add_mlflow(app: web.Application, peer: Callable[[str], grpc.aio.Channel]) -> None:
    """`peer` gives the channel to a service."""
    add_server(app)
    registry: Callable[[], Registry] = cache(lambda: Registry(peer("registry")))
    app[REGISTRY] = registry
    artifacts.add_artifacts(app, registry)
    for endpoints, prefixes in MOUNTED:
        for endpoint in endpoints:
            handle = handler_of(answering_of(endpoint, registry))
            for prefix in prefixes:
                app.router.add_route(endpoint.verb, prefix + endpoint.path, handle)
