"""The files of a run, a logged model or an experiment, as clients name them: `<experiment>/<run>/artifacts/<path>`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from modelog_common.domain.errors import Invalid, NotFound
from modelog_proto.common.v1.common_pb2 import Page
from modelog_proto.registry.v1 import experiment_pb2, logged_model_pb2
from modelog_proto.registry.v1.model_pb2 import Artifact

from modelog_gateway.mlflow.adding import adding
from modelog_gateway.mlflow.endpoints import Registry
from modelog_gateway.mlflow.values import DEFAULT_NAME, default_id, known_id

LONGEST_PATH = 1000
PAGE = 1000


class Kind(Enum):
    """What files belong to."""

    RUN = "run"
    MODEL = "logged model"
    # What lies under the root of an experiment, and in no run and no logged model.
    EXPERIMENT = "experiment"


@dataclass(frozen=True)
class Folder:
    """Whose files; `owner` is an id."""

    owner: str
    kind: Kind

    async def files(self, registry: Registry, path: str = "") -> dict[str, Artifact]:
        """The files, by path, at least those at `path` and below it; raises NotFound without an owner."""
        match self.kind:
            case Kind.MODEL:
                of_model = logged_model_pb2.GetLoggedModelRequest(model_id=self.owner)
                found = list((await registry.logged_models.GetLoggedModel(of_model)).artifacts)
            case Kind.RUN:
                of_run = experiment_pb2.GetRunRequest(run_id=self.owner, without_points=True)
                found = list((await registry.experiments.GetRun(of_run)).artifacts)
            case Kind.EXPERIMENT:
                found = await _of_experiment(registry, self.owner, path)
        return {artifact.path: artifact for artifact in found}

    async def remove(self, registry: Registry, path: str) -> None:
        """Take a file or a folder away, or everything for an empty path. MLflow does not mind when nothing is there."""
        files = await self.files(registry, path)
        inside = [name for name in files if not path or name == path or name.startswith(f"{path}/")]
        paths = [path] if path else list({name.partition("/")[0]: None for name in inside})
        if not inside:
            return
        match self.kind:
            case Kind.MODEL:
                of_model = logged_model_pb2.RemoveLoggedModelArtifactsRequest(model_id=self.owner, paths=paths)
                await registry.logged_models.RemoveLoggedModelArtifacts(of_model)
            case Kind.RUN:
                of_run = experiment_pb2.RemoveRunArtifactsRequest(run_id=self.owner, paths=paths)
                await registry.experiments.RemoveRunArtifacts(of_run)
            case Kind.EXPERIMENT:
                of_experiment = experiment_pb2.RemoveExperimentArtifactsRequest(experiment_id=self.owner, paths=paths)
                await registry.experiments.RemoveExperimentArtifacts(of_experiment)

    async def add(self, registry: Registry, artifact: Artifact) -> None:
        """A file that is stored already becomes one of the owner's; one of the same path gives way."""
        match self.kind:
            case Kind.MODEL:
                of_model = logged_model_pb2.AddToLoggedModelRequest(model_id=self.owner, artifacts=[artifact])
                await registry.logged_models.AddToLoggedModel(of_model)
            case Kind.RUN:
                of_run = experiment_pb2.LogRunRequest(run_id=self.owner, artifacts=[artifact])
                await adding(registry, self.owner, lambda: registry.experiments.LogRun(of_run))
            case Kind.EXPERIMENT:
                await self.find_owner(registry)
                of_experiment = experiment_pb2.AddExperimentArtifactsRequest(
                    experiment_id=self.owner, artifacts=[artifact]
                )
                await registry.experiments.AddExperimentArtifacts(of_experiment)

    async def find_owner(self, registry: Registry) -> None:
        """Raises NotFound when there is none; the experiment Default is made when it is missing."""
        if self.kind is not Kind.EXPERIMENT:
            await self.files(registry)
        elif self.owner == default_id():
            await registry.experiments.CreateExperiment(experiment_pb2.CreateExperimentRequest(name=DEFAULT_NAME))
        else:
            await registry.experiments.GetExperimentById(
                experiment_pb2.GetExperimentByIdRequest(experiment_id=self.owner)
            )


async def _of_experiment(registry: Registry, experiment_id: str, path: str) -> list[Artifact]:
    request = experiment_pb2.ListExperimentArtifactsRequest(
        experiment_id=experiment_id, under=path, page=Page(size=PAGE)
    )
    found: list[Artifact] = []
    while True:
        answer = await registry.experiments.ListExperimentArtifacts(request)
        found.extend(answer.artifacts)
        if not answer.next_page_token:
            return found
        request.page.token = answer.next_page_token


def folder_of(path: str) -> tuple[Folder, str]:
    """Whose folder a path names, and what follows in it; raises Invalid or NotFound."""
    match checked(path, "path").split("/"):
        case [_, "models", owner, "artifacts", *rest]:
            return Folder(owner, Kind.MODEL), "/".join(rest)
        case [_, owner, "artifacts", *rest]:
            return Folder(owner, Kind.RUN), "/".join(rest)
        case [experiment, *rest] if experiment:
            return Folder(known_id(experiment), Kind.EXPERIMENT), "/".join(rest)
    raise NotFound(
        "there are no files above the experiments; they are at <experiment>/<run>/artifacts/,"
        " <experiment>/models/<model>/artifacts/ and <experiment>/<path>"
    )


def checked(path: str, field: str) -> str:
    """A relative path that stays where it is; raises Invalid for any other."""
    trimmed = path.strip("/")
    parts = trimmed.split("/") if trimmed else []
    if any(part in ("", ".", "..") for part in parts) or "\\" in path or not path.isprintable():
        raise Invalid.field(field, f"{path[:200]!r} must be a plain relative path such as model/MLmodel")
    if len(path) > LONGEST_PATH:
        raise Invalid.field(field, f"has {len(path)} characters; it must have at most {LONGEST_PATH}")
    return trimmed


def listed(files: Iterable[Artifact], folder: str) -> list[dict[str, Any]]:
    """What is directly in a folder ("" is the root), by name: `{"path": name, "is_dir": ..., "file_size": ...}`."""
    prefix = f"{folder}/" if folder else ""
    found: dict[str, dict[str, Any]] = {}
    for file in files:
        if file.path.startswith(prefix):
            name, slash, _ = file.path.removeprefix(prefix).partition("/")
            entry: dict[str, Any] = {"path": name, "is_dir": bool(slash)}
            found[name] = entry if slash else entry | {"file_size": file.size_bytes}
    return [found[name] for name in sorted(found)]
