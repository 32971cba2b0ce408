"""The audit log: follows the event store, keeps a leaf hash of every event, signs how the log stands.

It vouches for what it has seen. When the store no longer holds that - it was swapped, rolled back or altered - the log
says so, signs nothing more, and looks again from time to time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import structlog
from modelog_common.domain.clock import Clock
from modelog_common.domain.errors import Invalid, ModelogError, NotAllowed, NotFound
from modelog_common.events.store import EventStore, StoredEvent
from modelog_proofs import (
    Audit,
    Checkpoint,
    InvalidEvent,
    InvalidProof,
    MerkleTree,
    PrivateKey,
    Report,
    UnreadableStore,
    event_hash,
    make_bundle,
    open_checkpoint,
    sign_checkpoint,
    verify_consistency,
    verify_store,
)

from modelog_lineage.audit.keyfile import UnusableKey, load_or_make
from modelog_lineage.audit.records import record_of
from modelog_lineage.audit.treefile import Signed, TreeFile

BATCH = 500
REBUILD_BATCH = 10_000
SIGN_EVERY_S = 1.0
# Each turn is one durable transaction, so a busy log is followed in steps.
FOLLOW_EVERY_S = 0.2
IDLE_S = 30.0
LOOK_AGAIN_S = 5.0
log = structlog.get_logger()


class Disagrees(NotAllowed):
    """The store, the kept tree and the signed checkpoints do not belong together; the text says how."""


class AuditLog:
    """The log over `store`. Run `run` as a task, and `finish` when the process drains.

    `position` is the last position that is in the tree; `error` is empty, or why nothing is signed.
    """

    def __init__(self, store: EventStore, tree: TreeFile, key_file: Path, clock: Clock) -> None:
        self.position = 0
        self.error = ""
        self._store, self._tree, self._key_file, self._clock = store, tree, key_file, clock
        self._turn = asyncio.Lock()
        self._verifying = asyncio.Lock()
        self._signed_size = -1

    async def run(self) -> None:
        """Follow the store until cancelled."""
        try:
            while True:
                try:
                    await self._follow()
                except ModelogError as trouble:
                    self._report(trouble)
                except Exception as trouble:
                    self._report(trouble)
                    log.exception("the audit log cannot follow the store")
                await asyncio.sleep(LOOK_AGAIN_S)
        finally:
            await self._tree.close()

    def _report(self, trouble: Exception) -> None:
        text = str(trouble) if isinstance(trouble, ModelogError) else f"{type(trouble).__name__}: {trouble}"
        if text != self.error:
            log.error("the audit log signs nothing", why=text)
        self.error = text

    async def _follow(self) -> None:
        now = asyncio.get_running_loop().time
        signed_at = now()
        await self.checkpoint()
        while True:
            started = now()
            async with self._turn:
                await self._catch_up()
                if self.position > self._signed_size and started - signed_at >= SIGN_EVERY_S:
                    await self._sign()
                    signed_at = started
            self.error = ""
            pending = self.position > self._signed_size
            await self._store.wait_beyond(self.position, SIGN_EVERY_S if pending else IDLE_S)
            await asyncio.sleep(max(0.0, FOLLOW_EVERY_S - (now() - started)))

    async def finish(self) -> None:
        """Sign what is there, as the last thing before the process ends."""
        try:
            await self.checkpoint()
        except ModelogError as trouble:
            self._report(trouble)

    async def checkpoint(self) -> Signed:
        """Take in what is in the store now, and the signed statement of it.

        Raises Disagrees, or UnusableKey, when nothing may be signed.
        """
        async with self._turn:
            await self._catch_up()
            return await self._sign()

    async def public_key(self) -> str:
        """The key that checks the checkpoints."""
        return await self._tree.public_key()

    async def inclusion_proof(self, position: int, tenant: str) -> dict[str, object]:
        """The proof bundle of an event of this tenant; raises NotFound when it has no such event."""
        signed = await self.checkpoint()
        event = await self._event(position, tenant)
        leaf_hash = await self._tree.leaf_hash(position)
        record = record_of(event)
        if event_hash(record) != leaf_hash:
            raise Disagrees(
                f"the event at position {position} was altered after it was recorded: there is no proof of it"
            )
        path = await self._tree.ask(lambda tree: tree.inclusion_proof(position - 1, signed.size))
        try:
            return make_bundle(record, path, signed.note)
        except InvalidEvent as error:
            raise NotAllowed(f"the event at position {position} cannot be proven alone: {error}") from error

    async def _event(self, position: int, tenant: str) -> StoredEvent:
        async for event in self._store.read_all(after=position - 1, until=position):
            if event.tenant == tenant:
                return event
        raise NotFound(f"there is no event at position {position}; the log's last position is {self.position}")

    async def consistency_proof(self, old: int, new: int) -> tuple[list[bytes], Signed]:
        """The proof that the log of `new` events begins with that of `old`, and a checkpoint of `new`; 0 means now."""
        newest = await self.checkpoint()
        size = new or newest.size
        if size > newest.size:
            raise Invalid.field("new_size", f"is {size}; the log has {newest.size} events")
        if old > size:
            raise Invalid.field("old_size", f"is {old}; it must not be larger than the new size {size}")
        path = await self._tree.ask(lambda tree: tree.consistency_proof(old, size))
        return path, await self._signed_at(size)

    async def _signed_at(self, size: int) -> Signed:
        kept = await self._tree.newest(size)
        if kept is not None:
            return kept
        root = await self._tree.ask(lambda tree: tree.root(size))
        return _note_of(size, root, await self._key())

    async def verify(self, store_file: Path | None) -> tuple[Report, list[str]]:
        """Hash the whole store again and hold it against the newest checkpoint.

        Of a store in one file the bytes of the file are read, of any other what the store gives. Returns what was
        found, and what else is wrong, a sentence each.
        """
        async with self._verifying:
            troubles: list[str] = []
            try:
                signed = await self.checkpoint()
            except NotAllowed as trouble:
                troubles.append(str(trouble))
                kept = await self._tree.newest()
                if kept is None:
                    raise
                signed = kept
            key = await self._tree.public_key()
            if store_file is not None:
                return await asyncio.to_thread(self._verify_file, store_file, signed, key), troubles
            return await self._verify_store(signed, key), troubles

    def _verify_file(self, path: Path, signed: Signed, key: str) -> Report:
        with closing(self._tree.leaf_hashes(signed.size)) as kept:
            return verify_store(path, signed.note, key, kept)

    async def _verify_store(self, signed: Signed, key: str) -> Report:
        with closing(self._tree.leaf_hashes(signed.size)) as kept:
            audit = Audit(open_checkpoint(signed.note, key), kept)
            batch: list[StoredEvent] = []
            try:
                async for event in self._store.read_all(until=await self._store.head()):
                    batch.append(event)
                    if len(batch) == BATCH:
                        await asyncio.to_thread(_add_all, audit, batch)
                        batch = []
                await asyncio.to_thread(_add_all, audit, batch)
            except UnreadableStore as error:
                audit.unreadable = error
            return await asyncio.to_thread(audit.report, "the event store")

    async def rebuild(self) -> int:
        """Hash the whole store again in place of the kept tree; raises Disagrees when it is not what was signed."""
        async with self._turn:
            signed = await self._tree.newest()
            size, hashes = 0, list[bytes]()
            await self._tree.start_anew()
            async for event in self._store.read_all(until=await self._store.head()):
                hashes.append(event_hash(record_of(event)))
                if len(hashes) == REBUILD_BATCH:
                    size, hashes = await self._tree.extend_anew(size, hashes), []
            if hashes:
                size = await self._tree.extend_anew(size, hashes)

            def check(tree: MerkleTree) -> None:
                if signed is not None and (tree.size < signed.size or tree.root(signed.size) != signed.root):
                    raise Disagrees(
                        f"the {tree.size} events of the store do not give the root that was signed for {signed.size}; "
                        "the kept tree stays"
                    )

            await self._tree.replace(size, check)
            self.position = size
            return size

    async def _catch_up(self) -> None:
        """Add what is new in the store, after a look at the last event that is known: it must still be that one."""
        self.position = await self._tree.size()
        head = await self._store.head()
        if head < self.position:
            raise Disagrees(
                f"the event store ends at position {head}, but {self.position} events were recorded: "
                "it was rolled back or swapped. Nothing is signed until the right store is back"
            )
        batch: list[StoredEvent] = []
        async for event in self._store.read_all(after=max(0, self.position - 1), until=head):
            batch.append(event)
            if len(batch) == BATCH:
                await self._add(batch)
                batch = []
        if batch:
            await self._add(batch)

    async def _add(self, events: list[StoredEvent]) -> None:
        first = events[0].position
        if [e.position for e in events] != list(range(first, first + len(events))) or first > self.position + 1:
            raise Disagrees(f"positions are missing in the event store after {self.position}: events were removed")
        hashes = [event_hash(record_of(event)) for event in events]
        if first <= self.position:
            if hashes[0] != await self._tree.leaf_hash(first):
                raise Disagrees(
                    f"the event at position {first} is not the one that was recorded: the event store was swapped, "
                    "rolled back or altered. Nothing is signed until the right store is back"
                )
            first, hashes = first + 1, hashes[1:]
        if hashes:
            self.position = await self._tree.extend(first, hashes)

    async def _sign(self) -> Signed:
        size, key = self.position, await self._key()
        newest = await self._tree.newest()
        root = await self._proven_root(newest, size)
        if newest is not None and newest.size == size:
            signed = newest
        else:
            signed = _note_of(size, root, key)
            await self._tree.keep(signed, key.public_key.text(), self._clock.now())
        self._signed_size = signed.size
        return signed

    async def _proven_root(self, newest: Signed | None, size: int) -> bytes:
        """The root at `size`, shown to extend what was signed last: a log must never sign two histories."""
        try:
            root = await self._tree.ask(lambda tree: tree.root(size))
            if newest is not None:
                path = await self._tree.ask(lambda tree: tree.consistency_proof(newest.size, size))
                verify_consistency(newest.size, newest.root, size, root, path)
        except (InvalidProof, KeyError, ValueError) as error:
            raise Disagrees(
                f"the kept tree does not extend the checkpoint that was signed last ({newest and newest.size} events): "
                f"{error}"
            ) from error
        return root

    async def _key(self) -> PrivateKey:
        known = await self._tree.public_key()
        if known and not self._key_file.exists():
            raise UnusableKey(
                f"the audit key {self._key_file} is gone; checkpoints were signed with {known.rpartition('+')[0]}. "
                "Bring it back: a new key would make them worthless"
            )
        key = await asyncio.to_thread(load_or_make, self._key_file)
        if known and known != key.public_key.text():
            raise UnusableKey(
                f"the audit key {self._key_file} is not the one that signed the checkpoints so far "
                f"({known.rpartition('+')[0]})"
            )
        return key


def _add_all(audit: Audit, events: Sequence[StoredEvent]) -> None:
    for event in events:
        audit.add(record_of(event))


def _note_of(size: int, root: bytes, key: PrivateKey) -> Signed:
    return Signed(size, root, sign_checkpoint(Checkpoint(key.name, size, root), key))
