"""A log moves between stores with the same positions and proofs, or not at all."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from log_support import everything, fill, new_event, open_store, root_of, sign
from modelog.cli.main import app
from modelog_common.domain.errors import Invalid, NotAllowed
from modelog_common.events.sqlite import SqliteEventStore
from modelog_platform.log import transfer
from modelog_platform.log.transfer import export_log, import_log
from modelog_proofs import generate_key
from typer.testing import CliRunner

KEY = generate_key("modelog/test")
runner = CliRunner()


@pytest.fixture
async def source(tmp_path: Path) -> AsyncIterator[SqliteEventStore]:
    store = await open_store(tmp_path / "source.db")
    await fill(store, 25)
    yield store
    await store.close()


@pytest.fixture
async def target(tmp_path: Path) -> AsyncIterator[SqliteEventStore]:
    store = await open_store(tmp_path / "target.db")
    yield store
    await store.close()


def quiet(done: int, total: int) -> None:
    pass


@pytest.mark.parametrize("name", ["log.jsonl", "log.jsonl.gz"])
async def test_a_log_moves_with_the_same_positions_and_proofs(
    source: SqliteEventStore, target: SqliteEventStore, tmp_path: Path, name: str
) -> None:
    told: list[tuple[int, int]] = []
    out = await export_log(source, tmp_path / name, 1, None, lambda *at: told.append(at))
    moved = await import_log(target, tmp_path / name, quiet)
    assert await everything(target) == await everything(source)
    assert out.root == moved.root == root_of(await everything(source))
    assert (moved.first, moved.last, moved.added) == (1, 25, 25)
    assert told[-1] == (25, 25)
    again = await target.append("test.thing-0", [new_event(25)], expected=9)
    assert again.position == 26


async def test_a_part_continues_a_store_that_holds_what_is_before_it(
    source: SqliteEventStore, target: SqliteEventStore, tmp_path: Path
) -> None:
    await export_log(source, tmp_path / "1.jsonl", 1, 10, quiet)
    await export_log(source, tmp_path / "2.jsonl", 8, None, quiet)
    with pytest.raises(Invalid, match="begins at position 8, but the store ends at 0"):
        await import_log(target, tmp_path / "2.jsonl", quiet)
    await import_log(target, tmp_path / "1.jsonl", quiet)
    moved = await import_log(target, tmp_path / "2.jsonl", quiet)
    assert (moved.first, moved.last, moved.added) == (8, 25, 15)
    assert await everything(target) == await everything(source)
    assert (await import_log(target, tmp_path / "2.jsonl", quiet)).added == 0


async def test_a_store_with_other_events_is_left_alone(
    source: SqliteEventStore, target: SqliteEventStore, tmp_path: Path
) -> None:
    await fill(target, 12)
    before = await everything(target)
    await export_log(source, tmp_path / "log.jsonl", 1, None, quiet)
    with pytest.raises(Invalid, match="line 1: the store has another event at position 1"):
        await import_log(target, tmp_path / "log.jsonl", quiet)
    assert await everything(target) == before


async def test_what_is_broken_is_named_and_whole_batches_stay(
    source: SqliteEventStore, target: SqliteEventStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "BATCH", 10)
    file = tmp_path / "log.jsonl"
    await export_log(source, file, 1, None, quiet)
    whole = file.read_bytes()
    lines = whole.splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:14]) + lines[14].replace(b'"tenant":', b'"tenancy":') + b"".join(lines[15:]))
    with pytest.raises(Invalid, match="line 15 holds the unknown 'tenancy'"):
        await import_log(target, file, quiet)
    assert await target.head() == 10
    file.write_bytes(whole[:-40])
    with pytest.raises(Invalid, match="line 25 is cut off"):
        await import_log(target, file, quiet)
    assert await target.head() == 20
    file.write_bytes(whole)
    assert (await import_log(target, file, quiet)).added == 5
    assert await everything(target) == await everything(source)


async def test_a_version_or_a_time_that_does_not_go_on_is_named_by_line(
    source: SqliteEventStore, target: SqliteEventStore, tmp_path: Path
) -> None:
    file = tmp_path / "log.jsonl"
    await export_log(source, file, 1, None, quiet)
    lines = file.read_bytes().splitlines(keepends=True)
    for old, new, text in (
        (b'"version":"3"', b'"version":"4"', "line 7: version is 4; test.thing-0 goes on at version 3"),
        (b'"time":"', b'"time":"1', "line 7: time is '12026"),
        (b"+00:00", b"Z", "line 7: time is"),
        (b'"subject":"test.thing-0"', b'"subject":"nothing"', "line 7: stream 'nothing' is not a stream name"),
    ):
        file.write_bytes(b"".join(lines[:6]) + lines[6].replace(old, new) + b"".join(lines[7:]))
        with pytest.raises(Invalid) as refused:
            await import_log(target, file, quiet)
        assert text in str(refused.value)
        assert await target.head() == 0


async def test_nothing_is_added_that_is_not_what_was_signed(
    source: SqliteEventStore, target: SqliteEventStore, tmp_path: Path
) -> None:
    file = tmp_path / "log.jsonl"
    await export_log(source, file, 1, None, quiet)
    signed = (sign(await everything(source), KEY), KEY.public_key.text())
    whole = file.read_bytes()
    for altered, text in (
        (whole.replace(b'"actor":"zo', b'"actor":"zO', 1), "do not give the signed root"),
        (b"".join(whole.splitlines(keepends=True)[:20]), "the last 5 are missing"),
    ):
        file.write_bytes(altered)
        with pytest.raises(Invalid, match=text):
            await import_log(target, file, quiet, signed=signed)
        assert await target.head() == 0
    file.write_bytes(whole)
    assert (await import_log(target, file, quiet, signed=signed)).added == 25


async def test_positions_and_files_that_are_not_there_are_said(source: SqliteEventStore, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="from: is 26; the log has the positions 1 to 25"):
        await export_log(source, tmp_path / "log.jsonl", 26, None, quiet)
    with pytest.raises(Invalid, match="until: is 99; it must be from 3 to 25"):
        await export_log(source, tmp_path / "log.jsonl", 3, 99, quiet)
    (tmp_path / "log.jsonl").write_text("mine")
    with pytest.raises(NotAllowed, match="exists already"):
        await export_log(source, tmp_path / "log.jsonl", 1, None, quiet)
    assert (tmp_path / "log.jsonl").read_text() == "mine"
    assert not (tmp_path / "log.jsonl.part").exists()


async def test_the_command_line_moves_and_verifies(source: SqliteEventStore, tmp_path: Path) -> None:
    events = await everything(source)
    (tmp_path / "checkpoint.txt").write_text(sign(events, KEY))
    (tmp_path / "audit.pub").write_text(KEY.public_key.text() + "\n")
    signed = ["--checkpoint", str(tmp_path / "checkpoint.txt"), "--key", str(tmp_path / "audit.pub")]
    file, source_at, target_at = (
        str(tmp_path / "log.jsonl.gz"), f"sqlite:///{source.path}", f"sqlite:///{tmp_path / 'new' / 'events.db'}",
    )  # fmt: skip
    root = run("events", "export", file, "--store", source_at).partition("root ")[2]
    assert run("events", "import", file, "--store", target_at, *signed).partition("root ")[2] == root
    assert "25 were there" in run("events", "import", file, "--store", target_at)
    for store in (file, target_at, str(tmp_path / "new" / "events.db")):
        assert "VERIFIED" in run("audit", "verify", "--store", store, *signed)
    with gzip.open(file) as lines:
        assert len(lines.readlines()) == 25
    assert "exists already" in run("events", "export", file, "--store", source_at, status=1)
    nowhere = f"sqlite:///{tmp_path / 'none.db'}"
    assert "there is no event store" in run("events", "export", f"{file}2", "--store", nowhere, status=1)
    wrong = run("events", "export", f"{file}2", "--store", "mongo://bob:secret@db/x", status=1)
    assert "mongo://db/x is not an event store's address" in wrong
    assert "secret" not in wrong
    assert "go together" in run("events", "import", file, "--store", target_at, *signed[:2], status=1)


def run(*arguments: str, status: int = 0) -> str:
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    def invoke() -> str:
        result = runner.invoke(app, list(arguments))
        assert result.exit_code == status, result.output
        return result.output.replace("\n", " ").strip()

    assert asyncio.get_running_loop()
    with ThreadPoolExecutor(1) as thread:  # the command has a loop of its own
        return thread.submit(invoke).result()
