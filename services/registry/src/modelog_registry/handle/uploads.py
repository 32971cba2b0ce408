"""Files that come in parts: held until they are whole, then stored as one, or dropped when nobody comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from modelog_common.domain.clock import Clock
from modelog_common.domain.context import Context
from modelog_common.domain.errors import Invalid, ModelogError, NotAllowed, NotFound, Unavailable
from modelog_common.domain.ids import derived_id
from modelog_common.stores.blobs import Blob
from modelog_common.stores.uploads import Begun, Part, Uploads

from modelog_registry.handle.artifacts import Artifacts

# So long is kept what nothing more comes to.
KEPT = timedelta(days=1)
PERIOD_S = 600.0
log = structlog.get_logger()


@dataclass(frozen=True)
class OnItsWay:
    """An upload as it stands; `stored` once it is a file."""

    upload_id: str
    begun: Begun
    parts: Sequence[Part]
    stored: Blob | None
    kept_until: datetime | None

    @property
    def held_bytes(self) -> int:
        """How many bytes are there from the beginning without a gap."""
        if self.stored is not None:
            return self.stored.size_bytes
        return sum(part.size_bytes for place, part in enumerate(self.parts, start=1) if part.number == place)


class Uploading:
    """The uploads of all tenants, each for the person who began it; `run` is its background work."""

    def __init__(self, uploads: Uploads, artifacts: Artifacts, clock: Clock) -> None:
        self._uploads, self._artifacts, self._clock = uploads, artifacts, clock
        self._group: asyncio.TaskGroup | None = None
        self._completing: dict[str, asyncio.Task[Blob | ModelogError]] = {}

    async def begin(self, expected_digest: str, size_bytes: int, ctx: Context) -> OnItsWay:
        """Content that is named by its digest is one upload however often it is begun."""
        begun = Begun(ctx.tenant, ctx.actor, expected_digest, size_bytes)
        named = (ctx.actor, expected_digest, str(size_bytes)) if expected_digest else (ctx.request_id,)
        upload_id = derived_id("upload", ctx.tenant, *named)
        if expected_digest:
            try:
                size = await self._artifacts.size(ctx.tenant, expected_digest)
            except NotFound:
                pass
            else:
                return OnItsWay(upload_id, begun, (), Blob(expected_digest, size), None)
        await self._uploads.begin(upload_id, begun)
        return await self.get(upload_id, ctx)

    async def get(self, upload_id: str, ctx: Context) -> OnItsWay:
        """Raises NotFound, also for another person's."""
        begun = await self._mine(upload_id, ctx)
        parts, stored = await self._uploads.parts(upload_id), await self._uploads.stored(upload_id)
        until = await self._uploads.touched(upload_id) + KEPT
        return OnItsWay(upload_id, begun, parts, stored, until)

    async def keep(
        self, upload_id: str, number: int, chunks: AsyncIterator[bytes], expected_digest: str, ctx: Context
    ) -> Part:
        """Raises NotFound, NotAllowed when the upload takes nothing more, and Invalid for another digest."""
        await self._mine(upload_id, ctx)
        if upload_id in self._completing or await self._uploads.stored(upload_id) is not None:
            raise NotAllowed(f"the upload {upload_id} is completed and takes no more parts; begin another one")
        return await self._uploads.keep(upload_id, number, chunks, expected_digest)

    async def complete(self, upload_id: str, told: Sequence[Part], ctx: Context) -> Blob:
        """Store the whole. It goes on when the caller does not wait for it: who asks again gets the same answer."""
        begun = await self._mine(upload_id, ctx)
        stored = await self._uploads.stored(upload_id)
        if stored is not None:
            return stored
        if self._group is None:
            raise Unavailable("the service is starting; ask again")
        task = self._completing.get(upload_id)
        if task is None:
            parts = chosen(await self._uploads.parts(upload_id), told, begun.size_bytes)
            task = self._completing.setdefault(
                upload_id, self._group.create_task(self._stored(upload_id, begun, parts), name=f"upload {upload_id}")
            )
        outcome = await asyncio.shield(task)
        if isinstance(outcome, ModelogError):
            raise outcome
        return outcome

    async def abort(self, upload_id: str, ctx: Context) -> None:
        try:
            await self._mine(upload_id, ctx)
        except NotFound:
            return
        if upload_id in self._completing:
            raise NotAllowed(f"the upload {upload_id} is being completed; wait for it")
        await self._uploads.drop(upload_id)

    async def run(self) -> None:
        """Drop what was given up, again and again."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            while True:
                try:
                    await self._uploads.sweep(self._clock.now() - KEPT, self._completing)
                except Unavailable as error:
                    # It must not end what is being completed in this group.
                    log.warning("uploads that were given up stay for now", why=str(error))
                await asyncio.sleep(PERIOD_S)

    async def _mine(self, upload_id: str, ctx: Context) -> Begun:
        missing = f"there is no upload {upload_id}; it was dropped, or nothing came to it for a day: begin it again"
        try:
            begun = await self._uploads.begun(upload_id)
        except NotFound:
            raise NotFound(missing) from None
        if (begun.tenant, begun.user) != (ctx.tenant, ctx.actor):
            raise NotFound(missing)
        return begun

    async def _stored(self, upload_id: str, begun: Begun, parts: Sequence[Part]) -> Blob | ModelogError:
        """The file, or why there is none: an error here must not end the work beside it."""
        try:
            content = self._uploads.content(upload_id, parts)
            blob = await self._artifacts.keep(begun.tenant, content, begun.expected_digest)
            await self._uploads.finish(upload_id, blob)
            return blob
        except Invalid as other:
            # Parts of other content would be in the way of the right one for as long as they are kept.
            await self._uploads.drop(upload_id)
            return Invalid(f"{other}; nothing was stored, and the parts were dropped", other.violations)
        except ModelogError as error:
            return error
        finally:
            self._completing.pop(upload_id)


def chosen(held: Sequence[Part], told: Sequence[Part], size_bytes: int) -> Sequence[Part]:
    """The parts that make the file; raises Invalid when they are not those that were told, or not the whole."""
    by_number = {part.number: part for part in held}
    for n, part in enumerate(told):
        found = by_number.get(part.number)
        if found is not None and part.digest and part.digest != found.digest:
            raise Invalid.field(
                f"parts[{n}].digest", f"is {part.digest}; part {part.number} that is held has {found.digest}"
            )
    numbers = {part.number for part in told} or set(by_number)
    missing = [number for number in range(1, max(numbers, default=0) + 1) if number not in numbers & set(by_number)]
    if missing or not numbers:
        lacking = ", ".join(str(number) for number in missing[:10]) or "1"
        raise Invalid.field("parts", f"part {lacking} is missing; send it, then complete the upload")
    parts = [by_number[number] for number in sorted(numbers)]
    together = sum(part.size_bytes for part in parts)
    if size_bytes and together != size_bytes:
        raise Invalid.field("parts", f"have {together} bytes together; the file was to have {size_bytes}")
    return parts
