"""A decider: the three pure functions that make an entity (Chassaing, "Functional Event Sourcing Decider", 2021)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from modelog_common.domain.context import Context

State = TypeVar("State")
Command = TypeVar("Command")
Event = TypeVar("Event")


@dataclass(frozen=True)
class Decider(Generic[State, Command, Event]):
    """An entity's behaviour.

    `category` is the first half of its stream names. `decide` returns the events that follow, none when
    there is nothing to do, or raises a domain error. `evolve` folds one event into the state.
    """

    category: str
    initial: Callable[[], State]
    decide: Callable[[State, Command, Context], Sequence[Event]]
    evolve: Callable[[State, Event], State]
