"""Where messages go that can never be handled: `<topic>.dead`, with the reason in their headers."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import structlog
from confluent_kafka import KafkaException, Producer

from modelog_common.bus.clients import DELIVERY_TIMEOUT_S, Admin, new_producer
from modelog_common.bus.envelope import PREVIOUS, Poison
from modelog_common.bus.topics import topic_named
from modelog_common.domain.errors import Unavailable

REASON = "dead_reason"
CONSUMER = "dead_consumer"
TOPIC = "dead_topic"
PARTITION = "dead_partition"
OFFSET = "dead_offset"
log = structlog.get_logger()


class DeadLetters:
    """Sends dead letters and waits until the broker has them."""

    def __init__(self, bootstrap: str, admin: Admin, consumer: str) -> None:
        self._bootstrap, self._admin, self._consumer = bootstrap, admin, consumer
        self._thread = ThreadPoolExecutor(1, "dead-letters")

    async def bury(self, poison: Poison) -> None:
        """Send the message with its headers and the reason; raises Unavailable when the broker does not take it.

        The same message may be sent more than once, when its consumer stops before it commits: its topic, partition and
        offset, or its ce_id, tell so.
        """
        message = poison.message
        topic = topic_named(message.topic).dead
        await self._admin.open(topic)
        headers: dict[str, str | bytes | None] = {k: v for k, v in message.headers.items() if k != PREVIOUS}
        headers |= {
            REASON: poison.reason[:4096],
            CONSUMER: self._consumer,
            TOPIC: message.topic,
            PARTITION: str(message.partition),
            OFFSET: str(message.offset),
        }
        await asyncio.get_running_loop().run_in_executor(
            self._thread, self._send, topic.name, message.key, message.value, headers
        )
        log.error("dead letter", topic=message.topic, offset=message.offset, consumer=self._consumer, why=poison.reason)

    def _send(self, topic: str, key: bytes, value: bytes, headers: Any) -> None:
        # Dead letters are rare, so each gets a producer: there is none that could hang on a broker that was replaced.
        failed: list[str] = []
        producer: Producer = new_producer(self._bootstrap)
        try:
            producer.produce(
                topic, value, key, 0, headers=headers, on_delivery=lambda e, _: failed.append(e.str()) if e else None
            )
            left = producer.flush(DELIVERY_TIMEOUT_S + 1)
        except (KafkaException, BufferError) as error:
            raise Unavailable(f"a dead letter cannot be sent to {topic}: {error}") from error
        if left or failed:
            raise Unavailable(f"a dead letter was not taken by {topic}: {', '.join(failed) or 'no answer'}")

    async def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(wait=False)
