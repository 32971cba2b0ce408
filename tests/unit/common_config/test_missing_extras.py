"""An address of a store whose driver is not installed is told what to install."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from modelog_common.adapters import open_event_store, open_search, open_series
from modelog_common.config import Settings
from modelog_common.domain.clock import SystemClock
from modelog_common.domain.errors import Invalid


def test_series_in_influxdb_need_their_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "modelog_common.stores.series.influx", raising=False)
    monkeypatch.setitem(sys.modules, "influxdb_client", None)
    monkeypatch.setitem(sys.modules, "influxdb_client.client.exceptions", None)
    settings = Settings(data_dir=tmp_path, series="influxdb://127.0.0.1:8086/modelog/modelog")
    with pytest.raises(Invalid, match=r"MODELOG_SERIES: an influxdb:// address needs modelog-common\[influx\]"):
        open_series(settings, "monitoring")


def test_search_in_elasticsearch_needs_its_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "modelog_common.stores.search.elastic", raising=False)
    monkeypatch.setitem(sys.modules, "elasticsearch", None)
    settings = Settings(data_dir=tmp_path, search="elasticsearch://127.0.0.1:9200")
    with pytest.raises(Invalid, match=r"MODELOG_SEARCH: an address of Elasticsearch needs modelog-common\[elastic\]"):
        open_search(settings, "lineage")


@pytest.mark.parametrize(
    ("address", "driver", "module", "extra"),
    [
        ("postgresql://127.0.0.1/x", "asyncpg", "modelog_common.events.postgres", "postgres"),
        ("kurrentdb://127.0.0.1:2113", "kurrentdbclient", "modelog_common.events.kurrent", "kurrent"),
    ],
)
async def test_an_event_store_needs_its_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, driver: str, module: str, extra: str
) -> None:
    for known in [name for name in sys.modules if name.startswith(module)]:
        monkeypatch.delitem(sys.modules, known)
    monkeypatch.setitem(sys.modules, driver, None)
    settings = Settings(data_dir=tmp_path, event_store=address)
    with pytest.raises(Invalid, match=rf"MODELOG_EVENT_STORE: .* needs modelog-common\[{extra}\]"):
        await open_event_store(settings, SystemClock())
