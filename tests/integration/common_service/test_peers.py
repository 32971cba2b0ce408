"""Which client a service calls the others with is a setting."""

from __future__ import annotations

from typing import Any

import pytest
from modelog_common.config import Settings
from modelog_common.domain.errors import NotFound
from modelog_common.rpc.own_client import OwnChannel
from modelog_common.service import Host


@pytest.mark.parametrize(
    ("told", "own"), [({}, True), ({"grpc_client": "own"}, True), ({"grpc_client": "grpcio"}, False)]
)
async def test_the_client_is_a_setting(settings: Settings, told: dict[str, Any], own: bool) -> None:
    async with Host("training", settings.changed(peers={"registry": "127.0.0.1:1"}, **told)) as host:
        assert isinstance(host.peer("registry"), OwnChannel) is own
        assert host.peer("registry") is host.peer("registry")
        with pytest.raises(NotFound, match="names no address for serving"):
            host.peer("serving")
