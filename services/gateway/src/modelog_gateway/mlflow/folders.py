"""The files of a run or a logged model, as clients name them: `<experiment>/<run>/artifacts/<path>` and the like."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from modelog_common.domain.errors import Invalid, NotFound
from modelog_proto.registry.v1 import experiment_pb2, logged_model_pb2
from modelog_proto.registry.v1.model_pb2 import Artifact

from modelog_gateway.mlflow.adding import adding
from modelog_gateway.mlflow.endpoints import Registry

LONGEST_PATH = 1000


@dataclass(frozen=True)
class Folder:
    """Whose files; `is_model` tells a logged model from a run."""

    owner: str
    is_model: bool

    async def files(self, registry: Registry) -> dict[str, Artifact]:
        """The files that are there, by path; raises NotFound when there is no such owner."""
        if self.is_model:
            model = await registry.logged_models.GetLoggedModel(
                logged_model_pb2.GetLoggedModelRequest(model_id=self.owner)
            )
            return {artifact.path: artifact for artifact in model.artifacts}
        run = await registry.experiments.GetRun(experiment_pb2.GetRunRequest(run_id=self.owner, without_points=True))
        return {artifact.path: artifact for artifact in run.artifacts}

    async def remove(self, registry: Registry, path: str) -> None:
        """Take a file or a folder away, or everything for an empty path. MLflow does not mind when nothing is there."""
        files = await self.files(registry)
        inside = [name for name in files if not path or name == path or name.startswith(f"{path}/")]
        paths = [path] if path else list({name.partition("/")[0]: None for name in inside})
        if not inside:
            return
        if self.is_model:
            of_model = logged_model_pb2.RemoveLoggedModelArtifactsRequest(model_id=self.owner, paths=paths)
            await registry.logged_models.RemoveLoggedModelArtifacts(of_model)
            return
        await registry.experiments.RemoveRunArtifacts(
            experiment_pb2.RemoveRunArtifactsRequest(run_id=self.owner, paths=paths)
        )

    async def add(self, registry: Registry, artifact: Artifact) -> None:
        """A file that is stored already becomes one of the owner's; one of the same path gives way."""
        if self.is_model:
            add = logged_model_pb2.AddToLoggedModelRequest(model_id=self.owner, artifacts=[artifact])
            await registry.logged_models.AddToLoggedModel(add)
            return
        request = experiment_pb2.LogRunRequest(run_id=self.owner, artifacts=[artifact])
        await adding(registry, self.owner, lambda: registry.experiments.LogRun(request))


def folder_of(path: str) -> tuple[Folder, str]:
    """Whose folder a path names, and what follows in it; raises Invalid or NotFound."""
    match checked(path, "path").split("/"):
        case [_, "models", owner, "artifacts", *rest]:
            return Folder(owner, is_model=True), "/".join(rest)
        case [_, owner, "artifacts", *rest]:
            return Folder(owner, is_model=False), "/".join(rest)
    raise NotFound(
        f"there are no files at {path[:200]!r}; they are at <experiment>/<run>/artifacts/ and"
        " <experiment>/models/<model>/artifacts/"
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
