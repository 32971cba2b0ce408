"""Erasures of whomever: the key is destroyed first, then the event appended; what was killed in between is finished."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from modelog_common.domain.context import Context
from modelog_common.domain.ids import derived_id
from modelog_common.events.store import EventStore
from modelog_common.events.types import spec_of
from modelog_common.privacy.keys import Erasure, key_id_of
from modelog_common.privacy.subjects import Subjects

from modelog_gateway.events import EVENTS


def as_erased(erasure: Erasure, ctx: Context) -> Context:
    """For the event of an erasure, appended once: it belongs to the erasure, not to the request that asked for it."""
    request_id = derived_id("erasure", erasure.tenant, erasure.subject)
    return replace(ctx, now=erasure.at, actor=erasure.by, request_id=request_id)


async def finish(
    subjects: Subjects,
    store: EventStore,
    category: str,
    kind: str,
    event: type[Any],
    name_of: Callable[[Any], str],
    record: Callable[[Erasure], Awaitable[None]],
) -> None:
    """Append by `record` the events of keys that were destroyed, of subjects that begin with `kind`; and destroy again
    those that a restored key store brought back: their `event`, of `category`, is in the log, and names them.
    """
    begun = await subjects.erasures()
    for erasure in begun:
        if erasure.subject.startswith(kind):
            await record(erasure)
    done = {key_id_of(e.tenant, e.subject) for e in begun}
    async for stored in store.read_all(categories=[category]):
        if stored.type != spec_of(event).name:
            continue
        erased = EVENTS.decode(stored.type, stored.schema, stored.payload)
        erasure = Erasure(stored.tenant, kind + name_of(erased), erased.by, erased.at, erased.reason)
        if key_id_of(erasure.tenant, erasure.subject) not in done:
            await subjects.destroy(erasure)
