"""What a decision may know besides state and command: who asks, when, and under which request."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime


@dataclass(frozen=True)
class Context:
    """Handed to every decider, so that deciding stays pure.

    `request_id` names the request for good: new ids are derived from it, and a repeated request makes the same events.
    """

    now: datetime
    actor: str
    tenant: str
    request_id: str
    correlation_id: str = ""
    causation_id: str = ""
    trace_id: str = ""
    roles: frozenset[str] = field(default_factory=frozenset)

    def caused_by(self, event_id: str, actor: str) -> Context:
        """The context of a command that a reactor issues because of an event."""
        return replace(self, actor=actor, causation_id=event_id)

    def correlated(self, correlation_id: str) -> Context:
        """The context of a command that came in with others, under an id of its own; an empty one changes nothing."""
        return replace(self, correlation_id=correlation_id or self.correlation_id)
