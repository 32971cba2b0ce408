"""Every event that the gateway stores."""

from __future__ import annotations

from modelog_common.events.types import EventTypes

from modelog_gateway.subject.events import SubjectErased
from modelog_gateway.user.events import TokenIssued, UserCreated, UserDescribed, UserErased

EVENTS = EventTypes([UserCreated, TokenIssued, UserDescribed, UserErased, SubjectErased])
