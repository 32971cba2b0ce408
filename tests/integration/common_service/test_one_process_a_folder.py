"""Two processes of one service with one data directory: the second one does not run, and says whose it is."""

from __future__ import annotations

import os

import modelog_common.service
import pytest
from modelog_common.config import Settings
from modelog_common.domain.errors import Unavailable
from modelog_common.service import Host


async def test_the_second_process_is_refused(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modelog_common.service, "LOCK_TIMEOUT_S", 0.1)
    async with Host("registry", settings):
        with pytest.raises(Unavailable, match=rf"in use by another registry service \(process {os.getpid()}\)"):
            async with Host("registry", settings):
                raise AssertionError("it must not run")
        async with Host("training", settings):
            pass
    async with Host("registry", settings):
        pass


async def test_a_folder_whose_store_cannot_be_opened_is_let_go(settings: Settings) -> None:
    store = settings.event_store_path()
    store.write_bytes(b"no database, but long enough to be looked at" * 20)
    for _ in range(2):
        with pytest.raises(Unavailable, match="cannot be used"):
            async with Host("registry", settings):
                raise AssertionError("it must not run")
