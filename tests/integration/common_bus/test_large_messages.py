"""Batches of megabytes pass through the broker as they are."""

from __future__ import annotations

import asyncio

from bus_support import read_raw
from modelog_common.bus.clients import MAX_MESSAGE_BYTES, new_producer
from modelog_common.bus.kafka import KafkaBroker
from modelog_common.bus.topics import Topic


async def test_a_message_of_nearly_the_largest_size_arrives_whole(
    broker: str,
    bus: KafkaBroker,
    topic: Topic,
) -> None:
    await bus.open(topic)
    value = bytes(range(256)) * ((MAX_MESSAGE_BYTES - 4096) // 256)
    producer = new_producer(broker, **{"message.timeout.ms": 150_000})
    for _ in range(3):
        producer.produce(topic.name, value)
        assert await asyncio.to_thread(producer.flush, 150) == 0
    raw = await asyncio.to_thread(read_raw, broker, topic.name, 3)
    assert [m.value() == value for m in raw] == [True] * 3
