"""What one event changes in the graph, before it is put into the words of a database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from modelog_lineage.graph.vocabulary import Kind, Link, node_id


@dataclass(frozen=True)
class Thing:
    """A node by kind and key, unique within its tenant."""

    kind: Kind
    key: str

    @property
    def id(self) -> str:
        return node_id(self.kind, self.key)


@dataclass(frozen=True)
class Describe:
    """From this event on these attributes of a thing have these values; others stay. An empty name means the key."""

    thing: Thing
    attributes: Mapping[str, str] = field(default_factory=dict)
    name: str = ""


@dataclass(frozen=True)
class Connect:
    """From this event on `source` is linked to `target`; things that are not there yet are made."""

    source: Thing
    link: Link
    target: Thing


@dataclass(frozen=True)
class Disconnect:
    """With this event every link of this kind that leaves `source` ends."""

    source: Thing
    link: Link


@dataclass(frozen=True)
class GoOn:
    """With this event a thing goes on as another one, which begins with its attributes and these, and comes from it.

    `left` is what the thing itself says from then on.
    """

    thing: Thing
    to: Thing
    attributes: Mapping[str, str] = field(default_factory=dict)
    left: Mapping[str, str] = field(default_factory=dict)
    name: str = ""


Change = Describe | Connect | Disconnect | GoOn
