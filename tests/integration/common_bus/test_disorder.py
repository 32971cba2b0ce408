"""A client library that loses the order of messages: nothing is left out for good."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
from bus_support import Projection, append, relay_of, running
from modelog_common.bus import kafka, reader
from modelog_common.bus.clients import new_consumer, new_producer
from modelog_common.bus.kafka import KafkaBroker
from modelog_common.bus.source import Consumer, of_events
from modelog_common.bus.topics import Family, Topic
from modelog_common.events.sqlite import SqliteEventStore


class SwappingOnce:
    """A producer whose first message, of all producers' of one test, goes out behind the second."""

    held: tuple[Any, ...] | None = None
    done = False

    def __init__(self, bootstrap: str) -> None:
        self._real = new_producer(bootstrap)

    def produce(self, *message: Any, on_delivery: Any, headers: Any) -> None:
        cls = type(self)
        if cls.done:
            self._real.produce(*message, on_delivery=on_delivery, headers=headers)
        elif cls.held is None:
            cls.held = (message, on_delivery, headers)
        else:
            cls.done = True
            self._real.produce(*message, on_delivery=on_delivery, headers=headers)
            late, told, its = cls.held
            self._real.produce(*late, on_delivery=told, headers=its)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class TurningOnce:
    """A consumer whose first batch of more than one message, of all consumers' of one test, comes the wrong way."""

    done = False

    def __init__(self, bootstrap: str, group: str) -> None:
        self._real = new_consumer(bootstrap, group)

    def consume(self, limit: int, timeout: float) -> list[Any]:
        found = self._real.consume(limit, timeout=timeout)
        if not type(self).done and len(found) > 1:
            type(self).done = True
            found.reverse()
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


@pytest.mark.parametrize(
    ("module", "made_by", "disorderly"), [(kafka, "new_producer", SwappingOnce), (reader, "new_consumer", TurningOnce)]
)
async def test_what_was_sent_or_read_in_the_wrong_order_is_sent_or_read_again(
    bus: KafkaBroker,
    store: SqliteEventStore,
    topic: Topic,
    topics: Family,
    projection: Projection,
    monkeypatch: pytest.MonkeyPatch,
    module: ModuleType,
    made_by: str,
    disorderly: type[Any],
) -> None:
    of_this_test = type(disorderly.__name__, (disorderly,), {})
    monkeypatch.setattr(module, made_by, of_this_test)
    await append(store, range(500))
    consumer = Consumer(bus, [topics], "disorderly", projection.progress, projection.dead)
    async with running(relay_of(store, topics, bus).run(), consumer.run(of_events(projection.handle))):
        await consumer.wait_for(topic.name, 500, 150)
    assert of_this_test.done
    assert projection.positions() == list(range(1, 501))
