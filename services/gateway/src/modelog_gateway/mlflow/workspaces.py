"""MLflow's methods about workspaces, which are ours; those that delete what is in one are not taken."""

from __future__ import annotations

import msgspec
from modelog_common.rpc.errors import Unimplemented
from modelog_proto.registry.v1 import workspace_pb2 as pb

from modelog_gateway.mlflow.endpoints import Answer, Endpoint, Registry

RESTRICT = "RESTRICT"


class Nothing(msgspec.Struct):
    pass


class OfName(msgspec.Struct):
    name: str


class Create(msgspec.Struct):
    name: str
    description: str = ""


class Update(msgspec.Struct):
    name: str
    description: str | None = None


class Delete(msgspec.Struct):
    name: str
    mode: str = RESTRICT


async def list_all(registry: Registry, _: Nothing) -> Answer:
    found = await registry.workspaces.ListWorkspaces(pb.ListWorkspacesRequest())
    return {"workspaces": [workspace_json(workspace) for workspace in found.workspaces]}


async def get(registry: Registry, asked: OfName) -> Answer:
    found = await registry.workspaces.GetWorkspace(pb.GetWorkspaceRequest(workspace=asked.name))
    return {"workspace": workspace_json(found)}


async def create(registry: Registry, asked: Create) -> Answer:
    request = pb.CreateWorkspaceRequest(workspace=asked.name, description=asked.description)
    return {"workspace": workspace_json(await registry.workspaces.CreateWorkspace(request))}


async def update(registry: Registry, asked: Update) -> Answer:
    request = pb.UpdateWorkspaceRequest(workspace=asked.name, description=asked.description)
    return {"workspace": workspace_json(await registry.workspaces.UpdateWorkspace(request))}


async def delete(registry: Registry, asked: Delete) -> Answer:
    if asked.mode != RESTRICT:
        raise Unimplemented(f"mode {asked.mode} is not taken: move or delete what is in {asked.name!r} first")
    await registry.workspaces.DeleteWorkspace(pb.DeleteWorkspaceRequest(workspace=asked.name))
    return {}


def workspace_json(workspace: pb.Workspace) -> Answer:
    return {"name": workspace.name, "description": workspace.description}


# Clients want these statuses and no others.
ENDPOINTS = (
    Endpoint("GET", "/workspaces", Nothing, list_all),
    Endpoint("POST", "/workspaces", Create, create, 201),
    Endpoint("GET", "/workspaces/{name}", OfName, get),
    Endpoint("PATCH", "/workspaces/{name}", Update, update),
    Endpoint("DELETE", "/workspaces/{name}", Delete, delete, 204),
)
