"""Background work of a service: what it needs may be away; and no piece of it can keep a broken process alive."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import modelog_common.background
import pytest
from modelog_common.config import Settings
from modelog_common.domain.errors import Unavailable
from modelog_common.service import Host

STUCK = Path(__file__).parent / "stuck_service.py"
PATIENCE_S = 150


@asynccontextmanager
async def serving(host: Host) -> AsyncIterator[None]:
    """The service, until the block ends; then it must end, too."""
    async with host, asyncio.timeout(PATIENCE_S):
        started = asyncio.Event()
        running = asyncio.create_task(host.run(lambda port: started.set()))
        await started.wait()
        yield
        host.stop()
        await running


async def test_work_that_needs_something_that_is_away_is_begun_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(modelog_common.background, "AGAIN_S", 0.01)
    tries = 0
    works = asyncio.Event()

    async def work() -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise Unavailable("the database is starting up")
        works.set()
        await asyncio.Event().wait()

    host = Host("registry", settings)
    host.background("reader", work)
    async with serving(host):
        await works.wait()
    assert tries == 3


async def test_an_error_on_the_way_out_does_not_begin_the_work_again(settings: Settings) -> None:
    tries = 0
    begun = asyncio.Event()

    async def work() -> None:
        nonlocal tries
        tries += 1
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            raise Unavailable("the database went away before")

    host = Host("registry", settings)
    host.background("reader", work)
    async with serving(host):
        await begun.wait()
    assert tries == 1


async def test_work_that_took_its_end_for_an_error_is_told_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(modelog_common.background, "TELL_S", 0.01)
    ends = 0
    begun = asyncio.Event()

    async def work() -> None:
        nonlocal ends
        begun.set()
        while ends < 3:
            try:
                try:
                    await asyncio.Event().wait()
                finally:
                    ends += 1
                    raise ValueError("the transaction cannot be taken back")
            except ValueError:
                continue
        raise asyncio.CancelledError

    host = Host("registry", settings)
    host.background("reader", work)
    async with serving(host):
        await begun.wait()
    assert ends == 3


def test_a_process_whose_work_failed_ends_though_other_work_does_not(settings: Settings) -> None:
    environment = {**os.environ, "MODELOG_DATA_DIR": str(settings.data_dir)}
    command = [sys.executable, str(STUCK)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert ended.returncode == 1
    assert "background work failed; the process ends" in ended.stderr
    assert "the defect" in ended.stderr
    assert '"process_ends":true' in ended.stderr
    assert "deaf" in ended.stderr
