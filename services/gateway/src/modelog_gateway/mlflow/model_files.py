"""The files of a model where MLflow's clients say that they are."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from modelog_common.domain.errors import NotFound
from modelog_proto.registry.v1.experiment_pb2 import GetRunRequest
from modelog_proto.registry.v1.logged_model_pb2 import GetLoggedModelRequest
from modelog_proto.registry.v1.model_pb2 import Artifact

from modelog_gateway.mlflow.endpoints import Registry
from modelog_gateway.mlflow.locations import model_root

# "models:/<logged model>", or where its files are.
OF_LOGGED_MODEL = re.compile(
    r"models:/(?P<id>[^/@]+)|mlflow-artifacts:(?://[^/]*)?/[^/]+/models/(?P<model>[^/]+)/artifacts"
)
# "runs:/<run>/<path>" and "mlflow-artifacts:/<experiment>/<run>/artifacts/<path>", with a host or without.
OF_RUN = re.compile(
    r"runs:/(?P<of>[^/]+)/(?P<at>.+)|mlflow-artifacts:(?://[^/]*)?/[^/]+/(?P<run>[^/]+)/artifacts/(?P<path>.+)"
)


@dataclass(frozen=True)
class Files:
    """What was found."""

    artifacts: list[Artifact] = field(default_factory=list)
    # The run that made them, where the source tells.
    run_id: str = ""


async def found_at(registry: Registry, source: str) -> Files:
    """The files of a logged model or of a folder of a run. Nothing for a source elsewhere."""
    try:
        return Files(*await _artifacts(registry, source.rstrip("/")))
    except NotFound:
        return Files()


async def _artifacts(registry: Registry, source: str) -> tuple[list[Artifact], str]:
    """The files, by paths in their folder, and the run that made them."""
    logged = logged_model_in(source)
    if logged:
        model = await registry.logged_models.GetLoggedModel(GetLoggedModelRequest(model_id=logged))
        return list(model.artifacts), model.source_run_id
    match = OF_RUN.fullmatch(source)
    if match is None:
        return [], ""
    run_id, folder = match["of"] or match["run"], (match["at"] or match["path"]) + "/"
    run = await registry.experiments.GetRun(GetRunRequest(run_id=run_id, without_points=True))
    files = [
        Artifact(path=file.path.removeprefix(folder), digest=file.digest, size_bytes=file.size_bytes)
        for file in run.artifacts
        if file.path.startswith(folder)
    ]
    return files, run_id


def logged_model_in(source: str) -> str:
    """The id of the logged model that a source names; empty when it names none."""
    match = OF_LOGGED_MODEL.fullmatch(source)
    return "" if match is None else match["id"] or match["model"]


async def downloaded_from(registry: Registry, source: str) -> str:
    """Where a client fetches the files of a source."""
    logged = logged_model_in(source)
    if not logged or not source.startswith("models:"):
        return source
    model = await registry.logged_models.GetLoggedModel(GetLoggedModelRequest(model_id=logged))
    return model_root(await registry.locations.of(model.experiment_id), model.id)
