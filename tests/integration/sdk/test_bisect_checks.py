"""The checks that `modelog bisect` has: an event that was altered, and one that today's code cannot read."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from modelog.cli.main import app
from modelog_common.domain.ids import uuid7
from modelog_common.events.sqlite import SqliteEventStore
from modelog_common.events.store import NewEvent
from small_platform import SmallPlatform
from typer.testing import CliRunner, Result

Run = Callable[..., Result]


@pytest.fixture
def own(tmp_path: Path) -> Iterator[SmallPlatform]:
    """A platform whose log may be spoiled."""
    small = SmallPlatform(tmp_path)
    small.start()
    yield small
    small.stop()


@pytest.fixture
def head(own: SmallPlatform) -> int:
    """The end of a log of three models."""
    with own.client("alice", "developer") as alice:
        for name in ("before", "culprit", "after"):
            alice.models.create(name)
        return alice.audit.head()


@pytest.fixture
def run(own: SmallPlatform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("MODELOG_PROFILE", str(tmp_path / "profile.json"))
    monkeypatch.setenv("MODELOG_URL", own.url)
    monkeypatch.setenv("MODELOG_TOKEN", own.token("alice", "admin"))
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str, status: int = 0) -> Result:
        result = CliRunner().invoke(app, ["bisect", *arguments])
        assert result.exit_code == status, result.output
        return result

    return run


def log_of(own: SmallPlatform) -> Path:
    return own.folder / "data" / "events.db"


def test_the_event_that_was_altered_is_found(own: SmallPlatform, head: int, run: Run) -> None:
    with own.client("admin", "admin") as admin:
        assert admin.audit.verify().intact
    assert "was said to be bad, but the check says good" in run("--check", "proofs", status=1).stderr
    with closing(sqlite3.connect(log_of(own))) as db, db:
        db.execute("UPDATE events SET payload = replace(payload, 'culprit', 'suspect') WHERE position = ?", (head - 1,))
    found = run("--check", "proofs")
    assert f"fails since position {head - 1}" in found.output
    assert "altered" in found.stderr
    exact = json.loads(run("--check", "proofs", "--json").stdout)
    assert (exact["good"], exact["bad"], exact["exact"]) == (head - 2, head - 1, True)


def test_the_event_that_cannot_be_read_is_found(own: SmallPlatform, head: int, run: Run) -> None:
    store = f"sqlite:///{log_of(own)}"
    decodes = ("--check", "decodes", "--store", store)
    assert "was said to be bad, but the check says good" in run(*decodes, status=1).stderr
    asyncio.run(append(log_of(own), "registry.ModelSold", "registry.ModelLent"))
    found = run(*decodes)
    assert f"fails since position {head + 1}" in found.output
    assert f"position {head + 1}: registry.ModelSold (version 1) in registry.model-x: UnknownEvent" in found.stderr
    assert "there is no event store" in run("--check", "decodes", "--store", f"{store}.not", status=1).stderr


def test_a_check_or_a_command_is_given(head: int, run: Run) -> None:
    said = "give either a command after `--`, or --check with proofs or decodes"
    assert said in run(status=1).stderr
    assert said in run("--check", "proofs", "--", "true", status=1).stderr
    assert "'planets' is not one of" in run("--check", "planets", status=2).stderr


async def append(file: Path, *types: str) -> None:
    store = await SqliteEventStore.open(file)
    for type_name in types:
        await store.append("registry.model-x", [NewEvent(str(uuid7()), type_name, 1, b"{}", "default", "mallory")])
    await store.close()
