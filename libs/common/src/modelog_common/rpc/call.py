"""The call that is being answered: who makes it, and the ids that tie it to other calls and to its events."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from modelog_common.domain.clock import Clock
from modelog_common.domain.context import Context
from modelog_common.domain.ids import uuid7_text
from modelog_common.security.tokens import Identity

# Work that waits for something else ends this much before its caller gives up, to say what it waited for.
SPARE_S = 0.5
USUAL_PATIENCE_S = 30.0
_current: ContextVar[Call | None] = ContextVar("modelog_call", default=None)


@dataclass(frozen=True)
class Call:
    """One call, as its handler sees it.

    `deadline_s` is how long the call may take, counted from its start; None means without end. `token` is the caller's
    own, which calls to other services forward. `request_id` is what the metadata `x-request-id` gave, or empty.
    """

    identity: Identity
    correlation_id: str
    request_id: str = ""
    trace_id: str = ""
    deadline_s: float | None = None
    token: str = ""


def current_call() -> Call:
    """The call that this task answers; raises LookupError outside one."""
    call = _current.get()
    if call is None:
        raise LookupError("no call is being answered here; background work builds its own Context or uses `calling`")
    return call


def call_or_none() -> Call | None:
    """The call that this task answers, or None outside one."""
    return _current.get()


def patience_s() -> float:
    """How long the call that this task answers may wait for what is on its way: nearly until its deadline.

    Half a minute outside a call, and in one without a deadline.
    """
    call = _current.get()
    if call is None or call.deadline_s is None:
        return USUAL_PATIENCE_S
    return max(call.deadline_s - SPARE_S, 0.0)


@contextmanager
def calling(call: Call | None) -> Iterator[None]:
    """Make a call the current one; None hides the current one from work that must not act in its name."""
    before = _current.set(call)
    try:
        yield
    finally:
        _current.reset(before)


def command_context(clock: Clock, request_id: str = "") -> Context:
    """What a decider may know of the current call; without a request id the command gets a fresh one."""
    call = current_call()
    return Context(
        now=clock.now(),
        actor=call.identity.user,
        tenant=call.identity.tenant,
        request_id=request_id or call.request_id or uuid7_text(),
        correlation_id=call.correlation_id,
        trace_id=call.trace_id,
        roles=call.identity.roles,
    )
