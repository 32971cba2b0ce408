"""A small stand-in for the platform behind a topic: takes batches as serving does, and tells how far it is."""

from __future__ import annotations

import threading
import time
from typing import Any

import modelog
from confluent_kafka import Consumer, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic
from modelog.errors import Unavailable
from modelog.stream import OUTCOMES, REQUESTS
from modelog.types import TopicProgress
from modelog_proto.serving.v1 import data_pb2

BATCHES = {REQUESTS: data_pb2.RequestBatch, OUTCOMES: data_pb2.OutcomeBatch}
POLL_S = 0.05
PATIENCE_S = 150.0


class Taker:
    """Reads one topic from its beginning and takes what follows a producer's last batch; the rest is left out."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self.bootstrap, self.kind = bootstrap, topic
        self.topic = f"modelog.acme.{topic}"
        self.taken: list[Any] = []
        self.seen: list[int] = []
        self.reached: dict[str, int] = {}
        self.may_take = threading.Event()
        self.may_take.set()
        self._stop = threading.Event()
        self._renew = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"taker {topic}", daemon=True)

    def __enter__(self) -> Taker:
        make_topic(self.bootstrap, self.topic)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self.may_take.set()
        self._thread.join(PATIENCE_S)

    def renew(self) -> None:
        """Begin again with the topic of a broker that lost everything; what was taken stays taken."""
        make_topic(self.bootstrap, self.topic)
        self._renew.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._renew.clear()
            consumer = Consumer(
                {
                    "bootstrap.servers": self.bootstrap,
                    "group.id": f"taker-{self.topic}-{time.monotonic_ns()}",
                    "auto.offset.reset": "earliest",
                    "enable.auto.commit": False,
                    "session.timeout.ms": 6000,
                    "heartbeat.interval.ms": 1000,
                    "fetch.wait.max.ms": 10,
                    "log_level": 0,
                    "error_cb": lambda _: None,
                }
            )
            consumer.subscribe([self.topic])
            try:
                while not self._stop.is_set() and not self._renew.is_set():
                    message = consumer.poll(POLL_S)
                    if message is not None and message.error() is None:
                        self.may_take.wait(PATIENCE_S)
                        self._take(BATCHES[self.kind].FromString(message.value() or b""))
            except KafkaException:
                continue
            finally:
                consumer.close()

    def _take(self, batch: Any) -> None:
        self.seen.append(batch.sequence)
        if batch.sequence == self.reached.get(batch.producer, 0) + 1:
            self.taken.append(batch)
            self.reached[batch.producer] = batch.sequence


def make_topic(bootstrap: str, topic: str) -> None:
    """Create the topic; one that is there already is left as it is."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    for future in admin.create_topics([NewTopic(topic, 1, 1)], request_timeout=150).values():
        try:
            future.result(PATIENCE_S)
        except KafkaException as error:
            if error.args[0].name() != "TOPIC_ALREADY_EXISTS":
                raise


class AskingTakers(modelog.Client):
    """A client whose platform is a few takers; `away` makes it not answer."""

    def __init__(self, *takers: Taker) -> None:
        super().__init__("http://127.0.0.1:9", "token")
        self.takers = {taker.kind: taker for taker in takers}
        self.away = False

    def topic_progress(self, kind: str, producer: str) -> TopicProgress:
        if self.away:
            raise Unavailable("away")
        taker = self.takers[kind]
        return TopicProgress(sequence=taker.reached.get(producer, 0), topic=taker.topic)

    def discovery(self) -> dict[str, str]:
        return {"kafka": next(iter(self.takers.values())).bootstrap}
