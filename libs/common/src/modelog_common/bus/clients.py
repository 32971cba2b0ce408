"""Kafka clients with this platform's settings, and the few questions that are asked about topics."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicCollection
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from modelog_common.bus.topics import Topic
from modelog_common.domain.errors import Unavailable

REQUEST_TIMEOUT_S = 2.0
DELIVERY_TIMEOUT_S = 5.0
MAX_MESSAGE_BYTES = 8_000_000
log = structlog.get_logger()
ErrorCallback = Callable[[KafkaError], None]


@dataclass(frozen=True)
class TopicState:
    """A topic as the broker has it now.

    `incarnation` is Kafka's topic id: it changes when the topic is made anew, for instance by a memory-only broker that
    was started again, and never comes back.
    """

    incarnation: str
    partitions: tuple[int, ...]


class _Log:
    """Takes what librdkafka would print. It repeats itself at every attempt to connect, so it is for debugging only."""

    def log(self, _level: int, form: str, *arguments: object) -> None:
        log.debug("librdkafka", text=form % arguments)


def _common(bootstrap: str, on_error: ErrorCallback | None) -> dict[str, Any]:
    return {
        "bootstrap.servers": bootstrap,
        "reconnect.backoff.ms": 50,
        "reconnect.backoff.max.ms": 500,
        "error_cb": on_error or _ignore,
        "logger": _Log(),
    }


def _ignore(_error: KafkaError) -> None:
    """Errors of connections; the calls that suffer from them report them."""


def new_producer(bootstrap: str, on_error: ErrorCallback | None = None, **settings: Any) -> Producer:
    """A producer that keeps order and waits for every acknowledgement.

    One request in flight rather than idempotence: readers drop repeated messages by position anyway, and an idempotent
    producer hangs when a memory-only broker has forgotten its id.
    """
    return Producer(
        {
            **_common(bootstrap, on_error),
            "acks": "all",
            "linger.ms": 0,
            "max.in.flight.requests.per.connection": 1,
            "message.timeout.ms": round(DELIVERY_TIMEOUT_S * 1000),
            "message.max.bytes": MAX_MESSAGE_BYTES,
            **settings,
        }
    )


def new_consumer(bootstrap: str, group: str, on_error: ErrorCallback | None = None, **settings: Any) -> Consumer:
    """A consumer that is assigned by hand and commits nothing to the broker.

    50 ms is how long a fetch waits for messages: at 10 ms an idle consumer costs the embedded broker 7 % of a core,
    at 50 ms 2 %; at 500 ms others wait (measured).
    """
    return Consumer(
        {
            **_common(bootstrap, on_error),
            "group.id": group,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "earliest",
            "session.timeout.ms": 6000,
            "heartbeat.interval.ms": 1000,
            "fetch.wait.max.ms": 50,
            "fetch.message.max.bytes": MAX_MESSAGE_BYTES,
            "receive.message.max.bytes": 100_000_000,
            "queued.max.messages.kbytes": 32_000,
            "isolation.level": "read_committed",
            **settings,
        }
    )


class Admin:
    """Asks a broker about topics and makes them."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        settings = _common(bootstrap, None)
        self._client = AdminClient(settings)

    async def ensure_topics(self, topics: Sequence[Topic]) -> None:
        """Make the topics that are missing; raises Unavailable when the broker does not answer."""
        new = [
            NewTopic(
                t.name, num_partitions=t.partitions, replication_factor=-1, config={"retention.ms": str(t.keep_ms)}
            )
            for t in topics
        ]
        made = self._client.create_topics(new, request_timeout=REQUEST_TIMEOUT_S)
        for name, answer in made.items():
            await self._answer(name, answer, allowed=KafkaError.TOPIC_ALREADY_EXISTS)

    async def describe_all(self, topics: Sequence[str]) -> dict[str, TopicState | None]:
        """The state of each topic, None when it does not exist; raises Unavailable when the broker does not answer."""
        asked = self._client.describe_topics(TopicCollection(list(topics)), request_timeout=REQUEST_TIMEOUT_S)
        states: dict[str, TopicState | None] = {}
        for name, answer in asked.items():
            found = await self._answer(name, answer, allowed=KafkaError.UNKNOWN_TOPIC_OR_PART)
            states[name] = found and TopicState(str(found.topic_id), tuple(sorted(p.id for p in found.partitions)))
        return states

    async def describe(self, topic: str) -> TopicState | None:
        """The topic's state, None when it does not exist; raises Unavailable when the broker does not answer."""
        return (await self.describe_all([topic]))[topic]

    async def incarnation(self, topic: str) -> str | None:
        """The id of the topic as it is now, None when it does not exist."""
        state = await self.describe(topic)
        return None if state is None else state.incarnation

    async def open(self, topic: Topic) -> TopicState:
        """The topic's state; it is made when it is missing."""
        state = await self.describe(topic.name)
        if state is None:
            await self.ensure_topics([topic])
            state = await self.describe(topic.name)
        if state is None:
            raise Unavailable(f"topic {topic.name} was made at {self._bootstrap} and is gone again")
        return state

    async def _answer(self, topic: str, asked: Any, allowed: int) -> Any:
        try:
            return await asyncio.wrap_future(asked)
        except KafkaException as failed:
            error: KafkaError = failed.args[0]
            if error.code() == allowed:
                return None
            raise Unavailable(
                f"the broker at {self._bootstrap} does not answer about {topic}: {error.str()}"
            ) from failed


def headers_of(message: Any) -> Mapping[str, bytes]:
    """A message's headers; of a name that comes twice the last one counts."""
    return {name: value if isinstance(value, bytes) else b"" for name, value in message.headers() or ()}
