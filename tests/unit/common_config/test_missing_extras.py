"""An address of a store whose driver is not installed is told what to install."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from modelog_common.adapters import (
    open_curves,
    open_data_broker,
    open_event_bus,
    open_event_store,
    open_search,
    open_series,
)
from modelog_common.config import Settings
from modelog_common.domain.clock import SystemClock
from modelog_common.domain.errors import Invalid


@pytest.mark.parametrize(("kind", "opened"), [("series", open_series), ("curves", open_curves)])
def test_series_and_curves_in_influxdb_need_their_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, opened: Callable[[Settings, str], object]
) -> None:
    for module in ("modelog_common.stores.influx", f"modelog_common.stores.{kind}.influx"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, "influxdb_client", None)
    monkeypatch.setitem(sys.modules, "influxdb_client.client.exceptions", None)
    settings = Settings(data_dir=tmp_path, **{kind: "influxdb://127.0.0.1:8086/modelog/modelog"})
    name = kind.upper()
    with pytest.raises(Invalid, match=rf"MODELOG_{name}: an influxdb:// address needs modelog-common\[influx\]"):
        opened(settings, "registry")


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


def test_events_on_redis_need_its_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "modelog_common.bus.redis_streams", raising=False)
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    settings = Settings(data_dir=tmp_path, event_bus="redis://127.0.0.1:6379/0")
    with pytest.raises(Invalid, match=r"MODELOG_EVENT_BUS: an address of Redis needs modelog-common\[redis\]"):
        open_event_bus(settings)


def test_events_on_rabbitmq_need_its_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("rabbitmq_streams", "rabbitmq_topics"):
        monkeypatch.delitem(sys.modules, f"modelog_common.bus.{module}", raising=False)
    monkeypatch.setitem(sys.modules, "aiormq", None)
    settings = Settings(data_dir=tmp_path, event_bus="amqp://127.0.0.1")
    with pytest.raises(Invalid, match=r"MODELOG_EVENT_BUS: an amqp:// address needs modelog-common\[rabbitmq\]"):
        open_event_bus(settings)


def test_events_travel_on_kafka_unless_the_settings_say_otherwise(tmp_path: Path) -> None:
    assert open_event_bus(Settings(data_dir=tmp_path)) is None
    bus = open_event_bus(Settings(data_dir=tmp_path, kafka_bootstrap="127.0.0.1:9092"))
    assert bus is not None
    assert bus.address == "127.0.0.1:9092"
    both = Settings(data_dir=tmp_path, kafka_bootstrap="127.0.0.1:9092", event_bus="redis://me:secret@127.0.0.1/2")
    events, batches = open_event_bus(both), open_data_broker(both)
    assert events is not None
    assert batches is not None
    assert (events.address, batches.address) == ("redis://127.0.0.1:6379/2", "127.0.0.1:9092")
    rabbit = open_event_bus(Settings(data_dir=tmp_path, event_bus="amqps://me:secret@127.0.0.1/vhost"))
    assert rabbit is not None
    assert rabbit.address == "amqps://127.0.0.1:5671/vhost"


@pytest.mark.parametrize("address", ["amqp:///vhost", "redis:///0", "127.0.0.1:6379"])
def test_another_broker_is_refused_without_repeating_its_password(tmp_path: Path, address: str) -> None:
    with pytest.raises(Invalid, match="this broker is not known"):
        Settings(data_dir=tmp_path, event_bus=address)
