"""What follows from setting learning, from steps, and from steps that go badly."""

from __future__ import annotations

from typing import Any

import pytest
from modelog_common.domain.errors import Conflict, Invalid, ModelogError, NotAllowed
from modelog_common.testing.scenario import NOW, context
from modelog_serving.learning.commands import Facts, RecordStep, SetLearning, StopLearning
from modelog_serving.learning.decide import LEARNINGS
from modelog_serving.learning.events import Labels, LearningSet, LearningStopped, ModelLearned
from modelog_serving.learning.state import OFF, ON, PAUSED, STOPPED, Learning
from modelog_serving.learning.terms import Seen, Terms, far_worse

RIVER = Facts("d1", "flights", "delay", (("1.0.0", "river"),))
FILE, ONE, TWO = "a" * 64, "b" * 64, "c" * 64
GOOD = Seen(100, 10.0, 30.0, 25.0)
BAD = Seen(100, 60.0, 10.0, 60.0)


def step(before: str, after: str, seen: Seen = GOOD) -> RecordStep:
    return RecordStep("d1", "1.0.0", FILE, before, after, Labels("d" * 64, seen.labels), seen)


def after(*commands: Any) -> Learning:
    learning = Learning()
    for command in commands:
        for event in LEARNINGS.decide(learning, command, context()):
            learning = LEARNINGS.evolve(learning, event)
    return learning


def refused(learning: Learning, command: Any, error: type[ModelogError], text: str) -> None:
    with pytest.raises(error, match=text):
        LEARNINGS.decide(learning, command, context())


def test_steps_follow_each_other_from_the_registered_file() -> None:
    learning = after(SetLearning(RIVER, ON), step(FILE, ONE), step(ONE, TWO))
    assert learning.digest("1.0.0", FILE) == TWO
    taught = learning.of("1.0.0")
    assert taught is not None
    assert (taught.steps, taught.labels, learning.steps) == (2, 200, 2)


def test_a_step_from_another_state_is_refused() -> None:
    refused(after(SetLearning(RIVER, ON), step(FILE, ONE)), step(FILE, TWO), Conflict, "answers by b{64} now")


@pytest.mark.parametrize("mode", [PAUSED, OFF])
def test_nothing_is_learned_while_it_may_not(mode: str) -> None:
    learning = after(SetLearning(RIVER, ON), SetLearning(RIVER, mode))
    refused(learning, step(FILE, ONE), NotAllowed, "delay 1.0.0 does not learn in flights now")


def test_paused_it_keeps_what_it_learned_and_off_it_does_not() -> None:
    begun = (SetLearning(RIVER, ON), step(FILE, ONE))
    assert after(*begun, SetLearning(RIVER, PAUSED)).digest("1.0.0", FILE) == ONE
    assert after(*begun, SetLearning(RIVER, OFF)).digest("1.0.0", FILE) == FILE
    assert after(*begun, SetLearning(RIVER, OFF), SetLearning(RIVER, ON), step(FILE, TWO)).steps == 2


def test_setting_it_twice_is_not_an_error() -> None:
    learning = after(SetLearning(RIVER, ON))
    assert not LEARNINGS.decide(learning, SetLearning(RIVER, ON), context())
    assert not LEARNINGS.decide(Learning(), SetLearning(RIVER, OFF), context())
    told = LEARNINGS.decide(learning, SetLearning(RIVER, ON, Terms(step_labels=5)), context())
    assert told == [LearningSet("d1", "flights", "delay", ON, Terms(step_labels=5), "", "alice", NOW)]


def test_only_models_of_river_learn() -> None:
    trees = Facts("d1", "flights", "delay", (("1.0.0", "river"), ("1.1.0", "xgboost")))
    refused(Learning(), SetLearning(trees, ON), NotAllowed, "delay 1.1.0, .* flavor 'xgboost'; only models of river")


@pytest.mark.parametrize(
    ("terms", "text"),
    [
        (Terms(step_labels=0), r"terms.step_labels: is 0; it must be from 1 to 10000"),
        (Terms(step_s=0), r"terms.step_s: is 0; it must be from 1 to 86400"),
        (Terms(worst_ratio=float("nan")), r"terms.worst_ratio: is nan; it must be from 1 to 100"),
        (Terms(guard_labels=19), r"terms.guard_labels: is 19; it must be from 20 to 1e\+06"),
    ],
)
def test_terms_that_cannot_be_are_refused_by_field(terms: Terms, text: str) -> None:
    refused(Learning(), SetLearning(RIVER, ON, terms), Invalid, text)


def test_what_learned_far_worse_stops_and_answers_as_it_was_registered() -> None:
    learning = after(SetLearning(RIVER, ON), step(FILE, ONE))
    learned, stopped = LEARNINGS.decide(learning, step(ONE, TWO, BAD), context())
    assert isinstance(learned, ModelLearned)
    assert isinstance(stopped, LearningStopped)
    assert (stopped.digest_before, stopped.digest_after, stopped.seen.labels) == (TWO, FILE, 200)
    for event in (learned, stopped):
        learning = LEARNINGS.evolve(learning, event)
    assert learning.mode == STOPPED
    assert learning.digest("1.0.0", FILE) == FILE
    refused(learning, step(FILE, ONE), NotAllowed, "does not learn")
    again = after(SetLearning(RIVER, ON), StopLearning("d1", "1.0.0", FILE, "it raised"), SetLearning(RIVER, ON))
    assert again.mode == ON
    assert again.of("1.0.0").stopped == ""  # type: ignore[union-attr]


def test_what_cannot_go_on_answers_by_the_state_that_it_has() -> None:
    learning = after(SetLearning(RIVER, ON), step(FILE, ONE), StopLearning("d1", "1.0.0", FILE, "it raised"))
    assert (learning.mode, learning.digest("1.0.0", FILE)) == (STOPPED, ONE)


def test_the_guard_asks_for_enough_labels_and_for_more_than_chance() -> None:
    terms = Terms(guard_labels=100)
    assert far_worse(terms, BAD)
    assert not far_worse(terms, Seen(99, 60.0, 10.0, 60.0))
    assert not far_worse(terms, Seen(100, 14.0, 10.0, 14.0))
    assert not far_worse(terms, Seen(100, 6.0, 1.0, 7.0))
