"""What the servicer takes from the call that it answers."""

from __future__ import annotations

from dataclasses import replace

from modelog_common.domain.clock import Clock
from modelog_common.domain.context import Context
from modelog_common.domain.ids import derived_id
from modelog_common.rpc.call import command_context, current_call, patience_s

# A follower waits at most this long.
FOLLOW_S = 20.0


def command_call(clock: Clock, request_id: str, method: str) -> Context:
    """The context of a command. A request id counts for its caller and method: another one's "1" is another request."""
    ctx = command_context(clock, request_id)
    return replace(ctx, request_id=derived_id(ctx.actor, method, ctx.request_id))


def tenant() -> str:
    """Whose data the caller sees."""
    return current_call().identity.tenant


def follow_s(follow: bool) -> float:
    """How long the caller lets us wait for more."""
    return min(FOLLOW_S, patience_s()) if follow else 0.0
