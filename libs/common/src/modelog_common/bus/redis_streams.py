"""Redis Streams behind the port of brokers, for events. Needs modelog-common[redis].

A topic is a stream whose entries are numbered 1-0, 2-0, ..., so that an offset is a number. Redis may lose what it said
yes to when its process ends, whatever it writes to disk. So an incarnation ends with the process (its run id, which a
promoted replica does not share): a topic of an earlier one is emptied when it is opened, and its log published again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from modelog_common.bus.broker import Groups, Meanwhile, Outgoing, TopicState
from modelog_common.bus.envelope import Received, counted
from modelog_common.bus.topics import Topic
from modelog_common.domain.errors import Unavailable

TOPICS = "modelog:topics"
TIMEOUT_S = 5.0
# Messages that go in one round trip.
AT_ONCE = 200
# Keys: the topics, the stream, its counter. Arguments: the topic, this process's run id, a new incarnation.
_OPEN = """
local found = redis.call('HGET', KEYS[1], ARGV[1])
if found and string.sub(found, 1, #ARGV[2]) == ARGV[2] then return found end
redis.call('DEL', KEYS[2], KEYS[3])
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ARGV[3])
return ARGV[2] .. ARGV[3]
"""
# Keys: the topics, the stream, its counter. Arguments: the topic, the run id, then key, value and headers of messages.
_ADD = """
local found = redis.call('HGET', KEYS[1], ARGV[1])
if not found or string.sub(found, 1, #ARGV[2]) ~= ARGV[2] then return redis.error_reply('GONE the topic is gone') end
for n = 3, #ARGV, 3 do
  local place = redis.call('INCR', KEYS[3])
  redis.call('XADD', KEYS[2], place .. '-0', 'k', ARGV[n], 'v', ARGV[n + 1], 'h', ARGV[n + 2])
end
return redis.status_reply('OK')
"""
_HEADERS = msgspec.json.Decoder(dict[str, str])


def _stream(topic: str) -> str:
    return f"modelog:stream:{topic}"


def _counter(topic: str) -> str:
    return f"modelog:count:{topic}"


class RedisBroker:
    """A Broker at an address such as redis://host:6379/0 or rediss://user:password@host."""

    def __init__(self, address: str) -> None:
        self._url = address
        parts = urlsplit(address)
        self.address = f"{parts.scheme}://{parts.hostname}:{parts.port or 6379}{parts.path}"

    @cached_property
    def client(self) -> Redis:
        # No command is sent twice by the client itself: a message that was sent twice would be there twice.
        return Redis.from_url(self._url, socket_connect_timeout=TIMEOUT_S, socket_timeout=TIMEOUT_S, retry=None)

    async def ask(self, command: Awaitable[Any]) -> Any:
        """Redis's answer; errors become Unavailable.

        The command has a task of its own: the client's time-outs lose a cancellation that comes with the answer.
        """
        asking = asyncio.ensure_future(command)
        try:
            await asyncio.wait([asking])
        finally:
            asking.cancel()
        try:
            return asking.result()
        except (RedisError, OSError) as error:
            raise Unavailable(f"Redis at {self.address} does not answer: {error}") from error

    async def run_id(self) -> str:
        """What names the server's process."""
        return str((await self.ask(self.client.info("server")))["run_id"])

    async def topics(self) -> Sequence[str]:
        run_id = await self.run_id()
        found = await self.ask(self.client.hgetall(TOPICS))
        return [name.decode() for name, incarnation in found.items() if incarnation.decode().startswith(run_id)]

    async def describe(self, topics: Sequence[str]) -> dict[str, TopicState | None]:
        if not topics:
            return {}
        run_id = await self.run_id()
        found = await self.ask(self.client.hmget(TOPICS, list(topics)))
        return {
            name: TopicState(text.decode(), (0,)) if text is not None and text.decode().startswith(run_id) else None
            for name, text in zip(topics, found, strict=True)
        }

    async def open(self, topic: Topic) -> TopicState:
        run_id = await self.run_id()
        keys = (TOPICS, _stream(topic.name), _counter(topic.name))
        found = await self.ask(self.client.eval(_OPEN, len(keys), *keys, topic.name, run_id, f"-{uuid4().hex[:16]}"))
        return TopicState(found.decode(), (0,))

    def sender(self) -> RedisSender:
        return RedisSender(self)

    def reader(self, name: str, offsets: Mapping[tuple[str, int], int]) -> RedisReader:
        return RedisReader(self, offsets)


class RedisSender:
    """Adds to streams; each round trip adds messages of one topic, all or none of them."""

    def __init__(self, broker: RedisBroker) -> None:
        self._broker = broker

    async def send(self, messages: Sequence[Outgoing], meanwhile: Meanwhile) -> None:
        run_id = await self._broker.run_id()
        for topic in dict.fromkeys(m.topic for m in messages):
            mine = [m for m in messages if m.topic == topic]
            for n in range(0, len(mine), AT_ONCE):
                await self._add(topic, run_id, mine[n : n + AT_ONCE])
                await meanwhile()

    async def _add(self, topic: str, run_id: str, messages: Sequence[Outgoing]) -> None:
        keys = (TOPICS, _stream(topic), _counter(topic))
        bodies: list[bytes] = []
        for message in messages:
            bodies += (message.key, message.value, msgspec.json.encode(message.headers))
        await self._broker.ask(self._broker.client.eval(_ADD, len(keys), *keys, topic, run_id, *bodies))

    async def close(self) -> None:
        """Nothing waits here."""


class RedisReader:
    """Reads streams from given offsets."""

    def __init__(self, broker: RedisBroker, offsets: Mapping[tuple[str, int], int]) -> None:
        self._broker, self._next = broker, {topic: offset for (topic, _), offset in offsets.items()}

    async def next(self, limit: int, timeout_s: float) -> Groups:
        if not self._next:
            # Nothing to read: a reader of no topics waits as one of empty topics would.
            await asyncio.sleep(timeout_s)
            return {}
        after: Any = {_stream(topic): f"{offset}-0" for topic, offset in self._next.items()}
        found = await self._broker.ask(
            self._broker.client.xread(after, count=limit, block=max(1, round(timeout_s * 1000)))
        )
        groups: Groups = {}
        names = {_stream(topic): topic for topic in self._next}
        for stream, entries in found or ():
            topic = names[stream.decode()]
            groups[topic, 0] = [_received(topic, place, fields) for place, fields in entries]
            self._next[topic] = _number(entries[-1][0])
        return groups

    async def behind(self) -> dict[tuple[str, int], int]:
        if not self._next:
            return {}
        counts = await self._broker.ask(self._broker.client.mget([_counter(topic) for topic in self._next]))
        pairs = zip(self._next.items(), counts, strict=True)
        return {(topic, 0): max(0, int(count or 0) - offset) for (topic, offset), count in pairs}

    async def close(self) -> None:
        """The connections are the broker's."""


def _number(place: bytes) -> int:
    return int(place.partition(b"-")[0])


def _received(topic: str, place: bytes, fields: Mapping[bytes, bytes]) -> Any:
    headers = {name: text.encode() for name, text in _HEADERS.decode(fields[b"h"]).items()}
    return counted(Received(topic, 0, _number(place) - 1, fields[b"k"], fields[b"v"], headers))
