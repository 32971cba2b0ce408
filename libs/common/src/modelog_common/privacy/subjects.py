"""Seals and opens the personal texts of subjects, erases subjects, and renews the master key."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import structlog

from modelog_common.domain.errors import Conflict, NotAllowed
from modelog_common.domain.sealed import Sealed
from modelog_common.privacy.cipher import Altered, new_key, open_text, seal_text
from modelog_common.privacy.keys import DataKey, Erasure, KeyStore, key_id_of
from modelog_common.privacy.masters import MasterKeys, NoSuchMaster, Wrapped

ERASED = "[erased]"
LOST = "[key lost]"
ALTERED = "[altered]"
CACHED = 10_000
TRIES = 5
log = structlog.get_logger()


@dataclass(frozen=True)
class Opened:
    """A text, or the word that stands for one that cannot be read: then it `is_gone`."""

    text: str
    is_gone: bool = False


class Subjects:
    """Everybody whose personal data the platform keeps, each with a data key of their own."""

    def __init__(self, store: KeyStore, masters: MasterKeys) -> None:
        self._store, self._masters = store, masters
        # Unwrapped keys by their wrapping. The store is asked each time all the same: another process may erase.
        self._keys: OrderedDict[bytes, bytes] = OrderedDict()

    async def seal(self, tenant: str, subject: str, field: str, text: str) -> Sealed:
        """Seal a text of a subject, such as "user/bob", for a field, such as "gateway.user.email".

        Raises NotAllowed when the subject was erased, Unavailable when there is no master key.
        """
        return (await self.seal_all(tenant, subject, [(field, text)]))[0]

    async def seal_all(self, tenant: str, subject: str, texts: Sequence[tuple[str, str]]) -> list[Sealed]:
        """Many texts of a subject, each with its field, with one look into the key store; raises as `seal` does."""
        key_id = key_id_of(tenant, subject)
        known = (await self._store.find([key_id])).get(key_id)
        key = known or await self._new_key(tenant, subject)
        if not key.wrapped:
            raise NotAllowed(f"{subject} was erased; nothing personal is kept of it any more")
        plain = await self._unwrapped(key)
        return [seal_text(plain, key_id, field, text) for field, text in texts]

    async def open(self, field: str, sealed: Sealed) -> str:
        """The text; "[erased]" when its key was destroyed."""
        return (await self.open_all([(field, sealed)]))[0]

    async def open_all(self, sealed: Sequence[tuple[str, Sealed]]) -> list[str]:
        """Many texts, with one look into the key store.

        A text whose key the store has lost, or that is not what was sealed for its field, becomes "[key lost]" or
        "[altered]": one bad value does not hide the others. Raises Unavailable when keys cannot be unwrapped now.
        """
        return [opened.text for opened in await self.opened(sealed)]

    async def opened(self, sealed: Sequence[tuple[str, Sealed]]) -> list[Opened]:
        """The same, saying which are the words that `open_all` has in place of a text."""
        keys = await self._store.find({s.key for _, s in sealed}) if sealed else {}
        return [await self._text(field, each, keys.get(each.key)) for field, each in sealed]

    async def destroy(self, erasure: Erasure) -> Erasure:
        """Destroy a subject's key for good: what was sealed with it reads "[erased]"; returns the first erasure."""
        key_id = key_id_of(erasure.tenant, erasure.subject)
        known = (await self._store.find([key_id])).get(key_id)
        first = await self._store.destroy(erasure)
        if known is not None:
            self._keys.pop(known.wrapped, None)
        return first

    async def erasures(self) -> Sequence[Erasure]:
        """Everybody whose key was destroyed, in order of time."""
        return await self._store.erasures()

    async def rotate(self) -> int:
        """Take a new master key into use and wrap every data key anew; returns how many were wrapped.

        Killed in between, everything stays readable, and rotating again goes on. Keys of a master key that is gone, as
        in a key store from an old backup, stay as they are.
        """
        async with self._masters.rotation() as master:
            await self._store.use_master(master)
            done = [await self._rewrap(before) for before in await self._store.wrapped_by_others(master)]
            left = await self._store.wrapped_by_others(master)
            if len(left) > done.count(False):
                raise Conflict(f"{len(left)} keys are wrapped by another master key still: somebody else rotates too")
        self._keys.clear()
        return done.count(True)

    async def _rewrap(self, before: DataKey) -> bool:
        """Whether a key could be wrapped anew."""
        try:
            plain = await self._masters.unwrap(before.id, Wrapped(before.master, before.wrapped))
        except NoSuchMaster as error:
            log.error("a data key is lost", key=before.id, why=str(error))
            return False
        after = await self._masters.wrap(before.id, plain)
        await self._store.rewrap(before, replace(before, master=after.master, wrapped=after.content))
        return True

    async def close(self) -> None:
        """Close the key store."""
        await self._store.close()

    async def _new_key(self, tenant: str, subject: str) -> DataKey:
        key_id, key = key_id_of(tenant, subject), new_key()
        for attempt in range(1, TRIES + 1):
            wrapped = await self._masters.wrap(key_id, key)
            try:
                return await self._store.add(DataKey(key_id, tenant, subject, wrapped.master, wrapped.content))
            except Conflict:
                if attempt == TRIES:
                    raise
        raise AssertionError("unreachable")

    async def _text(self, field: str, sealed: Sealed, key: DataKey | None) -> Opened:
        if key is None:
            log.error("a data key is lost", key=sealed.key, field=field)
            return Opened(LOST, is_gone=True)
        if not key.wrapped:
            return Opened(ERASED, is_gone=True)
        try:
            return Opened(open_text(await self._unwrapped(key), field, sealed))
        except NoSuchMaster as error:
            log.error("a data key is lost", key=sealed.key, field=field, why=str(error))
            return Opened(LOST, is_gone=True)
        except Altered as error:
            log.error("a sealed text was altered", key=sealed.key, field=field, why=str(error))
            return Opened(ALTERED, is_gone=True)

    async def _unwrapped(self, key: DataKey) -> bytes:
        found = self._keys.get(key.wrapped)
        if found is None:
            found = await self._masters.unwrap(key.id, Wrapped(key.master, key.wrapped))
            self._keys[key.wrapped] = found
            if len(self._keys) > CACHED:
                self._keys.popitem(last=False)
        return found
