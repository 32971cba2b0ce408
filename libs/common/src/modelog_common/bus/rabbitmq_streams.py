"""RabbitMQ streams behind the port of brokers, for events. Needs modelog-common[rabbitmq], and RabbitMQ 3.10 or later.

Streams keep what was read, number it from 0, and say yes when most of a stream's members have written it. RabbitMQ does
not wait for the disk, no more than Kafka does: what a cluster confirmed is safe from the death of its processes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import msgspec
from aiormq.abc import AbstractChannel, DeliveredMessage
from pamqp.common import FieldTable

from modelog_common.bus.broker import Groups, Meanwhile, Outgoing, TopicState
from modelog_common.bus.envelope import Poison, Received, counted
from modelog_common.bus.rabbitmq_topics import OPENING_S, TIMEOUT_S, Line, Refused, answer, kept, stream_of, tag_of
from modelog_common.bus.topics import Topic
from modelog_common.domain.errors import Unavailable

# Messages that are on their way at once, and how long the server may take for them.
AT_ONCE = 500
CONFIRM_S = 15.0
TEND_S = 0.5


class _Body(msgspec.Struct, frozen=True, array_like=True):
    """A message as it stands in a stream. Its headers are inside: RabbitMQ translates its own, and not all survive."""

    key: bytes
    value: bytes
    headers: Mapping[str, str]


class RabbitBroker:
    """A Broker at an address such as amqp://user:password@host:5672/vhost or amqps://host."""

    def __init__(self, address: str) -> None:
        self._url = address
        parts = urlsplit(address)
        port = parts.port or (5671 if parts.scheme == "amqps" else 5672)
        self.address = f"{parts.scheme}://{parts.hostname}:{port}{parts.path}"
        self._connecting = asyncio.Lock()
        self._line: Line | None = None

    async def line(self) -> Line:
        """The connection; a new one when the last was lost."""
        async with self._connecting:
            if self._line is None or not self._line.usable():
                await self.close()
                self._line = await self._asked(Line.open(self._url), OPENING_S)
            return self._line

    async def ask(self, line: Line, question: Awaitable[Any], timeout_s: float = TIMEOUT_S) -> Any:
        """RabbitMQ's answer; raises Unavailable for a no, and when there is none: then the connection is given up."""
        try:
            return await self._asked(question, timeout_s)
        except Unavailable as why:
            if isinstance(why.__cause__, ConnectionError):
                line.lost = True
            raise

    async def _asked(self, question: Awaitable[Any], timeout_s: float) -> Any:
        try:
            return await answer(question, timeout_s)
        except Refused as no:
            raise Unavailable(f"RabbitMQ at {self.address} refuses: {no}") from no
        except ConnectionError as error:
            raise Unavailable(f"RabbitMQ at {self.address} does not answer: {error}") from error

    async def topics(self) -> Sequence[str]:
        line = await self.line()
        return [name for name, incarnation in line.incarnations.items() if incarnation not in line.gone]

    async def describe(self, topics: Sequence[str]) -> dict[str, TopicState | None]:
        if not topics:
            return {}
        line = await self.line()
        states: dict[str, TopicState | None] = {}
        for name in topics:
            found = await self.ask(line, line.find(name))
            states[name] = found and TopicState(found[0], (0,))
        return states

    async def open(self, topic: Topic) -> TopicState:
        while True:
            line = await self.line()
            # Read before it is looked for: who makes one meanwhile is not to be replaced.
            former = line.incarnations.get(topic.name, "")
            state = (await self.describe([topic.name]))[topic.name]
            if state is not None:
                return state
            await self.ask(line, line.make(topic.name, former))

    def sender(self) -> RabbitSender:
        return RabbitSender(self)

    def reader(self, name: str, offsets: Mapping[tuple[str, int], int]) -> RabbitReader:
        return RabbitReader(self, offsets)

    async def leave(self, line: Line, channel: AbstractChannel) -> None:
        """Close a channel of one's own."""
        if line.usable():
            await self.ask(line, channel.close())

    async def close(self) -> None:
        """Leave RabbitMQ; the next question connects again."""
        line, self._line = self._line, None
        if line is not None:
            try:
                await answer(line.close(), TIMEOUT_S + 1)
            except (ConnectionError, Refused):
                # It was lost: there is nothing to take leave of.
                return


class RabbitSender:
    """Adds to streams over a channel of its own, and waits for the server's word for each message."""

    def __init__(self, broker: RabbitBroker) -> None:
        self._broker = broker
        self._open: tuple[Line, AbstractChannel] | None = None

    async def send(self, messages: Sequence[Outgoing], meanwhile: Meanwhile) -> None:
        if not messages:
            return
        if self._open is None:
            line = await self._broker.line()
            self._open = line, await self._broker.ask(line, line.connection.channel())
        line, channel = self._open
        for n in range(0, len(messages), AT_ONCE):
            adding = _add(line, channel, messages[n : n + AT_ONCE])
            sending = asyncio.create_task(self._broker.ask(line, adding, CONFIRM_S))
            try:
                while not sending.done():
                    await asyncio.wait([sending], timeout=TEND_S)
                    await meanwhile()
            finally:
                sending.cancel()
                await asyncio.wait([sending])
            sending.result()

    async def close(self) -> None:
        if self._open is not None:
            await self._broker.leave(*self._open)


async def _add(line: Line, channel: AbstractChannel, messages: Sequence[Outgoing]) -> None:
    publish: Any = channel.basic_publish  # the interface leaves out `wait`, which is for the socket and not for the yes
    added = []
    for m in messages:
        stream = stream_of(m.topic, line.incarnations.get(m.topic, ""))
        body = msgspec.msgpack.encode(_Body(m.key, m.value, m.headers))
        # One that finds no stream comes back as an error, since it is mandatory.
        added.append(publish(body, routing_key=stream, mandatory=True, properties=kept(), wait=False))
    for said in await asyncio.gather(*added, return_exceptions=True):
        if isinstance(said, BaseException):
            raise said


class RabbitReader:
    """Reads streams from given offsets; what arrived and was not asked for yet waits here, up to a limit."""

    def __init__(self, broker: RabbitBroker, offsets: Mapping[tuple[str, int], int]) -> None:
        self._broker, self._next = broker, {topic: offset for (topic, _), offset in offsets.items()}
        self._arrived: asyncio.Queue[tuple[str, DeliveredMessage]] = asyncio.Queue()
        self._open: tuple[Line, AbstractChannel] | None = None
        self._ended = False

    async def next(self, limit: int, timeout_s: float) -> Groups:
        if not self._next:
            # Nothing to read: a reader of no topics waits as one of empty topics would.
            await asyncio.sleep(timeout_s)
            return {}
        line, channel = await self._begun()
        try:
            async with asyncio.timeout(timeout_s):
                taken = [await self._arrived.get()]
        except TimeoutError:
            return {}
        while len(taken) < limit and not self._arrived.empty():
            taken.append(self._arrived.get_nowait())
        groups: Groups = {}
        for topic, message in taken:
            groups.setdefault((topic, 0), []).append(_received(topic, message))
            self._next[topic] = _offset(message) + 1
        # Whatever arrived earlier on this channel was taken earlier.
        await self._broker.ask(line, channel.basic_ack(tag_of(taken[-1][1]), multiple=True, wait=False))
        return groups

    async def _begun(self) -> tuple[Line, AbstractChannel]:
        """The channel on which messages arrive; raises Unavailable when the server has ended that."""
        if self._open is None:
            line = await self._broker.line()
            self._open = line, await self._broker.ask(line, self._begin(line))
        line, channel = self._open
        if self._ended or channel.is_closed or not line.usable():
            raise Unavailable(f"RabbitMQ at {self._broker.address} has ended the reading of {', '.join(self._next)}")
        return line, channel

    async def _begin(self, line: Line) -> AbstractChannel:
        channel = await line.consumer(self._end)
        for topic, offset in self._next.items():
            stream = stream_of(topic, line.incarnations.get(topic, ""))
            place: FieldTable = {"x-stream-offset": offset}
            await channel.basic_consume(stream, partial(self._arrive, topic), arguments=place)
        return channel

    async def _arrive(self, topic: str, message: DeliveredMessage) -> None:
        self._arrived.put_nowait((topic, message))

    def _end(self, _: object) -> None:
        self._ended = True

    async def behind(self) -> dict[tuple[str, int], int]:
        line = await self._broker.line()
        found = {topic: await self._broker.ask(line, line.find(topic)) or ("", 0) for topic in self._next}
        return {(topic, 0): max(0, found[topic][1] - offset) for topic, offset in self._next.items()}

    async def close(self) -> None:
        if self._open is not None:
            await self._broker.leave(*self._open)


def _offset(message: DeliveredMessage) -> int:
    headers: Any = message.header.properties.headers
    return int(headers["x-stream-offset"])


def _received(topic: str, message: DeliveredMessage) -> Received | Poison:
    try:
        body = msgspec.msgpack.decode(message.body, type=_Body)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        strange = Received(topic, 0, _offset(message), b"", message.body, {})
        return Poison(strange, f"not a message of a sender of ours: {error}")
    headers = {name: text.encode() for name, text in body.headers.items()}
    return counted(Received(topic, 0, _offset(message), body.key, body.value, headers))
