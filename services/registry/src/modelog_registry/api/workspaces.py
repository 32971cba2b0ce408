"""modelog.registry.v1.Workspaces over gRPC."""

from __future__ import annotations

from typing import Any

import grpc
from modelog_common.domain.clock import Clock
from modelog_proto.registry.v1 import workspace_pb2 as pb
from modelog_proto.registry.v1.workspace_pb2_grpc import WorkspacesServicer

from modelog_registry.api.calls import command_call, since, tenant
from modelog_registry.api.values import text_of
from modelog_registry.handle.workspaces import WorkspaceHandler
from modelog_registry.read.workspaces import ACCESS_OF, WorkspaceQueries
from modelog_registry.sight.sight import Sight
from modelog_registry.sight.things import sees
from modelog_registry.workspace.commands import (
    CreateProject,
    CreateWorkspace,
    DeleteProject,
    DeleteWorkspace,
    DescribeProject,
    RemoveMember,
    RestoreWorkspace,
    SetMember,
    UpdateWorkspace,
    WorkspaceCommand,
)
from modelog_registry.workspace.events import Role

Call = grpc.aio.ServicerContext[Any, Any]


class WorkspaceServicer(WorkspacesServicer):
    """Workspaces, their members and their projects."""

    def __init__(self, handler: WorkspaceHandler, queries: WorkspaceQueries, sight: Sight, clock: Clock) -> None:
        self._handler, self._queries, self._sight, self._clock = handler, queries, sight, clock

    async def CreateWorkspace(self, request: pb.CreateWorkspaceRequest, context: Call) -> pb.Workspace:
        command = CreateWorkspace(request.workspace, request.description)
        return await self._after(command, request.request_id, "CreateWorkspace")

    async def GetWorkspace(self, request: pb.GetWorkspaceRequest, context: Call) -> pb.Workspace:
        return await self._queries.workspace(request.workspace, request.read, tenant())

    async def ListWorkspaces(self, request: pb.ListWorkspacesRequest, context: Call) -> pb.ListWorkspacesResponse:
        found = await self._queries.workspaces(request.with_deleted, request.read, tenant())
        return pb.ListWorkspacesResponse(workspaces=found)

    async def UpdateWorkspace(self, request: pb.UpdateWorkspaceRequest, context: Call) -> pb.Workspace:
        access = ACCESS_OF.get(request.access)
        command = UpdateWorkspace(request.workspace, text_of(request, "description"), access)
        return await self._after(command, request.request_id, "UpdateWorkspace")

    async def SetWorkspaceMember(self, request: pb.SetWorkspaceMemberRequest, context: Call) -> pb.Workspace:
        command = SetMember(request.workspace, request.user, Role(request.role))
        return await self._after(command, request.request_id, "SetWorkspaceMember")

    async def RemoveWorkspaceMember(self, request: pb.RemoveWorkspaceMemberRequest, context: Call) -> pb.Workspace:
        command = RemoveMember(request.workspace, request.user)
        return await self._after(command, request.request_id, "RemoveWorkspaceMember")

    async def DeleteWorkspace(self, request: pb.DeleteWorkspaceRequest, context: Call) -> pb.Workspace:
        return await self._after(DeleteWorkspace(request.workspace), request.request_id, "DeleteWorkspace")

    async def RestoreWorkspace(self, request: pb.RestoreWorkspaceRequest, context: Call) -> pb.Workspace:
        return await self._after(RestoreWorkspace(request.workspace), request.request_id, "RestoreWorkspace")

    async def CreateProject(self, request: pb.CreateProjectRequest, context: Call) -> pb.Workspace:
        command = CreateProject(request.workspace, request.project, request.description)
        return await self._after(command, request.request_id, "CreateProject")

    async def UpdateProject(self, request: pb.UpdateProjectRequest, context: Call) -> pb.Workspace:
        command = DescribeProject(request.workspace, request.project, text_of(request, "description"))
        return await self._after(command, request.request_id, "UpdateProject")

    async def DeleteProject(self, request: pb.DeleteProjectRequest, context: Call) -> pb.Workspace:
        return await self._after(DeleteProject(request.workspace, request.project), request.request_id, "DeleteProject")

    async def FindHidden(self, request: pb.FindHiddenRequest, context: Call) -> pb.FindHiddenResponse:
        hidden = [thing for thing in request.things if not await sees(self._sight, thing)]
        return pb.FindHiddenResponse(hidden=hidden, has_hidden_workspaces=bool(await self._sight.hidden()))

    async def _after(self, command: WorkspaceCommand, request_id: str, method: str) -> pb.Workspace:
        """The workspace after a command."""
        ctx = command_call(self._clock, request_id, method)
        await self._handler.handle(command, ctx)
        return await self._queries.workspace(command.workspace, since(0), ctx.tenant)
