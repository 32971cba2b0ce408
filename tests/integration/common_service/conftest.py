"""Settings of a service in a folder of its own."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from modelog_common.config import Settings
from modelog_common.domain.clock import SystemClock
from modelog_common.security.keys import create_key_pair
from modelog_common.security.tokens import Identity, TokenSigner


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    keys = tmp_path / "keys"
    keys.mkdir()
    create_key_pair(keys / "signing.pem", keys / "public.pem")
    signer = TokenSigner.from_file(keys / "signing.pem", SystemClock())
    token = signer.sign(Identity("service:registry", "default", frozenset({"service"})), timedelta(hours=1))
    (keys / "service.token").write_text(token)
    return Settings(data_dir=tmp_path)
