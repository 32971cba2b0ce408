"""A job's log is read from any byte on, waited for, and never cut inside a character."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from modelog_common.domain.errors import Invalid, NotFound
from modelog_training.handle.folders import JobFolders
from modelog_training.handle.logs import LogPart, read_log


async def running() -> bool:
    return False


async def over() -> bool:
    return True


def prints(log: Path, content: bytes) -> None:
    log.write_bytes(content)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log.txt"


async def test_a_job_that_printed_nothing_yet(log: Path) -> None:
    assert await read_log(log, 0, running, 0) == LogPart("", 0, False)
    assert await read_log(log, 0, over, 0) == LogPart("", 0, True)


async def test_parts_follow_one_another(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelog_training.handle.logs.READ_BYTES", 4)
    prints(log, b"one two")
    assert await read_log(log, 0, over, 0) == LogPart("one ", 4, False)
    assert await read_log(log, 4, over, 0) == LogPart("two", 7, True)
    assert await read_log(log, 7, over, 0) == LogPart("", 7, True)


async def test_half_a_character_waits_for_its_other_half(log: Path) -> None:
    prints(log, "й".encode()[:1])
    assert await read_log(log, 0, running, 0) == LogPart("", 0, False)
    prints(log, "й".encode())
    assert await read_log(log, 0, running, 0) == LogPart("й", 2, False)


async def test_a_log_that_ends_in_the_middle_of_a_character_is_complete(log: Path) -> None:
    prints(log, b"a\xd0")
    assert await read_log(log, 0, over, 0) == LogPart("a\ufffd", 2, True)


async def test_a_follower_gets_what_is_printed_later(log: Path) -> None:
    following = asyncio.create_task(read_log(log, 0, running, 150))
    await asyncio.sleep(0)
    prints(log, b"at last")
    assert (await following).text == "at last"


async def test_a_follower_hears_when_the_job_ends(log: Path) -> None:
    ended = asyncio.Event()

    async def has_ended() -> bool:
        return ended.is_set()

    following = asyncio.create_task(read_log(log, 0, has_ended, 150))
    await asyncio.sleep(0)
    ended.set()
    assert await following == LogPart("", 0, True)


async def test_an_offset_beyond_the_end_is_refused(log: Path) -> None:
    prints(log, b"abc")
    with pytest.raises(Invalid, match="offset: is 4, but the log has 3 bytes; allowed: 0 to 3"):
        await read_log(log, 4, running, 0)


async def test_a_job_that_does_not_exist_has_no_log(log: Path) -> None:
    async def missing() -> bool:
        raise NotFound("there is no job 'x'")

    with pytest.raises(NotFound):
        await read_log(log, 0, missing, 0)


def test_an_attempt_starts_with_an_empty_folder_and_the_log_stays(tmp_path: Path) -> None:
    folders = JobFolders(tmp_path)
    folders.note("job", "first")
    (folders.open_attempt("job", 1) / "left").touch()
    folders.note("job", "second")
    assert list(folders.open_attempt("job", 2).iterdir()) == []
    assert not folders.attempt("job", 1).exists()
    folders.close_attempts("job")
    assert not folders.attempt("job", 2).exists()
    assert folders.log("job").read_text() == "[modelog] first\n[modelog] second\n"
