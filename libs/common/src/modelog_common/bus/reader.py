"""Reading partitions of Kafka from given offsets, in a thread of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from confluent_kafka import KafkaException, Message, TopicPartition

from modelog_common.bus.broker import Groups
from modelog_common.bus.clients import headers_of, new_consumer
from modelog_common.bus.envelope import Poison, Received, counted
from modelog_common.domain.errors import Unavailable

WATERMARK_TIMEOUT_S = 5.0


class KafkaReader:
    """A Kafka consumer, assigned by hand.

    Offsets only rise while it reads: whoever gets an error where they do not begins again where it had come to.
    """

    def __init__(self, bootstrap: str, group: str, offsets: Mapping[tuple[str, int], int]) -> None:
        self._thread = ThreadPoolExecutor(1, "kafka-reader")
        self._consumer = new_consumer(bootstrap, group)
        self._next = dict(offsets)
        self._consumer.assign([TopicPartition(topic, part, offset) for (topic, part), offset in offsets.items()])

    async def next(self, limit: int, timeout_s: float) -> Groups:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._fetch, limit, timeout_s)

    def _fetch(self, limit: int, timeout_s: float) -> Groups:
        first = self._consumer.poll(timeout_s)
        if first is None:
            return {}
        groups: Groups = {}
        for message in (first, *self._consumer.consume(limit - 1, timeout=0)):
            error = message.error()
            if error is not None:
                raise Unavailable(f"reading failed: {error.str()}")
            key, offset = (message.topic() or "", message.partition() or 0), message.offset() or 0
            if offset < self._next.get(key, 0):
                raise Unavailable(f"reading {key[0]} went back from offset {self._next[key]} to {offset}")
            groups.setdefault(key, []).append(received(message))
            self._next[key] = offset + 1
        return groups

    async def behind(self) -> dict[tuple[str, int], int]:
        """By the high watermarks of the last fetches; the embedded broker's are short by the rest of its last batch."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._behind)

    def _behind(self) -> dict[tuple[str, int], int]:
        found: dict[tuple[str, int], int] = {}
        for (topic, part), offset in self._next.items():
            try:
                marks = self._consumer.get_watermark_offsets(
                    TopicPartition(topic, part), timeout=WATERMARK_TIMEOUT_S, cached=True
                )
            except KafkaException as failed:
                raise Unavailable(f"how far {topic} reaches is not known: {failed.args[0].str()}") from failed
            found[topic, part] = max(0, marks[1] - offset) if marks else 0
        return found

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._consumer.close)
        self._thread.shutdown(wait=False)


def received(message: Message) -> Received | Poison:
    """The message with its counting headers read; Poison when they are not numbers."""
    return counted(
        Received(
            topic=message.topic() or "",
            partition=message.partition() or 0,
            offset=message.offset() or 0,
            key=_bytes(message.key()),
            value=_bytes(message.value()),
            headers=headers_of(message),
        )
    )


def _bytes(value: str | bytes | None) -> bytes:
    return value.encode() if isinstance(value, str) else value or b""
