"""Commands of subjects, whom requests for predictions were about: with their keys serving seals what it keeps."""

from __future__ import annotations

from modelog_common.domain.context import Context
from modelog_common.domain.ids import derived_id
from modelog_common.events.entities import Entities
from modelog_common.events.store import EventStore
from modelog_common.privacy.keys import SUBJECT, Erasure
from modelog_common.privacy.subjects import Subjects

from modelog_gateway.handle.erasures import as_erased, finish
from modelog_gateway.subject.commands import EraseSubject, SubjectCommand
from modelog_gateway.subject.decide import SUBJECTS
from modelog_gateway.subject.events import SubjectErased, SubjectEvent
from modelog_gateway.subject.state import Subject


class AskedAbout:
    """Subjects of all tenants."""

    def __init__(self, entities: Entities[Subject, SubjectCommand, SubjectEvent], subjects: Subjects) -> None:
        self._entities, self._subjects = entities, subjects

    async def erase(self, subject: str, reason: str, ctx: Context) -> Erasure:
        """Destroy the subject's key, then append the event; returns the first erasure.

        Whoever is killed in between finishes it at the next start (`finish_erasures`), or when the same is asked again.
        """
        first = await self._subjects.destroy(Erasure(ctx.tenant, SUBJECT + subject, ctx.actor, ctx.now, reason))
        await self._record(first)
        return first

    async def finish_erasures(self, store: EventStore) -> None:
        """Append the events of keys that were destroyed; destroy again keys that a restored key store brought back."""
        await finish(
            self._subjects, store, SUBJECTS.category, SUBJECT, SubjectErased, lambda e: str(e.subject), self._record
        )

    async def _record(self, erasure: Erasure) -> None:
        ctx = as_erased(erasure, Context(erasure.at, erasure.by, erasure.tenant, request_id=""))
        command = EraseSubject(erasure.subject.removeprefix(SUBJECT), erasure.reason)
        await self._entities.handle(derived_id(erasure.tenant, command.subject), command, ctx)
