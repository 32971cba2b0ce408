"""From the events of all services to changes of the graph: pure, so that the same log always makes the same graph.

An event of a service only describes things that this service owns, and only ends links that it made; it may link to
anything. So the graph does not depend on how the topics of different services are interleaved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
from modelog_common.bus.source import PoisonEvent
from modelog_common.events.store import StoredEvent

from modelog_lineage.graph import translate_models, translate_operations
from modelog_lineage.graph.changes import Change
from modelog_lineage.graph.events import Event

_TRANSLATORS: dict[str, tuple[msgspec.json.Decoder[Any], Callable[[Any], Iterator[Change]]]] = {
    f"{service}.{event.__name__}": (msgspec.json.Decoder(event), translate)
    for service, events, translate in (
        ("registry", translate_models.REGISTRY, translate_models.registry),
        ("training", translate_models.TRAINING, translate_models.training),
        ("serving", translate_operations.SERVING, translate_operations.serving),
        ("monitoring", translate_operations.MONITORING, translate_operations.monitoring),
        ("gateway", translate_operations.GATEWAY, translate_operations.gateway),
    )
    for event in events
}
KNOWN = frozenset(_TRANSLATORS)


def changes_of(stored: StoredEvent) -> Sequence[Change]:
    """What an event changes, in order; nothing for types that the graph has no use for.

    Raises PoisonEvent when the payload lacks what the graph needs.
    """
    found = _TRANSLATORS.get(stored.type)
    if found is None:
        return ()
    decoder, translate = found
    try:
        event: Event = decoder.decode(stored.payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise PoisonEvent(stored, f"the payload is not a {stored.type}: {error}") from error
    return tuple(translate(event))
