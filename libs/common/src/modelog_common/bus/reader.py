"""Fetching messages from assigned partitions, in a thread of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from confluent_kafka import Message, TopicPartition

from modelog_common.bus.clients import headers_of, new_consumer
from modelog_common.bus.envelope import POSITION, PREVIOUS, SOURCE, Poison, Received
from modelog_common.domain.errors import Unavailable

Groups = dict[tuple[str, int], list[Received | Poison]]


class PartitionReader:
    """A Kafka consumer that reads (topic, partition) from given offsets."""

    def __init__(self, bootstrap: str, group: str, offsets: Mapping[tuple[str, int], int]) -> None:
        self._thread = ThreadPoolExecutor(1, "kafka-reader")
        self._consumer = new_consumer(bootstrap, group)
        self._consumer.assign([TopicPartition(topic, part, offset) for (topic, part), offset in offsets.items()])

    async def next(self, limit: int, timeout_s: float) -> Groups:
        """What has arrived, by partition and in order; waits up to `timeout_s` for the first message.

        Raises Unavailable for an error of the broker.
        """
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
            read = received(message)
            place = read.message if isinstance(read, Poison) else read
            groups.setdefault((place.topic, place.partition), []).append(read)
        return groups

    async def close(self) -> None:
        """Leave, after the fetch that is under way."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._consumer.close)
        self._thread.shutdown(wait=False)


def received(message: Message) -> Received | Poison:
    """The message with its counting headers read; Poison when they are not numbers."""
    headers = headers_of(message)
    plain = Received(
        topic=message.topic() or "",
        partition=message.partition() or 0,
        offset=message.offset() or 0,
        key=_bytes(message.key()),
        value=_bytes(message.value()),
        headers=headers,
    )
    if SOURCE not in headers or POSITION not in headers:
        return plain
    try:
        position = int(headers[POSITION])
        previous = int(headers.get(PREVIOUS, b"-1"))
        source = headers[SOURCE].decode()
    except ValueError:
        return Poison(
            plain, f"{SOURCE}, {POSITION} and {PREVIOUS} must be text and whole numbers, not {plain.text(POSITION)!r}"
        )
    if position < 1:
        return Poison(plain, f"{POSITION} is {position}; positions count from 1")
    return Received(
        plain.topic, plain.partition, plain.offset, plain.key, plain.value, headers, source, position, previous
    )


def _bytes(value: str | bytes | None) -> bytes:
    return value.encode() if isinstance(value, str) else value or b""
