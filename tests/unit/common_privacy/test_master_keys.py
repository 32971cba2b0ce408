"""Master keys from a file and from a variable: what is refused, and how one is followed by the next."""

from __future__ import annotations

from pathlib import Path

import pytest
from modelog_common.domain.errors import Conflict, Unavailable
from modelog_common.privacy.masters import (
    FileMasterKeys,
    MasterKeys,
    VariableMasterKeys,
    Wrapped,
    new_master_key,
    write_over,
)

DATA_KEY = bytes(range(32))
NAME = "MODELOG_TEST_MASTER_KEY"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "master.key"
    file.touch(0o600)
    write_over(file, new_master_key().encode())
    return file


async def test_a_file_wraps_and_unwraps(file: Path) -> None:
    wrapped = await FileMasterKeys(file).wrap("k", DATA_KEY)
    assert await FileMasterKeys(file).unwrap("k", wrapped) == DATA_KEY


async def test_a_variable_wraps_with_its_first_key_and_unwraps_with_all() -> None:
    old, new = new_master_key(), new_master_key()
    wrapped = await VariableMasterKeys(NAME, {NAME: old}).wrap("k", DATA_KEY)
    both = VariableMasterKeys(NAME, {NAME: f"{new} {old}"})
    assert await both.unwrap("k", wrapped) == DATA_KEY
    assert (await both.wrap("k", DATA_KEY)).master != wrapped.master
    async with both.rotation() as master:
        assert master == (await both.wrap("k", DATA_KEY)).master


async def test_a_rotated_file_holds_the_new_key_alone_once_that_is_done(file: Path) -> None:
    masters, other = FileMasterKeys(file), FileMasterKeys(file)
    before = await masters.wrap("k", DATA_KEY)
    async with masters.rotation() as master:
        assert (await other.wrap("k", DATA_KEY)).master == master
        assert await other.unwrap("k", before) == DATA_KEY
        with pytest.raises(Conflict, match="being rotated already"):
            await _rotate(other)
    assert len(file.read_text().split()) == 1
    assert file.stat().st_mode & 0o077 == 0
    with pytest.raises(Unavailable, match=f"lacks the master key {before.master}"):
        await masters.unwrap("k", before)


async def test_a_rotation_that_breaks_off_loses_no_key(file: Path) -> None:
    masters = FileMasterKeys(file)
    before = await masters.wrap("k", DATA_KEY)
    for _ in range(2):
        with pytest.raises(RuntimeError):
            await _rotate(masters, RuntimeError("killed"))
    assert await masters.unwrap("k", before) == DATA_KEY
    assert len(file.read_text().split()) == 3
    await _rotate(masters)
    assert len(file.read_text().split()) == 1


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("", "holds no master key; write keys apart by white space"),
        ("c2hvcnQ=", "key 1 in .* is not the base64 of 32 bytes"),
        ("correct horse battery staple", "key 1 in .* is not the base64 of 32 bytes"),
    ],
)
async def test_what_is_no_key_is_said_without_being_repeated(file: Path, content: str, text: str) -> None:
    file.write_text(content)
    for masters in (FileMasterKeys(file), VariableMasterKeys(NAME, {NAME: content})):
        with pytest.raises(Unavailable, match=text) as refused:
            await masters.wrap("k", DATA_KEY)
        assert not content or content.split()[0] not in str(refused.value)


async def test_a_missing_file_and_one_that_everybody_reads_are_refused(file: Path) -> None:
    with pytest.raises(Unavailable, match="none cannot be read: No such file"):
        await FileMasterKeys(file.with_name("none")).wrap("k", DATA_KEY)
    file.chmod(0o644)
    with pytest.raises(Unavailable, match="can be read by every user; run: chmod 600"):
        await FileMasterKeys(file).unwrap("k", Wrapped("m", b""))


async def _rotate(masters: MasterKeys, error: Exception | None = None) -> None:
    async with masters.rotation():
        if error is not None:
            raise error
