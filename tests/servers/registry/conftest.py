"""Gives the tests of the registry real servers; everything else is as in tests/integration/registry."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from modelog_common.domain.clock import ManualClock
from modelog_common.variables import Secret
from real_servers import InfluxdbServer, started_again

OWN = Path(__file__).parents[2] / "integration" / "registry"
sys.path.insert(0, str(OWN))
spec = spec_from_file_location("registry_fixtures", OWN / "conftest.py")
assert spec is not None
assert spec.loader is not None
fixtures = module_from_spec(spec)
sys.modules[spec.name] = fixtures
spec.loader.exec_module(fixtures)

registry_with, once_more, alice, bob = fixtures.registry_with, fixtures.once_more, fixtures.alice, fixtures.bob


@pytest.fixture
def told(influxdb: InfluxdbServer) -> Iterator[dict[str, Any]]:
    """Curves in a bucket of this test's own."""
    address = f"{influxdb.url.replace('http', 'influxdb', 1)}/{influxdb.org}/{uuid4().hex}"
    yield {"curves": address, "series_token": Secret(influxdb.token)}
    started_again(influxdb)


@pytest.fixture
async def registry(told: dict[str, Any], tmp_path: Path) -> AsyncIterator[Any]:
    """A registry with its curves in InfluxDB."""
    async with fixtures.serving(fixtures.Registry(tmp_path, ManualClock(), **told)) as made:
        yield made
