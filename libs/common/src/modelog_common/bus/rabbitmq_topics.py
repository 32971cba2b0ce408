"""A connection to RabbitMQ and the list of topics, which RabbitMQ cannot give. Needs modelog-common[rabbitmq].

The list is a stream of its own, which every connection reads from its start. An entry says which incarnation a topic
has now and which one it had before; it counts only if that is still so: of two who make a topic at once, everybody
takes the first. A topic's messages stand in a stream that is named after its incarnation, so no other's get in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import aiormq
import msgspec
from aiormq.abc import AbstractChannel, AbstractConnection, DeliveredMessage
from aiormq.exceptions import (
    AMQPError,
    ChannelClosed,
    ChannelNotFoundEntity,
    ChannelPreconditionFailed,
    ConnectionInternalError,
    DeliveryError,
)
from pamqp.commands import Basic
from pamqp.common import FieldTable

INDEX = "modelog-topics"
STREAM: FieldTable = {"x-queue-type": "stream"}
PREFETCH = 1000
TIMEOUT_S = 5.0
# For connecting and reading the whole list.
OPENING_S = 30.0
# Between tries to read a list that RabbitMQ is just making for somebody else.
PAUSES_S = (0.1, 0.3, 1.0, 3.0)
# A stream's name becomes a folder's, with more around it: 255 bytes are most.
LONGEST_TOPIC = 150


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """Somebody's word that `topic` has a new incarnation instead of `former`, which is "" for none.

    Without a topic it only shows its writer that the list was read to here.
    """

    id: str
    topic: str = ""
    incarnation: str = ""
    former: str = ""


class Refused(Exception):
    """RabbitMQ said no to this question; others may be asked."""


def stream_of(topic: str, incarnation: str) -> str:
    """The name of the stream that holds a topic's messages."""
    return f"{topic[:LONGEST_TOPIC]}@{incarnation}"


class Line:
    """A connection and the topics as they were read over it; once it is lost, its owner makes another one."""

    def __init__(self, connection: AbstractConnection) -> None:
        self.connection = connection
        self.incarnations: dict[str, str] = {}
        self.gone: set[str] = set()
        self.lost = False
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self._asking = asyncio.Lock()
        self._questions: AbstractChannel | None = None
        self._index: AbstractChannel

    @classmethod
    async def open(cls, url: str) -> Line:
        """Connect, and read the list of topics to its end.

        Whoever reads it while RabbitMQ makes it for somebody else is told of an internal error or a missing replica.
        """
        for pause_s in PAUSES_S:
            try:
                return await cls._opened(url)
            except (ConnectionInternalError, ChannelPreconditionFailed):
                await asyncio.sleep(pause_s)
        return await cls._opened(url)

    @classmethod
    async def _opened(cls, url: str) -> Line:
        async with asyncio.timeout(TIMEOUT_S):
            line = cls(await aiormq.connect(url))
        try:
            line._index = await line.consumer(line._lose)
            await line._index.queue_declare(INDEX, durable=True, arguments=STREAM)
            await line._index.basic_consume(INDEX, line._read, arguments={"x-stream-offset": "first"})
            await line._tell(Entry(uuid4().hex))
        except BaseException:
            await line.close()
            raise
        return line

    def usable(self) -> bool:
        """Whether the list of topics is still being read."""
        return not (self.lost or self.connection.is_closed or self._index.is_closed)

    async def consumer(self, ended: Callable[[Basic.Cancel], None]) -> AbstractChannel:
        """A channel to read streams on; `ended` is called when the server ends the reading of one."""
        channel = await self.connection.channel()
        await channel.basic_qos(prefetch_count=PREFETCH)
        channel.on_consumer_cancel_callbacks.add(ended)
        return channel

    async def find(self, topic: str) -> tuple[str, int] | None:
        """The topic's incarnation, and how many messages it had some seconds ago; None when its stream is missing."""
        incarnation = self.incarnations.get(topic)
        if incarnation is None or incarnation in self.gone:
            return None
        async with self._asking:
            if self._questions is None or self._questions.is_closed:
                self._questions = await self.connection.channel()
            try:
                found = await self._questions.queue_declare(stream_of(topic, incarnation), passive=True)
            except ChannelNotFoundEntity as refused:
                # "Not found" is also said, in other words, of a stream that the server has and did not open yet.
                if "no queue" not in str(refused):
                    raise
                self.gone.add(incarnation)
                return None
        return incarnation, found.message_count or 0

    async def make(self, topic: str, former: str) -> None:
        """Give the topic a new incarnation, unless it has another than `former` by now, which was found missing."""
        incarnation = uuid4().hex
        entry = Entry(uuid4().hex, topic, incarnation, former)
        stream = stream_of(topic, incarnation)
        await self._index.queue_declare(stream, durable=True, arguments=STREAM)
        await self._tell(entry)
        if self.incarnations[topic] != incarnation:
            await self._index.queue_delete(stream)

    async def close(self) -> None:
        """Leave."""
        self.lost = True
        async with asyncio.timeout(TIMEOUT_S):
            await self.connection.close()

    async def _tell(self, entry: Entry) -> None:
        """Add an entry to the list, and wait until it was read with all that stands before it."""
        read = self._waiting[entry.id] = asyncio.get_running_loop().create_future()
        body = msgspec.msgpack.encode(entry)
        await self._index.basic_publish(body, routing_key=INDEX, mandatory=True, properties=kept())
        await read

    async def _read(self, message: DeliveredMessage) -> None:
        entry = msgspec.msgpack.decode(message.body, type=Entry)
        if entry.topic and self.incarnations.get(entry.topic, "") == entry.former:
            self.incarnations[entry.topic] = entry.incarnation
        told = self._waiting.pop(entry.id, None)
        if told is not None and not told.done():
            told.set_result(None)
        await self._index.basic_ack(tag_of(message), wait=False)

    def _lose(self, _: Basic.Cancel) -> None:
        self.lost = True


def kept() -> Basic.Properties:
    """The properties of a new message; the library writes its number into them."""
    return Basic.Properties(delivery_mode=2)


def tag_of(message: DeliveredMessage) -> int:
    """What a message is acknowledged by."""
    delivery: Any = message.delivery
    return int(delivery.delivery_tag)


async def answer(question: Awaitable[Any], timeout_s: float = TIMEOUT_S) -> Any:
    """The answer of the library; raises Refused for a no, and ConnectionError when none comes.

    The question has a task of its own: when a connection ends, the library cancels who waits for it, and that must not
    be taken for somebody's wish to stop.
    """
    asking = asyncio.ensure_future(question)
    try:
        await asyncio.wait([asking], timeout=timeout_s)
    finally:
        asking.cancel()
    if not asking.done():
        raise ConnectionError(f"no answer in {timeout_s:g} s")
    if asking.cancelled():
        raise ConnectionError("the connection ended")
    try:
        return asking.result()
    except (ChannelClosed, DeliveryError) as error:
        raise Refused(str(error)) from error
    except (AMQPError, RuntimeError, OSError) as error:
        raise ConnectionError(str(error) or type(error).__name__) from error
