"""The files of a model where MLflow's clients say that they are, and what its MLmodel file tells of them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.struct_pb2 import Struct
from modelog_common.domain.errors import NotFound
from modelog_proto.registry.v1.artifact_pb2 import DownloadArtifactRequest
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
MLMODEL = "MLmodel"
MLMODEL_BYTES = 1024 * 1024
ANY_PYTHON = "python_function"
# What a flavor calls the file that holds the model itself.
ITS_FILE = ("data", "model_data", "pickled_model", "model_path")
UNKNOWN_FLAVOR = "mlflow"


@dataclass(frozen=True)
class Files:
    """What was found; the model itself is the first of the files."""

    artifacts: list[Artifact] = field(default_factory=list)
    flavors: dict[str, Struct] = field(default_factory=dict)
    flavor: str = UNKNOWN_FLAVOR
    # The run that made them, where the source tells.
    run_id: str = ""


async def found_at(registry: Registry, source: str) -> Files:
    """The files of a logged model or of a folder of a run, with the flavors that they can be loaded as.

    Nothing for a source elsewhere.
    """
    try:
        artifacts, run_id = await _artifacts(registry, source.rstrip("/"))
    except NotFound:
        return Files()
    described = next((file for file in artifacts if file.path == MLMODEL), None)
    if described is None:
        return Files(artifacts, run_id=run_id)
    flavors = await _flavors(registry, described)
    flavor = next((name for name in flavors if name != ANY_PYTHON), ANY_PYTHON if flavors else UNKNOWN_FLAVOR)
    its_file = next((flavors[flavor].get(key) for key in ITS_FILE if flavors.get(flavor, {}).get(key)), MLMODEL)
    artifacts.sort(key=lambda file: (file.path != its_file, file.path))
    return Files(artifacts, {name: _struct(configuration) for name, configuration in flavors.items()}, flavor, run_id)


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


async def _flavors(registry: Registry, file: Artifact) -> dict[str, dict[str, Any]]:
    """What an MLmodel file tells; nothing when it cannot be read, for then it is a file like others."""
    if file.size_bytes > MLMODEL_BYTES:
        return {}
    # A start need not load it.
    import yaml

    parts = registry.artifacts.DownloadArtifact(DownloadArtifactRequest(digest=file.digest))
    content = b"".join([part.chunk async for part in parts])
    try:
        told = yaml.safe_load(content)
    except (yaml.YAMLError, UnicodeDecodeError, ValueError):
        return {}
    flavors = told.get("flavors") if isinstance(told, dict) else None
    if not isinstance(flavors, dict):
        return {}
    return {str(name): known for name, known in flavors.items() if isinstance(known, dict)}


def _struct(configuration: dict[str, Any]) -> Struct:
    """As JSON has it: what YAML reads as a date or the like becomes text."""
    found = Struct()
    found.update({str(key): _plain(value) for key, value in configuration.items()})
    return found


def _plain(value: Any) -> Any:
    match value:
        case dict():
            return {str(key): _plain(inner) for key, inner in value.items()}
        case list():
            return [_plain(inner) for inner in value]
        case None | bool() | int() | float() | str():
            return value
        case _:
            return str(value)
