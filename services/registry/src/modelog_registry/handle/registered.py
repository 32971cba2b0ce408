"""Keeps the files that a version of a registered model was made of where its source says that they are."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from modelog_common.domain.errors import NotAllowed
from modelog_common.events.store import EventStore
from modelog_proto.common.v1 import common_pb2 as common
from modelog_proto.registry.v1 import model_pb2

from modelog_registry.artifact import Artifact

# The versions that a run made, or whose source names a text; as of a moment, of a tenant.
VersionsFrom = Callable[[str, str, common.ReadOptions, str], Awaitable[Sequence[model_pb2.ModelVersion]]]


class Registered:
    """Knows what was registered until now."""

    def __init__(self, store: EventStore, versions_from: VersionsFrom) -> None:
        self._store, self._versions_from = store, versions_from

    async def check(self, files: Sequence[Artifact], owner: str, run_id: str, source: str, tenant: str) -> None:
        """Raises NotAllowed, which names the version, when one was made of a file: by a run or from a source."""
        now = common.ReadOptions(at_least=await self._store.head())
        by_digest = {file.digest: file for file in files}
        for version in await self._versions_from(run_id, source, now, tenant):
            used = next((by_digest[a.digest] for a in version.artifacts if a.digest in by_digest), None)
            if used is not None:
                raise NotAllowed(
                    f"{used.path!r} of {owner} is a file of {version.model} {version.version}; delete that version"
                    " first, or leave the file"
                )
