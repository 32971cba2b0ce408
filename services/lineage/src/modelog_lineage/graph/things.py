"""Things that several translations speak of, and the link to a person."""

from __future__ import annotations

from collections.abc import Iterator

from modelog_lineage.graph.changes import Change, Connect, Thing
from modelog_lineage.graph.vocabulary import Kind, Link, version_key


def model_version(model: str, version: str) -> Thing:
    """The node of a model version."""
    return Thing(Kind.MODEL_VERSION, version_key(model, version))


def by(thing: Thing, link: Link, user: str) -> Iterator[Change]:
    """The link to a person or service, where one is named."""
    if user:
        yield Connect(thing, link, Thing(Kind.USER, user))
