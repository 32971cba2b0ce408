"""What a sentence about events is: one event alone, or all of one kind between two moments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from modelog_lineage.story.words import Payload, word

Told = Callable[[Payload], str]
Past = Sequence[tuple[str, Payload]]


@dataclass(frozen=True)
class Happened:
    """Events of one type about one thing, such as the promotions of one version.

    `told` is the sentence of the last one alone; `first` and `last` are without their long lists. `past` holds the
    entity's events up to the last of these, for sentences that ask for it.
    """

    count: int
    first: Payload
    last: Payload
    told: str
    past: Past = ()


@dataclass(frozen=True)
class Sentence:
    """How a type is told.

    `one` tells one event, `all` those that happened between two moments. `thing` says which of them belong together;
    without it those of the entity do. Without `all` every event is told alone. `with_past` asks for what went before.
    """

    one: Told
    all: Callable[[Happened], str] | None = None
    thing: Told = lambda _: ""
    with_past: bool = False


@dataclass(frozen=True)
class Entity:
    """What a category's streams are: the kind's word, and the field that holds the name, if an event has it."""

    kind: str
    name_fields: tuple[str, ...]

    def name(self, payload: Payload) -> str:
        """Its name as this event tells it; "" when it does not."""
        return next((word(payload[f]) for f in self.name_fields if isinstance(payload.get(f), str) and payload[f]), "")
