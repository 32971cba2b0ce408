"""Kafka behind the port of brokers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicCollection
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from modelog_common.bus.broker import Meanwhile, Outgoing, TopicState
from modelog_common.bus.clients import DELIVERY_TIMEOUT_S, new_admin, new_producer
from modelog_common.bus.reader import KafkaReader
from modelog_common.bus.topics import Topic
from modelog_common.domain.errors import Unavailable

# To make a topic takes a broker that has just started, or has no processor, more than five seconds.
REQUEST_TIMEOUT_S = 15.0
LIST_TIMEOUT_S = 5.0
ASK_AGAIN_S = 0.05
FLUSH_S = 0.5
PARTITION = 0
NOWHERE = -1


class KafkaBroker:
    """A Broker; `bootstrap` names brokers as host:port, separated by commas. An incarnation is Kafka's topic id."""

    def __init__(self, bootstrap: str) -> None:
        self.address = bootstrap

    @cached_property
    def _admin(self) -> AdminClient:
        return new_admin(self.address)

    async def topics(self) -> Sequence[str]:
        try:
            found = await asyncio.to_thread(self._admin.list_topics, timeout=LIST_TIMEOUT_S)
        except KafkaException as failed:
            raise self._silent("its topics", failed) from failed
        return list(found.topics)

    async def describe(self, topics: Sequence[str]) -> dict[str, TopicState | None]:
        if not topics:
            return {}
        asked = self._admin.describe_topics(TopicCollection(list(topics)), request_timeout=REQUEST_TIMEOUT_S)
        states: dict[str, TopicState | None] = {}
        for name, answer in asked.items():
            found = await self._answer(name, answer, allowed=KafkaError.UNKNOWN_TOPIC_OR_PART)
            states[name] = found and TopicState(str(found.topic_id), tuple(sorted(p.id for p in found.partitions)))
        return states

    async def open(self, topic: Topic) -> TopicState:
        state = (await self.describe([topic.name]))[topic.name]
        if state is None:
            await self._make(topic)
            state = await self._once_told_of(topic.name)
        if state is None:
            raise Unavailable(f"topic {topic.name} was made at {self.address} and is gone again")
        return state

    async def _once_told_of(self, name: str) -> TopicState | None:
        """A topic that was just made: brokers hear of it from their controller a moment later."""
        now = asyncio.get_running_loop().time
        until = now() + REQUEST_TIMEOUT_S
        while True:
            state = (await self.describe([name]))[name]
            if state is not None or now() > until:
                return state
            await asyncio.sleep(ASK_AGAIN_S)

    async def _make(self, topic: Topic) -> None:
        new = NewTopic(
            topic.name,
            num_partitions=topic.partitions,
            replication_factor=-1,
            config={"retention.ms": str(topic.keep_ms)},
        )
        (made,) = self._admin.create_topics([new], request_timeout=REQUEST_TIMEOUT_S).values()
        await self._answer(topic.name, made, allowed=KafkaError.TOPIC_ALREADY_EXISTS)

    async def _answer(self, topic: str, asked: Any, allowed: int) -> Any:
        try:
            return await asyncio.wrap_future(asked)
        except KafkaException as failed:
            if failed.args[0].code() == allowed:
                return None
            raise self._silent(topic, failed) from failed

    def _silent(self, about: str, failed: KafkaException) -> Unavailable:
        return Unavailable(f"the broker at {self.address} does not answer about {about}: {failed.args[0].str()}")

    def sender(self) -> KafkaSender:
        return KafkaSender(self.address)

    def reader(self, name: str, offsets: Mapping[tuple[str, int], int]) -> KafkaReader:
        return KafkaReader(self.address, name, offsets)


class KafkaSender:
    """A producer and the thread that it blocks.

    That messages lie in the order in which they were sent is looked at, not believed: readers leave out what comes
    before its predecessor, so whoever sends has to hear of it and send it again.
    """

    def __init__(self, bootstrap: str) -> None:
        self._producer: Producer = new_producer(bootstrap)
        self._thread = ThreadPoolExecutor(1, "kafka-sender")
        self._bootstrap = bootstrap
        self._failed: list[KafkaError] = []

    async def send(self, messages: Sequence[Outgoing], meanwhile: Meanwhile) -> None:
        if not messages:
            return
        offsets = await self._in_thread(self._produce, messages)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + DELIVERY_TIMEOUT_S + 1
        while await self._in_thread(self._producer.flush, FLUSH_S) > 0:
            if loop.time() > deadline:
                topic = messages[0].topic
                raise Unavailable(f"the broker at {self._bootstrap} does not acknowledge messages for {topic}")
            await meanwhile()
        if self._failed:
            raise Unavailable(f"the broker at {self._bootstrap} refused messages: {self._failed[0].str()}")
        disordered = first_disordered([m.topic for m in messages], offsets)
        if disordered is not None:
            raise Unavailable(
                f"the broker at {self._bootstrap} has messages in {disordered} in another order than sent"
            )

    def _produce(self, messages: Sequence[Outgoing]) -> Sequence[int]:
        """Returns their offsets, which are filled in while they are acknowledged."""
        produce = self._producer.produce
        offsets = [NOWHERE] * len(messages)
        for n, message in enumerate(messages):
            headers: Any = message.headers
            told = partial(self._delivered, offsets, n)
            try:
                produce(message.topic, message.value, message.key, PARTITION, on_delivery=told, headers=headers)
            except (KafkaException, BufferError) as error:
                source, position = message.headers.get("ce_source"), message.headers.get("ce_position")
                raise Unavailable(
                    f"{source} at position {position} ({len(message.value)} bytes) cannot be sent to {message.topic}: "
                    f"{error}"
                ) from error
        return offsets

    def _delivered(self, offsets: list[int], n: int, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._failed.append(error)
        else:
            offsets[n] = message.offset() or 0

    async def close(self) -> None:
        await self._in_thread(self._drop)
        self._thread.shutdown(wait=False)

    def _drop(self) -> None:
        self._producer.purge()
        self._producer.close()

    async def _in_thread(self, work: Any, *arguments: object) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)


def first_disordered(topics: Sequence[str], offsets: Sequence[int]) -> str | None:
    """The topic of the first message that does not lie behind the one sent before it to the same topic."""
    last: dict[str, int] = {}
    for topic, offset in zip(topics, offsets, strict=True):
        if offset <= last.get(topic, NOWHERE):
            return topic
        last[topic] = offset
    return None
