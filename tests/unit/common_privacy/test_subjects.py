"""Subjects: what is sealed opens until its subject is erased, whatever happens to master keys in between."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from modelog_common.domain.errors import Conflict, NotAllowed, Unavailable
from modelog_common.privacy.keys import DataKey, Erasure
from modelog_common.privacy.masters import FileMasterKeys, new_master_key
from modelog_common.privacy.sqlite import SqliteKeyStore
from modelog_common.privacy.subjects import ALTERED, ERASED, LOST, Opened, Subjects

FIELD = "gateway.user.email"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Place:
    """A key store and a master key in a folder, which several processes may use."""

    def __init__(self, folder: Path) -> None:
        self.key_file, self.key_store = folder / "master.key", folder / "keys.db"
        self.key_file.touch(0o600)
        self.key_file.write_text(new_master_key())
        self._open: list[SqliteKeyStore] = []

    def process(self) -> Subjects:
        self._open.append(SqliteKeyStore(self.key_store))
        return Subjects(self._open[-1], FileMasterKeys(self.key_file))

    async def close(self) -> None:
        for store in self._open:
            await store.close()


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    place = Place(tmp_path)
    yield place
    await place.close()


def erasure(name: str) -> Erasure:
    return Erasure("acme", f"user/{name}", "admin", NOW, "asked to")


async def test_what_one_process_seals_another_opens(place: Place) -> None:
    sealed = await place.process().seal("acme", "user/bob", FIELD, "bob@example.org")
    assert await place.process().open(FIELD, sealed) == "bob@example.org"
    assert await place.process().seal("acme", "user/bob", FIELD, "bob@example.org") == sealed


async def test_an_erased_subject_reads_erased_in_every_process_and_gets_no_new_key(place: Place) -> None:
    ours, theirs = place.process(), place.process()
    bob = await ours.seal("acme", "user/bob", FIELD, "bob@example.org")
    eve = await ours.seal("acme", "user/eve", FIELD, "eve@example.org")
    assert await theirs.open(FIELD, bob) == "bob@example.org"
    await ours.destroy(erasure("bob"))
    for process in (ours, theirs, place.process()):
        assert await process.open_all([(FIELD, bob), (FIELD, eve)]) == [ERASED, "eve@example.org"]
        with pytest.raises(NotAllowed, match="user/bob was erased; nothing personal is kept of it any more"):
            await process.seal("acme", "user/bob", FIELD, "bob@example.org")
    assert list(await theirs.erasures()) == [erasure("bob")]


async def test_many_texts_are_sealed_as_each_alone_and_what_is_gone_is_told_from_a_text_that_says_so(
    place: Place,
) -> None:
    ours = place.process()
    one, two = await ours.seal_all("acme", "user/bob", [(FIELD, ERASED), ("other", "Bob")])
    assert [one, two] == [
        await ours.seal("acme", "user/bob", FIELD, ERASED),
        await ours.seal("acme", "user/bob", "other", "Bob"),
    ]
    eve = await ours.seal("acme", "user/eve", FIELD, "eve")
    asked = [(FIELD, one), ("other", two), (FIELD, two), (FIELD, eve)]
    await ours.destroy(erasure("eve"))
    said = [Opened(ERASED), Opened("Bob"), Opened(ALTERED, is_gone=True), Opened(ERASED, is_gone=True)]
    assert await ours.opened(asked) == said
    with pytest.raises(NotAllowed, match="user/eve was erased"):
        await ours.seal_all("acme", "user/eve", [(FIELD, "again")])


async def test_all_is_read_after_the_master_key_was_rotated(place: Place) -> None:
    ours, theirs = place.process(), place.process()
    sealed = {n: await ours.seal("acme", f"user/{n}", FIELD, f"{n}@example.org") for n in ("al", "bob", "eve")}
    await ours.destroy(erasure("bob"))
    before = place.key_file.read_text()
    assert await ours.rotate() == 2
    assert place.key_file.read_text() != before
    for process in (ours, theirs, place.process()):
        texts = await process.open_all([(FIELD, s) for s in sealed.values()])
        assert texts == ["al@example.org", ERASED, "eve@example.org"]
    # A process that was there before the rotation adds keys under the new master key.
    new = await theirs.seal("acme", "user/new", FIELD, "new@example.org")
    assert await theirs.rotate() == 3
    assert await place.process().open(FIELD, new) == "new@example.org"


async def test_a_rotation_that_was_killed_goes_on(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    subjects = place.process()
    sealed = [await subjects.seal("acme", f"user/{n}", FIELD, f"{n}") for n in range(4)]
    done: list[DataKey] = []
    rewrap = SqliteKeyStore.rewrap

    async def killed(self: SqliteKeyStore, before: DataKey, after: DataKey) -> None:
        if len(done) == 2:
            raise RuntimeError("killed")
        done.append(after)
        await rewrap(self, before, after)

    with monkeypatch.context() as patch:
        patch.setattr(SqliteKeyStore, "rewrap", killed)
        with pytest.raises(RuntimeError):
            await subjects.rotate()
    for process in (subjects, place.process()):
        assert await process.open_all([(FIELD, s) for s in sealed]) == ["0", "1", "2", "3"]
    assert await place.process().rotate() == 4
    assert await place.process().open_all([(FIELD, s) for s in sealed]) == ["0", "1", "2", "3"]


async def test_a_lost_key_and_an_altered_text_do_not_hide_the_rest(place: Place) -> None:
    subjects = place.process()
    bob = await subjects.seal("acme", "user/bob", FIELD, "bob@example.org")
    eve = await subjects.seal("acme", "user/eve", FIELD, "eve@example.org")
    asked = [(FIELD, replace(bob, key="unknown")), (FIELD, replace(bob, key=eve.key)), (FIELD, bob)]
    assert await subjects.open_all(asked) == [LOST, ALTERED, "bob@example.org"]
    assert await subjects.open_all([]) == []


async def test_without_a_master_key_nothing_is_sealed_and_reading_says_why(place: Place) -> None:
    sealed = await place.process().seal("acme", "user/bob", FIELD, "bob@example.org")
    place.key_file.rename(place.key_file.with_name("away"))
    for call in (place.process().open(FIELD, sealed), place.process().seal("acme", "user/eve", FIELD, "x")):
        with pytest.raises(Unavailable, match="personal data can neither be kept nor read now: the file .*master.key"):
            await call
    await place.process().destroy(erasure("bob"))
    assert await place.process().open(FIELD, sealed) == ERASED


async def test_keys_of_a_master_key_that_is_gone_are_lost_and_the_rest_goes_on(place: Place) -> None:
    """As in a key store that was restored from a backup older than the last rotation."""
    subjects = place.process()
    bob = await subjects.seal("acme", "user/bob", FIELD, "bob@example.org")
    place.key_file.write_text(new_master_key())
    restored = place.process()
    assert await restored.open(FIELD, bob) == LOST
    with pytest.raises(Conflict, match="wrapped by the master key"):
        await restored.seal("acme", "user/eve", FIELD, "eve@example.org")
    assert await restored.rotate() == 0
    eve = await restored.seal("acme", "user/eve", FIELD, "eve@example.org")
    assert await restored.rotate() == 1
    assert await place.process().open_all([(FIELD, bob), (FIELD, eve)]) == [LOST, "eve@example.org"]
