"""The suite of time travel: whatever any service answered once, it answers again as of then, byte for byte."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import grpc
import pytest
from asking import Caller, Fields, Questions, queries, take_live
from google.protobuf.descriptor import MethodDescriptor
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from life import Life, Receiver
from modelog_proto.common.v1.common_pb2 import ReadOptions
from small_platform import SmallPlatform
from webhook_receiver import receiving
from whole_platform import whole_platform

EXAMPLES = int(os.environ.get("MODELOG_TIME_TRAVEL_EXAMPLES", "1"))
SEED = int(os.environ.get("MODELOG_TIME_TRAVEL_SEED", "20130401"))
PATIENCE_S = 600
# After everything was built again, and after a restart, one answer in so many is asked for again: each takes its time.
ONE_IN = int(os.environ.get("MODELOG_TIME_TRAVEL_ONE_IN", "3"))
STEPS = int(os.environ.get("MODELOG_TIME_TRAVEL_STEPS", "6"))
Question = tuple[MethodDescriptor, Fields]
Answer = bytes | str


@dataclass
class Moment:
    """A position, a time at which it was the last one, and all that was answered then."""

    position: int
    time: str
    answers: list[tuple[Question, Answer]] = field(default_factory=list)


class Memory:
    """Asks everything after each step, and again later."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self.questions = Questions()
        self.moments: list[Moment] = []
        self.found: set[str] = set()

    def ask(self, question: Question, as_of: str = "", at_least: int = 0) -> Answer:
        """The answer's bytes, or the kind of error."""
        method, fields = question
        try:
            answer = self._call(question, ReadOptions(as_of=as_of, at_least=at_least))
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND:
                raise AssertionError(f"{method.full_name} {dict(fields)} as of {as_of or 'now'}: {error}") from error
            return "NOT_FOUND"
        live = take_live(answer)
        assert not (live and as_of), f"{method.full_name} {fields} as of {as_of} tells of the present: {answer}"
        self.questions.see(answer)
        if answer.ByteSize():
            self.found.add(method.full_name)
        return bytes(answer.SerializeToString(deterministic=True))

    def _call(self, question: Question, read: ReadOptions) -> Any:
        """Again while a projection is not there yet, as any client would."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                return self._caller(question[0], **question[1], read=read)
            except grpc.RpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE or time.monotonic() > deadline:
                    raise

    def look(self) -> None:
        """Note every answer of now; again while something happens in between, such as a job that goes on."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            head = self._head()
            self._see_new(head)
            moment = Moment(head, "", [(q, self.ask(q, at_least=head)) for q in self.questions])
            moment.time = datetime.now(UTC).isoformat()
            if self._head() == head:
                self.moments.append(moment)
                return
        pytest.fail(f"in {PATIENCE_S} s there was no moment at which nothing happened")

    def _see_new(self, head: int) -> None:
        """Questions may come of answers."""
        before = 0
        while before != len(list(self.questions)):
            before = len(list(self.questions))
            for question in self.questions:
                if not question[1]:
                    self.ask(question, at_least=head)

    def _head(self) -> int:
        return int(self._caller("ListEvents", limit=1).head)

    def close(self) -> None:
        self._caller.close()

    def check(self, as_of: str, one_in: int = 1, first: int = 0) -> None:
        """Every answer of every moment, as of its position or its time, is what it was; or one in so many of them,
        from the `first` on, another part of the questions in each moment.
        """
        for number, moment in enumerate(self.moments):
            for question, was in moment.answers[(first + number) % one_in :: one_in]:
                when = str(moment.position) if as_of == "position" else moment.time
                again = self.ask(question, as_of=when)
                assert again == was, f"{question[0].full_name} {dict(question[1])} as of {when}"


FreshParts = Callable[[], dict[str, Any]]


class YesterdaysAnswersSuite:
    """Inherit, and give the fixture `fresh_parts`."""

    @pytest.fixture
    def fresh_parts(self) -> FreshParts:
        """Makes the settings of a platform: a broker and stores in which nothing is yet, each time it is called."""
        raise NotImplementedError

    @pytest.mark.slow
    @pytest.mark.timeout(2400)
    @pytest.mark.usefixtures("unmeasured")
    @seed(SEED)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        phases=[Phase.generate],  # each example starts a platform: to shrink one would take an hour
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.integers(0, 2**32))
    def test_every_answer_can_be_had_again(self, fresh_parts: FreshParts, number: int) -> None:
        """As of its position and as of its time; at once, after everything was built again, and after a restart."""
        with (
            tempfile.TemporaryDirectory() as folder,
            receiving(Receiver) as webhook,
            whole_platform(Path(folder), **fresh_parts()) as platform,
            platform.client("alice") as alice,
            platform.client("bob") as bob,
        ):
            memory = Memory(Caller(platform.address, platform.token("alice", "admin")))
            live(Life(alice, bob, Path(folder), f"{webhook}/"), memory, Random(f"{SEED}/{number}"))
            assert {m.full_name for m in queries()} == memory.found, "every question found something at least once"
            memory.check("position")
            alice.rebuild()
            memory.check("time", ONE_IN, number)
            restart(platform)
            memory.check("position", ONE_IN, number + 1)
            memory.close()


def live(life: Life, memory: Memory, random: Random) -> None:
    """The beginning, and then any steps; everything is asked after each."""
    for _ in life.story():
        memory.look()
    for _ in range(STEPS):
        life.take(random.choice(sorted(life.steps)), random.randrange(6), random.randrange(6))
        for prediction in life.predictions:
            memory.questions.see(prediction)
        memory.look()


def restart(platform: SmallPlatform) -> None:
    platform.stop()
    platform.start()
