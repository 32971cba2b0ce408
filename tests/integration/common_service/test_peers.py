"""Which client a service calls the others with is a setting."""

from __future__ import annotations

from pathlib import Path

import pytest
from modelog_common.config import Settings
from modelog_common.domain.errors import NotFound
from modelog_common.rpc.own_client import OwnChannel
from modelog_common.service import Host


@pytest.mark.parametrize(("told", "own"), [({}, True), ({"grpc_client": "own"}, True), ({"grpc_client": "grpcio"}, False)])  # fmt: skip # noqa: E501
async def test_the_client_is_a_setting(settings: Settings, tmp_path: Path, told: dict[str, str], own: bool) -> None:
    keys = tmp_path / "keys"
    given = {
        "data_dir": tmp_path, "public_key_file": keys / "public.pem", "service_token_file": keys / "service.token",
        "peers": {"registry": "127.0.0.1:1"},
    }  # fmt: skip
    async with Host("training", Settings.model_validate(given | told)) as host:
        assert isinstance(host.peer("registry"), OwnChannel) is own
        assert host.peer("registry") is host.peer("registry")
        with pytest.raises(NotFound, match="names no address for serving"):
            host.peer("serving")
