"""Every topic of the platform, written down once: one of each kind for each tenant."""

from __future__ import annotations

import re
from dataclasses import dataclass

from modelog_common.domain.errors import Invalid
from modelog_common.events.store import category_of

SERVICES = ("registry", "training", "serving", "monitoring", "lineage", "gateway")
PREFIX = "modelog"
DEAD_SUFFIX = ".dead"
LONGEST_NAME = 249
_PLAIN = re.compile(r"[A-Za-z0-9-]+")


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


@dataclass(frozen=True)
class Family:
    """Topics of one kind, one for each tenant: `modelog.<tenant>.<kind>`.

    The tenant stands first, so that a broker's access rules can give a tenant its own topics by their prefix.
    """

    kind: str
    prefix: str = PREFIX

    def of(self, tenant: str) -> Topic:
        """The tenant's topic; raises Invalid for a tenant whose name is too long for one."""
        topic = Topic(f"{self.prefix}.{_escaped(tenant)}.{self.kind}")
        if len(topic.dead.name) > LONGEST_NAME:
            raise Invalid.field("tenant", f"{tenant[:20]!r}... is too long for a topic's name; {LONGEST_NAME} is most")
        return topic

    def tenant_of(self, topic: str) -> str | None:
        """Whose topic this is; None for one that is not of this family."""
        head, tail = f"{self.prefix}.", f".{self.kind}"
        middle = topic[len(head) : -len(tail)]
        if not middle or topic != f"{head}{middle}{tail}" or "." in middle:
            return None
        return _plain(middle)

    def has(self, topic: str) -> bool:
        """Whether a topic is of this family."""
        return self.tenant_of(topic) is not None


def sender_of(tenant: str, producer: str) -> str:
    """What a tenant's producer is counted by: no other tenant's producer shares it, whatever it calls itself."""
    return f"{_escaped(tenant)}/{producer}"


def _escaped(tenant: str) -> str:
    """The tenant's name in letters that every broker allows; other bytes as _ and two hexadecimal digits."""
    if _PLAIN.fullmatch(tenant):
        return tenant
    return "".join(chr(b) if _PLAIN.fullmatch(chr(b)) else f"_{b:02x}" for b in tenant.encode()) or "_"


def _plain(escaped: str) -> str | None:
    if escaped == "_":
        return ""
    try:
        return re.sub(rb"_([0-9a-f]{2})", lambda m: bytes([int(m[1], 16)]), escaped.encode()).decode()
    except UnicodeDecodeError:
        return None


def events_topics(service: str) -> Family:
    """The topics of a service's events; raises ValueError for a service that does not exist."""
    if service not in SERVICES:
        raise ValueError(f"{service!r} is not a service; allowed are {', '.join(SERVICES)}")
    return Family(f"events.{service}")


INFERENCE_REQUESTS = Family("inference.requests")
PREDICTIONS = Family("predictions")
OUTCOMES = Family("outcomes")
EVENTS = {service: events_topics(service) for service in SERVICES}


def service_of(stream: str) -> str:
    """Whose stream this is: "registry" for "registry.model-<id>"."""
    return category_of(stream).partition(".")[0]


def tenant_in(topic: str) -> str:
    """The tenant that a topic's name names; "" for one that is of no family."""
    parts = topic.split(".")
    return (_plain(parts[1]) or "") if len(parts) > 2 else ""
