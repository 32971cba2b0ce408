"""Topics on a real Kafka, which makes none by itself and tells of a new one a moment after it was made."""

from __future__ import annotations

from modelog_common.bus.kafka import KafkaBroker
from modelog_common.bus.topics import Topic
from real_servers import KafkaServer


async def test_a_topic_can_be_used_as_soon_as_it_is_opened(kafka: KafkaServer) -> None:
    broker = KafkaBroker(kafka.bootstrap)
    for n in range(20):
        topic = Topic(f"opened-{n}", partitions=3)
        state = await broker.open(topic)
        assert state.partitions == (0, 1, 2)
        assert await broker.open(topic) == state
