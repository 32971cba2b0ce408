"""Keeps the files that a version of a registered model was made of where its source says that they are."""

from __future__ import annotations

from collections.abc import Sequence

from modelog_common.domain.errors import NotAllowed
from modelog_common.events.store import EventStore
from modelog_proto.common.v1 import common_pb2 as common

from modelog_registry.artifact import Artifact
from modelog_registry.read.models.registered import RegisteredQueries


class Registered:
    """Knows what was registered until now, also out of the caller's sight."""

    def __init__(self, store: EventStore, queries: RegisteredQueries) -> None:
        self._store, self._queries = store, queries

    async def check(self, files: Sequence[Artifact], owner: str, run_id: str, source: str, tenant: str) -> None:
        """Raises NotAllowed, which names the version, when one was made of a file: by a run or from a source."""
        now = common.ReadOptions(at_least=await self._store.head())
        by_digest = {file.digest: file for file in files}
        for version in await self._queries.versions_from(run_id, source, now, tenant):
            used = next((by_digest[a.digest] for a in version.artifacts if a.digest in by_digest), None)
            if used is None:
                continue
            if not await self._queries.sees(version, tenant):
                raise NotAllowed(f"{used.path!r} of {owner} is a file of a registered version; leave it")
            raise NotAllowed(
                f"{used.path!r} of {owner} is a file of {version.model} {version.version}; delete that version first,"
                " or leave the file"
            )
