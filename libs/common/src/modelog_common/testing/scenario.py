"""Given what has happened, when somebody asks for something, then this follows: how deciders are tested."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TypeVar

from modelog_common.domain.context import Context
from modelog_common.domain.decider import Decider
from modelog_common.domain.errors import Invalid, ModelogError

State = TypeVar("State")
Command = TypeVar("Command")
Event = TypeVar("Event")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def context(by: str = "alice", *, tenant: str = "acme", request_id: str = "request-1", now: datetime = NOW) -> Context:
    """Who asks, when, and under which request."""
    return Context(now, by, tenant, request_id)


def scenario(
    decider: Decider[State, Command, Event],
    *,
    given: Sequence[Event] = (),
    when: Command,
    by: str | Context = "alice",
    then: Sequence[Event] | None = None,
    refused: str = "",
    error: type[ModelogError] = ModelogError,
    field: str = "",
) -> State:
    """Check what a decider answers; returns the state after it.

    Give either `then`, the events that follow, or `refused`, a part of the error's text; with it, `error` is the
    error's type, and `field` the one field that it names.
    """
    if (then is None) == (not refused):
        raise TypeError("a scenario has either then=[...] or refused='...'")
    ctx = context(by) if isinstance(by, str) else by
    state = decider.initial()
    for event in given:
        state = decider.evolve(state, event)
    try:
        events = list(decider.decide(state, when, ctx))
    except ModelogError as raised:
        _check_refusal(raised, refused, error, field)
        return state
    if then is None:
        raise AssertionError(f"it should be refused ({refused}); instead there follows {events}")
    if events != list(then):
        raise AssertionError(f"expected {list(then)}\nfollowed {events}")
    for event in events:
        state = decider.evolve(state, event)
    return state


def _check_refusal(raised: ModelogError, refused: str, error: type[ModelogError], field: str) -> None:
    if not refused or refused not in str(raised) or not isinstance(raised, error):
        raise AssertionError(
            f"expected {f'{error.__name__}: ...{refused}...' if refused else 'events'}, "
            f"not {type(raised).__name__}: {raised}"
        ) from raised
    named = [v.field for v in raised.violations] if isinstance(raised, Invalid) else []
    if field and named != [field]:
        raise AssertionError(f"expected the field {field!r} to be named, not {named}: {raised}") from raised
