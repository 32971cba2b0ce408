"""Time: deadlines end handlers, lost calls are repeated, a server that stops lets running calls end."""

from __future__ import annotations

import asyncio

import grpc
import grpc.aio
import pytest
from modelog_common.domain.errors import Unavailable
from modelog_common.rpc.errors import DeadlineExceeded, PeerFailed
from modelog_proto.registry.v1 import model_pb2 as pb
from modelog_proto.registry.v1.model_pb2_grpc import ModelRegistryStub

REQUEST = pb.GetModelRequest(name="m")
PATIENCE_S = 150.0


def forever(_: object):
    return asyncio.Event().wait()


async def until(event: asyncio.Event, what: str) -> None:
    try:
        await asyncio.wait_for(event.wait(), PATIENCE_S)
    except TimeoutError:
        pytest.fail(f"{what} within {PATIENCE_S} s")


async def test_the_clients_deadline_ends_the_handler(served, lines) -> None:
    served.models.answer = forever
    # On a busy machine a call may be over before its handler began.
    for timeout_s in (0.2, 2, 20):
        with pytest.raises(DeadlineExceeded):
            await served.registry().GetModel(REQUEST, timeout=timeout_s)
        if served.models.entered.is_set():
            break
    await until(served.models.cancelled, "the handler was not cancelled")
    *_, line = await lines.wait_for("call")
    assert line["code"] in ("DEADLINE_EXCEEDED", "CANCELLED")  # whoever notices first
    assert 0 < served.models.calls[0].deadline_s <= timeout_s + 1


async def test_a_handler_without_a_clients_deadline_ends_at_the_servers(start) -> None:
    served = await start(unary_deadline_s=0.1)
    served.models.answer = forever
    async with grpc.aio.insecure_channel(served.address) as channel:
        metadata = (("authorization", f"Bearer {served.token()}"),)
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await ModelRegistryStub(channel).GetModel(REQUEST, metadata=metadata)
    assert error.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert error.value.details() == "the call took longer than its 0.1 s and was cancelled"
    assert served.models.cancelled.is_set()


async def test_a_handlers_own_time_out_is_not_the_callers(served, lines) -> None:
    def timed_out(_: object):
        return asyncio.wait_for(asyncio.Event().wait(), 0)

    served.models.answer = timed_out
    with pytest.raises(PeerFailed):
        await served.registry().GetModel(REQUEST)
    (failed,) = await lines.wait_for("call failed")
    assert "TimeoutError" in failed["exception"]


async def test_defaults(served) -> None:
    await served.registry().GetModel(REQUEST)
    async with grpc.aio.insecure_channel(served.address) as channel:
        metadata = (("authorization", f"Bearer {served.token()}"),)
        await ModelRegistryStub(channel).GetModel(REQUEST, metadata=metadata)
    ours, foreign = (call.deadline_s for call in served.models.calls)
    # gRPC rounds what is left of a deadline up when it writes it into the header.
    assert 0 < ours <= 31
    assert foreign == 60


async def test_a_client_that_gives_up_cancels_the_handler(served, lines) -> None:
    served.models.answer = forever
    call = asyncio.create_task(_get(served.registry()))
    await until(served.models.entered, "the call did not arrive")
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await until(served.models.cancelled, "the handler was not cancelled")
    (line,) = await lines.wait_for("call")
    assert line["code"] == "CANCELLED"


async def _get(registry):
    return await registry.GetModel(REQUEST)


async def test_a_call_that_the_service_could_not_answer_is_repeated(served) -> None:
    answers = iter([Unavailable("starting"), Unavailable("starting"), None])
    served.models.answer = lambda _: next(answers)
    assert (await served.registry(attempts=5).GetModel(REQUEST)).name == "m"
    assert len(served.models.calls) == 3
    assert len({c.correlation_id for c in served.models.calls}) == 1


async def test_other_errors_are_not_repeated(served) -> None:
    served.models.answer = lambda _: ValueError("bug")
    with pytest.raises(PeerFailed):
        await served.registry(attempts=5).GetModel(REQUEST)
    assert len(served.models.calls) == 1


async def test_every_attempt_of_a_call_is_the_same_request(served) -> None:
    answers = iter([Unavailable("not yet"), Unavailable("not yet"), None, None])
    served.models.answer = lambda _: next(answers)
    stub = served.registry(attempts=5)
    await stub.GetModel(REQUEST)
    await stub.GetModel(REQUEST)
    *first, second = [call.request_id for call in served.models.calls]
    assert len(first) == 3
    assert len(set(first)) == 1
    assert first[0]
    assert second not in ("", first[0])


async def test_one_attempt_means_one(served) -> None:
    served.models.answer = lambda _: Unavailable("starting")
    with pytest.raises(Unavailable, match="starting"):
        await served.registry(attempts=1).GetModel(REQUEST)
    assert len(served.models.calls) == 1


async def test_a_server_that_stops_lets_running_calls_end(served) -> None:
    release = asyncio.Event()
    served.models.answer = lambda _: _when(release)
    call = asyncio.create_task(_get(served.registry()))
    await until(served.models.entered, "the call did not arrive")
    stopping = asyncio.create_task(served.server.stop(PATIENCE_S))
    await asyncio.sleep(0)
    assert not stopping.done()
    release.set()
    assert (await call).name == "m"
    await stopping


async def test_a_call_that_outlasts_the_drain_is_cancelled(served) -> None:
    served.models.answer = forever
    call = asyncio.create_task(_get(served.registry()))
    await until(served.models.entered, "the call did not arrive")
    await served.server.stop(0.05)
    with pytest.raises(Unavailable):
        await call
    await until(served.models.cancelled, "the handler was not cancelled")


async def _when(event: asyncio.Event) -> None:
    await event.wait()
