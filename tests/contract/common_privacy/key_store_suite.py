"""What every store of data keys must do."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from modelog_common.domain.errors import Conflict
from modelog_common.privacy.keys import DataKey, Erasure, KeyStore, copy_keys, key_id_of
from modelog_common.privacy.sqlite import SqliteKeyStore

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def data_key(subject: str = "user/bob", *, tenant: str = "acme", master: str = "m1", wrapped: bytes = b"w1") -> DataKey:
    return DataKey(key_id_of(tenant, subject), tenant, subject, master, wrapped)


def erasure(
    subject: str = "user/bob", *, tenant: str = "acme", reason: str = "asked to", at: datetime = NOW
) -> Erasure:
    return Erasure(tenant, subject, "admin", at, reason)


class KeyStoreSuite:
    """Inherit, and give the fixture `keys`: an empty store."""

    @pytest.fixture
    def keys(self) -> KeyStore:
        raise NotImplementedError

    async def test_the_first_key_of_a_subject_stays(self, keys: KeyStore) -> None:
        first = data_key()
        assert await keys.add(first) == first
        assert await keys.add(data_key(wrapped=b"w2")) == first
        assert await keys.find([first.id]) == {first.id: first}

    async def test_of_many_who_add_at_once_all_get_the_same_key(self, keys: KeyStore) -> None:
        added = await asyncio.gather(*(keys.add(data_key(wrapped=b"w%d" % n)) for n in range(20)))
        assert len(set(added)) == 1
        assert list((await keys.find([added[0].id])).values()) == [added[0]]

    async def test_tenants_have_keys_of_their_own(self, keys: KeyStore) -> None:
        ours, theirs = await keys.add(data_key()), await keys.add(data_key(tenant="other", wrapped=b"w2"))
        assert ours.id != theirs.id
        assert await keys.find([ours.id, theirs.id, "unknown"]) == {ours.id: ours, theirs.id: theirs}
        await keys.destroy(erasure())
        assert (await keys.find([theirs.id]))[theirs.id] == theirs

    async def test_many_keys_are_found_at_once(self, keys: KeyStore) -> None:
        added = [await keys.add(data_key(f"user/{n}", wrapped=b"w%d" % n)) for n in range(1100)]
        assert await keys.find([k.id for k in added]) == {k.id: k for k in added}
        assert await keys.find([]) == {}

    async def test_a_destroyed_key_is_gone_and_never_comes_back(self, keys: KeyStore) -> None:
        first = await keys.add(data_key())
        assert await keys.destroy(erasure()) == erasure()
        gone = replace(first, master="", wrapped=b"")
        assert await keys.find([first.id]) == {first.id: gone}
        assert await keys.add(data_key(wrapped=b"w2")) == gone
        await keys.rewrap(first, replace(first, master="m2", wrapped=b"w3"))
        assert await keys.find([first.id]) == {first.id: gone}
        assert await keys.wrapped_by_others("m2") == []

    async def test_a_subject_without_a_key_gets_none_after_its_erasure(self, keys: KeyStore) -> None:
        await keys.destroy(erasure())
        assert (await keys.add(data_key())).wrapped == b""

    async def test_the_first_erasure_is_what_is_remembered(self, keys: KeyStore) -> None:
        await keys.add(data_key())
        first = await keys.destroy(erasure())
        assert await keys.destroy(erasure(reason="again", at=NOW + timedelta(days=1))) == first
        later = await keys.destroy(erasure("user/eve", at=NOW + timedelta(seconds=1)))
        sooner = await keys.destroy(erasure("user/al", at=NOW - timedelta(seconds=1)))
        assert list(await keys.erasures()) == [sooner, first, later]

    async def test_keys_are_added_under_the_master_key_in_use_only(self, keys: KeyStore) -> None:
        known = await keys.add(data_key())
        await keys.use_master("m2")
        with pytest.raises(Conflict, match="wrapped by the master key m2 now; this process has m1"):
            await keys.add(data_key("user/eve"))
        assert await keys.add(data_key()) == known
        eve = await keys.add(data_key("user/eve", master="m2"))
        assert list(await keys.wrapped_by_others("m2")) == [known]
        assert list(await keys.wrapped_by_others("m1")) == [eve]

    async def test_a_key_is_wrapped_anew_once(self, keys: KeyStore) -> None:
        before = await keys.add(data_key())
        after = replace(before, master="m2", wrapped=b"w2")
        await keys.rewrap(before, after)
        await keys.rewrap(before, replace(before, master="m3", wrapped=b"w3"))
        assert await keys.find([before.id]) == {before.id: after}

    async def test_keys_and_erasures_are_copied_as_they_are(self, keys: KeyStore, tmp_path: Path) -> None:
        subjects = ("user/bob", "user/eve", "user/al")
        bob, eve, al = [await keys.add(data_key(subject)) for subject in subjects]
        await keys.destroy(erasure("user/al"))
        await keys.use_master("m2")
        zoe = await keys.add(data_key("user/zoe", master="m2"))
        ids = [key.id for key in (bob, eve, al, zoe)]
        copy = SqliteKeyStore(tmp_path / "copy.db")
        await copy_keys(keys, copy)
        assert await copy.find(ids) == await keys.find(ids)
        assert list(await copy.erasures()) == list(await keys.erasures())
        assert (await copy.master(), await keys.master()) == ("m2", "m2")
        await keys.destroy(erasure("user/eve"))
        await keys.use_master("m3")
        await copy_keys(copy, keys)
        assert (await keys.find([eve.id]))[eve.id].wrapped == b"", "what was destroyed since does not come back"
        assert (await keys.find([bob.id]))[bob.id] == bob
        assert await keys.master() == "m3"
        await copy.close()
