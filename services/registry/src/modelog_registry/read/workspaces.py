"""The registry's answers about workspaces, as of a moment: folded from the log, for a tenant's are few."""

from __future__ import annotations

from modelog_common.events.entities import Entities, Loaded
from modelog_common.events.store import EventStore
from modelog_common.read.moment import ReadOptions, head_of
from modelog_proto.registry.v1 import workspace_pb2 as pb

from modelog_registry.read.messages import timestamp
from modelog_registry.sight.sight import Sight
from modelog_registry.workspace.commands import WorkspaceCommand
from modelog_registry.workspace.decide import workspaces_id
from modelog_registry.workspace.events import Access, WorkspaceEvent
from modelog_registry.workspace.state import Workspace, Workspaces

ACCESSES = {
    Access.OPEN: pb.WORKSPACE_ACCESS_OPEN,
    Access.RESTRICTED: pb.WORKSPACE_ACCESS_RESTRICTED,
}
ACCESS_OF = {number: access for access, number in ACCESSES.items()}


def workspace_message(workspace: Workspace, position: int) -> pb.Workspace:
    return pb.Workspace(
        name=workspace.name,
        description=workspace.description,
        access=ACCESSES[workspace.access],
        members=[pb.WorkspaceMember(user=user, role=role) for user, role in sorted(workspace.members.items())],
        projects=[
            pb.Project(
                workspace=workspace.name,
                name=project.name,
                description=project.description,
                author=project.author,
                created_at=timestamp(project.created_at) if project.created_at is not None else None,
            )
            for _, project in sorted(workspace.projects.items())
        ],
        author=workspace.author,
        created_at=timestamp(workspace.created_at) if workspace.created_at is not None else None,
        updated_at=timestamp(workspace.updated_at) if workspace.updated_at is not None else None,
        deleted_at=timestamp(workspace.deleted_at) if workspace.deleted_at is not None else None,
        position=position,
    )


class WorkspaceQueries:
    """What does not exist as of the moment raises NotFound, which names it."""

    def __init__(
        self, entities: Entities[Workspaces, WorkspaceCommand, WorkspaceEvent], store: EventStore, sight: Sight
    ) -> None:
        self._entities, self._store, self._sight = entities, store, sight

    async def workspace(self, name: str, read: ReadOptions, tenant: str) -> pb.Workspace:
        """One workspace, deleted or not."""
        loaded = await self._loaded(read, tenant)
        return workspace_message(loaded.state.named(name), loaded.position)

    async def workspaces(self, with_deleted: bool, read: ReadOptions, tenant: str) -> list[pb.Workspace]:
        """All that the caller may look into, by name."""
        loaded, hidden = await self._loaded(read, tenant), await self._sight.hidden()
        seen = [w for name, w in sorted(loaded.state.all.items()) if name not in hidden]
        found = [w for w in seen if with_deleted or w.deleted_at is None]
        return [workspace_message(workspace, loaded.position) for workspace in found]

    async def _loaded(self, read: ReadOptions, tenant: str) -> Loaded[Workspaces]:
        until = await head_of(read, self._store)
        entity = workspaces_id(tenant)
        return await (self._entities.load(entity, until=until) if read.as_of else self._entities.current(entity))
