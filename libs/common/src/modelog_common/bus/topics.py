"""Every topic of the platform with its partitions, written down once."""

from __future__ import annotations

from dataclasses import dataclass

from modelog_common.events.store import category_of

SERVICES = ("registry", "training", "serving", "monitoring", "lineage", "gateway")
DEAD_SUFFIX = ".dead"


@dataclass(frozen=True)
class Topic:
    """A topic's name and how many partitions it is made with.

    Topics of events have one partition: their order is the order of positions. `keep_ms` is how long messages are
    kept, -1 for always.
    """

    name: str
    partitions: int = 1
    keep_ms: int = -1

    @property
    def dead(self) -> Topic:
        """Where messages of this topic go that cannot be handled."""
        return Topic(self.name + DEAD_SUFFIX, 1, self.keep_ms)


def events_topic(service: str) -> Topic:
    """The topic of a service's events; raises ValueError for a service that does not exist."""
    if service not in SERVICES:
        raise ValueError(f"{service!r} is not a service; allowed are {', '.join(SERVICES)}")
    return Topic(f"modelog.events.{service}")


INFERENCE_REQUESTS = Topic("modelog.inference.requests")
PREDICTIONS = Topic("modelog.predictions")
OUTCOMES = Topic("modelog.outcomes")
EVENTS = {service: events_topic(service) for service in SERVICES}
ALL = (*EVENTS.values(), INFERENCE_REQUESTS, PREDICTIONS, OUTCOMES)
_BY_NAME = {topic.name: topic for live in ALL for topic in (live, live.dead)}


def topic_of(stream: str) -> Topic:
    """The topic on which a stream's events travel: modelog.events.registry for "registry.model-<id>"."""
    return events_topic(category_of(stream).partition(".")[0])


def topic_named(name: str) -> Topic:
    """The topic with this name; one that is not written down here has one partition and keeps everything."""
    return _BY_NAME.get(name, Topic(name))
