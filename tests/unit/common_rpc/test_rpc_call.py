"""The current call: what a handler sees, and what a decider gets of it."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest
from modelog_common.domain.clock import ManualClock
from modelog_common.domain.context import Context
from modelog_common.rpc.call import Call, call_or_none, calling, command_context, current_call, patience_s
from modelog_common.rpc.methods import methods_of
from modelog_common.security.tokens import Identity

ALICE = Identity("alice", "acme", frozenset({"developer"}))
CALL = Call(ALICE, correlation_id="c-1", request_id="r-meta", trace_id="t-1", deadline_s=3.0, token="token")


def test_outside_a_call_there_is_none() -> None:
    assert call_or_none() is None
    with pytest.raises(LookupError, match="no call is being answered here"):
        current_call()


def test_the_current_call_ends_with_its_block() -> None:
    with calling(CALL):
        assert current_call() is CALL
        with calling(None):
            assert call_or_none() is None
        assert current_call() is CALL
    assert call_or_none() is None


def test_a_decider_gets_the_callers_identity_and_ids() -> None:
    clock = ManualClock()
    with calling(CALL):
        assert command_context(clock, "r-1") == Context(
            now=clock.now(), actor="alice", tenant="acme", request_id="r-1", correlation_id="c-1", trace_id="t-1",
            roles=frozenset({"developer"}),
        )  # fmt: skip


def test_request_ids_come_from_the_message_then_the_metadata_then_are_new() -> None:
    clock = ManualClock()
    with calling(CALL):
        assert command_context(clock).request_id == "r-meta"
    with calling(Call(ALICE, "c-1")):
        first, second = command_context(clock).request_id, command_context(clock).request_id
    assert first != second
    assert UUID(first).version == 7


def test_work_waits_nearly_as_long_as_its_caller_does() -> None:
    assert patience_s() == 30
    for deadline_s, longest_s in ((3.0, 2.5), (0.1, 0.0), (None, 30.0)):
        with calling(Call(ALICE, "c-1", deadline_s=deadline_s)):
            assert patience_s() == longest_s


async def test_tasks_started_in_a_call_belong_to_it() -> None:
    async def seen() -> Call | None:
        return call_or_none()

    with calling(CALL):
        task = asyncio.create_task(seen())
    assert await task is CALL


def test_permissions_are_read_from_the_contracts() -> None:
    import modelog_proto.registry.v1.model_pb2  # noqa: F401

    methods = methods_of("modelog.registry.v1.ModelRegistry")
    assert methods["/modelog.registry.v1.ModelRegistry/ReviewVersion"].permission == "model.review"
    with pytest.raises(LookupError, match=r"no contract of a service modelog\.none is known"):
        methods_of("modelog.none")
