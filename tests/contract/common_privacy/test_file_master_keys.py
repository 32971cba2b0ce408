"""The file passes the suite of master keys."""

from __future__ import annotations

from pathlib import Path

import pytest
from master_keys_suite import MasterKeysSuite, Process
from modelog_common.privacy.masters import FileMasterKeys, new_master_key
from modelog_common.security.keys import write_secret


class TestFileMasterKeys(MasterKeysSuite):
    @pytest.fixture
    def process(self, tmp_path: Path) -> Process:
        write_secret(tmp_path / "master.key", new_master_key().encode())
        return lambda: FileMasterKeys(tmp_path / "master.key")
