"""The port to a message broker: topics are logs with partitions, which are appended to and read from an offset.

What a broker must do for the guarantees of delivery: keep the order of what one sender sends to a partition, say yes
only to what it has, let a reader begin at any offset that is still kept, and tell when a topic was made anew.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from modelog_common.bus.envelope import Poison, Received
from modelog_common.bus.topics import Topic

Groups = dict[tuple[str, int], list[Received | Poison]]
Meanwhile = Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class TopicState:
    """A topic as the broker has it now.

    `incarnation` changes when the topic is made anew, for instance by a memory-only broker that was started again, and
    never comes back.
    """

    incarnation: str
    partitions: tuple[int, ...]


class Outgoing(msgspec.Struct, frozen=True):
    """A message for partition 0 of a topic."""

    topic: str
    key: bytes
    value: bytes
    headers: Mapping[str, str]


class Sender(Protocol):
    """Sends to topics, in order."""

    async def send(self, messages: Sequence[Outgoing], meanwhile: Meanwhile) -> None:
        """Send, and wait until the broker has all of them; `meanwhile` is called now and then while that takes long.

        Raises Unavailable when some message was not taken; then others may have been.
        """
        ...

    async def close(self) -> None:
        """Throw away what was not taken."""
        ...


class Reader(Protocol):
    """Reads partitions onwards from the offsets that it was made with."""

    async def next(self, limit: int, timeout_s: float) -> Groups:
        """What has arrived, by partition and in order; waits up to `timeout_s` for the first message.

        Raises Unavailable for an error of the broker.
        """
        ...

    async def behind(self) -> dict[tuple[str, int], int]:
        """How many messages of each partition were not handed out yet, as far as the broker tells."""
        ...

    async def close(self) -> None:
        """Leave, after the fetch that is under way."""
        ...


class Broker(Protocol):
    """One broker. Every question raises Unavailable when it does not answer."""

    @property
    def address(self) -> str:
        """Where it is, for people; without secrets."""
        ...

    async def topics(self) -> Sequence[str]:
        """The names of all topics that exist."""
        ...

    async def describe(self, topics: Sequence[str]) -> dict[str, TopicState | None]:
        """The state of each topic, None when it does not exist."""
        ...

    async def open(self, topic: Topic) -> TopicState:
        """The topic's state; it is made when it is missing."""
        ...

    def sender(self) -> Sender:
        """A sender of one's own."""
        ...

    def reader(self, name: str, offsets: Mapping[tuple[str, int], int]) -> Reader:
        """A reader of these partitions from these offsets on; `name` is who reads, for the broker's own lists."""
        ...
