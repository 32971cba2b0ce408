"""The port to the store of data keys: one for each subject, wrapped by the master key, kept beside the event log."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from modelog_common.domain.ids import derived_id

# Subjects that requests for predictions name begin with this; serving seals for them, the gateway erases them.
SUBJECT = "subject/"


@dataclass(frozen=True)
class DataKey:
    """A subject's key; `master` says which master key wraps it. Once it is destroyed, `wrapped` is empty."""

    id: str
    tenant: str
    subject: str
    master: str
    wrapped: bytes


@dataclass(frozen=True)
class Erasure:
    """Whose key was destroyed, by whom, when and why."""

    tenant: str
    subject: str
    by: str
    at: datetime
    reason: str


def key_id_of(tenant: str, subject: str) -> str:
    """The id of a subject's key; subjects look like "user/bob"."""
    return derived_id("subject key", tenant, subject)


class KeyStore(Protocol):
    """Data keys, and the list of those that were destroyed."""

    async def add(self, key: DataKey) -> DataKey:
        """Keep a subject's first key; returns the subject's key: this one, or the one that was there before.

        Raises Conflict when `key.master` is not the master key in use: a process that missed a change of the master
        key must not wrap keys with one that is about to go.
        """
        ...

    async def find(self, ids: Collection[str]) -> Mapping[str, DataKey]:
        """Keys by id, destroyed ones with an empty `wrapped`; ids that were never added are left out."""
        ...

    async def destroy(self, erasure: Erasure) -> Erasure:
        """Destroy a subject's key, or see to it that the subject never gets one; returns the first erasure.

        The key's bytes are gone from the store's current files when this returns. Destroying again does it again.
        """
        ...

    async def erasures(self) -> Sequence[Erasure]:
        """Everybody who was erased, in order of time."""
        ...

    async def use_master(self, master: str) -> None:
        """From now on keys are added under this master key only."""
        ...

    async def master(self) -> str:
        """The master key that keys are added under; "" before the first."""
        ...

    async def wrapped_by_others(self, master: str) -> Sequence[DataKey]:
        """Keys that are wrapped by another master key."""
        ...

    async def rewrap(self, before: DataKey, after: DataKey) -> None:
        """Replace a key's wrapping; does nothing when the key is not as `before` any more."""
        ...

    async def close(self) -> None:
        """Close the store's files or connections."""
        ...


async def copy_keys(source: KeyStore, target: KeyStore) -> None:
    """Add all that one store has to another, wrapped as it is; what is destroyed in either is so in the target."""
    for erasure in await source.erasures():
        await target.destroy(erasure)
    master = await target.master() or await source.master()
    # A change of the master key may be under way: each key is taken under its own.
    for key in await source.wrapped_by_others(""):
        await target.use_master(key.master)
        await target.add(key)
    if master:
        await target.use_master(master)
